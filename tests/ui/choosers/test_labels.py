"""What a network is, in words."""

import pytest

from camdrop.checkpoints import Meta
from ui.choosers.labels import method_label

BLOCKS = {"keep_prob": 0.9, "block_size": 4}


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("", {}, "Method unknown"),
        ("baseline", {}, "Baseline"),
        ("dropblock", BLOCKS, "DropBlock γ 0.9 r 4"),
        ("camdrop", BLOCKS | {"label": "predicted"}, "CamDrop γ 0.9 r 4 predicted class"),
        ("camdrop", BLOCKS | {"label": "true"}, "CamDrop γ 0.9 r 4 true class"),
        ("camdrop", BLOCKS, "CamDrop γ 0.9 r 4 true class"),
        ("camdrop", BLOCKS | {"label": "true", "guide": "mean", "channels": "all"}, "CamDrop γ 0.9 r 4 no class"),
        ("camdrop", {}, "CamDrop"),
        ("camdrop", {"keep_prob": "x", "label": ["y"]}, "CamDrop"),
    ],
)
def test_a_network_is_called_by_how_it_was_trained(method: str, options: dict[str, object], said: str) -> None:
    assert method_label(Meta("resnet8", 10, 1, method=method, method_options=options)) == said


def test_turned_knobs_are_in_the_name() -> None:
    meta = Meta("resnet8", 10, 1, method="dropblock", method_options=BLOCKS, knobs={"block_size": 2, "keep_prob": 0.85})
    assert method_label(meta) == "DropBlock γ 0.9 r 4 turned to γ 0.85 r 2"
