"""A researcher's own photographs and networks, from a ZIP to a notebook."""

import argparse
import contextlib
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from playwright.sync_api import Page, expect
from torch.nn import functional as F

from tests.support.browser import serve

CLASSES, SIDE, MEAN, STD = ("meadow", "sea"), 32, (0.4, 0.5, 0.5), (0.25, 0.2, 0.3)


def photographs() -> tuple[bytes, torch.Tensor, torch.Tensor]:
    """Forty images in two folders, as a ZIP and as tensors: green below or blue below, in noise."""
    rng = np.random.default_rng(0)
    images, labels = [], [k // 20 for k in range(40)]
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as files:
        for k, label in enumerate(labels):
            pixels = rng.integers(60, 200, (SIDE, SIDE, 3))
            pixels[SIDE // 2 :, :, 1 + label] += 40
            images.append(pixels.astype(np.uint8))
            Image.fromarray(images[-1]).save(file := io.BytesIO(), "PNG")
            files.writestr(f"photos/{CLASSES[label]}/{k:02}.png", file.getvalue())
    return buffer.getvalue(), torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.tensor(labels)


def scores(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    scale = [torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD)]
    return model((images / 255 - scale[0]) / scale[1])


def trained(images: torch.Tensor, labels: torch.Tensor, steps: int, path: Path) -> torch.nn.Module:
    """A ResNet-18 of timm after so many steps, also as a file such as timm's training writes."""
    torch.manual_seed(0)
    model = timm.create_model("resnet18", num_classes=2)
    optimiser = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(scores(model, images), labels).backward()
        optimiser.step()
    said = argparse.Namespace(
        model="resnet18", img_size=SIDE, mean=list(MEAN), std=list(STD), class_names=list(CLASSES)
    )
    file = {"epoch": steps, "arch": "resnet18", "state_dict": model.state_dict(), "args": said, "metric": 97.5}
    torch.save(file, path)
    return model.eval()


def run_notebook(folder: Path) -> str:
    """What the notebook in a folder prints."""
    said, names = io.StringIO(), {}
    cells = json.loads((folder / "open.ipynb").read_text("utf-8"))["cells"]
    with contextlib.chdir(folder), contextlib.redirect_stdout(said):
        for cell in cells:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
    return said.getvalue()


@pytest.mark.slow
def test_from_a_zip_to_a_notebook(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, images, labels = photographs()
    networks = {n: trained(images, labels, k, tmp_path / n) for n, k in (("late.pth", 12), ("early.pth", 2))}
    with torch.no_grad():
        answers = {name: scores(network, images) for name, network in networks.items()}
    wrong = {name: int((found.argmax(1) != labels).sum()) for name, found in answers.items()}
    apart = int((answers["late.pth"].argmax(1) != answers["early.pth"].argmax(1)).sum())
    assert wrong["late.pth"] < wrong["early.pth"] and apart
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("CAMDROP_CHECKPOINTS", str(tmp_path / "none"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    with serve("app.py") as url:
        page.goto(url)
        page.get_by_role("button", name="Add", exact=True).click(timeout=60_000)
        page.locator("input[type=file]").first.set_input_files([tmp_path / name for name in networks])
        looks = page.get_by_role("img", name=re.compile("Where early.pth looks for"))
        expect(looks).to_be_visible(timeout=90_000)  # two files of 45 MB
        page.get_by_role("button", name="Images", exact=True).click()
        page.get_by_role("combobox", name="Images from").click()
        page.get_by_role("option", name="A folder or ZIP of your own").click()
        upload = page.get_by_test_id("stFileUploader").filter(has_text="A ZIP of images").locator("input[type=file]")
        upload.set_input_files({"name": "photos.zip", "mimeType": "application/zip", "buffer": photos})
        expect(page.get_by_text("photos.zip · 40 images")).to_be_visible()
        page.get_by_role("button", name="Measure errors").click()
        for name, count in wrong.items():
            expect(page.get_by_text(f"{name}: error {100 * count / 40:.1f} % of 40 images")).to_be_visible()
        page.get_by_role("combobox", name="Find").click()
        page.get_by_role("option", name="The networks disagree").click()
        expect(page.get_by_text(f"photos.zip · {apart} of 40 images")).to_be_visible()
        page.keyboard.press("Escape")
        number = int((answers["late.pth"].argmax(1) != answers["early.pth"].argmax(1)).nonzero()[0]) + 1
        page.get_by_role("listbox", name="The gallery").click(position={"x": 15, "y": 15})
        truth = CLASSES[int(labels[number - 1])]
        expect(page.get_by_role("img", name=f"The image: photos.zip {number} · {truth}")).to_be_visible()
        expect(page.get_by_role("img", name=f"Where late.pth looks for {truth}")).to_be_visible()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Everything").click()
        zipfile.ZipFile(saved.value.path()).extractall(tmp_path / "saved")
        page.goto("about:blank")
    said = run_notebook(tmp_path / "saved")
    for place, (name, found) in enumerate(answers.items(), 1):
        with np.load(tmp_path / "saved" / f"{place}-{name}.npz") as numbers:
            np.testing.assert_allclose(numbers["logits"], found[number - 1], atol=1e-3)
            assert numbers["classes"].tolist() == list(CLASSES) and numbers["image"].shape == (SIDE, SIDE, 3)
        best = found[number - 1].softmax(0)
        assert f"{CLASSES[int(best.argmax())]}: {100 * float(best.max()):.1f} %" in said
