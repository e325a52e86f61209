"""The `drop` of a forward pass: at which sites masks act, which class guides them, and one mask drawn at each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor

from camdrop.cam import class_rows, compress_weights
from camdrop.mask import Mask
from camdrop.masks import CamDrop, DropPath, Method
from camdrop.resnet import ARCHITECTURES, KINDS, DropSite, Network, ResNet, evaluation_mode


def default_sites(
    model: ResNet,
    method: Method | None = None,
    stages: Collection[str] | None = None,
    kinds: Collection[str] | None = None,
) -> frozenset[str]:
    """Names of the drop sites where a method acts in one of our ResNets (paper, sections 4.1 and 4.3).

    `stages` names stages (`layer3`) and single blocks (`layer3.2`); None means all three stages in the CIFAR family and
    the last two in the ImageNet family. `kinds` None means every kind of site, and the end of the residual branch alone
    for DropPath. ValueError for stages and blocks that the model lacks.
    """
    if stages is None:
        stages = model.stage_names if ARCHITECTURES[model.architecture].family == "cifar" else model.stage_names[-2:]
    if unknown := set(stages) - set(model.stage_names) - {site.block for site in model.drop_sites}:
        known = f"{', '.join(model.stage_names)}, or a block up to {model.drop_sites[-1].block}"
        raise ValueError(f"stages must be of {known}, got {', '.join(sorted(unknown))}")
    kinds = kinds or (("branch",) if isinstance(method, DropPath) else KINDS)
    return frozenset(s.name for s in model.drop_sites if (s.stage in stages or s.block in stages) and s.kind in kinds)


@torch.no_grad()
def guiding_classes(
    method: Method,
    targets: Tensor | None,
    predict: Callable[[], Tensor],
    images: int,
    weight: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor | None:
    """The class (N,) that guides the masks of each image, as `CamDrop.label` says; `targets` where no class guides.

    `true`: `targets` (N,). `predicted`: the largest of the scores (N, K) that `predict()` gives; the caller has the
    network in evaluation mode, without masks, so that neither gradients nor batch statistics know of it. `random`:
    drawn uniformly for each of the N `images` by the generator, on the device of `weight` (K, C′).
    """
    if not isinstance(method, CamDrop) or not method.guided_by_class or method.label == "true":
        return targets
    if method.label == "predicted":
        return predict().argmax(1)
    return torch.randint(len(weight), (images,), device=weight.device, generator=generator)


def training_masks(
    method: Method,
    model: Network,
    x: Tensor,
    targets: Tensor,
    sites: Collection[str],
    generator: torch.Generator | None = None,
    record: dict[str, Mask] | None = None,
) -> SampleMasks:
    """The `drop` of a training step on images x (N, in_channels, H, W) with their true classes `targets` (N,).

    Whatever draws masks as training does calls it: training itself, and measurements of it.
    """

    def predict() -> Tensor:
        with evaluation_mode(model):
            return model(x)

    weight = model.fc.weight
    classes = guiding_classes(method, targets, predict, len(x), weight, generator)
    return SampleMasks(method, weight, classes, sites, generator, record)


@dataclass
class SampleMasks:
    """The `drop` of a forward pass that samples one mask of `method` at each of the named `sites` and applies it.

    Guidance is the classifier weight (K, C′) at `classes` (N,), compressed to each site's channels (Eq. 7); None for a
    method that no class guides. `record` keeps the masks by the site's name.
    """

    method: Method
    weight: Tensor
    classes: Tensor | None
    sites: Collection[str]
    generator: torch.Generator | None = None
    record: dict[str, Mask] | None = None
    _alpha: dict[int, Tensor | None] = field(default_factory=dict, repr=False)

    def __call__(self, site: DropSite, features: Tensor) -> Tensor:
        if site.name not in self.sites:
            return features
        c = site.channels
        if c not in self._alpha:
            rows = None if self.classes is None else class_rows(self.weight.detach(), self.classes)
            self._alpha[c] = None if rows is None else compress_weights(rows, c)
        mask = self.method.sample(features, alpha=self._alpha[c], generator=self.generator)
        if self.record is not None:
            self.record[site.name] = mask
        return mask.apply(features)
