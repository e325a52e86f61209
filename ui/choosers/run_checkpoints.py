"""Where the runs are, and their checkpoints by name: `run:NAME/CONTENDER` is the best of a contender."""

from __future__ import annotations

from pathlib import Path

from camdrop.shipped import own

PREFIX = "run:"


def root() -> Path:
    """Where the runs are."""
    return own("runs")


def run_checkpoints() -> dict[str, Path]:
    """The best checkpoint of each contender of each run, by name, the newest first."""
    paths = sorted(root().glob("*/*/best.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
    return {f"{PREFIX}{path.parts[-3]}/{path.parts[-2]}": path for path in paths}
