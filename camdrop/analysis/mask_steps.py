"""One mask step by step: what a method does to one image at one drop site, by the functions that training calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from camdrop.cam import compress_weights, weighted_map
from camdrop.figures.numbers import percent
from camdrop.masks import CamDrop, DropBlock, DropPath, Mask, Method, valid_centres
from camdrop.resnet import DropSite, Network
from camdrop.sampling import SampleMasks, training_masks

_UNITS = 2**22  # of a batch that is drawn at once


@dataclass(frozen=True, eq=False)
class Activation:
    """One image in the middle of a forward pass in evaluation mode, at a drop site. No mask acts before it."""

    model: Network
    site: DropSite
    features: Tensor  # (1, C, H, W), X
    before: Tensor  # (K,) class probabilities without a mask
    point: str  # where the forward pass continues, the last point before the site
    entry: Tensor  # (1, c, h, w), the features at that point


@torch.no_grad()
def capture(model: Network, image: Tensor, site: str) -> Activation:
    """Run a normalised image (1, in_channels, H, W) to a drop site, by its name. ValueError for an unknown name."""
    chosen = next((s for s in model.drop_sites if s.name == site), None)
    if chosen is None:
        raise ValueError(f"site must be one of the network's drop sites, as layer2.0.conv1, got {site!r}")
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f"image must have shape (1, channels, H, W), got {tuple(image.shape)}")
    point = model.before(chosen)
    entry = model.forward_to(point, image)
    seen: list[Tensor] = []

    def remember(here: DropSite, features: Tensor) -> Tensor:
        if here == chosen:
            seen.append(features)
        return features

    before = model.forward_from(point, entry, remember).softmax(1)[0]
    return Activation(model, chosen, seen[0], before, point, entry)


@dataclass(frozen=True, eq=False)
class Dissection:
    """One draw of a method at an activation, with all its steps; sizes as in `features` (1, C, H, W)."""

    activation: Activation
    method: Method
    label: int
    alpha: Tensor  # (C,) the label's classifier weights, compressed to C channels (Eq. 7)
    cam: Tensor  # (H, W) J, which guides CamDrop; computed for the other methods as well
    mask: Mask

    @cached_property
    def order(self) -> Tensor:
        """(C,) the channels by α, the largest first."""
        return self.alpha.argsort(descending=True, stable=True)

    @cached_property
    def masked(self) -> Tensor:
        """(C, H, W) X̃ = M ⊙ X · scale (Eq. 3)."""
        return self.mask.apply(self.activation.features)[0]

    @cached_property
    def dropped(self) -> Tensor:
        """(C, H, W) bool: the units that the mask drops."""
        return ~self.mask.keep[0]

    @cached_property
    def seeds(self) -> Tensor:
        """(C, H, W) bool: the centres of the blocks (Eq. 9)."""
        return self.mask.seeds[0]

    @property
    def block_size(self) -> int:
        """r, at most the size of the map; 1 for methods without blocks."""
        return min(getattr(self.method, "block_size", 1), *self.mask.shape[2:])

    @cached_property
    def valid(self) -> Tensor:
        """(H, W) bool: centres whose whole block lies inside the map."""
        return valid_centres(*self.mask.shape[2:], self.block_size) if self.mask.valid is None else self.mask.valid

    @cached_property
    def candidates(self) -> Tensor:
        """(C, H, W) bool: where a seed may be. Without guidance that is every valid centre."""
        guided = self.mask.candidates
        return self.valid.expand(self.mask.shape[1:]) if guided is None else guided[0]

    @cached_property
    def chances(self) -> int:
        """How many independent draws decide the mask: units, channels, centres, candidates, or one whole branch."""
        if isinstance(self.method, DropBlock | CamDrop):
            return int(self.candidates.sum())
        return self.mask.starts.numel()

    @cached_property
    def hits(self) -> int:
        """How many of those draws say drop."""
        return int(self.mask.starts.sum())

    @property
    def rate(self) -> float:
        """The probability that one of those draws says drop."""
        return float(self.mask.rate)

    @property
    def share(self) -> float:
        """The realised share of units dropped, in [0, 1]."""
        return float(self.mask.dropped)

    @property
    def scale(self) -> float:
        """The rescaling factor of Eq. 10, or 1/γ for methods of Eq. 2."""
        return float(self.mask.scale)

    @torch.no_grad()
    def after(self) -> Tensor:
        """(K,) class probabilities of a forward pass with this mask only."""

        def drop(here: DropSite, features: Tensor) -> Tensor:
            return self.mask.apply(features) if here == self.activation.site else features

        return self.activation.model.forward_from(self.activation.point, self.activation.entry, drop).softmax(1)[0]


@torch.no_grad()
def dissect(activation: Activation, method: Method, label: int, seed: int) -> Dissection:
    """Draw the mask that training draws at `activation` for this label, with a generator of that seed.

    ValueError for a label that is not a class of the network.
    """
    features, weight = activation.features, activation.model.fc.weight
    if not 0 <= label < len(weight):
        raise ValueError(f"label must lie in 0–{len(weight) - 1}, got {label}")
    alpha = compress_weights(weight[label][None], features.shape[1])
    generator = torch.Generator(features.device).manual_seed(seed)
    return _dissection(activation, method, label, method.sample(features, alpha=alpha, generator=generator))


def _dissection(activation: Activation, method: Method, label: int, mask: Mask) -> Dissection:
    features = activation.features
    alpha = compress_weights(activation.model.fc.weight.detach()[label][None], features.shape[1])
    cam = weighted_map(features, alpha) if mask.cam is None else mask.cam
    return Dissection(activation, method, label, alpha[0], cam[0], mask)


@dataclass(frozen=True, eq=False)
class MaskedPass:
    """One forward pass of one image with masks at all of some sites, as in a training step."""

    masks: dict[str, Mask]  # by the site's name, in the order of the pass
    after: Tensor  # (K,) class probabilities
    here: Dissection | None  # at the site asked about, behind all masks before it; None where that is not masked


@torch.no_grad()
def masked_pass(
    activation: Activation, image: Tensor, method: Method, label: int, seed: int, sites: Collection[str]
) -> MaskedPass:
    """Mask a normalised image (1, in_channels, H, W) at all `sites` as training does, with this label as its true one.

    `activation` is that image at the site asked about. The masks are of a generator of that seed.
    """
    model, here = activation.model, activation.site
    seen: list[Tensor] = []
    masks: dict[str, Mask] = {}
    targets = torch.tensor([label], device=image.device)
    generator = torch.Generator(image.device).manual_seed(seed)
    sample = training_masks(method, model, image, targets, sites, generator, masks)

    def drop(site: DropSite, features: Tensor) -> Tensor:
        if site == here:
            seen.append(features.clone())
        return sample(site, features)

    after = model(image, drop).softmax(1)[0]
    if here.name not in masks:
        return MaskedPass(masks, after, None)
    behind = dataclasses.replace(activation, features=seen[0])
    return MaskedPass(masks, after, _dissection(behind, method, label, masks[here.name]))


@torch.no_grad()
def answers(
    model: Network, image: Tensor, method: Method, label: int, seed: int, sites: Collection[str], draws: int
) -> Tensor:
    """The classes (draws,) that the network answers when one image (1, in_channels, H, W) is masked at all `sites`,
    in as many draws, with this label as its true one."""
    images = image.expand(draws, -1, -1, -1)
    targets = torch.full((draws,), label, device=image.device)
    generator = torch.Generator(image.device).manual_seed(seed)
    return model(images, training_masks(method, model, images, targets, sites, generator)).argmax(1)


@torch.no_grad()
def shares(model: Network, image: Tensor, method: Method, label: int, seed: int, draws: int = 1) -> dict[str, float]:
    """The share of units dropped at every drop site, by its name, when one forward pass masks all of them.

    It is the mean over `draws` passes of the same normalised image (1, in_channels, H, W), run as one batch.
    """
    record: dict[str, Mask] = {}
    sites = [site.name for site in model.drop_sites]
    generator = torch.Generator(image.device).manual_seed(seed)
    targets = torch.full((draws,), label, device=image.device)
    model(image.expand(draws, -1, -1, -1), SampleMasks(method, model.fc.weight, targets, sites, generator, record))
    return {name: float(mask.dropped.mean()) for name, mask in record.items()}


@dataclass(frozen=True, eq=False)
class Draws:
    """Many draws of one method at one activation."""

    probability: Tensor  # (C, H, W) float: the share of the draws that drop a unit
    shares: Tensor  # (draws,) float: the share of units that each drops

    @property
    def mean(self) -> float:
        """Of the shares dropped."""
        return float(self.shares.mean())

    @property
    def std(self) -> float:
        """Of the shares dropped, the sample's standard deviation."""
        return float(self.shares.std()) if len(self.shares) > 1 else 0.0


