"""One draw of a structured dropout: which units are dropped, how the others are scaled, and how it came to that."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mask:
    """One draw of a method for features of `shape` (N, C, H, W).

    Dropped units are stored for the `chosen` channels only, since a guided method leaves the others alone; `keep` and
    `seeds` are their dense forms, built when asked for. `cam`, `positions`, `channels`, `valid`, `candidates` are None
    for methods without guidance.
    """

    shape: tuple[int, int, int, int]
    scale: Tensor  # (N, 1, 1, 1)
    blocks: Tensor = field(repr=False)  # bool, broadcastable to (N, k, H, W): dropped units of the chosen channels
    starts: Tensor = field(repr=False)  # bool, likewise: the seeds
    chosen: Tensor | None = field(default=None, repr=False)  # (N, k) channel indices; None: all channels, in order
    cam: Tensor | None = field(default=None, repr=False)  # (N, H, W), J of Eq. 5, 7
    positions: Tensor | None = field(default=None, repr=False)  # (N, H, W) bool, the dominant positions (Eq. 6)
    valid: Tensor | None = field(default=None, repr=False)  # (H, W) bool, centres whose whole block lies inside
    rate: float | Tensor = 0.0  # with which a candidate became a seed; (N, 1, 1) where it differs between samples
    count: Tensor | None = field(default=None, repr=False)  # (N,) units set in `blocks`, where they are counted already

    def _dense(self, part: Tensor) -> Tensor:
        h, w = self.shape[2:]
        if self.chosen is None:
            return part.expand(self.shape).clone()
        out = part.new_zeros(self.shape)
        return out.scatter_(1, self.chosen[:, :, None, None].expand(-1, -1, h, w), part)

    @property
    def keep(self) -> Tensor:
        """(N, C, H, W) bool: the units that survive."""
        return ~self._dense(self.blocks)

    @property
    def seeds(self) -> Tensor:
        """(N, C, H, W) bool: the units from which a block was dropped (Eq. 9)."""
        return self._dense(self.starts)

    @property
    def channels(self) -> Tensor | None:
        """(N, C) bool: the dominant channels (Eq. 8)."""
        if self.cam is None:
            return None
        n, c = self.shape[:2]
        if self.chosen is None:
            return torch.ones(n, c, dtype=torch.bool, device=self.cam.device)
        return torch.zeros(n, c, dtype=torch.bool, device=self.cam.device).scatter_(1, self.chosen, True)

    @property
    def candidates(self) -> Tensor | None:
        """(N, C, H, W) bool: dominant positions ∧ dominant channels ∧ valid centres, where a seed may fall."""
        if self.positions is None or self.channels is None or self.valid is None:
            return None
        return (self.positions & self.valid)[:, None] & self.channels[:, :, None, None]

    @property
    def dropped(self) -> Tensor:
        """(N,) float: the realised share of units dropped, in [0, 1]."""
        whole = self.blocks[0].numel() if self.chosen is None else math.prod(self.shape[1:])
        return (count_units(self.blocks) if self.count is None else self.count) / whole

    def _repr_png_(self) -> bytes:
        """The mask of the first sample, for notebooks: a tile a channel, dropped units in orange."""
        from camdrop.figures import DROPPED, channel_grid, png

        dropped = (~self.keep[0]).cpu().numpy()
        grid = channel_grid(np.zeros(dropped.shape, np.float32), np.arange(len(dropped)))
        picture = grid.pixels.copy()
        picture[grid.place(dropped.astype(np.uint8)) > 0] = DROPPED
        return png(picture, scale=max(1, 640 // picture.shape[1]))

    def apply(self, x: Tensor) -> Tensor:
        """X̃ = M ⊙ X · scale (Eq. 3) for x (N, C, H, W) of the mask's shape; differentiable in x."""
        if tuple(x.shape) != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}, but this mask was sampled for {self.shape}")
        return _Apply.apply(x, self.scale.to(x.dtype), self.blocks, self.chosen, self._units(x.device))

    def _units(self, device: torch.device) -> Tensor | None:
        """(4, units) indices of the units to drop where a few channels drop; None on a GPU, not to wait for it."""
        if self.chosen is None or device.type != "cpu":
            return None
        units = self.blocks.nonzero().T
        units[1] = self.chosen[units[0], units[1]]
        return units


class _Apply(torch.autograd.Function):
    """Linear and self-adjoint, so that the backward pass is the forward pass on the gradient, equally sparse."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: Tensor, blocks: Tensor, chosen: Tensor | None, units: Tensor | None) -> Tensor:
        if chosen is None:
            # On the CPU, a product with bytes takes a third of the time of `masked_fill`, a twelfth of one with bools.
            return (x * (~blocks).view(torch.uint8)).mul_(scale)
        out = x * scale
        if units is not None:
            out[tuple(units)] = 0
        else:
            first = torch.arange(len(x), device=x.device)[:, None]
            out[first, chosen] = out[first, chosen].masked_fill(blocks, 0)
        return out

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx, grad: Tensor):
        return _Apply.apply(grad, *ctx.saved_tensors), None, None, None, None


def count_units(blocks: Tensor) -> Tensor:
    """(N,) how many units of each sample are set."""
    return blocks.sum((1, 2, 3), dtype=torch.int32)
