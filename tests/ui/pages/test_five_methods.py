"""Five methods: five masks of the same features, as the library draws them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from camdrop.analysis.mask_steps import capture
from camdrop.cam import compress_weights
from camdrop.checkpoints import Checkpoint
from camdrop.masks import METHODS
from tests.support.lab_pages import Pages, first_image, texts
from ui.choosers.scene import FIRST_DRAW
from ui.components.pictures import say


def expected(checkpoint: Checkpoint, site: str, label: int, seed: int, **options: object) -> dict[str, tuple]:
    """By each method's name: what its block shows, and the share dropped at the whole site."""
    features = capture(checkpoint.model, first_image(checkpoint)[0], site).features
    alpha = compress_weights(checkpoint.model.fc.weight[label][None], features.shape[1])
    top = alpha[0].argsort(descending=True)[:8]
    found = {}
    for kind in METHODS.values():
        known = {k: v for k, v in options.items() if k in kind.__dataclass_fields__}
        mask = kind(**known).sample(features, alpha=alpha, generator=torch.Generator().manual_seed(seed))
        found[kind.__name__] = ((~mask.keep)[0, top].numpy(), float(mask.dropped))
    return found


@pytest.mark.parametrize(
    ("query", "site", "seed", "options"),
    [
        ({}, "layer2.0.conv2", FIRST_DRAW, {"keep_prob": 0.9, "block_size": 4, "reading": "paper"}),
        (
            {"gamma": "0.6", "r": "2", "seed": "21", "site": "layer3.0.skip", "reading": "matched"},
            "layer3.0.skip",
            21,
            {"keep_prob": 0.6, "block_size": 2, "reading": "matched"},
        ),
    ],
)
def test_blocks_are_the_masks_of_the_library(lab: Pages, checkpoint: Checkpoint, query, site, seed, options) -> None:
    lab.open("five_methods", **query)
    panels = lab.panels["blocks"]
    wanted = expected(checkpoint, site, first_image(checkpoint)[1], seed, **options)
    assert list(panels) == ["cam", *wanted]
    for name, (block, share) in wanted.items():
        drawn = panels[name].layers[0]
        np.testing.assert_array_equal(round(100 * drawn.gamma.value) < drawn.below, block)
        assert float(texts(panels[name])["dropped"].rstrip("\u00a0%")) == pytest.approx(100 * share, rel=0.06, abs=0.6)
        assert texts(panels[name])["1 − γ"] == f"{100 * (1 - options['keep_prob']):.0f}\u00a0%"
        assert "<math" in say(panels[name].equation)


def test_every_method_drops_something_at_first(lab: Pages) -> None:
    lab.open("five_methods")
    for name in ("Dropout", "SpatialDropout", "DropBlock", "DropPath"):
        assert texts(lab.panels["blocks"][name])["dropped"] != "0\u00a0%"


def test_another_label_moves_only_camdrop(lab: Pages, checkpoint: Checkpoint) -> None:
    """The order of the channels follows the label, so whole-site shares are what stays."""
    lab.open("five_methods", gamma="0.5")
    before = {name: texts(panel).get("dropped") for name, panel in lab.panels["blocks"].items()}
    lab.open("five_methods", gamma="0.5", label="Bag")
    after = {name: texts(panel).get("dropped") for name, panel in lab.panels["blocks"].items()}
    assert "Bag" in lab.panels["blocks"]["cam"].subtitle
    for name in ("Dropout", "SpatialDropout", "DropBlock", "DropPath"):
        assert before[name] == after[name]


def test_bad_links_and_impossible_blocks(lab: Pages) -> None:
    lab.open("five_methods", gamma="x", r="16", seed="x", site="layer3.0.conv1", reading="none", label="Cow")
    assert "r = 16 is larger than this 7×7 map" in lab.notes["blocks"]
    assert texts(lab.panels["blocks"]["Dropout"])["1 − γ"] == "10\u00a0%"


def test_without_checkpoints_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Pages(tmp_path, monkeypatch)
    app = empty.open("five_methods")
    assert "make checkpoints" in " ".join(info.value for info in app.info)
    assert not empty.panels
