"""Gradients: the page shows the numbers of the library, and says where the chain holds."""

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from camdrop.analysis.bound_summary import summarise
from camdrop.analysis.gradient_bounds import capture, compare, layers
from camdrop.checkpoints import Checkpoint, save
from camdrop.checkpoints.metadata import Meta
from camdrop.data import gallery, normalise
from camdrop.masks import CamDrop, Dropout
from camdrop.resnet import build
from tests.support.lab_pages import Pages
from ui.panels.gradients import at_first, spread


def verdict(app: AppTest) -> str:
    return next(text.value for text in app.markdown if text.value.startswith("**Eq. 16**"))


def test_the_table_is_the_library(lab: Pages, checkpoint: Checkpoint) -> None:
    """Every choice by the link, and the same numbers from the functions of the library."""
    app = lab.open(
        "gradients", images="4", gamma="0.6", r="3", reading="matched", t="Dropout", seed="9", parameter="weight",
        layers="layer3.0.conv1", layer="layer3.0.conv1",
    )  # fmt: skip
    split, _ = gallery("fashion-mnist")
    some = torch.randperm(len(split), generator=torch.Generator().manual_seed(9))[:4]
    x = normalise(split.images[some], checkpoint.meta.mean, checkpoint.meta.std)
    activation = capture(checkpoint.model, x, split.labels[some], "layer3.0.conv1")
    methods = Dropout(keep_prob=0.6), CamDrop(keep_prob=0.6, block_size=3, reading="matched")
    rescaled, plain = (summarise(comparison, "weight") for comparison in compare(activation, *methods, 9))
    (row,) = app.dataframe[0].value.to_dict("records")
    assert row["Layer"] == "layer3.0.conv1" and row["Eq. 15"] == 100
    assert row["c ≤ t ≤ none"] == pytest.approx(100 * rescaled.holds)
    assert row["not rescaled"] == pytest.approx(100 * plain.holds)
    assert row["c ÷ none"] == pytest.approx(rescaled.ratio["guided"])
    assert row["dropped by t"] == pytest.approx(100 * rescaled.dropped["traditional"])
    said = verdict(app)
    assert f"holds for {100 * rescaled.holds:.0f}\u00a0% of the pairs" in said and "Dropout *loosens*" in said
    assert "**Eq. 15** holds for every one" in said


def test_at_first_all_layers_of_a_small_network(lab: Pages, checkpoint: Checkpoint) -> None:
    app = lab.open("gradients", images="2")
    assert app.dataframe[0].value["Layer"].tolist() == list(layers(checkpoint.model))
    assert len(app.get("plotly_chart")) == 3
    app.multiselect(key="layers").set_value([]).run()
    assert "at least one layer" in app.info[0].value and not app.exception


def test_without_a_mask_the_chain_holds(lab: Pages) -> None:
    app = lab.open("gradients", images="2", gamma="1", layers="layer2.0.conv2")
    assert "holds for 100\u00a0% of the pairs" in verdict(app) and "*loosens* up to 0\u00a0%" in verdict(app)


@pytest.mark.slow
def test_bad_links_and_networks_without_images(lab: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = lab.open("gradients", images="x", r="0", layers="layer9.0.conv1", layer="fc", parameter="gamma", t="No")
    assert len(app.dataframe[0].value) == 6 and "of the pairs" in verdict(app)
    save(tmp_path / "own.safetensors", build("resnet8", 3, 1), Meta("resnet8", 3, 1, dataset="shades", image_size=12))
    app = Pages(tmp_path, monkeypatch).open("gradients")
    assert "python -m camdrop bounds CHECKPOINT" in app.error[0].value
    app = Pages(tmp_path / "empty", monkeypatch).open("gradients")
    assert "make checkpoints" in " ".join(info.value for info in app.info)


def test_layers_are_spread_over_deep_networks() -> None:
    assert spread("abcdef") == list("abcdef")
    assert spread("abcdefghijk") == list("acegik")
    names = layers(build("resnet110"))
    assert len(names) == 108 and spread(names)[0] == names[0] and spread(names)[-1] == names[-1]


def test_large_networks_start_with_what_does_not_keep_people_waiting() -> None:
    names = layers(build("resnet18"))
    assert at_first(Meta("resnet18", 10, 3, image_size=224), names) == (4, spread(names))
    assert at_first(Meta("resnet18", 1000, 3, image_size=224), names) == (2, ["layer4.1.conv1", "layer4.1.conv2"])
