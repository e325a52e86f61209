"""Heatmap sets over a folder."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop import figures
from camdrop.analysis.heatmap_export import Look, export, open_viewer
from camdrop.cam import upsample
from camdrop.checkpoints import load
from camdrop.data import fit_image, gallery, normalise, read_image
from tests.support.command import run
from tests.support.other_networks import foreign

CHECKPOINT = "checkpoints/fashion-resnet8-camdrop.safetensors"


@pytest.fixture
def folder(tmp_path):
    """Five images of the bundled sample, in folders, with a file that is none."""
    images, _ = gallery("fashion-mnist")
    for i, name in enumerate(("a.png", "b.png", "b.jpg", "deep/er/c.png", "deep/d.png")):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.images[i, 0].numpy()).save(path)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


def made(out):
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def test_a_set_is_what_the_cam_command_draws(monkeypatch, folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(monkeypatch, "export", CHECKPOINT, folder, "--out", out, "--batch-size", 2, "--device", "cpu") == 0
    assert capsys.readouterr().out == f"{out}: 5 heatmaps, 0 were there, 0 images unreadable\n"
    names = ("a.png", "b.jpg", "b.png", "deep/d.png", "deep/er/c.png")
    assert made(out) == sorted([f"{n}.{suffix}" for n in names for suffix in ("npz", "png")] + ["export.json"])
    for name in names:
        assert run(monkeypatch, "cam", CHECKPOINT, folder / name, "--out", tmp_path / "one.npy") == 0
        output = capsys.readouterr().out
        values = np.load(out / f"{name}.npz")
        large = upsample(torch.from_numpy(values["heatmap"])[None], (28, 28))[0].numpy()
        np.testing.assert_allclose(large, np.load(tmp_path / "one.npy"), rtol=1e-4, atol=1e-5)
        assert values["target"] == values["predicted"] == int(re.search(r"class (\d+)", output)[1])
        assert f"{values['probabilities'].max():.3f}" in output
        picture = fit_image(read_image(folder / name), 3, 28).permute(1, 2, 0).numpy()
        painted = figures.overlay(picture, large, low=float(large.min()), high=float(large.max()))
        drawn = np.asarray(Image.open(io.BytesIO((out / f"{name}.png").read_bytes())))
        assert drawn.shape == (252, 252, 3) and np.abs(drawn[4::9, 4::9].astype(int) - painted).max() <= 1


def test_an_export_goes_on_where_it_stopped(folder, tmp_path):
    viewer, out = open_viewer(CHECKPOINT), tmp_path / "out"
    assert export(viewer, folder, out)[:2] == (5, 0)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    (out / "deep" / "d.png.npz").unlink()
    (out / "deep" / "d.png.part").write_bytes(b"cut")
    shares = []
    assert export(viewer, folder, out, progress=lambda what, share: shares.append((what, share)))[:2] == (1, 4)
    assert shares == [("1 heatmaps", 1.0)] and not list(out.rglob("*.part"))
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == {out / "deep" / "d.png.npz"}
    with pytest.raises(ValueError, match="other settings; choose another --out"):
        export(viewer, folder, out, Look(target=3))
    with pytest.raises(ValueError, match="another network"):
        export(open_viewer(CHECKPOINT.replace("camdrop.", "dropblock.")), folder, out)


def test_out_may_lie_in_the_folder(folder):
    viewer = open_viewer(CHECKPOINT)
    assert [export(viewer, folder, folder / "heat")[:2] for _ in range(2)] == [(5, 0), (0, 5)]


def test_a_damaged_image_does_not_stop_the_others(monkeypatch, folder, tmp_path, capsys):
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    out = tmp_path / "out"
    assert run(monkeypatch, "export", CHECKPOINT, folder, "--out", out, "--class", "Sneaker", "--device", "cpu") == 0
    output = capsys.readouterr()
    assert f"{folder / 'b.jpg'} is" in output.err and "4 heatmaps, 0 were there, 1 images unreadable" in output.out
    assert np.load(out / "a.png.npz")["target"] == load(CHECKPOINT).meta.classes.index("Sneaker")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classifier"), [("torchvision/densenet121", "classifier"), ("timm/resnet18", "fc")])
def test_a_network_of_another_library(folder, tmp_path, name, classifier):
    """Eq. 1: the probabilities follow from the maps' means alone."""
    model, out = foreign(name, classes=3), tmp_path / "out"
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    viewer = open_viewer(name.replace("/", ":"), tmp_path / "weights.pth")
    assert viewer.classes == ("0", "1", "2") and viewer.size == 224
    bias, means = model.get_submodule(classifier).bias.detach(), []
    for k in range(3):
        assert export(viewer, folder / "deep", out / str(k), Look(target=k)).done == 2
        values = np.load(out / str(k) / "d.png.npz")
        means.append(values["heatmap"].mean() + float(bias[k]))
    np.testing.assert_allclose(torch.tensor(means).softmax(0), values["probabilities"], rtol=1e-3)
    x = normalise(fit_image(read_image(folder / "deep/d.png"), 3, 224)[None], viewer.mean, viewer.std)
    with torch.no_grad():
        np.testing.assert_allclose(model(x).softmax(1)[0], values["probabilities"], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("torchvision:resnet19", "torchvision has no classifier 'resnet19'; "),
        ("timm:resnet19", "timm has no classifier 'resnet19'; "),
        ("torchvision:vit_b_16", "VisionTransformer has no convolutional feature map before the pooling"),
        ("torchvision:densenet121", r"weights\.pth does not fit torchvision:densenet121: "),
        ("nowhere.pth", r"nowhere\.pth cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(monkeypatch, folder, tmp_path, capsys, source, words):
    weights = tmp_path / "weights.pth"
    torch.save({"classifier.weight": torch.zeros(4, 5)}, weights)
    assert run(monkeypatch, "export", source, folder, "--out", tmp_path / "out", "--weights", weights) == 2
    error = capsys.readouterr().err
    assert re.search(words, error) and error.count("\n") == 1


def test_weights_that_cannot_be_downloaded(monkeypatch):
    def offline(*args, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.models.get_model", offline)
    with pytest.raises(
        ValueError, match=r"the weights of torchvision:resnet50 cannot be had \(Name or service not known\); try again"
    ):
        open_viewer("torchvision:resnet50")


def test_a_folder_without_images(tmp_path):
    with pytest.raises(ValueError, match="has no images"):
        export(open_viewer(CHECKPOINT), tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="there is no folder"):
        export(open_viewer(CHECKPOINT), tmp_path / "nowhere", tmp_path / "out")


def test_out_must_not_be_a_file(folder):
    with pytest.raises(ValueError, match=r"notes\.txt is a file; choose another --out"):
        export(open_viewer(CHECKPOINT), folder, folder / "notes.txt")
    assert (folder / "notes.txt").read_text() == "no image"
