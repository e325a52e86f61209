"""A mask as panels show it: one draw, and what becomes of it while a hand drags γ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from camdrop.analysis.gamma_table import STEPS, GammaTable, Moment, still_table
from camdrop.analysis.mask_steps import Dissection
from ui.components.pictures import Along
from ui.components.slider import Live

T = TypeVar("T")
_GAMMAS = np.arange(STEPS + 1, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Shown:
    """A draw at the γ of the slider `gamma`, with the table that the browser follows the slider by."""

    d: Dissection
    table: GammaTable
    gamma: Live

    @cached_property
    def dropped(self) -> npt.NDArray[np.uint8]:
        """(C, H, W): as `Marks` take it."""
        return self.table.dropped.numpy()

    @cached_property
    def seeds(self) -> npt.NDArray[np.uint8]:
        """(C, H, W): as `Marks` take it."""
        return self.table.seeds.numpy()

    def numbers(self, say: Callable[[Moment], T]) -> T | Along:
        """What is said of the numbers of the draw."""
        return self._along(self.table.moments, say)

    def count(self, below: npt.NDArray[np.uint8], say: Callable[[int], T]) -> T | Along:
        """What is said of how many of some cells, a part of `dropped` or `seeds`, are marked."""
        # The cells marked at γ are those whose number is above it.
        marked = below.size - np.searchsorted(np.sort(below, axis=None), _GAMMAS, side="right")
        return self._along(marked.tolist(), say)

    def after(self, label: int, say: Callable[[float], T]) -> T | Along:
        """What is said of the probability of a class after the mask."""
        assert self.table.after is not None
        return self._along(self.table.after[:, label].tolist(), say)

    def _along(self, values: Sequence[object], say: Callable) -> T | Along:
        starts, said = [0], [say(values[0])]
        for i in range(1, len(values)):
            if values[i] != values[i - 1] and (text := say(values[i])) != said[-1]:
                starts.append(i)
                said.append(text)
        return said[0] if len(said) == 1 else Along(self.gamma, tuple(starts), tuple(said))


def still(d: Dissection, key: str = "gamma", *, answer: bool = True) -> Shown:
    """A draw at its own γ alone; without `answer` nothing is known of the network behind it."""
    return Shown(d, still_table(d, d.after() if answer else None), Live(key, d.method.keep_prob))
