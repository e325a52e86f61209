"""Arrays → pictures. Every colour of the project is here, one meaning each, told apart by colour-blind people too.

Pictures are uint8 arrays (H, W, 3) in RGB, one pixel a cell. Their greys stay away from black and white, so that they
can be read on a light and on a dark page.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]
Colour = tuple[int, int, int]

# Heatmaps: name → what to tell a person who chooses.
COLORMAPS = {
    "viridis": "perceptually uniform",
    "cividis": "perceptually uniform, the same for colour-blind eyes",
    "inferno": "perceptually uniform, from black",
    "magma": "perceptually uniform, from black",
    "turbo": "rainbow, smooth but not perceptually uniform",
    "jet": "as in the classical CAM papers, not perceptually uniform",
}
DIFFERENCE = "difference"  # signed values: blue is less, red is more, white is zero (limits symmetric about 0)

# What a mask does (Okabe–Ito palette, but for a darker red).
DROPPED: Colour = (230, 159, 0)  # a unit that is dropped: orange, as in the paper's Figure 1
SEED: Colour = (180, 40, 10)  # where a block grows from (Eq. 9)
CANDIDATE: Colour = (0, 114, 178)  # where a seed may fall
DOMINANT: Colour = (86, 180, 233)  # dominant positions and channels (Eq. 6, 8)
VALID: Colour = (184, 190, 194)  # a centre whose whole block lies inside the map
INVALID: Colour = (104, 110, 115)
NEUTRAL: Colour = (128, 134, 139)  # gaps, and units of which there is nothing to say

# Lines and marks of the methods, each with a contrast of 3 or more on the light and on the dark page.
METHODS: dict[str, Colour] = {
    "baseline": (128, 128, 128),
    "dropout": (220, 70, 220),
    "spatialdropout": (50, 160, 90),
    "dropblock": (50, 80, 250),
    "droppath": (220, 120, 0),
    "camdrop": (210, 0, 40),
}

DARKEST, LIGHTEST = 24, 232  # features in grey

# Colorbrewer's RdBu, from blue.
_BLUE_RED = (
    *((5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240), (247, 247, 247)),
    *((253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31)),
)


def css(colour: Colour) -> str:
    """A colour as CSS and Plotly write it, `#e69f00`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


@cache
def lut(colormap: str) -> Picture:
    """The colours (256, 3) of one of `COLORMAPS` or of `DIFFERENCE`, from low to high. ValueError for other names."""
    if colormap == DIFFERENCE:
        # Two halves of 128, so that the steps on either side of zero are both exactly white.
        half = np.linspace(0, 5, 128)
        anchors = np.array(_BLUE_RED, np.float64)
        rows = [np.interp(np.concatenate([half, half + 5]), np.arange(11), channel) for channel in anchors.T]
        colours = np.rint(np.stack(rows, 1)).astype(np.uint8)
    elif colormap in COLORMAPS:
        ramp = np.arange(256, dtype=np.uint8)[:, None]
        colours = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{colormap.upper()}"))[:, 0, ::-1].copy()
    else:
        raise ValueError(f"colormap must be one of {', '.join([*COLORMAPS, DIFFERENCE])}, got {colormap!r}")
    colours.setflags(write=False)
    return colours


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


def plotly_js() -> Path | None:
    """Where plotly.js is, inside the Python package; None where that is not installed."""
    spec = importlib.util.find_spec("plotly")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return path if path and path.exists() else None


def _rgb(grey: Picture) -> Picture:
    return np.repeat(grey[..., None], 3, axis=-1)


def blank(shape: tuple[int, ...], colour: Colour = NEUTRAL) -> Picture:
    """A picture (H, W, 3) of one colour."""
    picture = np.empty((*shape, 3), np.uint8)
    picture[:] = colour
    return picture
