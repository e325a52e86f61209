"""Networks with named drop sites: a forward pass gets its dropout as an argument, `model(x, drop=…)`.

Our ResNets (for others see `wrapped.py`) are of two families, parameter names as in the common public ones (`conv1,
bn1, layer1.0.conv1, …, fc`):

- CIFAR (He et al. 2016, section 4.2): resnet8/20/32/44/56/110, three stages of 16/32/64 channels, identity shortcuts
  that are strided and zero-padded in depth;
- ImageNet, in torchvision's layout: resnet18, resnet50, four stages, projection shortcuts. For small images their stem
  of a 7×7 convolution, which halves the image, and a max pooling, which halves it again, has variants (`STEMS`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

KINDS = ("conv", "branch", "skip")
STEMS = ("3x3", "3x3-pool")  # a 3×3 convolution at full resolution, without or with the max pooling


@dataclass(frozen=True)
class DropSite:
    """A place in the network where a mask can be applied.

    `kind` is `conv` (after a convolution), `branch` (after the last convolution of a block, the end of its residual
    branch) or `skip` (the skip connection); `block` is the block's name, `layer2.0`.
    """

    name: str
    stage: str
    block: str
    kind: Literal["conv", "branch", "skip"]
    channels: int


Drop = Callable[[DropSite, Tensor], Tensor]


@dataclass(frozen=True)
class Architecture:
    """What tells one ResNet from another; `blocks` per stage, `widths` of the 3×3 convolutions per stage."""

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    family: Literal["cifar", "imagenet"]
    expansion: int = 1

    @property
    def convs(self) -> int:
        return 2 if self.expansion == 1 else 3


ARCHITECTURES: dict[str, Architecture] = {
    **{f"resnet{d}": Architecture(((d - 2) // 6,) * 3, (16, 32, 64), "cifar") for d in (8, 20, 32, 44, 56, 110)},
    "resnet18": Architecture((2, 2, 2, 2), (64, 128, 256, 512), "imagenet"),
    "resnet50": Architecture((3, 4, 6, 3), (64, 128, 256, 512), "imagenet", expansion=4),
}


class Network(nn.Module):
    """What pages and measurements know of a network: S = fc(mean of the last stage's features), Eq. 1.

    model(x, drop=None): images (N, in_channels, H, W) → scores S (N, num_classes). `drop(site, features)` is called at
    each drop site and returns what goes on from there; None means no dropout. The model holds no state of it, so that
    several threads may run one model with different masks.
    """

    architecture: str
    shortcut: str
    stem: str  # one of STEMS, or "" for the architecture's own
    num_classes: int
    in_channels: int
    stage_names: tuple[str, ...]
    fc: nn.Linear

    @property
    def drop_sites(self) -> tuple[DropSite, ...]:
        """Every drop site, in the order of the forward pass."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """The numbers, by the names that a checkpoint keeps them under."""
        return self.state_dict()

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """The output of every stage for images x, by the stage's name."""
        raise NotImplementedError

    def before(self, site: DropSite) -> str:
        """The last point before a drop site where `forward_from` can take up again."""
        raise NotImplementedError

    def forward_to(self, point: str, x: Tensor) -> Tensor:
        """Features at a point, which is one of `before` or a stage, for images x."""
        raise NotImplementedError

    def forward_from(self, point: str, features: Tensor, drop: Drop | None = None) -> Tensor:
        """Scores from the features at a point, one of `before` or the last stage: what `model(x)` does from there."""
        raise NotImplementedError


class ZeroPad(nn.Module):
    """Identity shortcut to a smaller map with more channels: every `stride`-th position, zeros for the new channels."""

    def __init__(self, stride: int, extra: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, extra

    def forward(self, x: Tensor) -> Tensor:
        before = self.extra // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before))


class Block(nn.Module):
    """Residual block relu(branch(x) + skip(x)) of two 3×3 convolutions, or 1×1, 3×3, 1×1 (bottleneck)."""

    def __init__(self, name: str, c_in: int, width: int, stride: int, arch: Architecture, shortcut: str) -> None:
        super().__init__()
        c_out = width * arch.expansion
        self.convs = arch.convs
        bottleneck = self.convs == 3
        sizes = (c_in, width, width, c_out) if bottleneck else (c_in, width, c_out)
        strided = 2 if bottleneck else 1
        for i in range(1, self.convs + 1):
            kernel = 1 if bottleneck and i != 2 else 3
            step = stride if i == strided else 1
            self.add_module(f"conv{i}", nn.Conv2d(sizes[i - 1], sizes[i], kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(sizes[i]))
        self.downsample: nn.Module | None = None
        if stride != 1 or c_in != c_out:
            if shortcut == "pad":
                self.downsample = ZeroPad(stride, c_out - c_in)
            else:
                self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        stage = name.split(".")[0]
        self.sites = tuple(
            DropSite(f"{name}.conv{i}", stage, name, "branch" if i == self.convs else "conv", sizes[i])
            for i in range(1, self.convs + 1)
        )
        self.skip = DropSite(f"{name}.skip", stage, name, "skip", c_out)

    def forward(self, x: Tensor, drop: Drop | None = None) -> Tensor:
        h, last = x, self.convs - 1
        for i, site in enumerate(self.sites):
            h = getattr(self, f"bn{i + 1}")(getattr(self, f"conv{i + 1}")(h))
            if i < last:
                h = F.relu(h, inplace=True)
            if drop is not None:
                h = drop(site, h)
        s = x if self.downsample is None else self.downsample(x)
        if drop is not None:
            s = drop(self.skip, s)
        return F.relu(h + s, inplace=True)


class ResNet(Network):
    """Post-activation ResNet; build it by `build(name, …)`. Its points are `stem`, the stages and the blocks."""

    def __init__(self, name: str, num_classes: int, in_channels: int, shortcut: str, stem: str) -> None:
        super().__init__()
        arch = ARCHITECTURES[name]
        self.architecture, self.shortcut, self.stem = name, shortcut, stem
        self.num_classes, self.in_channels = num_classes, in_channels
        self.stage_names = tuple(f"layer{i + 1}" for i in range(len(arch.blocks)))
        large = arch.family == "imagenet"
        c = arch.widths[0]
        kernel, stride = (7, 2) if large and not stem else (3, 1)
        self.conv1 = nn.Conv2d(in_channels, c, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large and stem != "3x3" else None
        for i, (stage, count, width) in enumerate(zip(self.stage_names, arch.blocks, arch.widths, strict=True)):
            blocks = nn.ModuleList()
            for j in range(count):
                blocks.append(Block(f"{stage}.{j}", c, width, 2 if i > 0 and j == 0 else 1, arch, shortcut))
                c = width * arch.expansion
            self.add_module(stage, blocks)
        self.fc = nn.Linear(c, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d) and not m.weight.is_meta:
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    @property
    def blocks(self) -> dict[str, Block]:
        """The residual blocks by name (`layer1.0`), in the order of the forward pass."""
        return {f"{stage}.{j}": b for stage in self.stage_names for j, b in enumerate(getattr(self, stage))}

    @property
    def drop_sites(self) -> tuple[DropSite, ...]:
        return tuple(site for block in self.blocks.values() for site in (*block.sites, block.skip))

    def _position(self, point: str) -> int:
        """How many of the chain's steps (stem, then the blocks) are done at `point`."""
        names = list(self.blocks)
        if point == "stem":
            return 1
        if point in self.stage_names:
            point = f"{point}.{len(getattr(self, point)) - 1}"
        if point not in names:
            raise ValueError(f"point must be stem, a stage ({', '.join(self.stage_names)}) or a block, got {point!r}")
        return names.index(point) + 2

    def _stem(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return x if self.maxpool is None else self.maxpool(x)

    def _head(self, features: Tensor) -> Tensor:
        return self.fc(features.mean((2, 3)))

    def forward(self, x: Tensor, drop: Drop | None = None) -> Tensor:
        return self.forward_from("stem", self._stem(x), drop)

    def before(self, site: DropSite) -> str:
        points = ["stem", *self.blocks]
        return points[points.index(site.block) - 1]

    def forward_to(self, point: str, x: Tensor) -> Tensor:
        done = self._position(point)
        x = self._stem(x)
        for block in list(self.blocks.values())[: done - 1]:
            x = block(x)
        return x

    def forward_from(self, point: str, features: Tensor, drop: Drop | None = None) -> Tensor:
        for block in list(self.blocks.values())[self._position(point) - 1 :]:
            features = block(features, drop)
        return self._head(features)

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        found, x = {}, self._stem(x)
        for stage in self.stage_names:
            for block in getattr(self, stage):
                x = block(x)
            found[stage] = x
        return found


def build(
    name: str, num_classes: int = 10, in_channels: int = 3, shortcut: str | None = None, stem: str = ""
) -> ResNet:
    """A ResNet by name with fresh weights.

    `shortcut` is `pad` (identity, zero-padded; the CIFAR family's default) or `conv` (1×1 projection; the ImageNet
    family's default); `stem` "" is the family's, or for the ImageNet family one of `STEMS`. ValueError for an unknown
    name or option.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"model must be one of {', '.join(ARCHITECTURES)}, got {name!r}")
    shortcut = shortcut or ("pad" if ARCHITECTURES[name].family == "cifar" else "conv")
    if shortcut not in ("pad", "conv"):
        raise ValueError(f"shortcut must be pad or conv, got {shortcut!r}")
    if stem and (stem not in STEMS or ARCHITECTURES[name].family == "cifar"):
        raise ValueError(
            f"stem must be the family's own, or one of {', '.join(STEMS)} for the ImageNet family, got {stem!r}"
        )
    for key, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if value < 1:
            raise ValueError(f"{key} must be at least 1, got {value!r}")
    return ResNet(name, num_classes, in_channels, shortcut, stem)


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode in this block, every module's own mode after it; `train`, which some networks override, is not
    called."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True
