"""Observation of other people's networks: every module call of one forward pass of a random image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from camdrop.resnet import evaluation_mode

SIZES = (64, 224, 32, 384)  # of the random image, in pixels: small is fast, but some networks require a certain size
NEEDED = "class activation maps need a CNN that ends in global average pooling and one linear layer"


@dataclass(eq=False)
class Call:
    """One call of a module; the version of a tensor counts the in-place changes."""

    name: str
    module: nn.Module
    source: tuple[Tensor | None, int]
    out: Tensor
    version: int

    def feeds(self, later: Call) -> bool:
        return later.source[0] is self.out and later.source[1] == self.version

    def maps(self) -> bool:
        """Whether the output is a feature map, (1, C, H, W) with more than one position."""
        return self.out.ndim == 4 and len(self.out) == 1 and self.out[0, 0].numel() > 1


@dataclass(eq=False)
class Observation:
    """The calls that returned a tensor, in the order in which they ended, for an image (1, C, H, W)."""

    image: Tensor
    calls: list[Call] = field(default_factory=list)
    stem: nn.Conv2d | None = None  # the convolution that was called first, wherever it is declared


def observe(model: nn.Module) -> Observation:
    """Run a random image through a network in evaluation mode; afterwards the network is as it was.

    ValueError, one sentence, for a network without convolutions or numbers, or that runs on no image.
    """
    name, first = type(model).__name__, next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(f"{name} is a TorchScript program, which takes no hooks: give the network that it was made of")
    if first is None:
        raise ValueError(f"{name} has no convolution (nn.Conv2d); {NEEDED}")
    if any(is_lazy(parameter) for parameter in model.parameters()):
        raise ValueError(f"{name} has lazy layers, which have no weights yet: run one batch through it first")
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError(f"{name} lies on the meta device, where there are no numbers: load its weights first")
    draw, why = torch.Generator().manual_seed(0), ""
    for size in SIZES:
        channels = [first.in_channels, 3, 1]
        for count in channels:
            image = torch.randn(1, count, size, size, generator=draw).to(first.weight.device, first.weight.dtype)
            seen = Observation(image)
            try:
                with plainly(model), _watched(model, seen):
                    model(image)
                return seen
            except Exception as error:  # networks raise errors of any type for an image that they do not take
                if not why or (seen.stem and seen.stem.in_channels == count != first.in_channels):
                    why = str(error).split("\n")[0]
            if seen.stem and seen.stem.in_channels not in channels:
                channels.insert(1, seen.stem.in_channels)
    raise ValueError(f"{name} does not run on images of {SIZES} pixels ({why}); {NEEDED}")


@contextlib.contextmanager
def plainly(model: nn.Module) -> Iterator[None]:
    """Forward passes in evaluation mode, without gradients and compilation."""
    with torch.compiler.set_stance("force_eager"), evaluation_mode(model), torch.no_grad():
        yield


@contextlib.contextmanager
def _watched(model: nn.Module, seen: Observation) -> Iterator[None]:
    sources: list[tuple[Tensor | None, int]] = []

    def watch(name: str, module: nn.Module) -> tuple:
        def before(module: nn.Module, args: tuple, kwargs: dict) -> None:
            if seen.stem is None and isinstance(module, nn.Conv2d):
                seen.stem = module
            x = next((part for part in (*args, *kwargs.values()) if isinstance(part, Tensor)), None)
            sources.append((x, -1 if x is None else x._version))

        def after(module: nn.Module, args: tuple, out: object) -> None:
            source = sources.pop()
            if isinstance(out, Tensor):
                seen.calls.append(Call(name, module, source, out, out._version))

        return module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)

    # A TorchScript module takes no hooks: it runs unseen, and what it holds is no drop site.
    modules = [(n, m) for n, m in model.named_modules() if n and not isinstance(m, torch.jit.ScriptModule)]
    handles = [handle for name, module in modules for handle in watch(name, module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
