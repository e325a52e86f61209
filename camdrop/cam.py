"""Class activation maps (paper Eq. 5 and 7), and numbers that say what a heatmap looks like and whether it is right."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Of class numbers: a list of what is good, since bool, complex and quantised tensors are not floating point either.
_INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64}


@torch.no_grad()
def compress_weights(alpha: Tensor, channels: int) -> Tensor:
    """Classifier weights (N, C′) for features of fewer channels, (N, C): the inner sum of Eq. 7.

    Contiguous groups of ⌊C′/C⌋ weights are summed; weights beyond C·⌊C′/C⌋ are unused. For C = C′ the weights are
    returned as they are. No gradient flows through the result. ValueError where C′ < C or alpha is no matrix.
    """
    if alpha.ndim != 2:
        raise ValueError(f"alpha must have shape (N, C'), got {tuple(alpha.shape)}")
    width = alpha.shape[1]
    if not 1 <= channels <= width:
        raise ValueError(f"channels must be 1–{width}, the number of classifier weights, got {channels}")
    if channels == width:
        return alpha.detach()
    group = width // channels
    return alpha[:, : channels * group].unflatten(1, (channels, group)).sum(2)


@torch.no_grad()
def weighted_map(features: Tensor, alpha: Tensor) -> Tensor:
    """J = Σ_c α_c X_c: features (N, C, H, W) and one weight a channel (N, C) give (N, H, W), in the features' type."""
    if features.ndim != 4 or alpha.shape != features.shape[:2]:
        raise ValueError(
            "features must have shape (N, C, H, W) and alpha (N, C), "
            f"got {tuple(features.shape)} and {tuple(alpha.shape)}"
        )
    maps = torch.bmm(alpha.to(features.dtype).unsqueeze(1), features.flatten(2))
    return maps.view(len(features), *features.shape[2:])


def class_numbers(targets: Tensor, images: int | None = None) -> Tensor:
    """The classes (N,) of N images as int64, from any integer type. ValueError for other types and shapes.

    A list of good types, since PyTorch takes a uint8 tensor for a mask where it is an index.
    """
    what = f"{images} integers" if images is not None else "class numbers (N,)"
    if not isinstance(targets, Tensor):
        raise ValueError(f"targets must be {what}, one an image, as a tensor, got {type(targets).__name__}")
    if targets.dtype not in _INTEGERS or targets.ndim != 1 or (images is not None and len(targets) != images):
        raise ValueError(f"targets must be {what}, one an image, got {targets.dtype} of {tuple(targets.shape)}")
    return targets.long()


def check_range(bounds: Iterable[int], classes: int) -> None:
    """ValueError where targets from the lower to the upper of two `bounds` are not all classes, 0 to K − 1."""
    low, high = bounds
    if low < 0 or high >= classes:
        raise ValueError(
            f"targets must lie in 0–{classes - 1}, got {low} to {high}: leave images to ignore out of the batch, and "
            "number the classes from 0"
        )


def class_rows(weight: Tensor, targets: Tensor) -> Tensor:
    """The rows (N, C′) of the classifier's weight (K, C′) at targets (N,) of any integer type.

    ValueError for other types and, where they lie on the CPU, for targets out of range; a GPU, which is not waited for,
    stops at them by itself.
    """
    index = class_numbers(targets)
    if index.device.type == "cpu" and len(index):
        check_range(map(int, index.aminmax()), len(weight))
    return weight.index_select(0, index)


