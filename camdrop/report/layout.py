"""Where results lie: side by side in a folder, as in `runs/`, or by their kind in its subfolders, as in `results/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def places(folders: Iterable[Path], kind: str) -> list[Path]:
    """Each folder, and its subfolder of the name `kind`, unless that is itself a run or a sweep."""
    return [place for folder in folders for place in (folder, folder / kind) if place == folder or not _is_run(place)]


def json_files(folders: Iterable[Path], kind: str) -> list[Path]:
    """The files `kind`*.json of the folders, and all files *.json of their subfolders `kind`, sorted."""
    return sorted(
        path for place in places(folders, kind) for path in place.glob("*.json")
        if place.name == kind or path.name.startswith(kind)
    )  # fmt: skip


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.json", "sweep.json"))
