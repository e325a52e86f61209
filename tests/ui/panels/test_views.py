"""What Explore computes, against independent results."""

import csv
import io
import json
import resource
import zipfile
from pathlib import Path
from urllib.parse import parse_qs

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.checkpoints import Checkpoint
from camdrop.checkpoints.metadata import Meta
from camdrop.data import gallery, normalise
from camdrop.figures import lut
from tests.support.checkpoint_files import FASHION_METHODS, META, fashion
from ui.choosers.image import fit
from ui.panels import export
from ui.panels import views as compare
from ui.panels.views import PREDICTED, TRUE, Seen, Style, draw, filters, look

PLAIN = Style("viridis", shared=False, difference=False, opacity=0.6, start=0.0, end=1.0)


@pytest.mark.parametrize("stage", ["layer1", "layer2", "layer3"])
def test_heatmap_is_the_sum_over_channels_resized(stage: str) -> None:
    checkpoint, image = fashion(0), gallery("fashion-mnist")[0].images[7]
    view = look("a", checkpoint, image, None, "Coat", stage)
    model, x = checkpoint.model, normalise(image[None], META.mean, META.std)
    with torch.no_grad():
        features = model.forward_to(stage, x)[0].numpy()
        probabilities = model(x).softmax(1)[0].numpy()
    weights = model.fc.weight[META.classes.index("Coat")].detach().numpy().reshape(len(features), -1).sum(1)
    cam = np.einsum("c,chw->hw", weights, features)
    assert view.target_name == "Coat" and view.size == cam.shape
    assert view.heat == pytest.approx(cv2.resize(cam, (28, 28), interpolation=cv2.INTER_LINEAR), abs=2e-4)
    assert view.probabilities == pytest.approx(probabilities, abs=1e-6)
    assert [k for k, _ in view.top()] == np.argsort(-probabilities)[:5].tolist()


def test_class_of_the_heatmap() -> None:
    checkpoint, image = fashion(0), gallery("fashion-mnist")[0].images[7]
    predicted = META.classes[int(look("a", checkpoint, image, "Bag", PREDICTED, "layer3").probabilities.argmax())]

    def target(truth: str | None, wanted: str) -> str:
        return look("a", checkpoint, image, truth, wanted, "layer3").target_name

    assert target("Bag", TRUE) == "Bag"
    assert target("Bag", PREDICTED) == predicted
    assert target("Bag", "Coat") == "Coat"
    assert target(None, TRUE) == target("frog", TRUE) == target("Bag", "frog") == predicted


def test_stage_that_a_network_lacks_is_its_last() -> None:
    image = gallery("fashion-mnist")[0].images[0]
    assert look("a", fashion(0), image, None, PREDICTED, "layer4").stage == "layer3"


def test_ranges_and_differences(three: list[tuple[str, Checkpoint]]) -> None:
    image = gallery("fashion-mnist")[0].images[3]
    views = [look(name, checkpoint, image, "Dress", TRUE, "layer3") for name, checkpoint in three]
    heats = [view.heat for view in views]
    own = draw(views, PLAIN)
    assert [(d.low, d.high) for d in own] == [(h.min(), h.max()) for h in heats]
    assert own[1].share.min() == 0 and own[1].share.max() == pytest.approx(1)
    shared = draw(views, Style("viridis", True, False, 0.6, 0, 1))
    assert {(d.low, d.high) for d in shared} == {(min(h.min() for h in heats), max(h.max() for h in heats))}

    absolute = draw(views, Style("viridis", True, True, 0.6, 0, 1))
    assert not absolute[0].signed and np.array_equal(absolute[0].heat, heats[0])
    assert absolute[2].heat == pytest.approx(heats[2] - heats[0])
    largest = max(np.abs(heats[i] - heats[0]).max() for i in (1, 2))
    assert {(d.low, d.high) for d in absolute[1:]} == {(-largest, largest)}
    relative = draw(views, Style("viridis", False, True, 0.6, 0, 1))
    assert relative[1].heat == pytest.approx(
        heats[1] / np.abs(heats[1]).max() - heats[0] / np.abs(heats[0]).max(), abs=1e-6
    )
    assert relative[1].low == -relative[1].high  # zero is in the middle, and so white


