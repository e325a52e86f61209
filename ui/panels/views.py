"""Where several networks look at one image: the compute behind Explore, kept between moves."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from camdrop.cam import DeletionInsertion, HeatmapStatistics
    from camdrop.checkpoints import Checkpoint
    from camdrop.data import DataInfo, Split

TRUE, PREDICTED = "True class", "Predicted class"

_BATCH = 100


@dataclass(frozen=True, eq=False)
class View:
    """One network's view of one image: what it answers, and its heatmap for the class `target`."""

    name: str
    checkpoint: Checkpoint
    pixels: Tensor  # uint8 (C, H, W), as the network takes them
    probabilities: npt.NDArray[np.float32]  # (K,)
    target: int
    stage: str
    size: tuple[int, int]  # of the stage's features
    heat: npt.NDArray[np.float32]  # (H, W), J of Eq. 5, 7 upsampled to the image
    statistics: HeatmapStatistics

    @property
    def target_name(self) -> str:
        return self.checkpoint.meta.classes[self.target]

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """The image as (H, W, 3)."""
        return self.pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The `count` most probable classes, with their probabilities."""
        order = self.probabilities.argsort(kind="stable")[::-1][:count]
        return [(int(k), float(self.probabilities[k])) for k in order]


def look(name: str, checkpoint: Checkpoint, pixels: Tensor, truth: str | None, wanted: str, stage: str) -> View:
    """The view of a network of an image, uint8 (C, H, W) as it takes it.

    `wanted` is `TRUE`, `PREDICTED` or the name of a class. The network's own prediction stands in where the network
    does not know that class, or the image has no `truth`; its last stage does where it has no stage of that name.
    """
    import torch

    from camdrop.cam import class_activation_map, statistics, upsample

    model, classes = checkpoint.model, checkpoint.meta.classes
    stages, probabilities = _forward(checkpoint, pixels.numpy().tobytes(), tuple(pixels.shape))
    asked = truth if wanted == TRUE else wanted
    target = classes.index(asked) if asked in classes else int(probabilities.argmax())
    stage = stage if stage in stages else model.stage_names[-1]
    features = stages[stage]
    heat = class_activation_map(features, model.fc.weight, torch.tensor([target]))
    upsampled = upsample(heat, (pixels.shape[1], pixels.shape[2]))[0].numpy()
    size = (features.shape[2], features.shape[3])
    return View(name, checkpoint, pixels, probabilities, target, stage, size, upsampled, statistics(upsampled))


@functools.lru_cache(maxsize=24)
def _forward(
    checkpoint: Checkpoint, data: bytes, shape: tuple[int, ...]
) -> tuple[dict[str, Tensor], npt.NDArray[np.float32]]:
    """Features of every stage and the probabilities. A ResNet-50 leaves 6 MB an image."""
    import torch

    images = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(1, *shape)
    with torch.inference_mode():
        stages = checkpoint.model.stages(_normalised(checkpoint, images))
        last = checkpoint.model.stage_names[-1]
        scores = checkpoint.model.forward_from(last, stages[last])
    return stages, scores.softmax(1)[0].numpy()


def _normalised(checkpoint: Checkpoint, images: Tensor) -> Tensor:
    from camdrop.data import normalise

    return normalise(images, checkpoint.meta.mean, checkpoint.meta.std)


@dataclass(frozen=True, eq=False)
class ColouredHeatmap:
    """A view's heatmap `heat` (H, W) in `colormap`, its colours from `low` to `high`; `signed` is a difference."""

    view: View
    heat: npt.NDArray[np.float32]
    colormap: str
    low: float
    high: float
    signed: bool

    @property
    def share(self) -> npt.NDArray[np.float32]:
        """The heatmap on the scale of its colours, from 0 to 1."""
        return (self.heat - self.low) / ((self.high - self.low) or 1.0)


@dataclass(frozen=True)
class Style:
    """How heatmaps look, as a person chose it.

    Each has the colours of `colormap` over its own range, or all over a `shared` one: over its part from `start` to
    `end`, shares of it. With `difference`, all but the first show what they have more or less than the first: in units
    of the score if the range is shared, else after each is divided by its own largest value; zero is in the middle.
    """

    colormap: str
    shared: bool
    difference: bool
    opacity: float
    start: float
    end: float


