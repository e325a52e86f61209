"""Summaries of gradient bounds: where the chain of Eq. 16 holds, and by how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camdrop.analysis.gradient_bounds import Comparison

Array = npt.NDArray[Any]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Edges of the histogram of ratios. 1 is in the middle of a bin, so that an unchanged bound counts as neither tighter
# nor looser. Ratios beyond the edges count in the first or last bin.
RATIOS = np.logspace(-2.025, 2.025, 82)
_POINTS = 400  # of a scatter plot
_ROUNDING = 1e-5  # relative, of float32


@dataclass(frozen=True, eq=False)
class Chain:
    """Eq. 15 and 16 for one layer and one kind of parameter, over all images of a batch.

    A pair is an image and a parameter whose bound without a mask is above 0: a closed ReLU leaves nothing to tighten.
    The keys of the dictionaries are `none`, `traditional` (t) and `guided` (c), where they apply.
    """

    layer: str
    parameter: str
    rescaled: bool
    pairs: int
    holds: float  # share of the pairs with c ≤ t ≤ none, in [0, 1]
    guided_below_traditional: float  # share with c ≤ t
    traditional_below_none: float
    guided_below_none: float
    holds_in_mean: float  # share of the parameters with c ≤ t ≤ none, each bound averaged over the images
    bound: dict[str, float]  # mean of ‖∂S/∂b‖₁
    ratio: dict[str, float]  # that mean over the one without a mask
    dropped: dict[str, float]  # share of the units dropped
    gradient_below_bound: float  # share of all pairs and masks with |∂L/∂b| ≤ ‖∂S/∂b‖₁ (Eq. 15)
    quantiles: dict[str, tuple[float, ...]]  # of ‖∂S/∂b‖₁ over the pairs, at `QUANTILES`
    histogram: dict[str, Array] = field(repr=False)  # how many pairs have each ratio to no mask, in the bins `RATIOS`
    points: dict[str, Array] = field(repr=False)  # (2, n) bound and |∂L/∂b| of some pairs

    def to_json(self) -> dict[str, Any]:
        """The numbers, without the data of the plots."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in plain.items() if name not in ("histogram", "points")}


def over_layers(chains: Sequence[Chain]) -> dict[str, float]:
    """Means over the layers of a network, of the chains with rescaling but for `holds_unrescaled`.

    `traditional` and `guided` are the ratios t ÷ none and c ÷ none; the last two are differences of these.
    """
    rescaled = [chain for chain in chains if chain.rescaled]

    def mean(of: Callable[[Chain], float], those: Sequence[Chain] = rescaled) -> float:
        return sum(map(of, those)) / len(those)

    t, c = mean(lambda chain: chain.ratio["traditional"]), mean(lambda chain: chain.ratio["guided"])
    return {
        "holds": mean(lambda chain: chain.holds),
        "holds_unrescaled": mean(lambda chain: chain.holds, [chain for chain in chains if not chain.rescaled]),
        "traditional": t,
        "guided": c,
        "dropped_traditional": mean(lambda chain: chain.dropped["traditional"]),
        "dropped_guided": mean(lambda chain: chain.dropped["guided"]),
        "traditional_minus_none": t - 1,
        "guided_minus_traditional": c - t,
    }


def summarise(comparison: Comparison, parameter: str) -> Chain:
    """Summarise a comparison for one kind of parameter (see `camdrop.analysis.gradient_bounds.PARAMETERS`)."""
    by_mask = {"none": comparison.none, "traditional": comparison.traditional, "guided": comparison.guided}
    bound = {name: norms.bound[parameter] for name, norms in by_mask.items()}
    gradient = {name: norms.gradient[parameter] for name, norms in by_mask.items()}
    live = bound["none"] > 0
    b = {name: values[live] for name, values in bound.items()}
    c_t, t_none = _below(b["guided"], b["traditional"], b["none"]), _below(b["traditional"], b["none"], b["none"])
    mean = {name: float(values.mean()) if values.numel() else 0.0 for name, values in b.items()}
    masked = ("traditional", "guided")
    ratios = {name: (b[name] / b["none"]).clamp(RATIOS[0], RATIOS[-1]).numpy() for name in masked}
    some = torch.arange(0, int(live.sum()), max(1, int(live.sum()) // _POINTS))
    over_images = {name: values.mean(0)[live.any(0)] for name, values in bound.items()}
    return Chain(
        comparison.layer,
        parameter,
        comparison.rescaled,
        pairs=int(live.sum()),
        holds=_share(c_t & t_none),
        guided_below_traditional=_share(c_t),
        traditional_below_none=_share(t_none),
        guided_below_none=_share(_below(b["guided"], b["none"], b["none"])),
        holds_in_mean=_share(
            _below(over_images["guided"], over_images["traditional"], over_images["none"])
            & _below(over_images["traditional"], over_images["none"], over_images["none"])
        ),
        bound=mean,
        ratio={name: mean[name] / mean["none"] if mean["none"] else 1.0 for name in masked},
        dropped={name: float(by_mask[name].dropped.mean()) for name in masked},
        gradient_below_bound=_share(
            torch.stack([_below(gradient[name], bound[name], bound["none"]) for name in by_mask])
        ),
        quantiles={name: _quantiles(values) for name, values in b.items()},
        histogram={name: np.histogram(values, RATIOS)[0] for name, values in ratios.items()},
        points={name: torch.stack([b[name][some], gradient[name][live][some]]).numpy() for name in by_mask},
    )


def _below(small: Tensor, large: Tensor, scale: Tensor) -> Tensor:
    """Whether small ≤ large, up to rounding."""
    return small <= large + _ROUNDING * scale


def _share(where: Tensor) -> float:
    return float(where.float().mean()) if where.numel() else 1.0


def _quantiles(values: Tensor) -> tuple[float, ...]:
    return tuple(np.quantile(values.numpy(), QUANTILES).tolist()) if values.numel() else (0.0,) * len(QUANTILES)
