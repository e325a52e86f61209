"""The tail of a network: whether its classifier reads the average of a feature map, and nothing else ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from camdrop.adapters.observation import Call, plainly

_RANGE = 1000.0  # of the features that are put in: far beyond where ReLU6 and others are the identity


class _Learned(TorchFunctionMode):
    """Follows which tensors of a forward pass depend on parameters and buffers of the network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if any(id(part) in self.tensors for part in tree_leaves((args, kwargs))):
            self.tensors |= {id(part): part for part in tree_leaves(out) if isinstance(part, Tensor)}
        return out


def is_average(pooled: Tensor, features: Tensor) -> bool:
    """Whether `pooled` (1, C) is the average of `features` (1, C, H, W), but for rounding."""
    if features.shape[1] != pooled.shape[1]:
        return False
    apart = (features.mean((2, 3)) - pooled).abs().max()
    return bool(apart <= torch.finfo(pooled.dtype).eps ** 0.5 * pooled.abs().max())


def always_averages(model: nn.Module, image: Tensor, last: Call, classifier: str, rectify: bool) -> bool:
    """Whether the classifier's input is the average of the last map (of its ReLU, with `rectify`) for all features.

    Other features are put in place of the map, of both signs unless it has none below 0, and no parameter or buffer may
    have a part in what becomes of them: a fresh batch norm or a scale of 1 changes nothing today, but will.
    """
    features = torch.rand(last.out.shape, generator=torch.Generator().manual_seed(0)).to(last.out) * _RANGE
    if rectify or bool((last.out < 0).any()):
        features = features - _RANGE / 2
    expected, inputs = F.relu(features) if rectify else features.clone(), list[Tensor]()
    handles = [
        model.get_submodule(last.name).register_forward_hook(lambda module, args, out: features),
        model.get_submodule(classifier).register_forward_pre_hook(
            lambda module, args, kwargs: inputs.extend(p for p in (*args, *kwargs.values()) if isinstance(p, Tensor)),
            with_kwargs=True,
        ),
    ]
    try:
        with plainly(model), _Learned(model) as learned:
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return id(inputs[-1]) not in learned.tensors and is_average(inputs[-1], expected)
