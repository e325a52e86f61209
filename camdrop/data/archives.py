"""Archives of images, by whichever program they were packed: their names, and the bytes of their images."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from camdrop.data.images import DataError
from camdrop.data.walker import HEAD, is_image, is_junk

SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar", ".zip")
MAX_BYTES = 4 << 30  # the images of an archive are held in memory

_ZIP_METHODS = {
    **{1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "PKWare's Implode", 12: "bzip2", 14: "LZMA", 20: "Zstandard"},
    **{93: "Zstandard", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd"},
}
_OTHERS = {b"\x28\xb5\x2f\xfd": "Zstandard", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR", b"\x04\x22\x4d\x18": "LZ4"}
_UTF_8 = 1 << 11  # the flag of a ZIP entry whose name is in UTF-8
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_UNICODE_PATH = 0x7075  # the extra field in which some programs repeat the name in UTF-8


def stem(location: Path) -> str | None:
    """The name of an archive without its suffix; None for a file that is none by its name."""
    suffix = next((suffix for suffix in SUFFIXES if location.name.lower().endswith(suffix)), None)
    return None if suffix is None else location.name[: -len(suffix)]


def members(location: Path, data: bytes | None = None, most: int | None = None) -> Iterator[tuple[str, bytes | None]]:
    """The files of an archive, by their paths with slashes, and their bytes, or None for what is no image.

    What the archive is, its first bytes say, not its suffix. Nothing is written to the disk. `data` are the bytes of an
    archive that lies nowhere, such as an upload; `most` is how many bytes its images may have.

    Raises:
        DataError: something else, a damaged archive, one that is packed in a way that is not read here, needs a
            password, or holds more than `most` bytes of images.
    """
    try:
        with location.open("rb") if data is None else io.BytesIO(data) as file:
            head = file.read(4)
            file.seek(0)
            yield from _in(file, head, location, most or MAX_BYTES)
    except DataError:
        raise
    except NotImplementedError:
        raise _packed(location, "a newer kind of ZIP") from None
    except OSError as error:
        if error.errno is not None:  # of the file system: gzip's and tarfile's own have none
            raise DataError(f"{location} cannot be read: {error.strerror}.") from None
        raise _damaged(location) from None
    except Exception:  # for a damaged archive its readers raise almost any exception
        raise _damaged(location) from None


def _in(file: BinaryIO, head: bytes, location: Path, most: int) -> Iterator[tuple[str, bytes | None]]:
    if head.startswith(b"PK"):
        yield from _in_zip(file, location, most)
    elif other := next((name for start, name in _OTHERS.items() if head.startswith(start)), None):
        yield from _in_other(file, location, most, other)
    else:
        yield from _in_tar(file, location, most)


def _in_zip(file: BinaryIO, location: Path, most: int) -> Iterator[tuple[str, bytes | None]]:
    total = 0
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = _zip_name(entry)
            if name.endswith("/"):
                continue
            try:
                head = b"" if is_junk(name) else archive.open(entry).read(HEAD)
                if is_junk(name) or not is_image(name, lambda head=head: head):  # type: ignore[misc]
                    yield name, None
                    continue
                total = _add(total, entry.file_size, location, most)
                yield name, archive.read(entry)
            except NotImplementedError:
                if entry.flag_bits & _ENCRYPTED:
                    raise _locked(location) from None
                how = _ZIP_METHODS.get(entry.compress_type, f"number {entry.compress_type}")
                raise _packed(location, how) from None
            except RuntimeError:
                raise _locked(location) from None


def _in_tar(source: BinaryIO, location: Path, most: int) -> Iterator[tuple[str, bytes | None]]:
    total = 0
    with tarfile.open(fileobj=source) as archive:
        for member in archive:
            if member.isdir():
                continue
            name = _slashes(member.name)
            file = archive.extractfile(member) if member.isfile() and not is_junk(name) else None
            head = b"" if file is None else file.read(HEAD)
            if file is not None and is_image(name, lambda head=head: head):  # type: ignore[misc]
                total = _add(total, member.size, location, most)
                yield name, head + file.read()
            else:
                yield name, None


def _in_other(file: BinaryIO, location: Path, most: int, how: str) -> Iterator[tuple[str, bytes | None]]:
    """Newer versions of Python read more kinds than older ones."""
    try:
        yield from _in_tar(file, location, most)
    except tarfile.ReadError:
        raise _packed(location, how) from None


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """The path of an entry. Without the flag for UTF-8 it may be UTF-8 all the same, as macOS writes it."""
    if entry.flag_bits & _UTF_8:
        return _slashes(entry.filename)
    try:
        return _slashes(_unicode_path(entry.extra) or entry.filename.encode("cp437").decode())
    except UnicodeError:
        return _slashes(entry.filename)


def _unicode_path(extra: bytes) -> str | None:
    """The name in a ZIP entry's extra fields, each a tag, a length, and that many bytes."""
    while len(extra) >= 4:
        tag, length = struct.unpack("<HH", extra[:4])
        if tag == _UNICODE_PATH and length > 5:  # after a version and a checksum
            return extra[9 : 4 + length].decode()
        extra = extra[4 + length :]
    return None


def _slashes(name: str) -> str:
    """A path as archives shall have it, also where a program on Windows wrote backslashes."""
    return name.replace("\\", "/")


def _add(total: int, size: int, location: Path, most: int) -> int:
    if total + size > most:
        raise DataError(f"{location} holds more than {most >> 30} GiB of images: unpack it, and give the folder.")
    return total + size


def _packed(location: Path, how: str) -> DataError:
    return DataError(f"{location} is packed by {how}, which is not read here: unpack it, and give the folder.")


def _locked(location: Path) -> DataError:
    return DataError(f"{location} asks for a password: unpack it, and give the folder.")


def _damaged(location: Path) -> DataError:
    return DataError(f"{location} cannot be read as an archive: it is damaged or something else, make it again.")
