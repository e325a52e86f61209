"""Several processes that train as one (`torchrun … -m camdrop train …`): each takes its part of every batch.

DistributedDataParallel averages the gradients, and batch normalisation uses the statistics of all parts, so that the
loss curve is that of one process with the whole batch. The backend is NCCL on GPUs and gloo on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """The place of this process among those that train together; by default it trains alone."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process reads knobs and writes the run folder."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """The images of a whole batch that this process takes."""
        return slice(self.rank * batch // self.size, (self.rank + 1) * batch // self.size)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of a tensor over the team. Every member has to call it."""
        if self.size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
            tensor /= self.size
        return tensor

    def barrier(self) -> None:
        """Wait until every member has called this."""
        if self.size > 1:
            dist.barrier()

    def broadcast(self, thing: Any) -> Any:
        """What the main process passes as `thing`, for every member. Every member has to call it."""
        if self.size == 1:
            return thing
        box = [thing]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def join(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model as the team trains it: gradients and batch statistics are those of the whole batch."""
        if self.size == 1:
            return model
        share_statistics(model, device)
        ids = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)


ALONE = Team()


@contextmanager
def team(device: torch.device) -> Iterator[tuple[Team, torch.device]]:
    """The team that torchrun's environment names, and the device of this member; without torchrun, a team of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), size), device
    finally:
        dist.destroy_process_group()


class _Mean(torch.autograd.Function):
    """Mean over the team, in the forward and in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Mean.apply(grad.contiguous())


class _TeamBatchNorm(nn.BatchNorm2d):
    """`nn.SyncBatchNorm`, which needs a GPU, for the CPU: batch statistics are those of the team's whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        local = torch.stack([x.float().mean((0, 2, 3)), x.float().square().mean((0, 2, 3))])
        mean, square = _Mean.apply(local)
        var = square - mean.square()
        with torch.no_grad():
            n = x.numel() // x.shape[1] * dist.get_world_size()
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * n / (n - 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * (var + self.eps).rsqrt()
        return x * scale.to(x.dtype)[:, None, None] + (self.bias - mean * scale).to(x.dtype)[:, None, None]


def share_statistics(model: nn.Module, device: torch.device) -> None:
    """Let every batch normalisation of a model on `device` use the statistics of the team's whole batch, in place."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # in place below the model, which is no batch norm itself
        return
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _TeamBatchNorm
