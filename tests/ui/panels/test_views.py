"""How Explore colours and exports explanations, and the images that its filters choose."""

import csv
import io
import json
import zipfile
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.analysis.explanations import Explanation, explain, scores
from camdrop.cam import compress_weights
from camdrop.checkpoints import Checkpoint
from camdrop.data import gallery, normalise
from camdrop.figures import lut
from tests.support.checkpoint_files import FASHION_METHODS, META, fashion
from ui.panels import export
from ui.panels.views import PREDICTED, TRUE, Seen, Style, arrange, class_of, filters

PLAIN = Style("viridis", shared=False, difference=False, opacity=0.6, start=0.0, end=1.0)


def test_class_of_the_heatmap() -> None:
    checkpoint, image = fashion(0), gallery("fashion-mnist")[0].images[7]

    def explanation(truth: str | None, wanted: str) -> Explanation:
        return explain("a", checkpoint, image, class_of(wanted, truth), "layer3")

    def target(truth: str | None, wanted: str) -> str:
        return explanation(truth, wanted).target_name

    predicted = META.classes[int(explanation("Bag", PREDICTED).prediction.probabilities.argmax())]

    assert target("Bag", TRUE) == "Bag"
    assert target("Bag", PREDICTED) == predicted
    assert target("Bag", "Coat") == "Coat"
    assert target(None, TRUE) == target("frog", TRUE) == target("Bag", "frog") == predicted


def test_ranges_and_differences(three: list[tuple[str, Checkpoint]]) -> None:
    image = gallery("fashion-mnist")[0].images[3]
    explanations = [explain(name, checkpoint, image, "Dress", "layer3") for name, checkpoint in three]
    heats = [explanation.heatmap for explanation in explanations]
    own = arrange(explanations, PLAIN)
    assert [(d.low, d.high) for d in own] == [(h.min(), h.max()) for h in heats]
    assert own[1].share.min() == 0 and own[1].share.max() == pytest.approx(1)
    shared = arrange(explanations, Style("viridis", True, False, 0.6, 0, 1))
    assert {(d.low, d.high) for d in shared} == {(min(h.min() for h in heats), max(h.max() for h in heats))}

    absolute = arrange(explanations, Style("viridis", True, True, 0.6, 0, 1))
    assert not absolute[0].signed and np.array_equal(absolute[0].heat, heats[0])
    assert absolute[2].heat == pytest.approx(heats[2] - heats[0])
    largest = max(np.abs(heats[i] - heats[0]).max() for i in (1, 2))
    assert {(d.low, d.high) for d in absolute[1:]} == {(-largest, largest)}
    relative = arrange(explanations, Style("viridis", False, True, 0.6, 0, 1))
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


def test_export(three: list[tuple[str, Checkpoint]]) -> None:
    image = gallery("fashion-mnist")[0].images[3]
    explanations = [explain(name, checkpoint, image, "Bag", "layer2") for name, checkpoint in three]
    scores(explanations[1], compute=True)
    heatmap, probabilities = explanations[2].heatmap, explanations[2].prediction.probabilities
    link = {"image": 4, "checkpoints": ["a b", "c"], "shared": True}
    seen = Seen(explanations, "Fashion-MNIST 4 · Dress", "Dress", link)
    rows = list(csv.DictReader(io.StringIO(export.table(seen).decode("utf-8-sig"))))
    assert [row["checkpoint"] for row in rows] == list(FASHION_METHODS)
    assert rows[0]["true class"] == "Dress" and rows[0]["class of the heatmap"] == "Bag"
    assert float(rows[2]["most evidence"]) == pytest.approx(heatmap.max(), rel=1e-4)
    assert float(rows[2]["probability 1"]) == pytest.approx(probabilities.max(), abs=1e-6)
    assert rows[0]["deletion score"] == "" and float(rows[1]["deletion score"]) > 0

    style = Style("magma", shared=False, difference=False, opacity=0.25, start=0.2, end=0.7)
    with zipfile.ZipFile(io.BytesIO(export.bundle(seen, style))) as files:
        assert sorted(files.namelist()) == sorted(
            ["image.png", "table.csv", "settings.json", "open.ipynb"]
            + [f"{i}-{m}.{kind}" for i, m in enumerate(FASHION_METHODS, 1) for kind in ("png", "npy", "npz")]
        )
        picture = np.asarray(Image.open(files.open("3-camdrop.png")))
        heat = np.load(io.BytesIO(files.read("3-camdrop.npy")))
        raw = dict(np.load(io.BytesIO(files.read("3-camdrop.npz"))))
        settings = json.loads(files.read("settings.json"))
    assert np.array_equal(heat, heatmap) and np.array_equal(raw["heatmap"], heatmap)
    network = three[2][1].model
    x = normalise(image[None], META.mean, META.std)
    rows = compress_weights(network.fc.weight[[8]], 32)[0]  # of the class Bag
    expected = (rows[:, None, None] * network.stages(x)["layer2"][0]).sum(0)
    np.testing.assert_allclose(raw["J"], expected.detach(), atol=1e-4)
    np.testing.assert_allclose(raw["logits"], network(x)[0].detach(), atol=1e-4)
    assert picture.shape == (28 * 37, 28 * 37, 3)
    y, x = np.unravel_index(heat.argmax(), heat.shape)  # beyond the range's end: the last colour
    expected = 0.75 * int(image[0, y, x]) + 0.25 * lut("magma")[255]
    assert picture[y * 37 + 18, x * 37 + 18] == pytest.approx(expected, abs=1)
    assert parse_qs(settings["link"][1:]) == {"image": ["4"], "checkpoints": ["a b", "c"], "shared": ["True"]}
    assert settings["checkpoints"]["camdrop"]["seed"] == META.seed and "torch" in settings["versions"]
