"""What comes along, `results` and `checkpoints`: inside the installed package, or beside it in the repository."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped(name: str) -> Path:
    """The folder `name` that comes along; a path that is not there where the installation left it out."""
    package = Path(str(files("camdrop")))
    inside = package / "share" / name
    return inside if inside.is_dir() else package.parent / name
