"""torchvision's classifiers: which have class activation maps, and how a file of their weights is recognised."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from camdrop.checkpoints.alignment import Fit, Plan, Shapes, beside, best, fit, prefixes
from camdrop.checkpoints.metadata import LIMIT

# Those that end in global average pooling and one linear layer.
_SERVED = (
    *("densenet", "efficientnet", "googlenet", "inception", "mnasnet", "mobilenet_v2"),
    *("regnet", "resnet", "resnext", "shufflenet", "wide_resnet"),
)
# A tensor that all networks of some families have, and the beginnings of their names.
_FAMILIES = {
    "layer1.0.conv1.weight": ("resnet", "resnext", "wide_resnet"),
    "features.denseblock1.denselayer1.conv1.weight": ("densenet",),
    "features.1.0.block.0.0.weight": ("efficientnet",),
    "inception3a.branch1.conv.weight": ("googlenet",),
    "Mixed_5b.branch1x1.conv.weight": ("inception",),
    "layers.8.0.layers.0.weight": ("mnasnet",),
    "features.2.conv.0.0.weight": ("mobilenet_v2",),
    "features.1.block.0.0.weight": ("mobilenet_v3",),
    "trunk_output.block1.block1-0.f.a.0.weight": ("regnet",),
    "stage2.0.branch2.0.weight": ("shufflenet",),
    "features.0.weight": ("alexnet", "squeezenet", "vgg"),
    "features.1.0.block.0.weight": ("convnext",),
    "features.1.0.norm1.weight": ("swin",),
    "encoder.layers.encoder_layer_0.ln_1.weight": ("vit",),
    "blocks.0.layers.0.layers.MBconv.layers.conv_a.0.weight": ("maxvit",),
}
_NEAREST = 4  # networks of a family, by number of parameters, whose names and shapes are compared with a file's
_AUXILIARY = re.compile(r"(^|\.)(aux\d|AuxLogits)\.")  # classifiers of GoogLeNet and Inception for training only


class Match(NamedTuple):
    """The name of a network, its number of classes, and its names of the tensors → the file's."""

    name: str
    num_classes: int
    names: dict[str, str]


class _Unallocated(TorchFunctionMode):
    """Parameters without memory or initial weights; under a meta device, networks that compute in `__init__` fail."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return func(*args, **(kwargs or {}) | ({"device": "meta"} if func is torch.empty else {}))


@functools.cache
def names() -> tuple[str, ...]:
    """The networks that have class activation maps, and weights of at most 1 GB."""
    listed = models.list_models(module=models)
    return tuple(name for name in listed if name.startswith(_SERVED) and 4 * _parameters(name) <= LIMIT)


def _parameters(name: str) -> int:
    return models.get_model_weights(name).DEFAULT.meta["num_params"]


def skeleton(name: str, num_classes: int, in_channels: int = 3, stem: str = "") -> nn.Module:
    """A network without weights, for `load_state_dict(…, assign=True)`.

    GoogLeNet and Inception are built as for torchvision's pretrained weights, without the auxiliary classifiers. For
    images of other than three channels, and for a `stem` of `STEMS`, the first convolution is another one; "3x3" is
    without the first max pooling.
    """
    options = {"init_weights": False, "aux_logits": False, "transform_input": in_channels == 3}
    with _Unallocated():
        model = models.get_model(
            name, weights=None, num_classes=num_classes, **(options if name in ("googlenet", "inception_v3") else {})
        )
        if in_channels != 3 or stem:
            at, conv = _first(model, nn.Conv2d)
            size, stride, padding = (3, 1, 1) if stem else (conv.kernel_size, conv.stride, conv.padding)
            other = nn.Conv2d(in_channels, conv.out_channels, size, stride, padding, bias=conv.bias is not None)
            model.set_submodule(at, other)
        if stem == "3x3":
            model.set_submodule(_first(model, nn.MaxPool2d)[0], nn.Identity())
    return model


def _first(model: nn.Module, kind: type[nn.Module]) -> tuple[str, Any]:
    """The first module of a kind, with its name."""
    return next((name, module) for name, module in model.named_modules() if isinstance(module, kind))


@functools.lru_cache(maxsize=16)
def _plan(name: str) -> Plan:
    shapes = {key: tuple(tensor.shape) for key, tensor in skeleton(name, 1000).state_dict().items()}
    head = next(key for key in reversed(shapes) if key.endswith(".weight") and shapes[key][0] == 1000)
    return Plan(name, shapes, head.removesuffix(".weight"))


def fits(shapes: Shapes) -> Iterator[Fit]:
    """How a file's tensors fit the networks that are most like them."""
    shapes = {key: shape for key, shape in shapes.items() if not _AUXILIARY.search(key)}
    for anchor, beginnings in _FAMILIES.items():
        known = [name for name in models.list_models(module=models) if name.startswith(beginnings)]
        found = prefixes(shapes, anchor)
        for prefix in found:
            others = [other for other in found if other != prefix]
            for name in sorted(known, key=lambda name: _apart(name, shapes, prefix, others))[:_NEAREST]:
                yield fit(_plan(name), shapes, prefix, others)


def recognise(shapes: Shapes) -> Match | None:
    """The network whose tensors have these names and shapes, up to the number of classes; None where none fits."""
    found = best(fits(shapes))
    return Match(found.plan.name, found.classes, found.names) if found and found.exact else None


def _apart(name: str, shapes: Shapes, prefix: str, others: list[str]) -> int:
    """How far the number of parameters is from the network's, with the best choice of a matrix as the last layer."""
    longer = tuple(other for other in others if len(other) > len(prefix))
    sizes = {
        key: math.prod(shape)
        for key, shape in shapes.items()
        if key.startswith(prefix) and not key.startswith(longer) and "running_" not in key and not beside(key)
    }
    inside = {shapes[key] for key in sizes if len(shapes[key]) == 2}
    widths = {shape[1] for shape in shapes.values() if len(shape) == 2}
    last = [(1000 - k) * (c + 1) for k, c in inside] + [1000 * (c + 1) for c in widths] + [0]
    return min(abs(sum(sizes.values()) + more - _parameters(name)) for more in last)


def conventions(name: str) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Mean and standard deviation of the pixels, and the image size, that its pretrained weights expect."""
    preset = models.get_model_weights(name).DEFAULT.transforms()
    return tuple(preset.mean), tuple(preset.std), preset.crop_size[0]
