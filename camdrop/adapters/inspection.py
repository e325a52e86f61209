"""Inspection of other people's networks: the classifier, the last feature map, the places where masks can act.

Nothing is guessed from names. A random image goes through the network in evaluation mode, and hooks record the input
and output of every module; afterwards the network is as it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camdrop.adapters.observation import NEEDED, Call, Observation, observe
from camdrop.adapters.tail import always_averages, is_average
from camdrop.resnet import DropSite, ResNet


@dataclass(frozen=True)
class Place:
    """The output of `module`, on which the masks of `site` act; with `rectify`, on the ReLU of that output.

    ResNets often call one ReLU module several times, and a hook cannot be put on one of the calls. So the hook on
    `module` applies the ReLU before the mask; the network then applies it again, which changes nothing.
    """

    site: DropSite
    module: str
    rectify: bool
    late: bool  # in one of the last two stages: at most twice as high as the last feature map


@dataclass(frozen=True)
class Inspection:
    """A CNN S = A · mean(Z) + b (Eq. 1): the modules whose outputs are S and Z, by name, and the places up to Z."""

    classifier: str
    last_map: str
    rectify: bool  # Z is the ReLU of the output of `last_map`
    places: tuple[Place, ...]
    stages: tuple[tuple[str, str], ...]  # (stride as in `places`, the last module of it whose map Eq. 7 can guide)
    in_channels: int  # of the images


class LastMap(NamedTuple):
    """What class activation maps need: features Z (N, C, H, W), weight A (K, C), and the scores S (N, K)."""

    features: Tensor
    weight: Tensor
    scores: Tensor


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside torch.compile and DistributedDataParallel."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def drop_sites(model: nn.Module) -> tuple[DropSite, ...]:
    """The drop sites of a network for `camdrop.attach`, in the order of the forward pass, with their channels.

    Our ResNets name theirs. In other networks each convolution is one, by its name: masks act after the norm and the
    activation, if these follow it directly as modules. Left out are convolutions after a pooling to one position
    (squeeze-and-excitation), those called twice, and those with more channels than the classifier, which Eq. 7 cannot
    guide. `stage` is the stride, in pixels of the image. ValueError for a network that `attach` does not support.
    """
    inner = unwrapped(model)
    if isinstance(inner, ResNet):
        return inner.drop_sites
    return tuple(place.site for place in inspect(inner).places)


def inspect(model: nn.Module) -> Inspection:
    """Find the classifier, the last feature map and the drop sites. ValueError, one sentence, names a missing part."""
    name, seen = type(model).__name__, observe(model)
    calls = seen.calls
    heads = [c for c in calls if isinstance(c.module, nn.Linear) and c.source[0] is not None and c.source[0].ndim == 2]
    if not heads:
        raise ValueError(f"{name} ends in no linear layer (nn.Linear on pooled features); {NEEDED}")
    head, times = heads[-1], Counter(call.name for call in calls)
    maps = [call for call in calls[: calls.index(head)] if call.maps()]
    pooled = head.source[0]
    assert pooled is not None and seen.stem is not None
    if not pooled.isfinite().all():
        raise ValueError(f"{name} computes NaN or infinity before {head.name}: has its training diverged?")
    for call in reversed([c for c in maps if times[c.name] == 1]):
        in_place = call.out._version != call.version  # F.relu(…, inplace=True), which is no module
        for rectify in (False, True) if (call.out < 0).any() else (False,):
            positive = rectify or in_place
            average = is_average(pooled, F.relu(call.out) if rectify else call.out)
            if average and always_averages(model, seen.image, call, head.name, positive):
                places = _places(seen, times, call, pooled.shape[1])
                stages = _stages(seen, times, call, pooled.shape[1])
                return Inspection(head.name, call.name, positive, places, stages, seen.image.shape[1])
    raise ValueError(f"{name} {_missing(calls, heads, maps)}; {NEEDED}")


@torch.no_grad()
def features_and_weights(model: nn.Module, x: Tensor, inspection: Inspection | None = None) -> LastMap:
    """One forward pass of any CNN that `attach` supports; returns what `camdrop.cam.class_activation_map` needs.

    The model is used in the mode that it is in, evaluation mode for heatmaps; x is normalised images (N, C, H, W). For
    many batches pass `inspection` (from `inspect`), so that the network is inspected once. ValueError as `inspect`.
    """
    inner = unwrapped(model)
    inspection = inspection or inspect(inner)
    classifier, here = inner.get_submodule(inspection.classifier), threading.get_ident()
    assert isinstance(classifier, nn.Linear)
    seen: dict[str, Tensor] = {}

    def remember(name: str):
        def hook(module: nn.Module, args: tuple, out: Tensor) -> None:
            if threading.get_ident() == here:  # another thread may use the network at the same time
                seen[name] = out

        return inner.get_submodule(name).register_forward_hook(hook)

    with contextlib.ExitStack() as stack:
        for name in (inspection.classifier, inspection.last_map):
            stack.callback(remember(name).remove)
        inner(x)
    features = seen[inspection.last_map]
    features = F.relu(features) if inspection.rectify else features
    return LastMap(features, classifier.weight.detach(), seen[inspection.classifier])


def _missing(calls: list[Call], heads: list[Call], maps: list[Call]) -> str:
    head = heads[-1]
    last = max((i for i, call in enumerate(calls) if call.maps()), default=-1)
    if len(ends := [h.name for h in heads if calls.index(h) > last]) > 1:
        return f"ends in {len(ends)} linear layers ({', '.join(ends)})"
    if any(call.out.ndim == 3 for call in calls[last + 1 :]) or not maps:
        return f"has no convolutional feature map before the pooling that {head.name} reads"
    shape = "×".join(map(str, maps[-1].out.shape[1:]))
    between = [call for call in calls[last + 1 : calls.index(head)] if _has_numbers(call.module)]
    which = f" ({between[0].name}, {type(between[0].module).__name__})" if between else ""
    apart = f"between its last feature map ({maps[-1].name}, {shape}) and {head.name}"
    return f"has something {apart} that is no average{which}"


def _has_numbers(module: nn.Module) -> bool:
    return next(module.parameters(), next(module.buffers(), None)) is not None


def _places(seen: Observation, times: Counter[str], last: Call, width: int) -> tuple[Place, ...]:
    """A place for each convolution up to the last feature map that has at most as many channels as the classifier."""
    calls, places, height = seen.calls, [], last.out.shape[2]
    for i, call in enumerate(calls[: calls.index(last) + 1]):
        if not isinstance(call.module, nn.Conv2d) or times[call.name] > 1 or not call.maps():
            continue
        end, rectify = _follow(call, calls[i + 1 :], times)
        channels, h = end.out.shape[1:3]
        if channels <= width:
            site = DropSite(call.name, _stride(seen.image, end), call.name.rpartition(".")[0], "conv", channels)
            places.append(Place(site, end.name, rectify, h <= 2 * height + 1))
    return tuple(places)


def _stages(seen: Observation, times: Counter[str], last: Call, width: int) -> tuple[tuple[str, str], ...]:
    """For each stride, the last of the outermost modules with maps of that stride."""
    names: dict[str, str] = {}
    for call in seen.calls[: seen.calls.index(last) + 1]:
        if times[call.name] == 1 and call.maps() and call.out.shape[1] <= width:
            stride = _stride(seen.image, call)
            if call is last or call.name.count(".") <= names.get(stride, call.name).count("."):
                names[stride] = call.name
    return tuple(names.items())


def _stride(image: Tensor, call: Call) -> str:
    return f"stride {round(image.shape[2] / call.out.shape[2])}"


def _follow(conv: Call, later: list[Call], times: Counter[str]) -> tuple[Call, bool]:
    """The last call of a convolution's norm and activation, if these are modules; and whether a shared ReLU follows."""
    end = conv
    for call in later:
        unchanged = call.out is call.source[0] and call.version == call.source[1]  # nn.Identity, dropout
        if not end.feeds(call) or unchanged or call.out.shape != end.out.shape or not _is_pointwise(call.module):
            continue
        if times[call.name] > 1:
            return end, isinstance(call.module, nn.ReLU)
        end = call
    return end, False


def _is_pointwise(module: nn.Module) -> bool:
    """Whether a module is a norm or an activation, of any library: no part of it convolves, mixes channels or pools."""
    mixing = (nn.modules.conv._ConvNd, nn.Linear, nn.MaxPool2d, nn.AvgPool2d)
    return not any(isinstance(part, mixing) for part in module.modules())