@torch.no_grad()
def class_activation_map(features: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Class activation maps of any stage (Eq. 5; Eq. 7 where the stage has fewer channels than the classifier).

    features (N, C, H, W), the classifier's weight (K, C′) in PyTorch layout, targets (N,) of integers in [0, K);
    returns (N, H, W). A batch is one matrix product, without a backward pass. For the maps of several classes of one
    image, expand its features. ValueError for other shapes, and for targets out of range, as `class_rows`.
    """
    if features.ndim != 4:
        raise ValueError(f"features must have shape (N, C, H, W), got {tuple(features.shape)}")
    if weight.ndim != 2:
        raise ValueError(f"weight must have shape (K, C'), got {tuple(weight.shape)}")
    rows = class_rows(weight, class_numbers(targets, len(features)))
    return weighted_map(features, compress_weights(rows, features.shape[1]))


def upsample(cam: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) bilinearly resized to size (H, W): (N, H, W). Pixel corners do not move (align_corners=False)."""
    return F.interpolate(cam.unsqueeze(1), size, mode="bilinear", align_corners=False).squeeze(1)


def upsample_weights(size: int, to: int) -> Tensor:
    """What `upsample` does along one axis, as a matrix (to, size): maps (h, w) become U(h, H) map U(w, W)ᵀ.

    For who resizes a map without PyTorch, as the browser does.
    """
    return upsample(torch.eye(size)[:, :, None], (to, 1))[:, :, 0].T.contiguous()


@torch.no_grad()
def heatmap(features: Tensor, weight: Tensor, targets: Tensor, size: tuple[int, int]) -> Tensor:
    """Class activation maps resized to the image: `class_activation_map`, then `upsample` to size (H, W): (N, H, W)."""
    return upsample(class_activation_map(features, weight, targets), size)


@dataclass(frozen=True)
class HeatmapStatistics:
    """What a heatmap looks like, from its positive part: each number is 0 for a map that is positive nowhere."""

    coverage: float  # share of the image above half of the maximum, in [0, 1]
    regions: int  # separate regions above half of the maximum; pixels that touch at a corner are connected
    entropy: float  # of the map as a distribution, over log(H·W): 0 is one pixel, 1 is even over the whole image


def statistics(heatmap: Tensor | np.ndarray) -> HeatmapStatistics:
    """Statistics of one heatmap (H, W). They do not depend on its scale. ValueError for NaN or infinite values.

    Give it the map as it is drawn, upsampled to the image, so that the numbers describe the picture.
    """
    values = heatmap.detach().double().cpu().numpy() if isinstance(heatmap, Tensor) else np.asarray(heatmap, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"heatmap must have shape (H, W), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("heatmap has values that are not finite: has the network diverged?")
    peak = values.max()
    if peak <= 0:
        return HeatmapStatistics(0.0, 0, 0.0)
    relative = values.clip(min=0) / peak
    hot = relative > 0.5
    regions = cv2.connectedComponents(hot.astype(np.uint8), connectivity=8)[0] - 1  # the background counts as one
    share = relative[relative > 0] / relative.sum()
    entropy = -(share * np.log(share)).sum() / math.log(values.size) if values.size > 1 else 0.0
    return HeatmapStatistics(float(hot.mean()), regions, min(max(float(entropy), 0.0), 1.0))


@dataclass(frozen=True)
class DeletionInsertion:
    """Class probability while pixels go (deletion) or come (insertion), the most important first; steps + 1 points."""

    fractions: Tensor  # share of the pixels changed so far, from 0 to 1
    deletion: Tensor  # probability of the class; falls fast where the heatmap is right
    insertion: Tensor  # probability of the class; rises fast where the heatmap is right

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve, in [0, 1]: lower is better."""
        return float(torch.trapezoid(self.deletion, self.fractions))

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve, in [0, 1]: higher is better."""
        return float(torch.trapezoid(self.insertion, self.fractions))


@torch.no_grad()
def deletion_insertion(
    model: Callable[[Tensor], Tensor], image: Tensor, heatmap: Tensor, target: int, *, steps: int = 20
) -> DeletionInsertion:
    """Whether a heatmap points at what the network uses: deletion and insertion as in RISE (Petsiuk et al., 2018).

    model gives logits (B, K) for a batch; image (1, C, H, W), normalised; heatmap (h, w), resized to the image;
    target is the class. Deletion sets pixels to 0, the mean of the data; insertion starts from the image blurred with
    σ = a tenth of its longer side. All steps run as one batch of 2·(steps + 1) images.
    """
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f"image must have shape (1, C, H, W), got {tuple(image.shape)}")
    if heatmap.ndim != 2:
        raise ValueError(f"heatmap must have shape (H, W), got {tuple(heatmap.shape)}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    height, width = image.shape[2:]
    pixels = height * width
    order = upsample(heatmap[None].to(image), (height, width)).flatten().argsort(descending=True, stable=True)
    rank = order.argsort()
    counts = torch.arange(steps + 1, device=image.device).mul(pixels).div(steps, rounding_mode="floor")
    changed = (rank < counts[:, None]).view(-1, 1, height, width)

    planes = image[0].float().cpu().permute(1, 2, 0).numpy()
    blurred = cv2.GaussianBlur(np.ascontiguousarray(planes), (0, 0), max(height, width) / 10)
    start = torch.from_numpy(blurred.reshape(planes.shape)).permute(2, 0, 1).to(image)

    batch = torch.cat([image.masked_fill(changed, 0), torch.where(changed, image, start)])
    logits = model(batch)
    if not 0 <= target < logits.shape[1]:
        raise ValueError(f"target must lie in 0–{logits.shape[1] - 1}, got {target}")
    deletion, insertion = logits.float().softmax(1)[:, target].cpu().chunk(2)
    return DeletionInsertion(counts.cpu() / pixels, deletion, insertion)
