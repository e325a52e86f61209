"""Files that `camdrop attack`, `compare`, `bounds` and `leakage` write by --json: found, read, put into Markdown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from camdrop.data.text import markdown_text
from camdrop.report.layout import json_files
from camdrop.runs.reading import read_json

Json = dict[str, Any]
T = TypeVar("T")

COMMANDS = {
    kind: f"python -m camdrop {kind} {what} --json > results/{kind}/NAME.json"
    for kind, what in (
        ("attack", "checkpoints/CHECKPOINT… --data DATA"),
        ("compare", "checkpoints/CHECKPOINT… --data DATA"),
        ("bounds", "checkpoints/CHECKPOINT… --data DATA"),
        ("leakage", "checkpoints/CHECKPOINT --data DATA --method METHOD"),
    )
}


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def head(*heads: str) -> list[str]:
    """The head of a Markdown table: the first column is words, the others numbers."""
    return [row(*heads), row(":--", *["--:"] * (len(heads) - 1))]


def each(folders: Sequence[Path], kind: str, read: Callable[[Json], T]) -> tuple[list[T], list[str]]:
    """What `read` makes of each file of a kind, and a line for each file that it cannot read."""
    found, problems = [], []
    for path in json_files(folders, kind):
        try:
            found.append(read(loaded(path, path.stat().st_mtime_ns)))
        except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, OSError) as error:
            where = markdown_text(f"{path.parent.name}/{path.name}")
            problems.append(f"{where} cannot be read ({type(error).__name__}).")
    return found, problems


@functools.lru_cache(maxsize=64)
def loaded(path: Path, stamp: int) -> Json:
    """A file as of its time, its texts as Markdown shows them; nobody changes what comes back."""
    said: Json = _shown(read_json(path.read_bytes()))  # in UTF-8, or as PowerShell redirects it, in UTF-16
    return said


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shown(Path(one).stem if key == "checkpoint" else one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return markdown_text(value) if isinstance(value, str) else value


def joined(lines: Sequence[str], notes: Sequence[str], kind: str) -> str:
    """A table, its notes, and the command that makes such a file."""
    parts = ["\n".join(lines)] if lines else []
    return "\n\n".join([*parts, *notes, f"Run it: `{COMMANDS[kind]}`"])


def network(found: Json) -> str:
    """The name of a checkpoint's file."""
    return str(found["checkpoint"])


def by_method(said: Json, method: str) -> Json | None:
    """The first network of a file that was trained by the method."""
    return next((found for found in said["results"] if found.get("method") == method), None)
