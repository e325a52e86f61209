"""The loops in `examples/` and the one in the README, each for two steps."""

import re
import runpy
import sys

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image

from tests.support import ROOT

LOOPS = ("plain", "with_lightning", "with_accelerate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of four photographs, made of noise: train/<class>/*."""
    root, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / "train" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)).save(root / f"train/{name}/{i}.jpg")
    return root


@pytest.fixture
def watched(monkeypatch):
    """The guides of all networks that were attached, in order, with the number of passes that each masked."""
    import camdrop.adapters.attachment

    guides = []

    class Watched(camdrop.adapters.attachment.Guide):
        def __init__(self, *args):
            super().__init__(*args)
            self.passes = []
            guides.append(self)

        def _end(self, out):
            super()._end(out)
            self.passes.append(dict(self.masks))

    monkeypatch.setattr("camdrop.adapters.attachment.Guide", Watched)
    return guides


def run(monkeypatch, name, *options):
    """`python examples/NAME.py OPTIONS` in this process."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert not end.value.code


@pytest.mark.slow
@pytest.mark.parametrize("library", ["torchvision", "timm"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.filterwarnings("ignore")
def test_the_loops_train_with_masks(monkeypatch, capsys, folder, watched, loop, library):
    run(monkeypatch, loop, "--data", folder, "--library", library, "--batch-size", 4, "--size", 32, "--steps", 2)
    assert re.search(r"^step 2: loss \d+\.\d+", capsys.readouterr().out, re.MULTILINE)
    (guide,) = watched
    assert len(guide.passes) == 2 and all(masks.keys() == guide.sites for masks in guide.passes)
    assert not any(module._forward_hooks for module in guide._model.modules())


def test_a_loop_on_the_bundled_sample(monkeypatch, capsys):
    run(monkeypatch, "plain", "--steps", 1, "--batch-size", 4, "--size", 32)
    assert "step 1: loss" in capsys.readouterr().out


@pytest.mark.slow
def test_accelerate_with_mixed_precision(monkeypatch, folder, watched):
    AcceleratorState._reset_state(reset_partial_state=True)  # of which there is one a process
    options = ("--data", folder, "--batch-size", 4, "--size", 32, "--steps", 1, "--mixed-precision", "bf16")
    run(monkeypatch, "with_accelerate", *options)
    (guide,) = watched
    assert {mask.cam.dtype for mask in guide.masks.values()} == {torch.bfloat16}


@pytest.mark.parametrize("loop", [*LOOPS, "pictures"])
def test_the_loops_are_short(loop):
    assert len((ROOT / "examples" / f"{loop}.py").read_text().splitlines()) < 60


@pytest.mark.slow
def test_the_readmes_loop_runs(monkeypatch, folder, watched):
    codes = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (code,) = (code for code in codes if "attach" in code)
    code = code.replace("photos", str(folder)).replace('weights="DEFAULT"', "weights=None")
    lines = [line for line in code.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) == 10
    exec(compile(code, "README.md", "exec"), {})
    (guide,) = watched
    assert len(guide.passes) == 1 and guide.passes[0].keys() == guide.sites
