"""What is said of the cell of a picture that the pointer is on (browser half: readings.js)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ui.components.packing import Blobs, plain
from ui.components.slider import Live


@dataclass(frozen=True, eq=False)
class Reading:
    """A map over a picture: its `name`, the numbers at the pointer, and their `unit`; or the word of the number there.

    `values` are (H, W) or (H, W, n), uint8 or float. With `gamma` the number is 1 where round(100 · gamma) is below
    that of `values`, as in `Marks`, else 0.
    """

    values: npt.NDArray[Any]
    name: str = ""
    unit: str = ""
    words: Sequence[str] = ()
    gamma: float | Live | None = None


def pack_reading(reading: Reading, blobs: Blobs) -> dict[str, Any]:
    """A reading as the browser takes it, as a plain dictionary; arrays go into `blobs`."""
    whole = reading.values.dtype in (np.uint8, np.bool_)
    return {key: plain(value) for key, value in vars(reading).items() if key != "values"} | {
        "shape": reading.values.shape,
        "whole": whole,
        "values": blobs.add(reading.values.astype(np.uint8 if whole else "<f4")),
    }
