"""Structured dropout under one general form (paper Eq. 2–4): each method turns features and guidance into a `Mask`.

    X̃ = M ⊙ X · scale,   M = F(φ(ψ, T(X, y)), r),   ψ ~ Bernoulli(γ)

γ is `keep_prob`, r is `block_size`. T and φ are trivial for the four random methods; `CamDrop` guides them by the
class activation map (positions) and the classifier's weights (channels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from camdrop.cam import weighted_map
from camdrop.mask import Mask, count_units

READINGS = ("paper", "official", "matched")
GUIDES = ("cam", "mean")
CHANNELS = ("dominant", "all")
LABELS = ("true", "predicted", "random")


def _rescale(dropped: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """(N, 1, 1, 1): C·H·W / Σ keep (Eq. 10) from the (N,) numbers of units dropped; finite where nothing is kept."""
    units = math.prod(shape[1:])
    kept = (units - dropped).clamp_min(1)
    # A number over a tensor is its reciprocal times the number: not quite 1 where nothing is dropped.
    return (torch.full_like(kept, units) / kept).view(-1, 1, 1, 1)


def _expand(starts: Tensor, r: int) -> Tensor:
    """F of Eq. 4: seeds (N, C, H, W) at valid centres → blocks [i − r//2, i + (r−1)//2] on each axis, as bool.

    No block leaves its map, so a shift along an axis is one of the whole memory. The window grows by doubling, so that
    a block costs log₂ r shifts an axis instead of r² comparisons a unit.
    """
    _, c, _, w = starts.shape
    last = not starts.is_contiguous()  # channels last
    memory = starts.permute(0, 2, 3, 1) if last else starts
    row, column = (w * c, c) if last else (w, 1)
    corner = r // 2 * (row + column)
    blocks = torch.zeros_like(memory)
    units = blocks.view(-1)
    units[: units.numel() - corner] = memory.view(-1)[corner:]
    width = 1
    while width < r:
        step = min(width, r - width)
        for shift in (step * row, step * column):
            units[shift:] |= units[:-shift].clone()
        width += step
    return blocks.permute(0, 3, 1, 2) if last else blocks


def _like(x: Tensor, mask: Tensor) -> Tensor:
    """The mask (N, C, H, W) in the memory format of x: applied across formats, it would take several times as long."""
    return mask.contiguous(memory_format=_memory_format(x)) if mask.shape == x.shape else mask


def _memory_format(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format


def _features(x: Tensor) -> tuple[int, int, int, int]:
    if x.ndim != 4 or not x.is_floating_point() or x.numel() == 0:
        raise ValueError(f"x must be non-empty floating-point features (N, C, H, W), got {x.dtype} {tuple(x.shape)}")
    n, c, h, w = x.shape
    return n, c, h, w


def _bernoulli(p: float | Tensor, shape: tuple[int, ...], x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, device=x.device, generator=generator) < p


def _check_rate(name: str, value: float, *, zero: bool = True) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and (0 <= value <= 1) and (zero or value > 0)
    if not good:
        raise ValueError(f"{name} must be a number in {'[' if zero else '('}0, 1], got {value!r}")


def _check_size(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Dropout of single units (Srivastava et al. 2014): M ~ Ber(γ) for each (c, h, w), scale 1/γ (Eq. 2).

    ValueError for a `keep_prob` outside [0, 1].
    """

    keep_prob: float = 0.9

    def __post_init__(self) -> None:
        _check_rate("keep_prob", self.keep_prob)

    def _seed_shape(self, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
        return n, c, h, w

    def sample(self, x: Tensor, *, alpha: Tensor | None = None, generator: torch.Generator | None = None) -> Mask:
        """Draw a mask for features x (N, C, H, W); `alpha` is not used."""
        shape = _features(x)
        seeds = _like(x, _bernoulli(1 - self.keep_prob, self._seed_shape(*shape), x, generator))
        scale = torch.full((shape[0], 1, 1, 1), 1 / self.keep_prob if self.keep_prob else 1.0, device=x.device)
        return Mask(shape, scale, seeds, seeds, rate=1 - self.keep_prob)


@dataclass(frozen=True, kw_only=True)
class SpatialDropout(Dropout):
    """Dropout of whole channels (Tompson et al. 2015): M ~ Ber(γ) for each c, scale 1/γ (Eq. 2)."""

    def _seed_shape(self, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
        return n, c, 1, 1


@dataclass(frozen=True, kw_only=True)
class DropPath(Dropout):
    """Dropout of the whole branch, per sample (Larsson et al. 2016): one M ~ Ber(γ), scale 1/γ (Eq. 2)."""

    def _seed_shape(self, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
        return n, 1, 1, 1


def valid_centres(h: int, w: int, r: int, device: torch.device | None = None) -> Tensor:
    """(H, W) bool: the centres whose whole r×r block lies inside the map; r at most H and W."""
    valid = torch.zeros(h, w, dtype=torch.bool, device=device)
    valid[r // 2 : h - (r - 1) // 2, r // 2 : w - (r - 1) // 2] = True
    return valid


def _block_rate(keep_prob: float, h: int, w: int, r: int) -> float:
    """DropBlock's seed rate (1 − γ)·HW / (r²·(H−r+1)(W−r+1)), at most 1."""
    return min(1.0, (1 - keep_prob) * h * w / (r * r * (h - r + 1) * (w - r + 1)))


@dataclass(frozen=True, kw_only=True)
class DropBlock:
    """Dropout of r×r blocks, independently in each channel (Ghiasi et al. 2018).

    Seeds ~ Ber((1 − γ)·HW / (r²·(H−r+1)(W−r+1))) at valid centres; rescaled per sample by Eq. 10. A block larger than
    the map is cut to r = min(r, H, W). ValueError for a `keep_prob` outside [0, 1] or a `block_size` below 1.
    """

    keep_prob: float = 0.9
    block_size: int = 8

    def __post_init__(self) -> None:
        _check_rate("keep_prob", self.keep_prob)
        _check_size("block_size", self.block_size)

    def sample(self, x: Tensor, *, alpha: Tensor | None = None, generator: torch.Generator | None = None) -> Mask:
        """Draw a mask for features x (N, C, H, W); `alpha` is not used."""
        n, c, h, w = shape = _features(x)
        r = min(self.block_size, h, w)
        seeds = torch.zeros_like(x, dtype=torch.bool, memory_format=_memory_format(x))
        rows, cols = h - r + 1, w - r + 1
        rate = _block_rate(self.keep_prob, h, w, r)
        drawn = _bernoulli(rate, (n, c, rows, cols), x, generator)
        seeds[..., r // 2 : r // 2 + rows, r // 2 : r // 2 + cols] = drawn
        blocks = _expand(seeds, r)
        count = count_units(blocks)
        return Mask(shape, _rescale(count, shape), blocks, seeds, rate=rate, count=count)


@dataclass(frozen=True, kw_only=True)
class CamDrop:
    """Dropout of r×r blocks where the class activation map is strong, in the channels that matter (Eq. 4–10).

    Candidates are the `max(1, ⌊HW·position_fraction⌋)` largest positions of J ∧ the `max(1, ⌊C·channel_fraction⌋)`
    largest channels of α ∧ the valid centres; each becomes a seed with a probability that `reading` names:

    - `paper`: 1 − γ
    - `official`: DropBlock's rate, and one channel more, as in the authors' public code
    - `matched`: min(1, (1 − γ)·CHW / (r²·#candidates)) per sample, DropBlock's budget spent on the candidates

    position_fraction None is 1/r² (Eq. 6). Ablations: guide="mean" takes the channel mean for J (Table 2),
    channels="all" every channel (Table 3). `label` names the class whose weights α are: the true one (the paper), the
    one that the network predicts, or a random one; see `camdrop.sampling.guiding_classes`. A block larger than the
    map is cut to r = min(r, H, W).
    ValueError for options out of range.
    """

    keep_prob: float = 0.9
    block_size: int = 8
    channel_fraction: float = 1 / 8
    position_fraction: float | None = None
    reading: Literal["paper", "official", "matched"] = "paper"
    guide: Literal["cam", "mean"] = "cam"
    channels: Literal["dominant", "all"] = "dominant"
    label: Literal["true", "predicted", "random"] = "true"

    def __post_init__(self) -> None:
        _check_rate("keep_prob", self.keep_prob)
        _check_size("block_size", self.block_size)
        _check_rate("channel_fraction", self.channel_fraction, zero=False)
        if self.position_fraction is not None:
            _check_rate("position_fraction", self.position_fraction, zero=False)
        _check_choice("reading", self.reading, READINGS)
        _check_choice("guide", self.guide, GUIDES)
        _check_choice("channels", self.channels, CHANNELS)
        _check_choice("label", self.label, LABELS)

    @property
    def guided_by_class(self) -> bool:
        """Whether a mask depends on a class at all: not where all channels are guided by their mean."""
        return self.guide == "cam" or self.channels == "dominant"

    def channel_count(self, c: int) -> int:
        """How many of c channels are dominant: max(1, ⌊c·channel_fraction⌋), one more in the official code."""
        if self.channels == "all":
            return c
        return min(c, max(1, _floor(c * self.channel_fraction)) + (self.reading == "official"))

    def position_count(self, h: int, w: int) -> int:
        """How many of h·w positions are dominant: max(1, ⌊hw·position_fraction⌋), by default max(1, ⌊hw/r²⌋)."""
        r = min(self.block_size, h, w)
        return max(1, h * w // (r * r) if self.position_fraction is None else _floor(h * w * self.position_fraction))

    @torch.no_grad()
    def sample(self, x: Tensor, *, alpha: Tensor | None = None, generator: torch.Generator | None = None) -> Mask:
        """Draw a mask for features x (N, C, H, W), guided by alpha (N, C), the class weights compressed to C channels.

        No gradient flows through the guidance. ValueError where `alpha` is missing or of another shape.
        """
        n, c, h, w = shape = _features(x)
        if self.guided_by_class and (alpha is None or tuple(alpha.shape) != (n, c)):
            got = "None" if alpha is None else f"shape {tuple(alpha.shape)}"
            raise ValueError(f"alpha must be the class weights per sample and channel, shape {(n, c)}, got {got}")
        r = min(self.block_size, h, w)
        chosen = None
        if alpha is not None and self.channels == "dominant":
            chosen = alpha.topk(self.channel_count(c), dim=1, sorted=False).indices
        cam = weighted_map(x, alpha) if alpha is not None and self.guide == "cam" else x.mean(1)
        top = cam.flatten(1).topk(self.position_count(h, w), dim=1, sorted=False).indices  # (N, P)

        valid = valid_centres(h, w, r, x.device)
        allowed = valid.flatten()[top]  # (N, P)
        k = self.channel_count(c)
        rate = self._seed_rate(shape, r, k, allowed)
        drawn = _bernoulli(rate, (n, k, top.shape[1]), x, generator) & allowed[:, None]
        seeds = torch.zeros(n, k, h * w, dtype=torch.bool, device=x.device)
        seeds = _like(x, seeds.scatter_(2, top[:, None].expand(-1, k, -1), drawn).view(n, k, h, w))
        blocks = _expand(seeds, r)
        positions = torch.zeros(n, h * w, dtype=torch.bool, device=x.device).scatter_(1, top, True).view(n, h, w)
        count = count_units(blocks)
        return Mask(shape, _rescale(count, shape), blocks, seeds, chosen, cam, positions, valid, rate, count)

    def _seed_rate(self, shape: tuple[int, int, int, int], r: int, k: int, allowed: Tensor) -> float | Tensor:
        _, c, h, w = shape
        if self.reading == "paper":
            return 1 - self.keep_prob
        if self.reading == "official":
            return _block_rate(self.keep_prob, h, w, r)
        candidates = (allowed.sum(1) * k).clamp_min(1)
        return ((1 - self.keep_prob) * c * h * w / (r * r * candidates)).clamp_max(1)[:, None, None]


def _floor(value: float) -> int:
    return math.floor(value + 1e-9)  # ⌊100 · 0.29⌋ is 29, whatever floating point makes of it


Method = Dropout | SpatialDropout | DropBlock | DropPath | CamDrop

METHODS: dict[str, type[Method]] = {
    "dropout": Dropout,
    "spatialdropout": SpatialDropout,
    "dropblock": DropBlock,
    "droppath": DropPath,
    "camdrop": CamDrop,
}
