"""Gradient bounds (paper section 3.4): how far a mask tightens the upper bound on the gradient of a layer.

For a parameter b of layer l, the chain rule ∂L/∂b = Σ_k ∂L/∂S_k · ∂S_k/∂b (Eq. 13) and |∂L/∂S_k| ≤ 1 give

    |∂L/∂b| ≤ ‖∂S/∂b‖₁ = Σ_k |∂S_k/∂b|                     (Eq. 15)

and the paper claims that masks lower this bound, CamDrop's (c) more than a traditional dropout's (t):

    ‖∂S/∂b‖₁⁽ᶜ⁾ ≤ ‖∂S/∂b‖₁⁽ᵗ⁾ ≤ ‖∂S/∂b‖₁                  (Eq. 16)

This module measures both sides for every image and parameter. The mask acts behind layer l only, so that all masks act
on the same features X. The network is in evaluation mode (images do not mix), and is not changed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import vjp, vmap

from camdrop.cam import class_numbers, class_rows, compress_weights
from camdrop.masks import CamDrop, DropBlock, Mask, Method
from camdrop.resnet import DropSite, Network, ResNet
from camdrop.sampling import guiding_classes

PARAMETERS = {  # what b is
    "bias": "the bias of a channel, which batch norm adds: one number for all positions",
    "unit": "a bias that each unit (channel, row, column) would have of its own, as the paper writes its layers",
    "weight": "a weight of the convolution",
}
Progress = Callable[[float], object] | None  # called with the share done
MOST_CLASSES = 100  # of a race that measures bounds: each class costs a backward pass
_ELEMENTS = 2**22  # of a Jacobian that are computed at once: 16 MB


def layers(model: Network) -> tuple[str, ...]:
    """The names of the layers whose bounds can be measured, the convolutions before a drop site: `layer1.0.conv1` …

    ValueError for a network that is not a `ResNet`.
    """
    if not isinstance(model, ResNet):
        name = model.architecture.rpartition(":")[2]
        raise ValueError(
            f"Bounds are measured in the ResNets that we build, and {name} is none: choose another network"
        )
    return tuple(site.name for site in model.drop_sites if site.kind != "skip")


@dataclass(frozen=True, eq=False)
class Activation:
    """A batch in the middle of a forward pass, behind a layer; no mask acts before it."""

    model: ResNet
    site: DropSite
    labels: Tensor  # (N,)
    point: str  # where the forward pass continues, just before the layer's block
    entry: Tensor  # the features at that point
    source: Tensor  # (N, C_in, H_in, W_in), the input of the layer's convolution
    features: Tensor  # (N, C, H, W), X: the output of the layer


@torch.no_grad()
def capture(model: Network, images: Tensor, labels: Tensor, layer: str) -> Activation:
    """Run normalised images (N, in_channels, H, W) with labels (N,) through a network to a layer (see `layers`).

    ValueError for an unknown layer, and for labels that are not classes of the network.
    """
    if layer not in layers(model):
        raise ValueError(f"layer must be one of {', '.join(layers(model))}, got {layer!r}")
    labels = class_numbers(labels)
    if labels.shape != images.shape[:1] or not 0 <= int(labels.min()) <= int(labels.max()) < model.num_classes:
        raise ValueError(f"labels must be {len(images)} numbers from 0 to {model.num_classes - 1}, one an image")
    assert isinstance(model, ResNet)  # `layers` raises for others
    site = next(s for s in model.drop_sites if s.name == layer)
    point = model.before(site)
    source = entry = model.forward_to(point, images)
    seen: dict[str, Tensor] = {}

    def remember(here: DropSite, features: Tensor) -> Tensor:
        seen[here.name] = features
        return features

    model.blocks[site.block](entry, remember)
    before = f"{site.block}.conv{int(layer[-1]) - 1}"
    return Activation(model, site, labels, point, entry, seen.get(before, source), seen[layer])


@dataclass(frozen=True, eq=False)
class Norms:
    """Both sides of Eq. 15 for each image and parameter, (N, parameters) by the keys of `PARAMETERS`."""

    bound: dict[str, Tensor]  # ‖∂S/∂b‖₁
    gradient: dict[str, Tensor]  # |∂L/∂b| of the cross-entropy of that one image
    dropped: Tensor  # (N,) share of the units that the mask drops


def norms(
    activation: Activation,
    mask: Mask | None = None,
    parameters: Sequence[str] = tuple(PARAMETERS),
    progress: Progress = None,
) -> Norms:
    """Measure both sides of Eq. 15 at an activation, with a mask on its features or with none.

    `parameters` are keys of `PARAMETERS`. It takes one forward pass, and one backward pass for all K scores together,
    in chunks that fit the processor's cache; `progress` is called with the share done after each.
    """
    kept = None if mask is None else mask.keep * mask.scale
    n, room = len(activation.features), _ELEMENTS // activation.model.num_classes
    chunks = torch.arange(n, device=activation.features.device).split(max(1, room * n // activation.features.numel()))
    parts = []
    for i, chunk in enumerate(chunks):
        some = None if kept is None else kept[chunk]
        parts.append(_norms(_some(activation, chunk), some, parameters, _part(progress, i, len(chunks))))
    bound, gradient = ({name: torch.cat([part[i][name] for part in parts]) for name in parameters} for i in (0, 1))
    return Norms(bound, gradient, torch.zeros(n) if mask is None else mask.dropped)


def _some(activation: Activation, chunk: Tensor) -> Activation:
    """The activation of some of its images."""
    parts = {name: getattr(activation, name)[chunk] for name in ("labels", "entry", "source", "features")}
    return dataclasses.replace(activation, **parts)


def _norms(
    activation: Activation, kept: Tensor | None, parameters: Sequence[str], progress: Progress
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """‖∂S/∂b‖₁ and |∂L/∂b| by parameter; the mask multiplies X by `kept` (N, C, H, W)."""
    x, k = activation.features, activation.model.num_classes

    def scores(probe: Tensor) -> Tensor:
        def drop(here: DropSite, features: Tensor) -> Tensor:
            if here != activation.site:
                return features
            return features + probe if kept is None else (features + probe) * kept

        return activation.model.forward_from(activation.point, activation.entry, drop)

    s, pull = vjp(scores, torch.zeros_like(x))  # type: ignore[misc]
    residual = s.softmax(1) - F.one_hot(activation.labels, k)  # ∂L/∂S
    # A probe behind the ReLU becomes one on the bias before it by σ'; a branch ends without one.
    gate = (x > 0).to(x.dtype) if activation.site.kind == "conv" else torch.ones_like(x)
    bound, gradient = dict[str, Tensor](), dict[str, Tensor]()
    for classes in torch.arange(k, device=x.device).split(max(1, _ELEMENTS // x.numel())):
        (units,) = vmap(pull)(F.one_hot(classes, k).to(s.dtype)[:, None].expand(-1, len(x), -1))
        units = units * gate  # (classes, N, C, H, W), ∂S_k/∂(a bias of each unit)
        for name in parameters:
            jacobian = _jacobian(activation, units, name)
            products = torch.einsum("knp,nk->np", jacobian, residual[:, classes])
            bound[name] = bound.get(name, 0) + jacobian.abs().sum(0)
            gradient[name] = gradient.get(name, 0) + products
        if progress:
            progress((int(classes[-1]) + 1) / k)
    return bound, {name: products.abs() for name, products in gradient.items()}


def _jacobian(activation: Activation, units: Tensor, parameter: str) -> Tensor:
    """∂S/∂b of one of `PARAMETERS`, (k, N, parameters), from `units`, that of a bias of each unit, (k, N, C, H, W)."""
    if parameter == "bias":
        return units.sum((3, 4))
    if parameter == "unit":
        return units.flatten(2)
    conv = activation.model.get_submodule(activation.site.name)
    norm = activation.model.get_submodule(activation.site.name.replace("conv", "bn"))
    assert isinstance(conv, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d)
    assert norm.running_var is not None
    slope = norm.weight / (norm.running_var + norm.eps).sqrt()  # of batch norm in evaluation mode
    kernel, stride, padding = conv.kernel_size, conv.stride, conv.padding
    patches = F.unfold(activation.source, kernel, 1, padding, stride)  # type: ignore[arg-type]  # (N, C_in·r·r, H·W)
    return torch.einsum("knol,nil->knoi", units.flatten(3) * slope[:, None], patches).flatten(2)


def _part(progress: Progress, i: int, count: int) -> Progress:
    """The progress function of the i-th of `count` equal parts: turns a share of the part into one of the whole."""
    return None if progress is None else lambda share: progress((i + share) / count)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Eq. 16 at a layer: the same features without a mask, with a traditional one (t) and with CamDrop's (c)."""

    layer: str
    rescaled: bool  # whether the mask scales up what it keeps, by 1/γ or Eq. 10
    none: Norms
    traditional: Norms
    guided: Norms


