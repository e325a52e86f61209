import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.cam import class_activation_map, upsample
from camdrop.checkpoints import load
from camdrop.cli.options import class_index
from camdrop.data import load_dataset, normalise
from camdrop.masks import CamDrop, DropBlock
from camdrop.training.config import Contender
from tests.support import ROOT
from tests.support.command import run
from tests.support.shades import shades


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder data set: dark and bright images of 12×12 pixels."""
    root = tmp_path_factory.mktemp("shades")
    shades(root, train=40, test=10, low=150, span=100, size=12)
    return root


def train(monkeypatch, folder, out, *more):
    options = ("--epochs", 2, "--batch-size", 20, "--lr", 0.05, "--crop", 1, "--validation", 0.2)
    return run(monkeypatch, "train", "--data", f"folder:{folder}", "--run", out, *options, *more)


def test_train_evaluate_and_cam_agree_with_the_library(monkeypatch, folder, tmp_path, capsys):
    assert train(monkeypatch, folder, tmp_path / "run", "--method", "camdrop", "--block-size", 3) == 0
    path = tmp_path / "run" / "camdrop" / "best.safetensors"
    meta = load(path).meta
    assert meta.method == "camdrop" and meta.method_options["block_size"] == 3 and meta.epochs in (1, 2)
    assert meta.classes == ("bright", "dark") and meta.test_images == 20 and meta.versions["torch"]
    capsys.readouterr()

    assert run(monkeypatch, "evaluate", path, "--data", f"folder:{folder}", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 20 and result["top1_error"] == pytest.approx(meta.test_error)

    image = folder / "test" / "dark" / "3.png"
    assert (
        run(monkeypatch, "cam", path, image, "--class", "dark", "--stage", "layer2", "--out", tmp_path / "a.npy") == 0
    )
    assert run(monkeypatch, "cam", path, image, "--class", "1", "--stage", "layer2", "--out", tmp_path / "a.png") == 0
    data = load_dataset(f"folder:{folder}", splits=("test",))
    model, pixels = load(path).model, torch.from_numpy(np.array(Image.open(image)))[None, None]
    with torch.no_grad():
        features = model.stages(normalise(pixels, meta.mean, meta.std))["layer2"]
    expected = upsample(class_activation_map(features, model.fc.weight, torch.tensor([1])), (12, 12))[0]
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected.numpy(), atol=1e-5)
    assert Image.open(tmp_path / "a.png").size == (504, 504) and data.info.classes == meta.classes


def test_same_seed_same_network(monkeypatch, folder, tmp_path):
    for name in "ab":
        assert train(monkeypatch, folder, tmp_path / name, "--method", "dropblock", "--epochs", 1) == 0
    a, b = (load(tmp_path / name / "dropblock" / "last.safetensors").model.state_dict() for name in "ab")
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_race_leaves_a_table_and_goes_on_where_it_stopped(monkeypatch, folder, tmp_path, capsys):
    out = tmp_path / "race"
    options = ("--epochs", 1, "--batch-size", 20, "--crop", 1, "--block-size", 3)
    methods = ("--methods", "baseline,camdrop,camdrop:reading=matched")
    assert run(monkeypatch, "race", "--data", f"folder:{folder}", "--run", out, *options, *methods) == 0
    shown = capsys.readouterr().out
    assert "camdrop reading=matched" in shown and "test error" in shown and "make app" in shown
    assert run(monkeypatch, "race", "--run", out, *options) == 2
    assert "--resume" in capsys.readouterr().err
    assert run(monkeypatch, "race", "--run", out, "--resume") == 0


def test_options_for_all_go_to_the_methods_that_have_them(monkeypatch, folder, tmp_path):
    trained = []
    monkeypatch.setattr("camdrop.runs.trainer.train", lambda run, config, **_: trained.append(config) or Stopped())
    methods = (
        "--methods",
        "baseline,dropblock,camdrop,camdrop:label=random",
        "--keep-prob",
        0.8,
        "--label",
        "predicted",
    )
    assert run(monkeypatch, "race", "--run", tmp_path / "a", *methods, "--schedule", "linear") == 0
    assert run(monkeypatch, "train", "--run", tmp_path / "b", "--method", "camdrop", "--preset", "imagenet") == 0
    baseline, dropblock, predicted, random = trained[0].contenders
    assert baseline == Contender("baseline") and dropblock.method == DropBlock(keep_prob=0.8)
    assert dropblock.schedule == predicted.schedule == "linear"
    assert predicted.method == CamDrop(keep_prob=0.8, label="predicted") and random.method.label == "random"
    assert trained[1].contenders[0].method == CamDrop(block_size=7)


class Stopped:
    state, step, total = "finished", 1, 1


@pytest.mark.parametrize(
    "args, words",
    [
        (("train", "--data", "fashion-sample"), "--run"),
        (("train", "--data", "imagenette", "--run", "RUN"), "imagenette"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--model", "vgg"), "resnet8"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--method", "cutout"), "cutout"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--method", "camdrop", "--keep-prob", "1.5"), "keep_prob"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--method", "dropblock", "--reading", "typo"), "reading='typo'"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--keep-prob", "0.8"), "no option of baseline"),
        (("race", "--run", "RUN", "--methods", "baseline,dropout", "--block-size", "3"), "one of dropblock, camdrop"),
        (("race", "--run", "RUN", "--methods", "baseline", "--sites", "skip"), "no option of baseline"),
        (("race", "--run", "RUN", "--label", "wrong"), "label must be one of true, predicted, random, got 'wrong'"),
        (("race", "--run", "RUN", "--methods", "camdrop:keep_prob=1.2.3"), "keep_prob must be a number in [0, 1]"),
        (("race", "--run", "RUN", "--methods", "camdrop:reading=paper", "--reading", "typo"), "got 'typo'"),
        (("sweep", "--run", "RUN", "--method", "dropblock", "--reading", "typo"), "reading='typo'"),
        (("sweep", "--run", "RUN", "--method", "dropout", "--block-size", "3"), "block_size=3"),
        (("sweep", "--run", "RUN", "--reading", "typo"), "paper, official, matched"),
        (("bounds", "x", "--data", "FOLDER", "--traditional", "cutout"), "--traditional must be dropblock"),
        (("bounds", "x", "--data", "FOLDER", "--reading", "typo"), "paper, official, matched"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--device", "tpu"), "tpu"),
        (("train", "--data", "FOLDER", "--run", "RUN", "--epochs", "many"), "--epochs"),
        (("evaluate", "nowhere.safetensors", "--data", "FOLDER"), "nowhere.safetensors"),
        (("evaluate", "README.md", "--data", "FOLDER"), "README.md"),
        (("cam", "README.md", "README.md", "--out", "heat.jpg"), "heat.jpg"),
        (("race", "--run", "RUN", "--methods", "baseline,baseline"), "different names"),
        (("race", "--run", "nowhere", "--resume"), "nowhere"),
        (("fly",), "fly"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, folder, tmp_path, capsys, args, words):
    real = {"FOLDER": f"folder:{folder}", "RUN": str(tmp_path / "run")}
    assert run(monkeypatch, *(real.get(a, a) for a in args)) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and "Traceback" not in err


def test_checkpoint_and_data_that_do_not_fit(monkeypatch, folder, tmp_path, capsys):
    assert train(monkeypatch, folder, tmp_path / "run", "--epochs", 1) == 0
    capsys.readouterr()
    assert (
        run(monkeypatch, "evaluate", tmp_path / "run" / "baseline" / "last.safetensors", "--data", "fashion-sample")
        == 2
    )
    assert "2 classes" in capsys.readouterr().err
    image = folder / "test" / "dark" / "3.png"
    for option in (("--class", "grey"), ("--stage", "layer7")):
        out = ("--out", tmp_path / "x.png")
        assert run(monkeypatch, "cam", tmp_path / "run" / "baseline" / "last.safetensors", image, *option, *out) == 2
        assert option[1] in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_runs_as_a_module_without_streamlit_or_plotly():
    code = (
        "import sys, runpy; sys.modules.update(streamlit=None, plotly=None); sys.argv = ['camdrop', '--help'];"
        "import camdrop.cli, camdrop.training, camdrop.checkpoints, camdrop.figures;"
        "runpy.run_module('camdrop', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0 and "evaluate" in done.stdout and done.stderr == ""


def test_a_class_of_a_thousand_that_is_not_there_gets_names_like_it() -> None:
    classes = ("banana", *(f"thing {i}" for i in range(999)))
    with pytest.raises(ValueError, match=r"from 0 to 999 or a name such as banana, got banjana"):
        class_index("banjana", classes, 1000)
    with pytest.raises(ValueError, match=r"from 0 to 1 or a name: cat, dog, got cow"):
        class_index("cow", ("cat", "dog"), 2)
