"""What the page Gradients shows: the bounds of a checkpoint, measured once for all sessions, as figures and a table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from camdrop.analysis.bound_summary import RATIOS, Chain, summarise
from camdrop.analysis.gradient_bounds import capture, compare
from camdrop.data import fit_pixels, gallery, normalise
from camdrop.figures.numbers import percent, percentage
from camdrop.figures.plots import Figure, bound_boxes, ratio_histogram, under_the_bound
from camdrop.training.config import method_name
from ui.choosers.image import TITLES
from ui.words import literal

if TYPE_CHECKING:
    from torch import Tensor

    from camdrop.checkpoints import Checkpoint
    from camdrop.checkpoints.metadata import Meta
    from camdrop.masks import Method

Pair = tuple[Chain, Chain]  # with and without the rescaling


@functools.lru_cache(maxsize=24)
def batch(checkpoint: Checkpoint, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most `count` labelled images of the network's own data set, drawn by the seed.

    ValueError where there are none at hand.
    """
    import torch

    meta = checkpoint.meta
    if meta.dataset not in TITLES:
        raise ValueError(
            f"There are no labelled images of {meta.dataset or 'its data set'} here: choose another checkpoint, or run "
            "python -m camdrop bounds CHECKPOINT --data folder:DIR."
        )
    split, _ = gallery(meta.dataset)
    some = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
    images = fit_pixels(split.images[some], meta.in_channels, meta.image_size)
    return normalise(images, meta.mean, meta.std), split.labels[some]


_MOST = 512  # measurements that are kept
_pairs: dict[tuple[object, ...], Pair] = {}


def chains(
    checkpoint: Checkpoint,
    layers: Sequence[str],
    parameter: str,
    count: int,
    traditional: Method,
    guided: Method,
    seed: int,
    progress: Callable[[float, str], object],
) -> list[Pair]:
    """Eq. 16 for a parameter at each layer; `progress` is called with the share done and the layer under way."""
    found = []
    for i, layer in enumerate(layers):

        def tell(share: float, i: int = i, layer: str = layer) -> None:
            progress((i + share) / len(layers), f"Gradients of all scores at {literal(layer)} …")

        key = (checkpoint, layer, parameter, count, traditional, guided, seed)
        if key not in _pairs:
            tell(0)
            activation = capture(checkpoint.model, *batch(checkpoint, count, seed), layer)
            rescaled, plain = compare(activation, traditional, guided, seed, [parameter], tell)
            while len(_pairs) >= _MOST:
                _pairs.pop(next(iter(_pairs)), None)
            _pairs[key] = summarise(rescaled, parameter), summarise(plain, parameter)
        found.append(_pairs[key])
    return found


def at_first(meta: Meta, names: Sequence[str]) -> tuple[int, list[str]]:
    """How many images, and which layers, are measured without anyone's waiting long.

    The work is that of a backward pass for each image, class and block behind the layer. So of large images it is few,
    and of networks of many classes only the last two layers.
    """
    if meta.num_classes > 100:
        return 2, list(names[-2:])
    return 32 if (meta.image_size or 0) <= 64 else 4, spread(names)


def spread(names: Sequence[str], most: int = 6) -> list[str]:
    """At most `most` of the layers, evenly from the first to the last."""
    if len(names) <= most:
        return list(names)
    return [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]


def verdict(pairs: Sequence[Pair], traditional: Method) -> str:
    """Where the chain holds and where not, in words."""

    def least_and_most(here: Sequence[Chain]) -> str:
        least, most = (pick(here, key=lambda chain: chain.holds) for pick in (min, max))
        low, high = (percent(chain.holds, ".0f") for chain in (least, most))
        return low if low == high else f"{low} ({least.layer}) to {high} ({most.layer})"

    rescaled, plain = zip(*pairs, strict=True)
    loose = [
        max(1 - getattr(chain, name) for chain in rescaled) for name in ("guided_below_none", "traditional_below_none")
    ]
    held = min(chain.gradient_below_bound for chain in (*rescaled, *plain))
    return (
        f"**Eq. 16**, c ≤ t ≤ none, holds for {least_and_most(rescaled)} of the pairs of an image and a parameter; "
        f"without the rescaling for {least_and_most(plain)}. With it, {type(traditional).__name__} *loosens* up to "
        f"{percent(loose[1], '.0f')} of the bounds of a layer, CamDrop up to {percent(loose[0], '.0f')}. "
        f"**Eq. 15** holds for {'every one' if held == 1 else percent(held, '.2f')}."
    )


def table(pairs: Sequence[Pair]) -> dict[str, list[Any]]:
    """The numbers by columns, shares in percent; those of the rescaled masks but for one column."""

    def column(read: Callable[[Chain], float]) -> list[float]:
        return [read(rescaled) for rescaled, _ in pairs]

    def shares(read: Callable[[Chain], float]) -> list[float]:
        return [percentage(share) for share in column(read)]

    return {
        "Layer": [rescaled.layer for rescaled, _ in pairs],
        "c ≤ t ≤ none": shares(lambda chain: chain.holds),
        "not rescaled": [percentage(plain.holds) for _, plain in pairs],
        "c ≤ t": shares(lambda chain: chain.guided_below_traditional),
        "t ≤ none": shares(lambda chain: chain.traditional_below_none),
        "c ≤ none": shares(lambda chain: chain.guided_below_none),
        "t ÷ none": column(lambda chain: chain.ratio["traditional"]),
        "c ÷ none": column(lambda chain: chain.ratio["guided"]),
        "dropped by t": shares(lambda chain: chain.dropped["traditional"]),
        "dropped by c": shares(lambda chain: chain.dropped["guided"]),
        "Eq. 15": shares(lambda chain: chain.gradient_below_bound),
    }


def boxes(shown: Sequence[Chain], traditional: Method) -> Figure:
    """The distributions at every layer."""
    names = _methods(traditional)
    quantiles = {method: [chain.quantiles[name] for chain in shown] for name, method in names.items()}
    return bound_boxes([chain.layer for chain in shown], quantiles, "‖∂S/∂b‖₁")


def ratios(chain: Chain, traditional: Method) -> Figure:
    """By how much the masks change the bounds of a layer."""
    names = _methods(traditional)
    return ratio_histogram(RATIOS, {names[name]: count for name, count in chain.histogram.items()})


def scatter(chain: Chain, traditional: Method) -> Figure:
    """Gradients of a layer under their bounds."""
    return under_the_bound({method: chain.points[name] for name, method in _methods(traditional).items()})


def _methods(traditional: Method) -> dict[str, str]:
    return {"none": "baseline", "traditional": method_name(traditional), "guided": "camdrop"}