@pytest.mark.slow
def test_filters_find_what_they_say(three: list[tuple[str, Checkpoint]]) -> None:
    split, info = gallery("fashion-mnist")
    seen: list[float] = []
    conditions = filters(three, lambda name, share: seen.append(share))
    with torch.no_grad():
        answers = [c.model(normalise(split.images, META.mean, META.std)).argmax(1) for _, c in three]
    assert list(conditions) == ["The networks disagree", *(f"{method} errs" for method in FASHION_METHODS)]
    assert torch.equal(conditions["camdrop errs"](split, info), answers[2] != split.labels)
    expected = (answers[0] != answers[1]) | (answers[0] != answers[2])
    assert torch.equal(conditions["The networks disagree"](split, info), expected)
    assert seen[:3] == [0, 0.1, 0.2]
    done = len(seen)
    conditions["The networks disagree"](split, info)
    assert len(seen) == done  # known by now
    assert list(filters(three[:1], print)) == ["baseline errs"]


def test_images_are_fitted_to_the_network() -> None:
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 8)
    grey = fit(red, META)
    assert grey.shape == (1, 28, 28) and grey.unique().tolist() == [76]  # 0.299 · 255
    colour = Meta("resnet8", 10, 3, image_size=32)
    assert fit(grey, colour).shape == (3, 32, 32) and fit(grey, colour).unique().tolist() == [76]
    batch = gallery("cifar10")[0].images
    assert torch.equal(fit(batch, colour), batch)


def test_scores_are_computed_on_demand_only() -> None:
    checkpoint = fashion(5)
    view = look("a", checkpoint, gallery("fashion-mnist")[0].images[0], None, PREDICTED, "layer3")
    assert compare.scores(view) is None
    found = compare.scores(view, compute=True)
    assert found is not None and 0 <= found.deletion_auc <= 1
    again = look("a", checkpoint, view.pixels, None, PREDICTED, "layer3")
    assert compare.scores(again) is found
    assert compare.scores(look("a", checkpoint, view.pixels, None, PREDICTED, "layer1")) is None


def resident() -> int:
    """Bytes of memory that this process holds; where the system does not say, the most that it ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_images() -> None:
    checkpoint, images = fashion(0), gallery("fashion-mnist")[0].images
    held = []
    for place, image in enumerate(images):
        look("a", checkpoint, image, None, PREDICTED, "layer3")
        if place in (99, 999):
            held.append(resident())
    assert held[1] - held[0] < 16e6  # all their features would take 88 MB


def test_export(three: list[tuple[str, Checkpoint]]) -> None:
    image = gallery("fashion-mnist")[0].images[3]
    views = [look(name, checkpoint, image, "Dress", "Bag", "layer2") for name, checkpoint in three]
    compare.scores(views[1], compute=True)
    seen = Seen(views, "Fashion-MNIST 4 · Dress", "Dress", {"image": 4, "checkpoints": ["a b", "c"], "shared": True})
    rows = list(csv.DictReader(io.StringIO(export.table(seen).decode("utf-8-sig"))))
    assert [row["checkpoint"] for row in rows] == list(FASHION_METHODS)
    assert rows[0]["true class"] == "Dress" and rows[0]["class of the heatmap"] == "Bag"
    assert float(rows[2]["most evidence"]) == pytest.approx(views[2].heat.max(), rel=1e-4)
    assert float(rows[2]["probability 1"]) == pytest.approx(views[2].probabilities.max(), abs=1e-6)
    assert rows[0]["deletion score"] == "" and float(rows[1]["deletion score"]) > 0

    style = Style("magma", shared=False, difference=False, opacity=0.25, start=0.2, end=0.7)
    with zipfile.ZipFile(io.BytesIO(export.bundle(seen, style))) as files:
        assert sorted(files.namelist()) == sorted(
            ["image.png", "table.csv", "settings.json"]
            + [f"{i}-{m}.{kind}" for i, m in enumerate(FASHION_METHODS, 1) for kind in ("png", "npy")]
        )
        picture = np.asarray(Image.open(files.open("3-camdrop.png")))
        heat = np.load(io.BytesIO(files.read("3-camdrop.npy")))
        settings = json.loads(files.read("settings.json"))
    assert np.array_equal(heat, views[2].heat)
    assert picture.shape == (28 * 37, 28 * 37, 3)
    y, x = np.unravel_index(heat.argmax(), heat.shape)  # beyond the range's end: the last colour
    expected = 0.75 * int(image[0, y, x]) + 0.25 * lut("magma")[255]
    assert picture[y * 37 + 18, x * 37 + 18] == pytest.approx(expected, abs=1)
    assert parse_qs(settings["link"][1:]) == {"image": ["4"], "checkpoints": ["a b", "c"], "shared": ["True"]}
    assert settings["checkpoints"]["camdrop"]["seed"] == META.seed and "torch" in settings["versions"]
