"""What is said of the cell of a picture that the pointer is on (browser half: readings.js)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ui.components.packing import Blobs, plain
from ui.components.slider import Live

_MOST = 64 * 64


@dataclass(frozen=True, eq=False)
class Reading:
    """A map over a picture: its `name`, the numbers at the pointer, and their `unit`; or the word of the number there.

    `values` are (H, W) or (H, W, n), uint8 or float. With `gamma` the number is 1 where round(100 · gamma) is below
    that of `values`, as in `Marks`, else 0. The map covers the picture to this share of its width, from the left.
    """

    values: npt.NDArray[Any]
    name: str = ""
    unit: str = ""
    words: Sequence[str] = ()
    gamma: float | Live | None = None
    across: float = 1.0


def of_pixels(pixels: npt.NDArray[np.uint8]) -> list[Reading]:
    """The values of an image's pixels, (H, W, 3): one number where they are grey."""
    grey = bool((pixels == pixels[..., :1]).all())
    return [Reading(pixels[..., 0], "grey") if grey else Reading(pixels, "RGB")]


def of_map(values: npt.NDArray[Any], name: str) -> list[Reading]:
    """The values of a map (H, W), unless it is too large to send them along with the picture."""
    return [Reading(values, name)] if values.size <= _MOST else []


def pack_reading(reading: Reading, blobs: Blobs) -> dict[str, Any]:
    """A reading as the browser takes it, as a plain dictionary; arrays go into `blobs`."""
    whole = reading.values.dtype in (np.uint8, np.bool_)
    return {key: plain(value) for key, value in vars(reading).items() if key != "values"} | {
        "shape": reading.values.shape,
        "whole": whole,
        "values": blobs.add(reading.values.astype(np.uint8 if whole else "<f4")),
    }
