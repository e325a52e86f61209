"""Folders of images, train/<class>/* and test/<class>/* (or val/), on the disk or in an archive, which stays packed."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from camdrop.data import archives
from camdrop.data.images import DataError, fit_image, open_image
from camdrop.data.layout import is_whole, split_of, understand
from camdrop.data.text import plain_text
from camdrop.data.walker import suffixes, walk

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ImageFile:
    """One image: its name in messages, its class as an index, and its path or its bytes."""

    name: str
    label: int
    source: Path | bytes


@dataclass(frozen=True)
class Folder:
    """The contents of a folder of images: sorted class names, and the files of both splits by class and name."""

    name: str
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]
    left_out: tuple[str, ...] = ()  # files that are no images, or none of a split
    notes: tuple[str, ...] = ()  # what was understood, where the layout is not the usual one


def scan(location: Path, splits: Sequence[str] = ("train", "test")) -> Folder:
    """List the images of a folder or an archive without decoding them; `splits` must have images.

    Images are known by their suffix, or else by their first bytes; `left_out` names all other files there.
    Nothing of an archive is written to the disk; the names in it determine only split, class and order, as
    `camdrop.data.layout` understands them.

    Raises:
        DataError: a missing folder, a damaged archive, a split without images, or splits with different classes.
    """
    members: Iterable[tuple[str, Path | bytes | None]]
    if location.is_dir():
        name, members = location.resolve().name, _in_folder(location)
    elif location.exists():
        stem = archives.stem(location)
        if stem is None:
            raise DataError(f"{location} is neither a folder nor an archive ({', '.join(archives.SUFFIXES)}).")
        name, members = stem, archives.members(location)
    else:
        raise DataError(f"There is no folder or archive {location}: check the path.")

    sources: dict[str, Path | bytes] = {}
    others: list[str] = []
    for path, source in members:
        if source is None:
            others.append(path)
        else:
            sources[path] = source
    layout = understand(str(location), sources, splits)
    label = {class_name: k for k, class_name in enumerate(sorted({p.class_name for p in layout.train + layout.test}))}
    train, test = (
        tuple(ImageFile(plain_text(f"{location}/{p.path}"), label[p.class_name], sources[p.path]) for p in places)
        for places in (layout.train, layout.test)
    )
    left_out = tuple(map(plain_text, layout.left_out(sources, others)))
    return Folder(plain_text(name), tuple(map(plain_text, label)), train, test, left_out, layout.notes)


def decode(files: Sequence[ImageFile], size: int, progress: Progress | None = None) -> list[Tensor]:
    """Decode files to uint8 tensors (1 if grey else 3, size, size), in their order.

    Raises:
        DataError: a file that is not an image, or is damaged; the message names it.
    """

    def read(file: ImageFile) -> Tensor:
        image = open_image(file.source, file.name)
        return fit_image(image, 1 if image.mode == "L" else 3, size)

    images: list[Tensor] = []
    small = not files or max(open_image(files[0].source, files[0].name).size) <= 256
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # Decoding releases Python's lock, reading the header does not: threads only slow small images down.
        for image in map(read, files) if small else pool.map(read, files):
            images.append(image)
            if progress and (len(images) % 500 == 0 or len(images) == len(files)):
                progress(f"Reading {len(files):,} images", len(images) / len(files))
    return images


def _in_folder(location: Path) -> Iterator[tuple[str, Path | None]]:
    """The files of a folder by their paths in it, with None for what is no image.

    Where it has splits, other folders in it are not looked into: their paths end with a slash.
    """
    try:
        entries = sorted(os.scandir(location), key=lambda entry: entry.name)
        splits = [entry.name for entry in entries if entry.is_dir() and split_of(entry.name)]
        if not is_whole(splits):
            images, others = walk(location)
            yield from ((image.relative_to(location).as_posix(), image) for image in images)
            yield from ((name, None) for name in others)
            return
        for entry in entries:
            if entry.name in splits:
                images, others = walk(location / entry.name)
                yield from ((image.relative_to(location).as_posix(), image) for image in images)
                yield from ((f"{entry.name}/{name}", None) for name in others)
            elif entry.is_dir():
                yield f"{entry.name}/", None
            elif entry.name.lower().endswith(suffixes()):
                yield entry.name, location / entry.name
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from None
