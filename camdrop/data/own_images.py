"""A person's own images, from a folder or an archive: in one size, in memory, with classes if they lie in folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from camdrop.data import archives
from camdrop.data.datasets import DataInfo, Split
from camdrop.data.images import DataError, fit_image, open_image
from camdrop.data.text import plain_text
from camdrop.data.walker import left_out_sentence, walk

UNKNOWN = "Unknown"  # the class of images that lie in no folder
_PREFIX = "own:"  # of the name of such a set, which no data set has
_MOST, _NUMBERS = 1000, 64 << 20  # images, and the numbers in them
_SIDE = 224  # pixels, at most
_BYTES = 256 << 20  # of the images in an archive


class OwnImages(NamedTuple):
    """Images (N, 3, S, S), their classes, and sentences on what was left out. `info.name` tells sets apart."""

    split: Split
    info: DataInfo
    notes: tuple[str, ...]


def read_own_images(location: Path, data: bytes | None = None) -> OwnImages:
    """Read the images of a folder or an archive; `data` are the bytes of an archive of that name.

    An image's class is the folder that it lies in, below what all have in common. The centre squares come in one size,
    the shorter side of the first image, up to 224 pixels; of more than 1,000 images (of 224 pixels: 445) some are
    taken, evenly.

    Raises:
        DataError: nothing is there, it cannot be read, or it holds no images.
    """
    sources, left_out = _sources(location, data)
    if not sources:
        raise DataError(f"{location} holds no images: choose a folder or an archive of PNG, JPEG or other images.")
    side = next((min(*image.size, _SIDE) for name in sorted(sources) if (image := _opened(sources[name]))), 0)
    if not side:
        raise DataError(f"{location} holds {len(sources):,} images, but none that can be read: they are damaged.")
    most = min(_MOST, _NUMBERS // (3 * side * side))
    step = max(1.0, len(sources) / most)
    tensors: dict[str, Tensor] = {}
    for name in [sorted(sources)[int(k * step)] for k in range(min(len(sources), most))]:
        if image := _opened(sources[name]):
            tensors[name] = fit_image(image, 3, side)
        else:
            left_out.append(name)
    words = _classes(list(tensors))
    classes = (*sorted(set(words) - {UNKNOWN}), *([UNKNOWN] if UNKNOWN in words else []))
    split = Split(torch.stack(list(tensors.values())), torch.tensor([classes.index(word) for word in words]))
    digest = hashlib.sha256(split.images.numpy().data).hexdigest()[:12]
    title = plain_text(location.resolve().name if location.is_dir() else location.name)
    info = DataInfo(f"{_PREFIX}{digest}:{title}", classes, (0.0,) * 3, (1.0,) * 3, 3, side)
    notes = [f"Of {len(sources):,} images every {step:.3g}th was taken."] if step > 1 else []
    notes += [sentence + "."] if (sentence := left_out_sentence(title, sorted(left_out))) else []
    return OwnImages(split, info, tuple(notes))


def _sources(location: Path, data: bytes | None) -> tuple[dict[str, Path | bytes], list[str]]:
    """The images of a folder or an archive, by their paths in it, and the names of other files."""
    if data is None and location.is_dir():
        try:
            images, left_out = walk(location)
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from None
        return {image.relative_to(location).as_posix(): image for image in images}, left_out
    if data is None and not location.is_file():
        raise DataError(f"There is no folder or archive {location}: check the path.")
    found = dict(archives.members(location, data, _BYTES))
    return {name: source for name, source in found.items() if source is not None}, [
        name for name, source in found.items() if source is None
    ]


def _opened(source: Path | bytes) -> Image.Image | None:
    """An image; None where it is damaged."""
    try:
        return open_image(source)
    except DataError:
        return None


def own_title(info: DataInfo) -> str:
    """The name of the folder or archive that a set of one's own images came from; "" for other data sets."""
    return info.name.split(":", 2)[2] if info.name.startswith(_PREFIX) else ""


def _classes(names: Sequence[str]) -> list[str]:
    """The folder of each image, by its name, below what all have in common; UNKNOWN for those that lie in none."""
    folders = [os.path.dirname(name) for name in names]
    common = os.path.commonpath(folders) if all(folders) else ""
    below = [folder.removeprefix(common).strip("/") for folder in folders]
    return [plain_text(folder.rpartition("/")[2]) or UNKNOWN for folder in below]
