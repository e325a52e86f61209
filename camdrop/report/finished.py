"""The finished runs that a report is made of, read once as long as nothing changes on the disk."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from camdrop.report.layout import places
from camdrop.runs import Run, RunError, list_runs
from camdrop.runs.records import Follower, Record, Result, results

_FILES = ("config.json", "status.json", "metrics.jsonl")
Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, eq=False)
class Found:
    """Finished runs with their records. It equals only itself, so that what is computed from it can be cached."""

    runs: tuple[tuple[Run, Sequence[Record]], ...] = ()

    def __iter__(self) -> Iterator[tuple[Run, Sequence[Record]]]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    @functools.cached_property
    def results(self) -> tuple[tuple[Run, Sequence[Result]], ...]:
        """The runs with a result for each contender but those whose knobs were turned: they are not what is said."""
        return tuple((run, [r for r in results(run, records) if not r.knobs]) for run, records in self.runs)


def find(folders: Sequence[Path]) -> Found:
    """The finished runs below the folders with their records; those that cannot be read are left out.

    The same object as before, where no file of a run has changed.
    """
    roots = tuple(places(folders, "runs"))
    return _read(roots, _stamp(roots))


@functools.lru_cache(maxsize=2)
def _read(roots: tuple[Path, ...], stamp: Stamp) -> Found:
    found = []
    for run in (run for root in roots for run in list_runs(root) if run.state == "finished"):
        try:
            found.append((run, Follower(run.folder).update()))
        except RunError:
            continue
    return Found(tuple(found))


def _stamp(roots: Sequence[Path]) -> Stamp:
    """Size and time of every file that `_read` looks at."""
    found = []
    for root in roots:
        for path in (folder / name for folder in root.glob("*/") for name in _FILES):
            try:
                stat = path.stat()
            except OSError:
                continue  # no run, or one that is not yet so far
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(found))
