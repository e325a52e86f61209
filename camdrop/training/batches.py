"""The batches of a race: augmented from a data set in memory, or read from files by workers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from camdrop.data import AnySplit, DataInfo, Split, normalise
from camdrop.data.streaming import FileSplit, PictureFiles, Reader, Request, read, worker_count
from camdrop.training.config import Recipe
from camdrop.training.distributed import Team


class Batches(Protocol):
    """Batches of a training set in the order of the steps; a process gets its part of each."""

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Normalised images x and targets y of a step. Callers ask for consecutive steps."""

    def state(self) -> dict[str, Any]:
        """What later batches depend on besides the number of the step."""

    def restore(self, state: dict[str, Any]) -> None: ...


def make_batches(
    train: AnySplit, size: int, recipe: Recipe, info: DataInfo, device: torch.device, team: Team
) -> Batches:
    """Batches of `size` images for the whole team, from a training set in the memory of the device or in files."""
    if isinstance(train, FileSplit):
        return FileBatches(train.images, size, recipe, info, device, team)
    return MemoryBatches(train, size, recipe, info, team)


class MemoryBatches:
    """Batches of images (N, C, H, W) on the device, shuffled anew each epoch, cropped and mirrored on the device."""

    def __init__(self, train: Split, size: int, recipe: Recipe, info: DataInfo, team: Team) -> None:
        self.images, self.labels, self.size = train.images, train.labels, size
        self.recipe, self.info, self.team = recipe, info, team
        self.order = torch.Generator().manual_seed(recipe.seed)
        self.shuffled = torch.empty(0, dtype=torch.long)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        inside = step % (len(self.labels) // self.size)
        if inside == 0:
            self.shuffled = torch.randperm(len(self.labels), generator=self.order)
        pick = self.shuffled[inside * self.size : (inside + 1) * self.size].to(self.images.device, non_blocking=True)
        part = self.team.part(len(pick))
        images = augment(self.images[pick], self.recipe, self.order, part)
        return normalise(images, self.info.mean, self.info.std), self.labels[pick[part]]

    def state(self) -> dict[str, Any]:
        return {"order": self.order.get_state(), "shuffled": self.shuffled}

    def restore(self, state: dict[str, Any]) -> None:
        self.order.set_state(state["order"])
        self.shuffled = state["shuffled"]


class FileBatches:
    """Batches of resized crops of 224 pixels that workers read ahead, mirrored if the recipe says so.

    Seed and epoch determine the order of an epoch; seed, epoch and image determine the augmentation of an image. So
    the batches do not depend on resuming, on the number of workers or on the size of the team.
    """

    def __init__(
        self, images: PictureFiles, size: int, recipe: Recipe, info: DataInfo, device: torch.device, team: Team
    ) -> None:
        self.images, self.size, self.recipe = images, size, recipe
        self.info, self.device, self.team = info, device, team
        self.next = -1  # the step of the next batch in `coming`
        self.coming: Iterator[tuple[Tensor, Tensor]] = iter(())

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        if step != self.next:
            reader = Reader("mirror" if self.recipe.flip else "crop")
            pin = self.device.type == "cuda"
            requests = _requests(self.images, self.size, self.recipe.seed, self.team, step)
            self.coming = read(requests, reader, workers=worker_count(), pin=pin)
        images, labels = next(self.coming)
        self.next = step + 1
        x = normalise(images.to(self.device, non_blocking=True), self.info.mean, self.info.std)
        return x.contiguous(memory_format=torch.channels_last), labels.to(self.device, non_blocking=True)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


def _requests(images: PictureFiles, size: int, seed: int, team: Team, first: int) -> Iterator[list[Request]]:
    """What a member of the team reads at each step from `first` on, without end."""
    steps = len(images) // size
    for epoch in itertools.count(first // steps):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(_mixed(seed, epoch)))
        for inside in range(first % steps if epoch == first // steps else 0, steps):
            pick = order[inside * size : (inside + 1) * size][team.part(size)]
            yield [(images.files[i], _mixed(seed, epoch, i)) for i in pick.tolist()]


def _mixed(*numbers: int) -> int:
    """One seed from several numbers; close numbers give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator, part: slice = slice(None)) -> Tensor:
    """Random crop after zero padding and random horizontal flip of uint8 images (N, C, H, W), in one batch.

    With `part`, only those images of the batch, with the random numbers that they have in the whole batch.
    """
    n, _, h, w = images.shape
    device = images.device
    rows = torch.arange(h, device=device).expand(n, h)
    cols = torch.arange(w, device=device).expand(n, w)
    if recipe.flip:
        flipped = torch.rand(n, 1, generator=generator).to(device, non_blocking=True) < 0.5
        cols = torch.where(flipped, w - 1 - cols, cols)
    pad = recipe.crop
    if pad:
        shift = torch.randint(0, 2 * recipe.crop + 1, (2, n, 1), generator=generator).to(device, non_blocking=True)
        rows, cols = rows + shift[0], cols + shift[1]
    images, rows, cols = F.pad(images[part], (pad,) * 4), rows[part], cols[part]
    first = torch.arange(len(images), device=device)[:, None, None]
    return images.permute(0, 2, 3, 1)[first, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def split_training(split: AnySplit, recipe: Recipe) -> tuple[AnySplit, AnySplit]:
    """Split a training set by the recipe's seed; returns the images to train on and the held-out ones, none in both.

    The held-out images keep their true labels. ValueError if the set has fewer images than the recipe asks for.
    """
    n = len(split.labels)
    held = int(n * recipe.validation)
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(recipe.seed + 1))
    out, rest = shuffled[:held], shuffled[held:].sort().values
    if recipe.images is not None:
        rest = _balanced(rest, split.labels.cpu(), recipe.images, recipe.seed)
    train = split.pick(rest)
    return train.with_labels(noisy_labels(train.labels, split.labels, recipe)), split.pick(out)


def _balanced(index: Tensor, labels: Tensor, count: int, seed: int) -> Tensor:
    """So many of the images `index`, drawn by the seed and sorted: of each class as many, as far as it has them."""
    if count > len(index):
        raise ValueError(f"images must be at most {len(index)}, those that are not held out, got {count}")
    shuffled = index[torch.randperm(len(index), generator=torch.Generator().manual_seed(seed + 3))]
    drawn = labels[shuffled]
    rank = torch.empty(len(index), dtype=torch.long)  # of an image among those of its class
    for k in drawn.unique():
        rank[drawn == k] = torch.arange(int((drawn == k).sum()))
    return shuffled[(rank * (int(drawn.max()) + 1) + drawn).argsort()[:count]].sort().values


def noisy_labels(labels: Tensor, all_labels: Tensor, recipe: Recipe) -> Tensor:
    """Labels (N,) of which the share `label_noise` is drawn anew, uniformly from the classes of the data set."""
    generator = torch.Generator().manual_seed(recipe.seed + 4)
    changed = torch.randperm(len(labels), generator=generator)[: round(recipe.label_noise * len(labels))]
    classes = all_labels.unique().cpu()
    noisy = labels.clone()
    drawn = classes[torch.randint(len(classes), (len(changed),), generator=generator)]
    noisy[changed.to(labels.device)] = drawn.to(labels)
    return noisy
