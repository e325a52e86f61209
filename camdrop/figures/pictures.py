"""Arrays → pictures.

Pictures are uint8 arrays (H, W, 3) in RGB, one pixel a cell. Their greys stay away from black and white, so that they
can be read on a light and on a dark page.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camdrop.figures.colours import (
    CANDIDATE,
    DARKEST,
    DOMINANT,
    INVALID,
    LIGHTEST,
    NEUTRAL,
    VALID,
    Colour,
    lut,
)

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


def limits(heats: Sequence[Array], *, symmetric: bool = False) -> tuple[float, float]:
    """The range (low, high) that holds all values of `heats`: of one heatmap its own, of several the shared one.

    `symmetric` makes it (−m, m), as `DIFFERENCE` needs; m is 1 where all values are 0.
    """
    low, high = min(float(h.min()) for h in heats), max(float(h.max()) for h in heats)
    if symmetric:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    return low, high


def colourise(heat: Array, *, colormap: str = "viridis", low: float, high: float) -> Picture:
    """A heatmap (H, W) in colour: lut[⌊255 t + ½⌋] with t = (heat − low) / (high − low), cut to [0, 1].

    An empty range (high ≤ low) gives the first colour up to `low` and the last one above.
    """
    t: Array = (heat - low) / (high - low) if high > low else (heat > low).astype(np.float32)
    return lut(colormap)[(255 * np.clip(t, 0, 1) + 0.5).astype(np.uint8)]


def overlay(
    image: Picture, heat: Array, *, colormap: str = "viridis", opacity: float = 0.5, low: float, high: float
) -> Picture:
    """A heatmap (h, w) over an image (H, W, 3): ⌊(1 − opacity) · image + opacity · colour + ½⌋, see `colourise`.

    A heatmap of another size is resized bilinearly first, its values and not its colours.
    """
    height, width = image.shape[:2]
    if heat.shape != (height, width):
        heat = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    colours = colourise(heat, colormap=colormap, low=low, high=high)
    return ((1 - opacity) * image + opacity * colours + 0.5).astype(np.uint8)


def png(picture: Picture, scale: int = 1) -> bytes:
    """A picture (H, W, 3), or (H, W) in grey, as a PNG file; `scale` makes each pixel a square of that many pixels."""
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)):
        raise ValueError(f"picture must be uint8 (H, W) or (H, W, 3), got {picture.dtype} {picture.shape}")
    if scale > 1:
        picture = picture.repeat(scale, 0).repeat(scale, 1)
    return cv2.imencode(".png", picture if picture.ndim == 2 else picture[..., ::-1])[1].tobytes()


def data_url(picture: Picture, scale: int = 1) -> str:
    """The same as `png`, as an address that HTML takes in place of a file."""
    return f"data:image/png;base64,{base64.b64encode(png(picture, scale)).decode()}"


def greys(values: Array, low: Array | float | None = None, high: Array | float | None = None) -> Picture:
    """Maps (…, H, W) in grey, (…, H, W): `low` is dark, `high` light; by default each map's own least and greatest."""
    values = values.astype(np.float32)
    low = values.min((-2, -1), keepdims=True) if low is None else low
    high = values.max((-2, -1), keepdims=True) if high is None else high
    span = np.subtract(high, low)
    t = np.clip((values - low) / np.where(span > 0, span, 1), 0, 1)
    return (DARKEST + (LIGHTEST - DARKEST) * t + 0.5).astype(np.uint8)


def positions_picture(positions: Array, cam: Array) -> Picture:
    """The dominant positions (H, W) in colour over the class activation map (H, W) in grey."""
    picture = _rgb(greys(cam))
    picture[positions.astype(bool)] = DOMINANT
    return picture


def candidates_picture(valid: Array, candidates: Array) -> Picture:
    """Where a block may grow: valid centres (H, W), and on them the candidates (H, W)."""
    picture = blank(valid.shape, INVALID)
    for where, colour in ((valid, VALID), (candidates, CANDIDATE)):
        picture[where.astype(bool)] = colour
    return picture


@dataclass(frozen=True, eq=False)
class ChannelGrid:
    """Channels as tiles: tile i starts at x = (width + gap)·(i % columns), y = (height + gap)·(i // columns)."""

    pixels: Picture
    order: Array
    columns: int
    width: int
    height: int
    gap: int

    def place(self, maps: Array) -> Picture:
        """Maps (C, H, W) uint8 as tiles in the same places, zero between them."""
        return _tiled(maps[self.order], self.columns, self.gap)


def _tiled(maps: Array, columns: int, gap: int, footer: Array | None = None) -> Picture:
    """Maps (n, H, W) uint8 row by row, with `gap` zeros below and right of each; `footer` (n,) fills those below."""
    n, height, width = maps.shape
    rows = -(-n // columns)
    tiles = np.zeros((rows * columns, height + gap, width + gap), np.uint8)
    tiles[:n, :height, :width] = maps
    if footer is not None:
        tiles[:n, height:, :width] = footer[:, None, None]
    grid = tiles.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    return grid.reshape(rows * (height + gap), columns * (width + gap))


def channel_grid(
    features: Array,
    order: Array,
    marked: Array | None = None,
    *,
    columns: int = 16,
    shared: bool = False,
    gap_colour: Colour = NEUTRAL,
) -> ChannelGrid:
    """Channels of features (C, H, W) in grey (see `greys`), those in `order` (n,) and in that order.

    The channels in `marked` (C,) are underlined as dominant; `shared` gives all channels one range of grey in place of
    their own.
    """
    height, width = features.shape[1:]
    columns, gap = max(1, min(columns, len(order))), max(1, width // 16)
    # One byte a pixel until the end: greys, which begin at `DARKEST`, and below them the other colours.
    palette = np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 3)
    palette[:2] = gap_colour, DOMINANT
    grey = greys(features, features.min(), features.max()) if shared else greys(features)
    tiled = _tiled(grey[order], columns, gap, None if marked is None else marked[order].astype(bool))
    return ChannelGrid(palette[tiled], order, columns, width, height, gap)


def _rgb(grey: Picture) -> Picture:
    return np.repeat(grey[..., None], 3, axis=-1)


def blank(shape: tuple[int, ...], colour: Colour = NEUTRAL) -> Picture:
    """A picture (H, W, 3) of one colour."""
    picture = np.empty((*shape, 3), np.uint8)
    picture[:] = colour
    return picture
