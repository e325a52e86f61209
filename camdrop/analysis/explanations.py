"""One image: what a network predicts and its heatmap. A gallery: which images networks disagree on or get wrong."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camdrop import figures
from camdrop.cam import (
    DeletionInsertion,
    HeatmapStatistics,
    class_activation_map,
    deletion_insertion,
    heatmap,
    statistics,
    upsample,
)
from camdrop.checkpoints import Checkpoint, Meta
from camdrop.data import DataInfo, Split, fit_pixels, normalise
from camdrop.data.own_images import UNKNOWN, own_title

_BATCH = 100  # images of a gallery at once
_MOST_SCORES = 64  # that are kept for a checkpoint

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network predicts for one image, with the features that its heatmaps are made of."""

    checkpoint: Checkpoint
    image: Tensor  # (1, C, H, W) in [0, 1]
    stages: dict[str, Tensor]  # features (1, C', h, w) by the stage's name
    probabilities: Array  # (K,)

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @functools.cached_property
    def picture(self) -> npt.NDArray[np.uint8]:
        """The image as (H, W, 3)."""
        pixels = (255 * self.image[0] + 0.5).byte()
        return pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The `count` most probable classes, with their probabilities."""
        order = self.probabilities.argsort(kind="stable")[::-1][:count]
        return [(int(k), float(self.probabilities[k])) for k in order]

    def _repr_png_(self) -> bytes:
        """The image with the heatmap of the predicted class over it, for notebooks."""
        heat = self.heatmap(self.predicted)
        low, high = figures.limits([heat])
        picture = figures.overlay(self.picture, heat, low=low, high=high)
        return figures.png(picture, scale=max(1, 320 // picture.shape[1]))

    def heatmap(self, target: int, stage: str | None = None) -> Array:
        """The class activation map of a class in a stage, by default the last, resized to the image: (H, W)."""
        model, size = self.checkpoint.model, (self.image.shape[2], self.image.shape[3])
        features = self.stages[stage or model.stage_names[-1]]
        return heatmap(features, model.fc.weight, torch.tensor([target]), size)[0].numpy()


def predict(checkpoint: Checkpoint, image: Tensor) -> Prediction:
    """One forward pass of an image (1, in_channels, H, W), uint8 or floating in [0, 1]."""
    return predictions(checkpoint, image)[0]


def predictions(checkpoint: Checkpoint, images: Tensor) -> list[Prediction]:
    """One forward pass of a batch of images (N, in_channels, H, W), uint8 or floating in [0, 1]; a prediction each."""
    model, meta = checkpoint.model, checkpoint.meta
    images = images if images.is_floating_point() else images.float() / 255
    with torch.inference_mode():
        stages = model.stages(normalise(images, meta.mean, meta.std))
        scores = model.forward_from(model.stage_names[-1], stages[model.stage_names[-1]])
    return [
        Prediction(
            checkpoint, images[i : i + 1], {name: x[i : i + 1] for name, x in stages.items()}, probabilities.numpy()
        )
        for i, probabilities in enumerate(scores.softmax(1))
    ]


def cached_prediction(checkpoint: Checkpoint, pixels: Tensor) -> Prediction:
    """`predict` for one image, uint8 (C, H, W); the latest are kept."""
    return _cached_prediction(checkpoint, pixels.numpy().tobytes(), tuple(pixels.shape))


@functools.lru_cache(maxsize=24)  # the features of a ResNet-50 take 6 MB an image
def _cached_prediction(checkpoint: Checkpoint, data: bytes, shape: tuple[int, ...]) -> Prediction:
    return predict(checkpoint, torch.frombuffer(bytearray(data), dtype=torch.uint8).view(1, *shape))


@dataclass(frozen=True, eq=False)
class Explanation:
    """The heatmap of one class in one stage of a network; `name` is what the person calls the network."""

    name: str
    prediction: Prediction
    target: int
    stage: str
    cam: Array  # (h, w), as large as the features
    heatmap: Array  # (H, W), the same resized to the image
    statistics: HeatmapStatistics

    @property
    def checkpoint(self) -> Checkpoint:
        return self.prediction.checkpoint

    @property
    def target_name(self) -> str:
        return self.checkpoint.meta.classes[self.target]


def explain(name: str, checkpoint: Checkpoint, pixels: Tensor, target: str | None, stage: str) -> Explanation:
    """Explain a network's prediction for an image, uint8 (C, H, W), by the heatmap of a class in a stage.

    `target` is the name of the class. None, and a name that the network does not know, stand for the predicted class;
    a stage that the network does not have stands for its last.
    """
    prediction = cached_prediction(checkpoint, pixels)
    index, stage = class_number(prediction, target), stage_of(checkpoint, stage)
    return explanations(name, [prediction], [[index]], [stage])[0][index, stage]


def class_number(prediction: Prediction, target: str | None) -> int:
    """The number of a class by its name; that of the predicted class for None and for a name that is not known."""
    classes = prediction.checkpoint.meta.classes
    return classes.index(target) if target in classes else prediction.predicted


def stage_of(checkpoint: Checkpoint, stage: str) -> str:
    """A stage by its name; the last one for a name that the network does not have."""
    names = checkpoint.model.stage_names
    return stage if stage in names else names[-1]


def explanations(
    name: str, predicted: Sequence[Prediction], targets: Sequence[Sequence[int]], stages: Sequence[str]
) -> list[dict[tuple[int, str], Explanation]]:
    """The heatmaps of several classes in several stages, as one batch: for each image, by class and stage.

    `predicted` are of one network and one size of image, `targets` the classes wanted of each.
    """
    model, size = predicted[0].checkpoint.model, predicted[0].image.shape[2:]
    wanted = [(i, k) for i, classes in enumerate(targets) for k in classes]
    result: list[dict[tuple[int, str], Explanation]] = [{} for _ in predicted]
    for stage in stages:
        cams = torch.cat(
            [
                class_activation_map(
                    prediction.stages[stage].expand(len(classes), -1, -1, -1), model.fc.weight, torch.tensor(classes)
                )
                for prediction, classes in zip(predicted, targets, strict=True)
            ]
        )
        for (i, k), cam, large in zip(wanted, cams, upsample(cams, (size[0], size[1])).numpy(), strict=True):
            result[i][k, stage] = Explanation(name, predicted[i], k, stage, cam.numpy(), large, statistics(large))
    return result


_scores: WeakKeyDictionary[Checkpoint, dict[tuple[bytes, int, str], DeletionInsertion]] = WeakKeyDictionary()
_predicted: WeakKeyDictionary[Checkpoint, dict[str, Tensor]] = WeakKeyDictionary()
_lock = threading.Lock()


def scores(explanation: Explanation, *, compute: bool = False) -> DeletionInsertion | None:
    """Deletion and insertion of a heatmap if they were computed before, or with `compute`; else None."""
    prediction, checkpoint = explanation.prediction, explanation.checkpoint
    key = (prediction.picture.tobytes(), explanation.target, explanation.stage)
    with _lock:
        known = _scores.setdefault(checkpoint, {})
    if key not in known and compute:
        image = normalise(prediction.image, checkpoint.meta.mean, checkpoint.meta.std)
        result = deletion_insertion(checkpoint.model, image, torch.from_numpy(explanation.heatmap), explanation.target)
        while len(known) >= _MOST_SCORES:
            known.pop(next(iter(known)), None)
        known[key] = result
    return known.get(key)


def predicted_classes(
    checkpoint: Checkpoint, split: Split, info: DataInfo, progress: Callable[[float], object] | None = None
) -> Tensor:
    """The predicted classes (N,) of all images of a gallery, computed once for a checkpoint.

    `progress` is called with the share done while they are computed.
    """
    meta = checkpoint.meta
    with _lock:
        known = _predicted.setdefault(checkpoint, {})
    if info.name not in known:
        parts = []
        for start in range(0, len(split), _BATCH):
            if progress:
                progress(start / len(split))
            images = fit_pixels(split.images[start : start + _BATCH], meta.in_channels, meta.image_size)
            with torch.inference_mode():
                parts.append(checkpoint.model(normalise(images, meta.mean, meta.std)).argmax(1))
        known[info.name] = torch.cat(parts)
    return known[info.name]


def is_measured(checkpoint: Checkpoint, info: DataInfo) -> bool:
    """Whether `predicted_classes` of these images are known."""
    return info.name in _predicted.get(checkpoint, {})


def disagreements(
    networks: Sequence[tuple[str, Checkpoint]],
    split: Split,
    info: DataInfo,
    progress: Callable[[str, float], object] | None = None,
) -> Tensor:
    """Which images of a gallery the networks, two or more, do not all predict alike, by class names: bool (N,).

    `progress` is called with the name of a network and the share done, while its predictions are computed.
    """
    first, *others = _predicted_words(networks, split, info, progress)[1:]
    return torch.stack([other != first for other in others]).any(0)


def errors(
    name: str,
    checkpoint: Checkpoint,
    split: Split,
    info: DataInfo,
    progress: Callable[[str, float], object] | None = None,
) -> Tensor:
    """Which images of a gallery a network gets wrong, by class names: bool (N,). `progress` as in `disagreements`."""
    truth, predicted = _predicted_words([(name, checkpoint)], split, info, progress)
    return (predicted != truth) & known_classes(split, info)


def known_classes(split: Split, info: DataInfo) -> Tensor:
    """Which images have a true class: bool (N,). Of one's own images, those that lie in a folder."""
    return torch.tensor([word != UNKNOWN for word in info.classes])[split.labels]


def words_of(meta: Meta, info: DataInfo) -> tuple[str, ...]:
    """The names of a network's classes; a network without names has those of one's own images, if these are as many."""
    unnamed = meta.classes == tuple(map(str, range(meta.num_classes)))
    return info.classes if unnamed and own_title(info) and len(info.classes) == meta.num_classes else meta.classes


def _predicted_words(
    networks: Sequence[tuple[str, Checkpoint]],
    split: Split,
    info: DataInfo,
    progress: Callable[[str, float], object] | None,
) -> list[Tensor]:
    """The true classes (N,), then those that each network predicts; one number for each class name, whoever uses it."""
    numbers: dict[str, int] = {}

    def coded(classes: Sequence[str], labels: Tensor) -> Tensor:
        return torch.tensor([numbers.setdefault(word, len(numbers)) for word in classes])[labels]

    rows = [coded(info.classes, split.labels)]
    for name, checkpoint in networks:
        report = None if progress is None else functools.partial(progress, name)
        rows.append(coded(words_of(checkpoint.meta, info), predicted_classes(checkpoint, split, info, report)))
    return rows
