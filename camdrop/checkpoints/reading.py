"""Reading of checkpoint files: their bytes, the header of a safetensors file, and what stands beside it.

Everything is bounded before it is parsed: the bytes of a file and of its header, and the number of its tensors.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from camdrop.checkpoints.metadata import LIMIT, CheckpointError, Meta

AGAIN = "copy or download it again"
RESAVE = 'where you trust it, save its weights alone: torch.save(model.state_dict(), "weights.pth")'
_HEADER = 8 << 20  # bytes
_CONFIGS = ("config.json", "preprocessor_config.json")
_LARGEST_CONFIG = 1 << 20  # bytes; more is cut, and so no JSON

_STRANGERS = {
    b"\x80": f"is a plain Python pickle, which can run code when opened, so it was refused; {RESAVE}",
    b"version https://git-lfs": "is only a Git LFS pointer; fetch the file itself with git lfs pull",
    b"<": "is a web page, not a checkpoint; download the file itself (on GitHub: the raw file)",
    b"\x93NUMPY": "is a single NumPy array; save the network by torch.save(model.state_dict(), …)",
    b"\x89HDF": "is an HDF5 file, as of Keras: only networks of PyTorch can be opened",
    b"\x1f\x8b": "is compressed (gzip); unpack it and choose the checkpoint inside",
    b"BZh": "is compressed (bzip2); unpack it and choose the checkpoint inside",
    b"\xfd7zXZ": "is compressed (xz); unpack it and choose the checkpoint inside",
    b"7z\xbc\xaf": "is an archive (7z); unpack it and choose the checkpoint inside",
    b"GGUF": "is a language model (GGUF), which has no class activation map",
}


def read_bytes(source: str | os.PathLike[str] | bytes | BinaryIO, name: str | None) -> tuple[bytes, str, Path | None]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = name or str(path)
        if path.exists() and not (path.is_file() or path.is_dir()):  # opening a named pipe would wait for ever
            raise CheckpointError(f"{name} is no file but a device or a pipe; copy what it gives into a file")
        try:
            with path.open("rb") as file:
                return _contents(file, name), name, path
        except OSError as error:
            raise CheckpointError(f"{name} cannot be read ({error.strerror}); check the path") from None
    upload = io.BytesIO(source) if isinstance(source, bytes) else source
    name = name or str(getattr(upload, "name", "the file"))
    return _contents(upload, name), name, None


def said_beside(path: Path | None) -> Iterator[object]:
    """What is said beside a network of transformers or timm: class names, normalisation, image size."""
    if path is None:
        return
    for name in _CONFIGS:
        if not path.with_name(name).is_file():
            continue
        with contextlib.suppress(OSError, ValueError, RecursionError), path.with_name(name).open("rb") as file:
            yield json.loads(file.read(_LARGEST_CONFIG))


def _contents(file: BinaryIO, name: str) -> bytes:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise CheckpointError(f"{name} is empty; {AGAIN}")
    if size > LIMIT:
        raise CheckpointError(f"{name} is larger than {LIMIT >> 20} MB; {RESAVE}")
    file.seek(0)
    return file.read()


def refuse(data: bytes, name: str) -> NoReturn:
    for beginning, sentence in _STRANGERS.items():
        if data[:256].lstrip().startswith(beginning):
            raise CheckpointError(f"{name} {sentence}")
    if data[:1] == b"\x08" and re.search(rb"onnx|pytorch|producer", data[:64]):
        raise CheckpointError(f"{name} is an ONNX program; save the network that it was made of, with its weights")
    if data[257:262] == b"ustar":
        raise CheckpointError(f"{name} is a tar archive; unpack it and choose the checkpoint inside")
    raise CheckpointError(f"{name} is no checkpoint (neither safetensors nor by torch.save), or damaged; {AGAIN}")


class Header(NamedTuple):
    """Names and shapes of the tensors, our metadata where the file has them, and others'."""

    shapes: dict[str, tuple[int, ...]]
    meta: Meta | None
    more: dict[str, object]


def read_header(file: BinaryIO, size: int, name: str) -> Header:
    """Read the header of a safetensors file, without the tensors."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= size - 8:
        raise CheckpointError(
            f"{name} is cut short or damaged: {size} bytes, of which the header claims {length}; {AGAIN}"
        )
    if length > _HEADER:
        raise CheckpointError(f"{name} has a header of {length >> 20} MB, more than any network that is known")
    try:
        entries = json.loads(file.read(length))
        more = dict(entries.pop("__metadata__", {}))
        text = more.get("camdrop")
        shapes = {key: tuple(int(n) for n in entry["shape"]) for key, entry in entries.items()}
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise CheckpointError(f"{name} is a safetensors file with a broken header; {AGAIN}") from None
    if end != size:
        raise CheckpointError(f"{name} is cut short or damaged: it has {size} bytes instead of {end}; {AGAIN}")
    try:
        return Header(shapes, None if text is None else Meta.from_json(str(text)), more)
    except CheckpointError as error:
        raise CheckpointError(f"{name} has a header that cannot be used: {error}; save it again") from None