@torch.no_grad()
def many_draws(activation: Activation, method: Method, label: int, seed: int, draws: int = 100) -> Draws:
    """Draw a method often, as training does for a batch that is one image again and again."""
    features = activation.features
    alpha = compress_weights(activation.model.fc.weight.detach()[label][None], features.shape[1])
    generator = torch.Generator(features.device).manual_seed(seed)
    counts, shares = torch.zeros(features.shape[1:], device=features.device), []
    at_once = max(1, _UNITS // features.numel())
    for n in (min(at_once, draws - i) for i in range(0, draws, at_once)):
        batch, guide = features.expand(n, -1, -1, -1), alpha.expand(n, -1)
        mask = method.sample(batch, alpha=guide, generator=generator)
        counts += (~mask.keep).sum(0)
        shares.append(mask.dropped)
    return Draws(counts / draws, torch.cat(shares))


def remarks(d: Dissection) -> list[str]:
    """Sentences about settings that cancel each other, or leave nothing to drop."""
    method, (_, _, h, w) = d.method, d.mask.shape
    name, size, sentences = type(method).__name__, getattr(method, "block_size", 1), []
    if size > min(h, w):
        sentences.append(
            f"r = {size} is larger than this {h}×{w} map: blocks are cut to {d.block_size}×{d.block_size}."
        )
    if method.keep_prob == 1:
        sentences.append("γ = 1 keeps everything.")
    elif d.chances == 0:
        centres = int(d.valid.sum())
        sentences.append(
            f"No candidate, so nothing can be dropped here: no dominant position is a valid centre "
            f"(of which there {'is 1' if centres == 1 else f'are {centres}'}). Choose a smaller r, or more positions."
        )
    elif d.rate * d.chances < 0.2:
        sentences.append(f"About one draw in {round(1 / (d.rate * d.chances)):,} drops anything here.")
    elif d.rate == 1 and method.keep_prob > 0 and (most := d.share) < 1 - method.keep_prob:
        sentences.append(f"Every candidate is a seed already, and they reach only {percent(most, '.1f')}, not 1 − γ.")
    if d.share == 1:
        sentences.append("This draw drops everything: zeros are all that goes on from here.")
    if isinstance(method, CamDrop):
        if method.channels == "all":
            sentences.append("All channels take part: the channel fraction is not used.")
            if method.guide == "mean":
                sentences.append("Neither is α, and so the label changes nothing.")
    else:
        blocks = "" if isinstance(method, DropBlock) else ", and r"
        sentences.append(f"{name} draws blindly: the label{blocks} and all options of CamDrop play no part.")
    if isinstance(method, DropPath) and d.activation.site.kind != "branch":
        sentences.append("In training it masks only the end of a residual branch, not this site.")
    return sentences
