"""How Explore shows the explanations of several networks: colours, ranges, differences; and its filters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from camdrop.analysis.explanations import Explanation
    from camdrop.checkpoints import Checkpoint
    from camdrop.data import DataInfo, Split

TRUE, PREDICTED = "True class", "Predicted class"


def class_of(wanted: str, truth: str | None) -> str | None:
    """The class that a choice of `TRUE`, `PREDICTED` or a class name stands for; None for the predicted class."""
    return {TRUE: truth, PREDICTED: None}.get(wanted, wanted)


@dataclass(frozen=True, eq=False)
class ColouredHeatmap:
    """The heatmap `heat` (H, W) in `colormap`, its colours from `low` to `high`; `signed` is a difference."""

    explanation: Explanation
    heat: npt.NDArray[np.float32]
    colormap: str
    low: float
    high: float
    signed: bool

    @property
    def share(self) -> npt.NDArray[np.float32]:
        """The heatmap on the scale of its colours, from 0 to 1."""
        return self._share(self.heat)

    @property
    def drawn(self) -> npt.NDArray[np.float32]:
        """The same, unless it is a difference as small as the features are: the browser resizes it."""
        return self.share if self.signed else self._share(self.explanation.cam)

    def _share(self, heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return (heat - self.low) / ((self.high - self.low) or 1.0)


@dataclass(frozen=True)
class Style:
    """How heatmaps look, as a person chose it.

    Each has the colours of `colormap` over its own range, or all over a `shared` one: over its part from `start` to
    `end`, shares of it. With `difference`, all but the first show what they have more or less than the first: in units
    of the score if the range is shared, else after each is divided by its own largest value; zero is in the middle.
    """

    colormap: str
    shared: bool
    difference: bool
    opacity: float
    start: float
    end: float


def arrange(explanations: Sequence[Explanation], style: Style) -> list[ColouredHeatmap]:
    """The heatmaps of explanations in a style: each with its colour map and range, or as a difference to the first."""
    import numpy as np

    from camdrop.figures import DIFFERENCE, limits

    heats = [explanation.heatmap for explanation in explanations]
    signed = [style.difference and i > 0 for i in range(len(explanations))]
    if style.difference:
        units = [heat if style.shared else heat / (np.abs(heat).max() or 1.0) for heat in heats]
        heats = [heats[0], *(heat - _resized(units[0], heat.shape) for heat in units[1:])]
    heatmaps = []
    for explanation, heat, sign in zip(explanations, heats, signed, strict=True):
        together = [h for h, s in zip(heats, signed, strict=True) if s == sign] if style.shared else [heat]
        low, high = limits(together, symmetric=sign)
        heatmaps.append(ColouredHeatmap(explanation, heat, DIFFERENCE if sign else style.colormap, low, high, sign))
    return heatmaps


def _resized(heat: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    import torch

    from camdrop.cam import upsample

    return upsample(torch.from_numpy(heat)[None], (shape[0], shape[1]))[0].numpy()


@dataclass(frozen=True, eq=False)
class Seen:
    """What the page shows: for downloads, and for the scores that are computed on demand."""

    explanations: Sequence[Explanation]
    image: str
    truth: str | None
    settings: dict[str, Any]


def filters(
    chosen: Sequence[tuple[str, Checkpoint]], progress: Callable[[str, float], object]
) -> dict[str, Callable[[Split, DataInfo], Tensor]]:
    """Conditions on the images of a gallery: the networks disagree, or one of them errs; by class names.

    `progress` is called with the name of a network and the share done, while its predictions are computed.
    """
    from camdrop.analysis.explanations import disagreements, errors

    conditions: dict[str, Callable[[Split, DataInfo], Tensor]] = {}
    if len(chosen) > 1:
        conditions["The networks disagree"] = functools.partial(disagreements, chosen, progress=progress)
    for name, checkpoint in chosen:
        conditions[f"{name} errs"] = functools.partial(errors, name, checkpoint, progress=progress)
    return conditions
