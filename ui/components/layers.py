"""The kinds of layers that a picture is painted of, and how they travel (browser half: layers.js, voxels.js)."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ui.components.packing import Blobs, plain
from ui.components.slider import Live


@dataclass(frozen=True, eq=False)
class Raster:
    """An image layer: uint8 pixels (H, W) grey, (H, W, 3) or (H, W, 4), scaled to the panel's width."""

    pixels: npt.NDArray[np.uint8]
    smooth: bool = False


@dataclass(frozen=True, eq=False)
class Heat:
    """A map laid over the layers below it: out = (1 - opacity) below + opacity lut[round(255 t)].

    t = clip((values - low) / (high - low), 0, 1); `values` (H, W) float, `lut` (256, 3) uint8. The values travel
    as 16-bit steps between their own minimum and maximum. With a `size` (height, width) they are a small map, which the
    browser resizes to it as `camdrop.cam.upsample` does, before it is coloured.
    """

    values: npt.NDArray[np.floating[Any]]
    lut: npt.NDArray[np.uint8]
    low: float | Live
    high: float | Live
    opacity: float | Live = 1.0
    smooth: bool = True
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Marks:
    """Cells in `color` (CSS) over the layers below: those where round(100 · gamma) < `below` (H, W) uint8.

    So cells come and go under a slider of γ without the server: see `camdrop.analysis.gamma_table`.
    """

    below: npt.NDArray[np.uint8]
    color: str
    gamma: float | Live


@dataclass(frozen=True, eq=False)
class Bars:
    """A bar chart layer: `values` (n,), the bars where `marked` (n,) is true in `marked_color` (CSS) and on top.

    At the height `line` a dashed line goes across.
    """

    values: npt.NDArray[np.floating[Any]]
    marked: npt.NDArray[np.bool_]
    marked_color: str
    color: str | None = None
    line: float | None = None


@dataclass(frozen=True, eq=False)
class Voxels:
    """The paper's Figure 1: C slices of H×W cells, the dropped ones cubes in `color` (CSS).

    Dropped are those where round(100 · gamma) < `below` (C, H, W) uint8, as in `Marks`. All blocks of one `pictures`
    call turn together, by dragging or the arrow keys.
    """

    below: npt.NDArray[np.uint8]
    color: str
    gamma: float | Live


Layer = Raster | Heat | Marks | Bars | Voxels


def shape(layer: Layer) -> tuple[int, int]:
    """Height and width of a layer, or their proportions."""
    if isinstance(layer, Bars | Voxels):
        return (1, 2) if isinstance(layer, Bars) else (2, 3)  # no pixels of its own, only proportions
    if isinstance(layer, Heat) and layer.size:
        return layer.size
    cells = layer.pixels if isinstance(layer, Raster) else layer.below if isinstance(layer, Marks) else layer.values
    return int(cells.shape[0]), int(cells.shape[1])


def pack_layer(layer: Layer, blobs: Blobs) -> dict[str, Any]:
    """A layer as the browser takes it, as a plain dictionary; arrays go into `blobs`."""
    if isinstance(layer, Raster):
        pixels = blobs.add(np.asarray(layer.pixels, np.uint8))
        return {"kind": "raster", "shape": shape(layer), "smooth": layer.smooth, "pixels": pixels}
    if isinstance(layer, Bars):
        return {
            "kind": "bars",
            "count": len(layer.values),
            "values": blobs.add(np.asarray(layer.values, "<f4")),
            "marked": blobs.add(np.asarray(layer.marked, np.uint8)),
            "color": layer.color,
            "marked_color": layer.marked_color,
            "line": layer.line,
        }
    if isinstance(layer, Marks | Voxels):
        return {
            "kind": type(layer).__name__.lower(),
            "shape": layer.below.shape,
            "color": layer.color,
            "below": blobs.add(layer.below),
            "gamma": plain(layer.gamma),
        }
    least, most = float(layer.values.min()), float(layer.values.max())
    levels = np.round((layer.values - least) * (65535 / (most - least or 1.0))).astype("<u2")
    small = layer.values.shape if layer.size else None
    return {
        "kind": "heat",
        "shape": shape(layer),
        "small": small,
        "resize": [blobs.add(_resize(*sizes)) for sizes in zip(small or (), layer.size or (), strict=True)],
        "smooth": layer.smooth,
        "values": blobs.add(levels),
        "span": (least, most),
        "lut": blobs.add(np.asarray(layer.lut, np.uint8)),
        "low": plain(layer.low),
        "high": plain(layer.high),
        "opacity": plain(layer.opacity),
    }


@functools.lru_cache(maxsize=32)
def _resize(size: int, to: int) -> npt.NDArray[np.float32]:
    from camdrop.cam import upsample_weights

    return upsample_weights(size, to).numpy()
