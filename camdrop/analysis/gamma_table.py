"""One draw of a mask at every γ: what a hand that drags γ will see, by the functions that training calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from camdrop.analysis.mask_steps import Activation, Dissection, dissect, remarks
from camdrop.masks import Method
from camdrop.resnet import DropSite

STEPS = 100  # hundredths of γ
_BATCH = 16  # masks that one forward pass takes


@dataclass(frozen=True)
class Moment:
    """The numbers of a draw at one γ."""

    keep_prob: float
    rate: float  # the probability that one coin says drop
    hits: int  # how many of them do
    share: float  # of units dropped, in [0, 1]
    scale: float  # of Eq. 10, or 1/γ
    dropped: int  # units
    remarks: tuple[str, ...]


def moment(d: Dissection) -> Moment:
    """Those of a draw."""
    numbers = d.method.keep_prob, d.rate, d.hits, d.share, d.scale, int(d.dropped.sum())
    return Moment(*numbers, tuple(remarks(d)))


@dataclass(frozen=True, eq=False)
class GammaTable:
    """One draw at γ = 0, 0.01 … 1; entry i is for γ = i/100. Sizes as in `Activation.features`.

    With one seed all draws compare the same random numbers with a threshold that falls as γ rises. So a unit that is
    dropped at γ is dropped at every smaller γ, and the mask at γ = i/100 drops the units where i is below a number.
    """

    dropped: Tensor  # (C, H, W) uint8, that number
    seeds: Tensor  # (C, H, W) uint8, the same for seeds
    moments: tuple[Moment, ...]
    after: Tensor | None  # (101, K) class probabilities of a forward pass with this mask only
    whole: bool = True  # whether it holds every γ, and not one for all


@torch.no_grad()
def gamma_table(
    activation: Activation,
    method: Method,
    label: int,
    seed: int,
    pause: Callable[[], object] = lambda: None,
    *,
    answers: bool = True,
) -> GammaTable:
    """Draw at every γ; `pause` is called every few milliseconds, and may end it by an exception.

    Without `answers` the network behind the mask is not run, and `after` is None.
    """
    dropped, seeds = (torch.zeros(activation.features.shape[1:], dtype=torch.uint8) for _ in range(2))
    moments: list[Moment] = []
    masked: list[Tensor] = []
    after: list[Tensor] = []
    place, which = -1, []  # masks that stay the same from one γ to the next go through the network once
    for i in range(STEPS + 1):
        d = dissect(activation, dataclasses.replace(method, keep_prob=i / STEPS), label, seed)
        dropped += d.dropped
        seeds += d.seeds
        now = moment(d)
        if answers and (not moments or (now.dropped, now.scale) != (moments[-1].dropped, moments[-1].scale)):
            masked.append(d.masked)
            place += 1
        moments.append(now)
        which.append(place)
        if len(masked) == _BATCH or (i == STEPS and masked):
            after.append(_answers(activation, torch.stack(masked)))
            masked.clear()
        pause()
    return GammaTable(dropped, seeds, tuple(moments), torch.cat(after)[which] if answers else None)


def still_table(d: Dissection, after: Tensor | None) -> GammaTable:
    """A table that holds one draw at whatever γ; `after` (K,) are the probabilities with its mask."""
    cells = d.dropped.byte() * 255, d.seeds.byte() * 255
    lasting = None if after is None else after.expand(STEPS + 1, -1)
    return GammaTable(*cells, (moment(d),) * (STEPS + 1), lasting, whole=False)


def _answers(activation: Activation, masked: Tensor) -> Tensor:
    """(n, K) class probabilities of masked features (n, C, H, W) at the activation's site."""

    def drop(here: DropSite, features: Tensor) -> Tensor:
        return masked if here == activation.site else features

    entry = activation.entry.expand(len(masked), -1, -1, -1)
    return activation.model.forward_from(activation.point, entry, drop).softmax(1)
