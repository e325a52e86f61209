"""Folders of images, train/<class>/* and test/<class>/* (or val/), on the disk or in an archive, which stays packed."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from camdrop.data.images import DataError, fit_image, open_image
from camdrop.data.text import plain_text
from camdrop.data.walker import HEAD, is_image, is_junk, suffixes, walk

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".zip")
MAX_ARCHIVE_BYTES = 4 << 30  # the images of an archive are held in memory

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


class _Place(NamedTuple):
    """The place of an image in a data set; `top` is the path in an archive before train/ or test/."""

    top: str
    split: str
    class_name: str
    file: str

    @property
    def path(self) -> str:
        return "/".join(part for part in self if part)


def scan(location: Path, splits: Sequence[str] = ("train", "test")) -> Folder:
    """List the images of a folder or an archive without decoding them; `splits` must have images.

    Images are known by their suffix, or else by their first bytes; `left_out` names all other files there.
    Nothing of an archive is written to the disk; the names in it determine only split, class and order.

    Raises:
        DataError: a missing folder, a damaged archive, a split without images, or splits with different classes.
    """
    members: Iterable[tuple[str, Path | bytes | None]]
    if location.is_dir():
        name, members = location.resolve().name, _in_folder(location)
    elif location.exists():
        suffix = next((suffix for suffix in ARCHIVES if location.name.lower().endswith(suffix)), None)
        if suffix is None:
            raise DataError(f"{location} is neither a folder nor an archive ({', '.join(ARCHIVES)}).")
        name, members = location.name[: -len(suffix)], _in_zip(location) if suffix == ".zip" else _in_tar(location)
    else:
        raise DataError(f"There is no folder or archive {location}: check the path.")

    sources: dict[_Place, Path | bytes] = {}
    left_out: list[str] = []
    for path, source in members:
        place = None if source is None else _place(path)
        if place is None or source is None:
            left_out.append(path)
        else:
            sources[place] = source
    tops = sorted({place.top for place in sources})
    if len(tops) > 1:
        raise DataError(f"{location} holds more than one data set ({tops[0]!r}, {tops[1]!r}): keep one in it.")
    held_out = "test" if any(place.split == "test" for place in sources) else "val"
    places = {split: sorted(place for place in sources if place.split == split) for split in ("train", held_out)}
    left_out += [place.path for place in sources if place.split not in places]
    for split, wanted in (("train", "train/<class>/"), ("test", "test/<class>/ or val/<class>/")):
        if split in splits and not places["train" if split == "train" else held_out]:
            raise DataError(f"{location} has no images in {wanted}: put them there, one folder a class.")

    classes = sorted({place.class_name for place in sources if place.split in places})
    label = {class_name: k for k, class_name in enumerate(classes)}
    files: dict[str, tuple[ImageFile, ...]] = {}
    for split, chosen in places.items():
        missing = sorted(set(classes) - {place.class_name for place in chosen})
        if chosen and missing:
            raise DataError(f"{location} has no images in {split}/{missing[0]}/: every split needs the same classes.")
        files[split] = tuple(
            ImageFile(
                plain_text(f"{location}/{split}/{place.class_name}/{place.file}"),
                label[place.class_name],
                sources[place],
            )
            for place in chosen
        )
    shown = tuple(map(plain_text, classes))
    return Folder(plain_text(name), shown, files["train"], files[held_out], tuple(sorted(map(plain_text, left_out))))


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


def _place(name: str) -> _Place | None:
    """'cifar10/train/cat/1.png' → ('cifar10', 'train', 'cat', '1.png'); None for anything but a file of a split."""
    parts = name.split("/")
    *top, split, class_name, file = parts if len(parts) >= 3 else ("", "", "")
    if split not in ("train", "test", "val") or is_junk("/".join((*top, class_name, file))) or class_name == "..":
        return None
    return _Place("/".join(part for part in top if part != "."), split, class_name, file)


def _in_folder(location: Path) -> Iterator[tuple[str, Path | None]]:
    """The files below each split, by their path, with None for what is no image."""
    try:
        for split in ("train", "test", "val"):
            if (location / split).is_dir():
                images, left_out = walk(location / split)
                yield from ((image.relative_to(location).as_posix(), image) for image in images)
                yield from ((f"{split}/{name}", None) for name in left_out)
        for entry in os.scandir(location):  # a README is expected there, images are not
            if entry.name not in ("train", "test", "val") and not is_junk(entry.name):
                if entry.is_dir():
                    yield f"{entry.name}/", None
                elif entry.name.lower().endswith(suffixes()):
                    yield entry.name, None
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _in_zip(location: Path) -> Iterator[tuple[str, bytes | None]]:
    total = 0
    try:
        with zipfile.ZipFile(location) as archive:
            for entry in archive.infolist():
                if entry.is_dir():
                    continue
                if _place(entry.filename) and is_image(entry.filename, lambda e=entry: archive.open(e).read(HEAD)):  # type: ignore[misc]
                    total = _add(total, entry.file_size, location)
                    yield entry.filename, archive.read(entry)
                else:
                    yield entry.filename, None
    except RuntimeError:
        raise DataError(f"{location} asks for a password: unpack it, and give the folder.") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError):
        raise _damaged(location) from None


def _in_tar(location: Path) -> Iterator[tuple[str, bytes | None]]:
    total = 0
    try:
        with tarfile.open(location) as archive:
            for member in archive:
                if member.isdir():
                    continue
                file = archive.extractfile(member) if member.isfile() and _place(member.name) else None
                head = b"" if file is None else file.read(HEAD)
                if file is not None and is_image(member.name, lambda head=head: head):  # type: ignore[misc]
                    total = _add(total, member.size, location)
                    yield member.name, head + file.read()
                else:
                    yield member.name, None
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError):
        raise _damaged(location) from None


def _add(total: int, size: int, location: Path) -> int:
    if total + size > MAX_ARCHIVE_BYTES:
        limit = f"{MAX_ARCHIVE_BYTES >> 30} GiB"
        raise DataError(f"{location} holds more than {limit} of images: unpack it, and give the folder.")
    return total + size


def _damaged(location: Path) -> DataError:
    return DataError(f"{location} cannot be read as an archive: it is damaged or something else, make it again.")
