"""Every command that reads other people's networks says what it assumed of them, aside from its output."""

import json

import pytest
import torch

from camdrop.checkpoints import Meta, save
from tests.support.checkpoint_files import network
from tests.support.command import run
from tests.support.shades import shades

COMMANDS = {
    "evaluate": ("evaluate", "NET", "--data", "DATA", "--json"),
    "cam": ("cam", "NET", "IMAGE", "--out", "OUT.png"),
    "export": ("export", "NET", "FOLDER", "--out", "OUT"),
    "attack": ("attack", "NET", "--data", "DATA", "--limit", 2, "--iterations", 1, "--json"),
    "compare": ("compare", "NET", "--data", "DATA", "--limit", 2, "--json"),
    "bounds": ("bounds", "NET", "--data", "DATA", "--images", 2, "--json"),
    "leakage": ("leakage", "NET", "--data", "DATA", "--images", 40, "--method", "camdrop", "--by", "all", "--json"),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_assumptions_are_said(monkeypatch, tmp_path, capsys, command):
    model = network("resnet8", 2, 1)
    shades(tmp_path / "data", train=2, test=30, low=150, span=100, size=12)
    theirs, ours = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    torch.save(model.state_dict(), theirs)
    save(ours, model, Meta("resnet8", 2, 1))
    for path in (theirs, ours):
        places = {
            "DATA": f"folder:{tmp_path / 'data'}", "FOLDER": tmp_path / "data" / "test" / "dark",
            "IMAGE": tmp_path / "data" / "test" / "dark" / "3.png",
            "OUT": tmp_path / "out" / path.stem, "OUT.png": tmp_path / "o.png",
        }  # fmt: skip
        assert run(monkeypatch, *(path if part == "NET" else places.get(part, part) for part in COMMANDS[command])) == 0
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if "read with assumptions" in line]
        assert len(lines) == (path is theirs) and "read with" not in said.out
        if lines:
            assert lines[0].endswith(
                "theirs.pth was read with assumptions: classes and normalisation are by convention"
            )
        if "--json" in COMMANDS[command]:
            json.loads(said.out)
