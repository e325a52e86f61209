"""Inspection of other people's networks: the classifier, the last feature map, the places where masks can act.

Nothing is guessed from names. A random image goes through the network in evaluation mode, and hooks record the input
and output of every module; afterwards the network is as it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camdrop.resnet import DropSite, ResNet, evaluation_mode

_SIZES = (64, 224, 32, 384)  # of the random image, in pixels: small is fast, but some networks require a certain size
_NEEDED = "class activation maps need a CNN that ends in global average pooling and one linear layer"


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


class LastMap(NamedTuple):
    """What class activation maps need: features Z (N, C, H, W), weight A (K, C), and the scores S (N, K)."""

    features: Tensor
    weight: Tensor
    scores: Tensor


@dataclass(eq=False)
class _Call:
    """One call of a module; the version of a tensor counts the in-place changes."""

    name: str
    module: nn.Module
    source: tuple[Tensor | None, int]
    out: Tensor
    version: int

    def feeds(self, later: _Call) -> bool:
        return later.source[0] is self.out and later.source[1] == self.version

    def maps(self) -> bool:
        """Whether the output is a feature map, (1, C, H, W) with more than one position."""
        return self.out.ndim == 4 and self.out[0, 0].numel() > 1


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
    name = type(model).__name__
    calls = _observe(model)
    heads = [c for c in calls if isinstance(c.module, nn.Linear) and c.source[0] is not None and c.source[0].ndim == 2]
    if not heads:
        raise ValueError(f"{name} ends in no linear layer (nn.Linear on pooled features); {_NEEDED}")
    head, times = heads[-1], Counter(call.name for call in calls)
    maps = [call for call in calls[: calls.index(head)] if call.maps()]
    pooled = head.source[0]
    assert pooled is not None
    for call in reversed([c for c in maps if times[c.name] == 1]):
        for rectify in (False, True):
            if _is_average(pooled, F.relu(call.out) if rectify else call.out):
                places = _places(calls, times, call, pooled.shape[1])
                stages = _stages(calls, times, call, pooled.shape[1])
                in_place = call.out._version != call.version  # F.relu(…, inplace=True), which is no module
                return Inspection(head.name, call.name, rectify or in_place, places, stages)
    raise ValueError(f"{name} {_missing(calls, heads, maps)}; {_NEEDED}")


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


def _observe(model: nn.Module) -> list[_Call]:
    """Every module call of a forward pass that returned a tensor, in the order in which the calls ended."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise ValueError(f"{type(model).__name__} has no convolution (nn.Conv2d); {_NEEDED}")
    like, why = next(model.parameters()), ""
    draw = torch.Generator().manual_seed(0)
    for size in _SIZES:
        image = torch.randn(1, first.in_channels, size, size, generator=draw).to(like.device, like.dtype)
        calls: list[_Call] = []
        try:
            with evaluation_mode(model), _watched(model, calls), torch.no_grad():
                model(image)
            return calls
        except Exception as error:  # networks raise errors of any type for a size that they do not take
            why = why or str(error).split("\n")[0]
    raise ValueError(f"{type(model).__name__} does not run on images of {_SIZES} pixels ({why}); {_NEEDED}")


@contextlib.contextmanager
def _watched(model: nn.Module, calls: list[_Call]) -> Iterator[None]:
    sources: list[tuple[Tensor | None, int]] = []

    def watch(name: str, module: nn.Module) -> tuple:
        def before(module: nn.Module, args: tuple) -> None:
            x = args[0] if args and isinstance(args[0], Tensor) else None
            sources.append((x, -1 if x is None else x._version))

        def after(module: nn.Module, args: tuple, out: object) -> None:
            source = sources.pop()
            if isinstance(out, Tensor):
                calls.append(_Call(name, module, source, out, out._version))

        return module.register_forward_pre_hook(before), module.register_forward_hook(after)

    handles = [handle for name, module in model.named_modules() if name for handle in watch(name, module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_average(pooled: Tensor, features: Tensor) -> bool:
    if features.shape[1] != pooled.shape[1]:
        return False
    apart = (features.mean((2, 3)) - pooled).abs().max()
    return bool(apart <= torch.finfo(pooled.dtype).eps ** 0.5 * pooled.abs().max())


def _missing(calls: list[_Call], heads: list[_Call], maps: list[_Call]) -> str:
    head = heads[-1]
    last = max((i for i, call in enumerate(calls) if call.maps()), default=-1)
    if len(ends := [h.name for h in heads if calls.index(h) > last]) > 1:
        return f"ends in {len(ends)} linear layers ({', '.join(ends)})"
    if any(call.out.ndim == 3 for call in calls[last + 1 :]) or not maps:
        return f"has no convolutional feature map before the pooling that {head.name} reads"
    shape = "×".join(map(str, maps[-1].out.shape[1:]))
    return f"has something between its last feature map ({maps[-1].name}, {shape}) and {head.name} that is no average"


def _places(calls: list[_Call], times: Counter[str], last: _Call, width: int) -> tuple[Place, ...]:
    """A place for each convolution up to the last feature map that has at most as many channels as the classifier."""
    places, height = [], last.out.shape[2]
    for i, call in enumerate(calls[: calls.index(last) + 1]):
        if not isinstance(call.module, nn.Conv2d) or times[call.name] > 1 or not call.maps():
            continue
        end, rectify = _follow(call, calls[i + 1 :], times)
        channels, h = end.out.shape[1:3]
        if channels <= width:
            site = DropSite(call.name, _stride(calls, end), call.name.rpartition(".")[0], "conv", channels)
            places.append(Place(site, end.name, rectify, h <= 2 * height + 1))
    return tuple(places)


def _stages(calls: list[_Call], times: Counter[str], last: _Call, width: int) -> tuple[tuple[str, str], ...]:
    """For each stride, the last of the outermost modules with maps of that stride."""
    names: dict[str, str] = {}
    for call in calls[: calls.index(last) + 1]:
        if times[call.name] == 1 and call.maps() and call.out.shape[1] <= width:
            stride = _stride(calls, call)
            if call is last or call.name.count(".") <= names.get(stride, call.name).count("."):
                names[stride] = call.name
    return tuple(names.items())


def _stride(calls: list[_Call], call: _Call) -> str:
    pixels = next(c.source[0] for c in calls if isinstance(c.module, nn.Conv2d))
    assert pixels is not None
    return f"stride {round(pixels.shape[2] / call.out.shape[2])}"


def _follow(conv: _Call, later: list[_Call], times: Counter[str]) -> tuple[_Call, bool]:
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
