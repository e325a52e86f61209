"""How long a race will take on this machine, by a few real steps of each contender."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from camdrop.data import DataInfo, Dataset, Split
from camdrop.training.config import Contender, Recipe
from camdrop.training.race import Race

_PATIENCE = 0.5  # seconds, about, that a measurement may take


def seconds_per_image(
    recipe: Recipe, info: DataInfo, contender: Contender, device: torch.device, threads: int
) -> float:
    """Seconds of training `contender` per image, measured in some steps on noise in the shape of the data set.

    Batches are as in the recipe, or smaller if such a step takes longer than about half a second.
    """
    with _threads(threads):
        small = min(16, recipe.batch_size)
        _step(race := _race(recipe, info, contender, device, small))
        size = max(small, min(recipe.batch_size, int(small * _PATIENCE / _step(race))))
        _step(race := _race(recipe, info, contender, device, size))
        times, end = [_step(race)], time.perf_counter() + _PATIENCE
        while time.perf_counter() < end and len(times) < 10:
            times.append(_step(race))
    return sorted(times)[len(times) // 2] / size


def _race(recipe: Recipe, info: DataInfo, contender: Contender, device: torch.device, size: int) -> Race:
    images = torch.randint(0, 256, (2 * size, info.channels, info.size, info.size), dtype=torch.uint8)
    split = Split(images, torch.arange(len(images)) % len(info.classes))
    short = dataclasses.replace(recipe, epochs=1, minutes=None, validation=0.0, batch_size=size)
    return Race(Dataset(info, split, Split(images[:0], split.labels[:0])), short, [contender], device)


def _step(race: Race) -> float:
    begin = time.perf_counter()
    race.step()
    if race.device.type == "cuda":
        torch.cuda.synchronize(race.device)
    return time.perf_counter() - begin


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
