"""torchvision's classifiers: which have class activation maps, and how a file of their weights is recognised."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from camdrop.checkpoints.metadata import LIMIT

# Those that end in global average pooling and one linear layer.
_SERVED = (
    *("densenet", "efficientnet", "googlenet", "inception", "mnasnet", "mobilenet_v2"),
    *("regnet", "resnet", "resnext", "shufflenet", "wide_resnet"),
)
_NEAREST = 8  # networks, by number of parameters, whose names and shapes are compared with a file's
_AUXILIARY = re.compile(r"^(aux\d|AuxLogits)\.")  # classifiers of GoogLeNet and Inception for training only


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


def skeleton(name: str, num_classes: int) -> nn.Module:
    """A network without weights, for `load_state_dict(…, assign=True)`.

    GoogLeNet and Inception are built as for torchvision's pretrained weights, without the auxiliary classifiers.
    """
    options = {"init_weights": False, "aux_logits": False, "transform_input": True}
    with _Unallocated():
        return models.get_model(
            name, weights=None, num_classes=num_classes, **(options if name in ("googlenet", "inception_v3") else {})
        )


@functools.lru_cache(maxsize=16)
def _shapes(name: str) -> dict[str, tuple[int, ...]]:
    return _counted({key: tuple(tensor.shape) for key, tensor in skeleton(name, 1000).state_dict().items()})


def _counted(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes without batch counters, which files from before PyTorch 0.4.1 do not have."""
    return {key: shape for key, shape in shapes.items() if not key.endswith("num_batches_tracked")}


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """The network whose tensors have these names and shapes, up to the number of classes; None where none fits."""
    ours = _plain(shapes)
    mine = _counted({key: shapes[file] for key, file in ours.items()})
    for name in sorted(models.list_models(module=models), key=lambda name: _apart(name, shapes))[:_NEAREST]:
        wanted = _shapes(name)
        if wanted.keys() == mine.keys():
            other = {(mine[key], shape) for key, shape in wanted.items() if mine[key] != shape}
            rows = {got[:1] for got, shape in other if shape[:1] == (1000,) and got[1:] == shape[1:]}
            if not other or (len(rows) == 1 and all(got[1:] == shape[1:] for got, shape in other)):
                return Match(name, rows.pop()[0] if rows else 1000, ours)
    return None


def _apart(name: str, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How far the number of parameters is from the network's, with the best choice of a matrix as the last layer."""
    sizes = {key: torch.Size(shape).numel() for key, shape in shapes.items() if "running_" not in key}
    counts = [sum(sizes.values()), sum(size for key, size in sizes.items() if not _AUXILIARY.match(key))]
    matrices = {shape for shape in shapes.values() if len(shape) == 2} | {(1000, 0)}
    return min(abs(count + (1000 - k) * (c + 1) - _parameters(name)) for k, c in matrices for count in counts)


def _plain(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Today's spelling of the names, without a prefix such as `module.` → the file's names."""
    parts = zip(*(key.split(".")[:-1] for key in shapes), strict=False)
    wrapped = sum(1 for _ in itertools.takewhile(lambda part: len(set(part)) == 1, parts))
    plain = {}
    for key in shapes:
        name = ".".join(key.split(".")[wrapped:])
        if not _AUXILIARY.match(name):
            plain[re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", name)] = key
    return plain


def conventions(name: str) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Mean and standard deviation of the pixels, and the image size, that its pretrained weights expect."""
    preset = models.get_model_weights(name).DEFAULT.transforms()
    return tuple(preset.mean), tuple(preset.std), preset.crop_size[0]
