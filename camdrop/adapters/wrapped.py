"""Other people's CNNs with the interface of our ResNets, so that every page and measurement takes them."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from camdrop.adapters.inspection import inspect
from camdrop.resnet import Drop, DropSite, Network

_IMAGE = "image"  # the point before the first module
_STAGES = 4  # at most: the last resolutions, as in a ResNet


class _Run(threading.local):
    """What the hooks do in a forward pass of this thread."""

    drop: Drop | None = None
    seen: dict[str, Tensor] | None = None


_RUN = _Run()


class Wrapped(Network):
    """`net`, any CNN that ends in global average pooling and one nn.Linear, in evaluation mode; see `inspect`.

    The stages `layer1` … are its last resolutions, at most four, each with its last map; what comes before is `stem`.
    `forward_from` continues from the image or the last stage only. ValueError for a network that lacks a part.
    """

    def __init__(self, architecture: str, net: nn.Module, stem: str = "") -> None:
        super().__init__()
        inspection = inspect(net)
        self.net = net
        self.architecture, self.shortcut, self.stem = architecture, "conv", stem
        fc = net.get_submodule(inspection.classifier)
        assert isinstance(fc, nn.Linear)
        self.fc, self.num_classes, self.in_channels = fc, fc.out_features, inspection.in_channels
        stages = inspection.stages[-_STAGES:]
        self.stage_names = tuple(f"layer{i + 1}" for i in range(len(stages)))
        known = {stride: name for (stride, _), name in zip(stages, self.stage_names, strict=True)}
        self._sites = tuple(
            dataclasses.replace(place.site, stage=known.get(place.site.stage, "stem")) for place in inspection.places
        )
        # Stages are recorded in passes without masks only, so that the order of hooks on one module does not matter.
        for place, site in zip(inspection.places, self._sites, strict=True):
            net.get_submodule(place.module).register_forward_hook(_masking(site, place.rectify))
        for name, (_, module) in zip(self.stage_names, stages, strict=True):
            rectify = inspection.rectify and name == self.stage_names[-1]
            net.get_submodule(module).register_forward_hook(_watching(name, rectify))

    @property
    def drop_sites(self) -> tuple[DropSite, ...]:
        return self._sites

    def weights(self) -> dict[str, Tensor]:
        return self.net.state_dict()

    def forward(self, x: Tensor, drop: Drop | None = None) -> Tensor:
        with _doing(drop=drop):
            return self.net(x)

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}
        with _doing(seen=seen):
            self.net(x)
        return seen

    def before(self, site: DropSite) -> str:
        return _IMAGE

    def forward_to(self, point: str, x: Tensor) -> Tensor:
        if point not in (_IMAGE, *self.stage_names):
            raise ValueError(f"point must be {_IMAGE} or a stage ({', '.join(self.stage_names)}), got {point!r}")
        return x if point == _IMAGE else self.stages(x)[point]

    def forward_from(self, point: str, features: Tensor, drop: Drop | None = None) -> Tensor:
        if point not in (_IMAGE, self.stage_names[-1]):
            raise ValueError(f"point must be {_IMAGE} or {self.stage_names[-1]}, got {point!r}")
        return self(features, drop) if point == _IMAGE else self.fc(features.mean((2, 3)))


@contextlib.contextmanager
def _doing(drop: Drop | None = None, seen: dict[str, Tensor] | None = None) -> Iterator[None]:
    before = _RUN.drop, _RUN.seen
    _RUN.drop, _RUN.seen = drop, seen
    try:
        yield
    finally:
        _RUN.drop, _RUN.seen = before


def _masking(site: DropSite, rectify: bool) -> Callable[[nn.Module, tuple, Tensor], Tensor | None]:
    def hook(module: nn.Module, args: tuple, out: Tensor) -> Tensor | None:
        if _RUN.drop is None:
            return None
        return _RUN.drop(site, F.relu(out) if rectify else out)

    return hook


def _watching(name: str, rectify: bool) -> Callable[[nn.Module, tuple, Tensor], None]:
    def hook(module: nn.Module, args: tuple, out: Tensor) -> None:
        if _RUN.seen is not None:
            _RUN.seen[name] = F.relu(out) if rectify else out.clone()  # later modules may change it in place

    return hook
