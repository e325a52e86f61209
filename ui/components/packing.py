"""A message to the browser: a JSON header and arrays as bytes behind it (unpacked by `unpack` in common.js)."""

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def digest(content: bytes | npt.NDArray[Any]) -> str:
    """A name for a content, the same for the same content."""
    data = content if isinstance(content, bytes) else np.ascontiguousarray(content).data
    return hashlib.blake2b(data, digest_size=12).hexdigest()


class Blobs:
    """Arrays on their way to the browser, under names by their content: one that comes again travels once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._size = 0

    def add(self, array: npt.NDArray[Any]) -> str:
        """Take an array in and return its name."""
        part = np.ascontiguousarray(array).tobytes()
        name = digest(part)
        if name not in self._places:
            self._places[name] = self._size, len(part)
            self._parts.append(part)
            self._size += len(part)
        return name

    def pack(self, header: Mapping[str, Any]) -> bytes:
        """A uint32 length, the header with the `blobs` (name: offset and length) in it, padding to 4, the arrays."""
        text = json.dumps({**header, "blobs": self._places}).encode()
        return b"".join([struct.pack("<I", len(text)), text, bytes(-len(text) % 4), *self._parts])


def plain(value: Any) -> Any:
    """What JSON knows of dataclasses, sequences and NumPy's numbers."""
    if value is None or type(value) in (str, int, float, bool):  # most are
        return value
    if dataclasses.is_dataclass(value):
        return {key: plain(entry) for key, entry in vars(value).items()}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value
