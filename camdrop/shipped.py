"""Folders: of what comes along, in the installed package or beside it in the repository, and of what people make."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import platformdirs

_PACKAGE = Path(str(files("camdrop")))


def in_repository() -> bool:
    """Whether this is the package of a repository, not an installed one."""
    return (_PACKAGE.parent / "app.py").is_file()


def shipped(name: str) -> Path:
    """What comes along under this name: `app.py`, `checkpoints` or `results`. Where it was left out, nothing is."""
    inside = _PACKAGE / "share" / name
    return inside if inside.exists() else _PACKAGE.parent / name


def own(name: str) -> Path:
    """The folder of a person's own `runs`, `checkpoints` or `data`.

    It is the one that $CAMDROP_RUNS, $CAMDROP_CHECKPOINTS or $CAMDROP_DATA names; else that of the repository; without
    a repository, where the system keeps the data of its users.
    """
    if named := os.environ.get(f"CAMDROP_{name.upper()}"):
        return Path(named)
    return _PACKAGE.parent / name if in_repository() else platformdirs.user_data_path("camdrop") / name
