"""The mask lab: what it draws is what the library says, in every state that a link can bring."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from camdrop.cam import compress_weights
from camdrop.checkpoints import Checkpoint, load
from camdrop.figures import DROPPED, css
from camdrop.masks import METHODS, CamDrop, Mask
from tests.support import ROOT
from tests.support.lab_pages import Pages, first_image, texts
from ui.choosers.scene import FIRST_DRAW
from ui.components.pictures import Marks, say


def features_at(checkpoint: Checkpoint, site: str) -> torch.Tensor:
    found = []

    def drop(here, features):
        if here.name == site:
            found.append(features)
        return features

    checkpoint.model(first_image(checkpoint)[0], drop)
    return found[0]


def draw(checkpoint: Checkpoint, site: str, method, label: int, seed: int) -> tuple[torch.Tensor, Mask]:
    """A mask without the lab: features from the whole network, then `method.sample`."""
    features = features_at(checkpoint, site)
    alpha = compress_weights(checkpoint.model.fc.weight[label][None], features.shape[1])
    return features, method.sample(features, alpha=alpha, generator=torch.Generator().manual_seed(seed))


def orange(panel) -> int:
    """Cells of a picture in the colour of dropped units."""
    marks = next(layer for layer in panel.layers if isinstance(layer, Marks) and layer.color == css(DROPPED))
    return int((round(100 * marks.gamma.value) < marks.below).sum())


def test_it_opens_with_the_library_s_mask(lab: Pages, checkpoint: Checkpoint) -> None:
    app = lab.open("mask_lab")
    label = first_image(checkpoint)[1]
    _, mask = draw(checkpoint, "layer2.0.conv2", CamDrop(keep_prob=0.9, block_size=4), label, FIRST_DRAW)
    strip, numbers = lab.panels["strip"], texts(lab.panels["numbers"]["numbers"])
    assert list(strip) == ["image", "cam", "positions", "alpha", "seeds", "blocks", "masked"]
    np.testing.assert_allclose(strip["cam"].layers[1].values, mask.cam[0], rtol=1e-5)
    assert texts(strip["positions"]) == {"dominant": "12 of 196"}
    assert texts(strip["alpha"]) == {"dominant": "4 of 32"}
    assert numbers["Candidates"] == f"{int(mask.candidates.sum())}"
    assert numbers["Seeds of this draw"] == f"{int(mask.starts.sum())}"
    assert float(numbers["Share dropped"].rstrip("\u00a0%")) == pytest.approx(100 * float(mask.dropped), rel=0.06)
    assert numbers["1 − γ"] == "10\u00a0%"
    assert numbers["Rescaling factor"] == f"× {float(mask.scale):.4g}"
    grid = lab.panels["grid"]["channels"]
    assert orange(grid) == int((~mask.keep).sum())
    top = int(checkpoint.model.fc.weight[label].view(32, 2).sum(1).argmax())
    assert orange(strip["masked"]) == int((~mask.keep[0, top]).sum())
    assert texts(strip["seeds"])["seeds"] == f"{int(mask.seeds[0, top].sum())}"
    assert strip["masked"].subtitle == f"channel {top}"
    assert not app.warning and not app.error


def test_probabilities_are_the_network_s_with_that_mask(lab: Pages, checkpoint: Checkpoint) -> None:
    lab.open("mask_lab", method="DropBlock", gamma="0.5", r="3", site="layer1.0.skip", label="Bag", seed="8")
    method = METHODS["dropblock"](keep_prob=0.5, block_size=3)
    _, mask = draw(checkpoint, "layer1.0.skip", method, checkpoint.meta.classes.index("Bag"), 8)
    image, _ = first_image(checkpoint)

    def drop(here, features):
        return mask.apply(features) if here.name == "layer1.0.skip" else features

    before, after = (checkpoint.model(image, d).softmax(1)[0] for d in (None, drop))
    rows = texts(lab.panels["numbers"]["numbers"])
    bag = checkpoint.meta.classes.index("Bag")
    assert rows["Bag"] == f"{100 * float(before[bag]):.1f} → {100 * float(after[bag]):.1f}\u00a0%"
    assert rows["Candidates"] == f"{16 * 26 * 26:,}"


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("site", ["layer1.0.conv1", "layer3.0.skip"])
def test_every_method_at_other_sites(lab: Pages, checkpoint: Checkpoint, name: str, site: str) -> None:
    lab.open("mask_lab", method=METHODS[name].__name__, gamma="0.6", r="3", site=site)
    options = {"block_size": 3} if name in ("dropblock", "camdrop") else {}
    label = first_image(checkpoint)[1]
    _, mask = draw(checkpoint, site, METHODS[name](keep_prob=0.6, **options), label, FIRST_DRAW)
    assert orange(lab.panels["grid"]["channels"]) == int((~mask.keep).sum())
    assert ("draws blindly" in lab.notes["strip"]) == (name != "camdrop")
    sites = lab.panels["sites"]["sites"]
    assert len(sites.labels) == 9
    assert sites.labels[sites.selected].startswith(site)
    assert all("<math" in say(panel.equation) for key, panel in lab.panels["strip"].items() if key != "image")


def test_options_of_camdrop_in_the_link(lab: Pages, checkpoint: Checkpoint) -> None:
    lab.open(
        "mask_lab",
        gamma="0.8",
        r="5",
        channel_fraction="0.25",
        auto="false",
        position_fraction="0.3",
        reading="official",
        guide="mean",
        seed="12",
        rank="2",
    )
    method = CamDrop(
        keep_prob=0.8,
        block_size=5,
        channel_fraction=0.25,
        position_fraction=0.3,
        reading="official",
        guide="mean",
    )
    label = first_image(checkpoint)[1]
    _, mask = draw(checkpoint, "layer2.0.conv2", method, label, 12)
    assert texts(lab.panels["strip"]["positions"]) == {"dominant": "58 of 196"}
    assert texts(lab.panels["strip"]["alpha"]) == {"dominant": "9 of 32"}
    assert texts(lab.panels["numbers"]["numbers"])["Candidates"] == f"{int(mask.candidates.sum())}"
    assert orange(lab.panels["grid"]["channels"]) == int((~mask.keep).sum())
    second = int(checkpoint.model.fc.weight[label].view(32, 2).sum(1).argsort(descending=True)[1])
    assert lab.panels["numbers"]["channel"].title == f"Channel {second}"


def test_the_predicted_class_guides_where_it_is_asked_for(lab, checkpoint):
    app = lab.open("mask_lab", label="Predicted label")
    assert app.session_state["live.label"] == "Predicted label"
    with torch.no_grad():
        answer = int(checkpoint.model(first_image(checkpoint)[0]).argmax())
    assert answer != first_image(checkpoint)[1]
    _, mask = draw(checkpoint, "layer2.0.conv2", CamDrop(keep_prob=0.9, block_size=4), answer, FIRST_DRAW)
    assert orange(lab.panels["grid"]["channels"]) == int((~mask.keep).sum())


def test_settings_that_make_no_sense_together_are_explained(lab: Pages) -> None:
    lab.open("mask_lab", r="16", site="layer3.0.conv1")
    assert "r = 16 is larger than this 7×7 map: blocks are cut to 7×7" in lab.notes["strip"]
    assert texts(lab.panels["strip"]["seeds"])["valid centres"] == "1"
    if texts(lab.panels["numbers"]["numbers"])["Candidates"] == "0":
        assert "No candidate, so nothing can be dropped here" in lab.notes["strip"]
    lab.open("mask_lab", channels="all", guide="mean")
    assert "the label changes nothing" in lab.notes["strip"]
    lab.open("mask_lab", gamma="1")
    assert "γ = 1 keeps everything" in lab.notes["strip"]
    assert texts(lab.panels["numbers"]["numbers"])["Share dropped"] == "0\u00a0%"


def test_garbage_in_the_link_gives_the_defaults(lab: Pages) -> None:
    lab.open("mask_lab")
    expected = {key: panel.alt for key, panel in lab.panels["strip"].items()}
    garbage = dict.fromkeys(
        ("gamma", "r", "seed", "rank", "reading", "guide", "label", "site", "method", "image"), "??"
    )
    lab.open("mask_lab", **garbage)
    assert {key: panel.alt for key, panel in lab.panels["strip"].items()} == expected
    lab.open("mask_lab", gamma="-7", r="999", rank="5000", seed="-1", image="123456789")
    assert "r = 16 is larger" in lab.notes["strip"]


def test_draw_again_takes_the_next_seed(lab: Pages, checkpoint: Checkpoint) -> None:
    app = lab.open("mask_lab", gamma="0.5")
    button = next(element for element in app.get("bidi_component") if "Draw again" in element.proto.json)
    assert json.loads(button.proto.json)["value"] == FIRST_DRAW
    app.session_state["seed"] = FIRST_DRAW + 1
    app.run()
    method = CamDrop(keep_prob=0.5, block_size=4)
    _, mask = draw(checkpoint, "layer2.0.conv2", method, first_image(checkpoint)[1], FIRST_DRAW + 1)
    assert orange(lab.panels["grid"]["channels"]) == int((~mask.keep).sum())


def test_without_checkpoints_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Pages(tmp_path, monkeypatch)
    app = empty.open("mask_lab")
    assert "make checkpoints" in " ".join(info.value for info in app.info)
    assert not empty.panels


def test_the_first_view_of_what_ships_drops_something_in_the_channel_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Pages(ROOT / "checkpoints", monkeypatch)
    shipped.open("mask_lab", means="true")
    strip, mean = shipped.panels["strip"], shipped.panels["mean"]["mean"]
    assert orange(strip["masked"]) > 0 and "Bag" in strip["image"].subtitle
    assert strip["image"].layers[0].pixels.shape == (28, 28, 3) and len(strip["image"].layers) == 1
    checkpoint = load(ROOT / "checkpoints" / "fashion-noise-resnet8-camdrop.safetensors")
    method, label = CamDrop(keep_prob=0.9, block_size=4), first_image(checkpoint)[1]
    masks = [draw(checkpoint, "layer2.0.conv2", method, label, seed)[1] for seed in range(400)]
    channel = int(strip["masked"].subtitle.split()[1])
    often = torch.stack([~mask.keep[0, channel] for mask in masks]).float().mean(0)
    assert np.abs(mean.layers[0].values - often.numpy()).max() < 0.15
    shares = 100 * torch.stack([mask.dropped for mask in masks])
    said = [float(text.rstrip("\u00a0%")) for text in texts(mean)["Share dropped, mean ± std"].split(" ± ")]
    assert said == [pytest.approx(float(shares.mean()), rel=0.3), pytest.approx(float(shares.std()), rel=0.3)]
    assert shipped.panels["sites"]["sites"].layers[0].line == pytest.approx(0.1)