def arrange(views: Sequence[View], style: Style) -> list[ColouredHeatmap]:
    """The heatmaps of views in a style: each one's colour map and range, and the differences if it asks for them."""
    import numpy as np

    from camdrop.figures import DIFFERENCE, limits

    heats = [view.heat for view in views]
    signed = [style.difference and i > 0 for i in range(len(views))]
    if style.difference:
        units = [heat if style.shared else heat / (np.abs(heat).max() or 1.0) for heat in heats]
        heats = [heats[0], *(heat - _resized(units[0], heat.shape) for heat in units[1:])]
    heatmaps = []
    for view, heat, sign in zip(views, heats, signed, strict=True):
        together = [h for h, s in zip(heats, signed, strict=True) if s == sign] if style.shared else [heat]
        low, high = limits(together, symmetric=sign)
        heatmaps.append(ColouredHeatmap(view, heat, DIFFERENCE if sign else style.colormap, low, high, sign))
    return heatmaps


def _resized(heat: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    import torch

    from camdrop.cam import upsample

    return upsample(torch.from_numpy(heat)[None], (shape[0], shape[1]))[0].numpy()


@dataclass(frozen=True, eq=False)
class Seen:
    """What is on the page: for downloads, and for the scores that are computed on demand."""

    views: Sequence[View]
    image: str
    truth: str | None
    settings: dict[str, Any]


_scores: WeakKeyDictionary[Checkpoint, dict[tuple[Any, ...], DeletionInsertion]] = WeakKeyDictionary()
_predictions: WeakKeyDictionary[Checkpoint, dict[str, Tensor]] = WeakKeyDictionary()
_lock = threading.Lock()


def scores(view: View, *, compute: bool = False) -> DeletionInsertion | None:
    """Deletion and insertion scores of a view's heatmap if they are known, or are to be computed; else None."""
    import torch

    from camdrop.cam import deletion_insertion

    key = (view.pixels.numpy().tobytes(), view.target, view.stage)
    with _lock:
        known = _scores.setdefault(view.checkpoint, {})
    if key not in known and compute:
        image = _normalised(view.checkpoint, view.pixels[None])
        found = deletion_insertion(view.checkpoint.model, image, torch.from_numpy(view.heat), view.target)
        while len(known) >= 64:
            known.pop(next(iter(known)), None)
        known[key] = found
    return known.get(key)


def predictions(
    checkpoint: Checkpoint, split: Split, info: DataInfo, progress: Callable[[float], object] | None = None
) -> Tensor:
    """The predicted classes (N,) of all images of a gallery, computed once for a checkpoint.

    `progress` is called with the share that is done; not at all where they are known.
    """
    import torch

    from ui.choosers.image import fit

    with _lock:
        known = _predictions.setdefault(checkpoint, {})
    if info.name not in known:
        parts = []
        for start in range(0, len(split), _BATCH):
            if progress:
                progress(start / len(split))
            with torch.inference_mode():
                batch = _normalised(checkpoint, fit(split.images[start : start + _BATCH], checkpoint.meta))
                parts.append(checkpoint.model(batch).argmax(1))
        known[info.name] = torch.cat(parts)
    return known[info.name]


def filters(
    chosen: Sequence[tuple[str, Checkpoint]], progress: Callable[[str, float], object]
) -> dict[str, Callable[[Split, DataInfo], Tensor]]:
    """Conditions on the images of a gallery: the networks disagree, or one of them errs; by class names.

    `progress` is told which network is at work and the share that is done, while predictions are computed.
    """
    import torch

    def answers(split: Split, info: DataInfo, names: Sequence[str]) -> tuple[list[Tensor], Tensor]:
        words: dict[str, int] = {}

        def coded(classes: Sequence[str], labels: Tensor) -> Tensor:
            return torch.tensor([words.setdefault(word, len(words)) for word in classes])[labels]

        given = [
            coded(checkpoint.meta.classes, predictions(checkpoint, split, info, functools.partial(progress, name)))
            for name, checkpoint in chosen
            if name in names
        ]
        return given, coded(info.classes, split.labels)

    def disagree(split: Split, info: DataInfo) -> Tensor:
        given, _ = answers(split, info, [name for name, _ in chosen])
        return torch.stack([other != given[0] for other in given]).any(0)

    def errs(split: Split, info: DataInfo, name: str) -> Tensor:
        given, truth = answers(split, info, [name])
        return given[0] != truth

    conditions: dict[str, Callable[[Split, DataInfo], Tensor]] = {}
    if len(chosen) > 1:
        conditions["The networks disagree"] = disagree
    return conditions | {f"{name} errs": functools.partial(errs, name=name) for name, _ in chosen}
