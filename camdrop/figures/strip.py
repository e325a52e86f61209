"""The steps of one mask, side by side in one picture."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from camdrop.figures.colours import DOMINANT, DROPPED, NEUTRAL, SEED, Colour
from camdrop.figures.pictures import (
    Array,
    Picture,
    blank,
    candidates_picture,
    greys,
    limits,
    overlay,
    positions_picture,
)

_GAP, _TITLE, _INK, _PAPER = 16, 28, (29, 42, 51), (255, 255, 255)
TITLES = ("image with J", "dominant positions", "channel weights", "candidates, seeds", "blocks", "masked features")


class Steps(Protocol):
    """One mask, as `camdrop.analysis.mask_steps.dissect` gives it; tensors of C channels and maps of H × W."""

    cam: Any
    alpha: Any
    mask: Any
    activation: Any

    @property
    def order(self) -> Any: ...
    @property
    def valid(self) -> Any: ...
    @property
    def candidates(self) -> Any: ...
    @property
    def seeds(self) -> Any: ...
    @property
    def dropped(self) -> Any: ...


def strip(image: Picture, steps: Steps, channel: int | None = None, side: int = 224) -> Picture:
    """The six steps of a mask from left to right, uint8 (H', W', 3), as the mask lab draws them.

    Image (H, W, 3) or (H, W) with J, dominant positions, channel weights (the largest first), candidates and seeds,
    blocks, masked features: the last three in one `channel`, by default that of the largest α. Each is `side` pixels
    wide. ValueError for a channel that there is not.
    """
    order = _array(steps.order)
    channel = int(order[0]) if channel is None else channel
    if not 0 <= channel < len(order):
        raise ValueError(f"channel must be in 0–{len(order) - 1}, got {channel}")
    cam, mask, features = _array(steps.cam), steps.mask, _array(steps.activation.features[0, channel])
    positions = np.zeros(cam.shape, bool) if mask.positions is None else _array(mask.positions[0])
    dominant = np.zeros(len(order), bool) if mask.channels is None else _array(mask.channels[0])[order]
    dropped, seeds = _array(steps.dropped[channel]), _array(steps.seeds[channel])
    picture = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
    low, high = limits([cam])
    tiles = [
        overlay(_enlarged(picture, side), cam, opacity=0.6, low=low, high=high),
        positions_picture(positions, cam),
        _bars(_array(steps.alpha)[order], dominant, side),
        _marked(candidates_picture(_array(steps.valid), _array(steps.candidates[channel])), seeds, SEED),
        _marked(_marked(blank(dropped.shape), dropped, DROPPED), seeds, SEED),
        _marked(np.repeat(greys(features)[..., None], 3, axis=-1), dropped, DROPPED),
    ]
    return _row([_enlarged(tile, side) for tile in tiles], side)


def _array(values: Any) -> Array:
    return np.asarray(values)


def _marked(picture: Picture, where: Array, colour: Colour) -> Picture:
    picture[where] = colour
    return picture


def _enlarged(picture: Picture, side: int) -> Picture:
    """As wide as `side`, each pixel a rectangle."""
    height = max(1, round(side * picture.shape[0] / picture.shape[1]))
    return cv2.resize(picture, (side, height), interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


def _bars(values: Array, marked: Array, side: int) -> Picture:
    """A bar for each value, up or down from zero; the marked ones in colour."""
    picture, top = blank((side, side), _PAPER), max(float(values.max()), 0.0)
    unit = (side - 1) / max(top - min(float(values.min()), 0.0), 1e-12)
    zero = round(top * unit)
    edges = np.linspace(0, side, len(values) + 1).round().astype(int)
    for value, known, left, right in zip(values, marked, edges[:-1], edges[1:], strict=True):
        low, high = sorted((zero, zero - round(float(value) * unit)))
        picture[low : high + 1, left : max(right - (right - left > 2), left + 1)] = DOMINANT if known else NEUTRAL
    return picture


def _row(tiles: list[Picture], side: int) -> Picture:
    height = max(tile.shape[0] for tile in tiles)
    page = Image.new("RGB", (len(tiles) * (side + _GAP) - _GAP, height + _TITLE), _PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=max(8, min(15, side // 12)))
    for i, (title, tile) in enumerate(zip(TITLES, tiles, strict=True)):
        pen.text((i * (side + _GAP), 4), f"{i + 1} · {title}", fill=_INK, font=font)
        page.paste(Image.fromarray(tile), (i * (side + _GAP), _TITLE))
    return np.asarray(page)
