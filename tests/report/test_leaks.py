"""What the command leakage wrote becomes a table; and what it found on the networks that ship."""

import json
from pathlib import Path

import pytest

from camdrop.cli import app as cli
from camdrop.report.leaks import leak_verdicts, leaks
from tests.support import ROOT


@pytest.mark.slow
def test_what_the_command_writes_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = str(ROOT / "checkpoints" / "fashion-resnet8-camdrop.safetensors")
    options = ["--data", "fashion-sample", "--images", "60", "--by", "all", "--json"]
    cli(["leakage", network, *options], standalone_mode=False)
    (tmp_path / "leakage.json").write_text(capsys.readouterr().out)
    whole = json.loads((tmp_path / "leakage.json").read_text())["groups"]["all sites"]
    text, accuracy = leaks([tmp_path]), whole["accuracy"]
    shown = f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"
    assert f"fashion-sample: CamDrop γ 0.9 r 7 true class reading official | {shown} |" in text.replace("\xa0", " ")
    assert f"| {100 * whole['obeys']['chance']:.1f} | 60 | {whole['where_wrong']['n']} |" in text
    assert "cannot be read" not in text
    assert leak_verdicts([tmp_path]) == [
        f"fashion-resnet8-camdrop obeys its masks in {100 * whole['obeys']['value']:.1f}\u00a0% (chance 10)"
    ]


def test_what_the_networks_that_ship_tell() -> None:
    """Masks of the true class tell it, also where the network errs; others do not, and only one network obeys."""
    said = {path.stem: json.loads(path.read_text()) for path in (ROOT / "results" / "leakage").glob("*.json")}
    whole = {name: found["groups"]["all sites"] for name, found in said.items()}
    leaky, free = (whole[f"fashion-noise-{name}"]["obeys"]["value"] for name in ("camdrop-leaky", "camdrop"))
    assert leaky >= 0.5 and free <= 0.15
    for name, where in ((name, found["where_wrong"]["value"]) for name, found in whole.items()):
        if name.endswith(("-true", "-leaky")):
            assert where >= 0.8, name
        elif name != "fashion-noise-baseline-random":  # which has learnt wrong labels by heart: its masks show more
            assert where <= 0.25, name
