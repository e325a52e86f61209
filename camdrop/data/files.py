"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

_TRIES = 50


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that readers see the old or the new one, never a part, even after a crash. OSError as `open`."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        _replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _replace(part: Path, path: Path) -> None:
    """As `os.replace`; Windows refuses that while somebody reads the old file, so there it is tried for a second."""
    tries = _TRIES if sys.platform == "win32" else 1
    for left in reversed(range(tries)):
        try:
            os.replace(part, path)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(1 / tries)
