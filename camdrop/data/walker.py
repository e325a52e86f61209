"""Which files of a folder or an archive are images: by their suffix, or else by how they begin; the rest is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image, features

from camdrop.data.text import plain_text

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
_JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN"}
HEAD = 16  # bytes by which a file is known


def optional_formats() -> dict[str, tuple[str, ...]]:
    """Formats that not every Pillow reads, with their suffixes: AVIF, and HEIF where its plug-in is registered."""
    Image.init()
    found = {"AVIF": (".avif", ".avifs")} if "AVIF" in Image.OPEN and features.check("avif") else {}
    return found | ({"HEIF": (".heic", ".heif", ".hif")} if "HEIF" in Image.OPEN else {})


def suffixes() -> tuple[str, ...]:
    """Of all images that are read here."""
    return (*SUFFIXES, *(suffix for more in optional_formats().values() for suffix in more))


def is_junk(path: str) -> bool:
    """Whether a path, with slashes, is hidden or made by an operating system: `._a.png` beside `a.png`, Thumbs.db …"""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return any(part in _JUNK or part.startswith(".") for part in parts)


def is_image(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is an image, by its suffix, or else by its first bytes, which `head` reads."""
    return name.lower().endswith(suffixes()) or _begins_as_image(head())


def _begins_as_image(head: bytes) -> bool:
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")):
        return True
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return True
    kinds = {"AVIF": (b"avif", b"avis"), "HEIF": (b"heic", b"heix", b"mif1")}
    return head[4:8] == b"ftyp" and any(head[8:12] in kinds[name] for name in optional_formats())


def walk(folder: Path, skip: Path | None = None) -> tuple[list[Path], list[str]]:
    """The images in a folder, however deep, sorted, and the names, below it, of the files that were left out.

    Links are followed, but no folder is entered twice on one way down. `skip` is a folder that is not looked at.
    OSError where a folder cannot be read.
    """
    images: list[Path] = []
    left_out: list[str] = []
    for path in _files(folder, skip and skip.resolve(), ()):
        below = path.relative_to(folder).as_posix()
        if is_junk(below) or not is_image(path.name, lambda path=path: _head(path)):  # type: ignore[misc]
            left_out.append(below)
        else:
            images.append(path)
    return images, left_out


def _files(folder: Path, skip: Path | None, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.is_dir():
            if skip is not None and path.resolve() == skip:
                continue
            yield from _files(path, skip, (*above, here))
        elif entry.is_file():
            yield path


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def left_out_sentence(where: str, left_out: Sequence[str]) -> str:
    """How many files were left out, and the first of them by name; "" for none."""
    if not left_out:
        return ""
    names = ", ".join(plain_text(name) for name in left_out[:3])
    number = "1 file was" if len(left_out) == 1 else f"{len(left_out):,} files were"
    more = f" and {len(left_out) - 3:,} more" if len(left_out) > 3 else ""
    return f"{where}: {number} left out, being no images, or in no place for them: {names}{more}"
