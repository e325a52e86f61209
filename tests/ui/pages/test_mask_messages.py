"""The mask lab's two switches: masks at every site as in training, and a probe that guesses the class from a mask."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from streamlit.testing.v1 import AppTest

from camdrop.analysis.leakage import mask_features, masks_of
from camdrop.checkpoints import Checkpoint, load
from camdrop.data import gallery, normalise
from camdrop.masks import CamDrop
from camdrop.sampling import training_masks
from camdrop.training.config import contender_of
from tests.support import ROOT
from tests.support.lab_pages import Pages, first_image, texts
from ui.choosers.scene import FIRST_DRAW
from ui.panels import mask_message

SET = "fashion-noise-resnet8"


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Pages:
    return Pages(ROOT / "checkpoints", monkeypatch)


def network(name: str) -> Checkpoint:
    return load(ROOT / "checkpoints" / f"{SET}-{name}.safetensors")


def choose(app: AppTest, name: str) -> None:
    app.session_state["live.checkpoint"] = name
    app.run()


def percent(text: str) -> float:
    return float(text.split("\u00a0%")[0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "answer", "r"), [("camdrop-leaky", "Sneaker", 8), ("camdrop", "Bag", 4)])
def test_every_site_is_masked_as_in_training_and_a_leaky_network_obeys(shipped, name, answer, r):
    app = shipped.open("mask_lab", checkpoint=f"{SET}-{name}", image="19", training="true", label="Sneaker", seed="658")
    assert not app.error and app.session_state["live.r"] == r  # that of its training
    checkpoint = network(name)
    image, _ = first_image(checkpoint)
    model, meta = checkpoint.model, checkpoint.meta
    own = contender_of(meta.method, meta.method_options)
    method, record = dataclasses.replace(own.method, label="true"), {}
    targets, draw = torch.tensor([meta.classes.index("Sneaker")]), torch.Generator().manual_seed(658)
    masks = training_masks(method, model, image, targets, own.sites(model), draw, record)
    after, before = model(image, masks).softmax(1)[0], model(image).softmax(1)[0]
    said = {panel: texts(shipped.panels["message"][panel]) for panel in ("without", "with")}
    for panel, probabilities in (("without", before), ("with", after)):
        top = probabilities.topk(3)
        pairs = zip(top.indices, top.values.tolist(), strict=True)
        expected = {meta.classes[k]: f"{100 * p:.1f}\u00a0%" for k, p in pairs}
        assert {k: v for k, v in said[panel].items() if not k.startswith("Draws")} == expected
    assert meta.classes[int(before.argmax())] == "Bag" and meta.classes[int(after.argmax())] == answer
    hits, of = map(int, said["with"]["Draws that end in Sneaker"].split(" of "))
    assert (hits > 10) == (answer == "Sneaker") and of == 20
    words = " ".join(shipped.panels["message"]["with"].lines)
    assert words == ("The answer turns to the label of the masks." if answer == "Sneaker" else "The answer stays.")
    here = record["layer2.0.conv2"]
    numbers = texts(shipped.panels["numbers"]["numbers"])
    assert numbers["Seeds of this draw"] == f"{int(here.starts.sum())}" and "Probability" not in numbers
    np.testing.assert_allclose(shipped.panels["strip"]["cam"].layers[1].values, here.cam[0], rtol=1e-5)


@pytest.mark.slow
def test_the_switch_brings_the_method_of_the_header_and_a_link_its_own(shipped):
    app = shipped.open("mask_lab")
    assert app.session_state["live.label"] == "True label"
    app.toggle("training").set_value(True).run()
    assert not app.exception and app.session_state["live.label"] == "Predicted label"
    shown = {key: app.session_state[key] for key in ("reading", "channels", "live.r", "live.position_fraction", "auto")}
    expected = {"reading": "matched", "channels": "all", "live.r": 4, "live.position_fraction": 0.5, "auto": False}
    assert shown == expected
    choose(app, f"{SET}-camdrop-leaky")
    assert not app.exception and app.session_state["live.r"] == 8 and app.session_state["reading"] == "paper"
    assert app.session_state["live.label"] == "True label" and app.session_state["auto"]
    choose(app, f"{SET}-dropblock")
    assert app.session_state["live.method"] == "DropBlock" and app.session_state["live.r"] == 4
    assert shipped.panels["message"]["with"].lines == ["These masks know no label."]
    choose(app, f"{SET}-baseline")
    assert not app.exception and app.session_state["live.method"] == "DropBlock"  # nothing to bring: it stays
    app = shipped.open("mask_lab", checkpoint=f"{SET}-camdrop-leaky", training="true", gamma="0.5", r="3")
    assert (app.session_state["live.gamma"], app.session_state["live.r"]) == (0.5, 3)


@pytest.mark.slow
def test_masks_of_training_may_leave_out_the_site_that_is_shown(shipped):
    shipped.open("mask_lab", training="true", method="DropPath", site="layer2.0.skip")
    assert "this one is drawn alone" in shipped.notes["strip"]
    assert shipped.panels["message"]["with"].title == "With masks at 3 sites"


@pytest.mark.slow
def test_the_probe_guesses_from_exactly_the_mask_that_is_shown(shipped):
    link = {"checkpoint": f"{SET}-camdrop", "gamma": "0.6", "label": "Sandal", "guess": "true"}
    app = shipped.open("mask_lab", **link)
    assert not app.exception and not app.error
    checkpoint, method = network("camdrop"), CamDrop(keep_prob=0.6, block_size=4)
    images, y = mask_message.probe_images()
    assert y[:600].bincount().tolist() == [60] * 10 and y[600:].bincount().tolist() == [30] * 10
    assert not {i.numpy().tobytes() for i in images} & {i.numpy().tobytes() for i in gallery("fashion-mnist")[0].images}
    x = normalise(images, checkpoint.meta.mean, checkpoint.meta.std)
    site, draw = "layer2.0.conv2", torch.Generator().manual_seed(0)
    parts = [
        mask_features(masks_of(checkpoint.model, method, a, b, {site}, draw)[site])
        for a, b in zip(x.split(100), y.split(100), strict=True)
    ]
    features = np.concatenate(parts)
    mean, std = features[:600].mean(0), features[:600].std(0)
    std[std == 0] = 1  # channels that no mask drops
    by_hand = LogisticRegression(C=0.03, max_iter=1000).fit((features[:600] - mean) / std, y[:600])
    image, _ = first_image(checkpoint)
    sandal = checkpoint.meta.classes.index("Sandal")
    one = masks_of(
        checkpoint.model, method, image, torch.tensor([sandal]), {site}, torch.Generator().manual_seed(FIRST_DRAW)
    )
    probabilities = by_hand.predict_proba((mask_features(one[site]) - mean) / std)[0]
    rows = texts(shipped.panels["message"]["tells"])
    for k in (-probabilities).argsort()[:2]:
        assert percent(rows[checkpoint.meta.classes[k]]) == pytest.approx(100 * probabilities[k], abs=0.11)
    assert percent(rows["Sandal"]) == pytest.approx(100 * probabilities[sandal], abs=0.11)
    accuracy = by_hand.score((features[600:] - mean) / std, y[600:])
    assert percent(rows["Right about other images"]) == pytest.approx(100 * accuracy, abs=0.5) and accuracy > 0.5
    assert rows["Right about other images"].endswith("of 300") and rows["Chance"] == "10\u00a0%"
    assert "600 images, drawn for the true class" in shipped.panels["message"]["tells"].lines[0]


@pytest.mark.slow
def test_a_slider_that_moves_waits_for_no_probe(shipped, monkeypatch):
    app = shipped.open("mask_lab", checkpoint=f"{SET}-camdrop", guess="true")
    fits = []
    fit = mask_message.add_probe
    monkeypatch.setattr(mask_message, "add_probe", lambda *a: (fits.append(a[0]), fit(*a)))
    for gamma in (0.8, 0.71, 0.72):
        app.session_state["live.gamma"] = gamma
        app.run()
        assert texts(shipped.panels["message"]["tells"])["Chance"] == "…" and not fits
    next(button for button in app.button if button.label == "Guess again").click()
    app.run()
    assert len(fits) == 1 and fits[0][1].keep_prob == 0.72
    assert texts(shipped.panels["message"]["tells"])["Chance"] == "10\u00a0%"
    assert not [button for button in app.button if button.label == "Guess again"]


def test_without_enough_labelled_images_it_says_why(shipped):
    app = shipped.open("mask_lab", checkpoint="cifar10-resnet20-camdrop", guess="true")
    assert "of CIFAR-10 too few come along" in app.info[0].value and "message" not in shipped.panels