def compare(
    activation: Activation,
    traditional: Method | None = None,
    guided: Method | None = None,
    seed: int = 0,
    parameters: Sequence[str] = tuple(PARAMETERS),
    progress: Progress = None,
) -> tuple[Comparison, Comparison]:
    """Measure the chain of Eq. 16 at an activation: with the rescaling, then without.

    Both methods draw with a generator of that seed; the defaults are DropBlock and CamDrop as in the paper.
    `parameters` and `progress` as in `norms`.
    """
    device = activation.features.device
    masks = [
        _draw(activation, method, torch.Generator(device).manual_seed(seed))
        for method in (traditional or DropBlock(), guided or CamDrop())
    ]
    plain = [dataclasses.replace(mask, scale=torch.ones_like(mask.scale)) for mask in masks]
    variants = [None, *masks, *plain]
    none, *measured = (norms(activation, mask, parameters, _part(progress, i, 5)) for i, mask in enumerate(variants))
    name = activation.site.name
    return Comparison(name, True, none, *measured[:2]), Comparison(name, False, none, *measured[2:])


def measure(
    model: Network,
    images: Tensor,
    labels: Tensor,
    wanted: Sequence[str] | None = None,
    *,
    parameters: Sequence[str] = tuple(PARAMETERS),
    traditional: Method | None = None,
    guided: Method | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Iterator[Comparison]:
    """Yield the two results of `compare` for each of the wanted layers, by default all; images are normalised."""
    wanted = layers(model) if wanted is None else wanted
    report = None if progress is None else functools.partial(progress, "Gradient bounds")
    for i, layer in enumerate(wanted):
        yield from compare(
            capture(model, images, labels, layer), traditional, guided, seed, parameters, _part(report, i, len(wanted))
        )


def _draw(activation: Activation, method: Method, generator: torch.Generator | None) -> Mask:
    """A mask on the features, guided by the class that the method's `label` names."""
    model, features = activation.model, activation.features

    def predict() -> Tensor:
        return model.forward_from(activation.point, activation.entry)

    weight = model.fc.weight
    classes = guiding_classes(method, activation.labels, predict, len(features), weight, generator)
    assert classes is not None
    alpha = compress_weights(class_rows(weight.detach(), classes), activation.site.channels)
    return method.sample(features, alpha=alpha, generator=generator)


@dataclass(frozen=True)
class Tension:
    """Bounds and saturation during training: means over images, the last layer of each stage, and its biases."""

    gradient_bound: float  # ‖∂S/∂b‖₁ with a mask on the output of the layer (Eq. 13–15)
    unmasked_bound: float  # the same without a mask
    saturated: float  # share of the units of each stage's output that are zero, where σ' of ReLU is 0 as well


@torch.no_grad()
def tension(
    model: Network,
    images: Tensor,
    labels: Tensor,
    method: Method | None = None,
    sites: Collection[str] = (),
    generator: torch.Generator | None = None,
) -> Tension:
    """Measure `Tension` for normalised images (N, in_channels, H, W) with their labels, in evaluation mode.

    `method` draws masks with the generator for the layers that are in `sites`; without a method nothing is masked. The
    model is in its former mode afterwards. ValueError as from `layers`.
    """
    training = model.training
    model.eval()
    last = {site.stage: site for site in model.drop_sites if site.kind == "branch"}
    pairs = []
    for site in last.values():
        activation = capture(model, images, labels, site.name)
        free = norms(activation, None, ("bias",)).bound["bias"].mean()
        bound = free
        if method is not None and site.name in sites:
            mask = _draw(activation, method, generator)
            bound = norms(activation, mask, ("bias",)).bound["bias"].mean()
        pairs.append(torch.stack([bound, free]))
    zeros = [(features == 0).float().mean() for features in model.stages(images).values()]
    model.train(training)
    masked, free = torch.stack(pairs).mean(0).tolist()
    return Tension(masked, free, float(torch.stack(zeros).mean()))
