"""Heatmap metrics over many images (paper Figure 3), and a contact sheet of heatmaps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from camdrop.cam import deletion_insertion, heatmap, statistics
from camdrop.data import AnySplit, DataInfo, normalise
from camdrop.figures import Picture, blank, limits, overlay
from camdrop.resnet import Network

_BATCH = 64  # images read at once

# name → description
MEASURES = {
    "coverage": "share of the image above half of the maximum",
    "regions": "separate regions above half of the maximum",
    "entropy": "evenness of the heatmap: 0 is one pixel, 1 the whole image",
    "deletion": "area under the class probability as the hottest pixels go: lower is better",
    "insertion": "area under the class probability as the hottest pixels come: higher is better",
}


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` images with its 95 % confidence interval, mean ± 1.96 s / √n."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f}–{self.high:.3f})"


def estimate(values: Tensor) -> Estimate:
    """The mean of values (n,) with its confidence interval. To compare two networks, pass their difference by image."""
    mean, n = float(values.double().mean()), len(values)
    half = 1.959964 * float(values.double().std()) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(mean, mean - half, mean + half, n)


@torch.no_grad()
def heatmaps(model: Network, images: Tensor, labels: Tensor) -> Tensor:
    """CAMs of the true classes (Eq. 5) at the last stage, for normalised images (N, C, H, W): (N, H, W)."""
    features = model.stages(images)[model.stage_names[-1]]
    return heatmap(features, model.fc.weight, labels, (images.shape[2], images.shape[3]))


def draw(split: AnySplit, limit: int | None, seed: int = 0) -> AnySplit:
    """At most `limit` images of a split, drawn by the seed. ValueError for a limit below 1 or a split without any."""
    if not len(split) or (limit is not None and limit < 1):
        raise ValueError(f"limit must be at least 1, of a data set with test images; got {limit} of {len(split)}")
    chosen = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:limit].sort().values
    return split.pick(chosen)


def measure(
    model: Network, split: AnySplit, info: DataInfo, *, progress: Callable[[float], None] = lambda share: None
) -> dict[str, Tensor]:
    """Each of `MEASURES` for the heatmap of each image of a split, its true class at the last stage: (n,).

    The model is in evaluation mode; `info` has the normalisation. `progress` is called with the share done.
    """
    rows = []
    for images, labels in split.batches(_BATCH):
        x = normalise(images, info.mean, info.std)
        for i, heat in enumerate(heatmaps(model, x, labels)):
            seen, scores = statistics(heat), deletion_insertion(model, x[i : i + 1], heat, int(labels[i]))
            rows.append((seen.coverage, seen.regions, seen.entropy, scores.deletion_auc, scores.insertion_auc))
            progress(len(rows) / len(split))
    return dict(zip(MEASURES, torch.tensor(rows, dtype=torch.float64).T, strict=True))


def contact_sheet(
    models: Sequence[tuple[Network, DataInfo]], split: AnySplit, *, tile: int = 112, gap: int = 6, opacity: float = 0.55
) -> Picture:
    """A picture like Figure 3: a column for each image, a row of the images, and a row of heatmaps for each network.

    The colours of each heatmap range from its minimum to its maximum. Returns uint8 pixels (H, W, 3).
    """
    columns, rows = len(split), 1 + len(models)
    sheet = blank((rows * (tile + gap) - gap, columns * (tile + gap) - gap), (255, 255, 255))

    def place(row: int, column: int, picture: Picture) -> None:
        y, x = row * (tile + gap), column * (tile + gap)
        sheet[y : y + tile, x : x + tile] = picture

    images = split.images[:]
    pictures = [_enlarged(image, tile) for image in images]
    for column, picture in enumerate(pictures):
        place(0, column, picture)
    for row, (model, info) in enumerate(models, 1):
        for column, heat in enumerate(heatmaps(model, normalise(images, info.mean, info.std), split.labels)):
            low, high = limits([heat.numpy()])
            place(row, column, overlay(pictures[column], heat.numpy(), opacity=opacity, low=low, high=high))
    return sheet


def _enlarged(image: Tensor, tile: int) -> Picture:
    pixels = image.expand(3, -1, -1).permute(1, 2, 0).numpy()
    near = cv2.INTER_NEAREST if max(pixels.shape[:2]) < tile else cv2.INTER_AREA
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), (tile, tile), interpolation=near), np.uint8)
