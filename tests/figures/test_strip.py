"""The six steps as one picture: what stands where, against the mask itself."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.analysis.mask_steps import Dissection, capture, dissect
from camdrop.figures import DOMINANT, DROPPED, SEED, strip
from camdrop.masks import CamDrop, DropBlock, Dropout, Method
from camdrop.resnet import build

SIDE, GAP, TITLE = 64, 16, 28


def steps(method: Method, seed: int = 0) -> Dissection:
    torch.manual_seed(seed)
    model = build("resnet8", 4, 3).eval()
    return dissect(capture(model, torch.randn(1, 3, 16, 16), "layer2.0.conv1"), method, 1, seed)  # maps of 8×8


def tile(picture: np.ndarray, number: int) -> np.ndarray:
    """A step's pixels, those in the middle of its cells: (8, 8, 3)."""
    left = (number - 1) * (SIDE + GAP)
    return picture[TITLE : TITLE + SIDE, left : left + SIDE][4::8, 4::8]


@pytest.mark.parametrize("rank", [0, 5])
def test_cells_have_the_colours_of_the_mask(rank: int) -> None:
    d = steps(CamDrop(keep_prob=0.5, block_size=3, position_fraction=0.5, channel_fraction=0.5))
    channel = int(d.order[rank])
    picture = strip(np.zeros((16, 16), np.uint8), d, channel, side=SIDE)
    assert picture.shape == (TITLE + SIDE, 6 * SIDE + 5 * GAP, 3)
    keep, seeds = d.mask.keep[0, channel].numpy(), d.mask.seeds[0, channel].numpy()
    assert seeds.any() and not keep.all()
    assert np.array_equal((tile(picture, 2) == DOMINANT).all(-1), d.mask.positions[0].numpy())
    assert np.array_equal((tile(picture, 4) == SEED).all(-1), seeds)
    assert np.array_equal((tile(picture, 5) == DROPPED).all(-1), ~keep & ~seeds)
    assert np.array_equal((tile(picture, 6) == DROPPED).all(-1), ~keep)


def test_a_method_without_guidance_and_a_channel_that_there_is_not() -> None:
    for method in (DropBlock(block_size=3), Dropout(keep_prob=0.3)):
        picture = strip(np.zeros((16, 16, 3), np.uint8), steps(method), side=SIDE)
        assert not (tile(picture, 2) == DOMINANT).all(-1).any()
    with pytest.raises(ValueError, match="0–31, got 32"):
        strip(np.zeros((16, 16), np.uint8), steps(DropBlock()), 32)


def test_a_mask_shows_itself() -> None:
    mask = steps(CamDrop(keep_prob=0.5, block_size=3, channel_fraction=0.5)).mask
    shown = np.asarray(Image.open(BytesIO(mask._repr_png_())))
    orange = (shown == DROPPED).all(-1).sum()
    scale = 640 // (16 * 9)  # 16 tiles a row, of 8 cells and a gap
    assert orange == int((~mask.keep[0]).sum()) * scale**2
