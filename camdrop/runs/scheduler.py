"""Races and sweeps that wait their turn: each becomes a process of its own as soon as there is room for it.

Anybody may call `launch` at any time: every tab of the app, every process. A run that ends calls it too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

from filelock import FileLock

from camdrop.runs import sweep
from camdrop.runs.folder import LAUNCHED, Run, RunError, acquire, list_runs, load_run, set_state
from camdrop.runs.sweep import Sweep, list_sweeps

NICENESS = 10  # so that the page, and whatever else the machine does, goes before


def submit(folder: Path) -> None:
    """Put a new run, or one that was stopped or failed, on the waiting list. RunError for one that runs or is done."""
    run = sweep.load_sweep(folder) if (folder / "sweep.json").exists() else load_run(folder)
    if run.state in ("running", "finished"):
        raise RunError(f"{folder.name} is {run.state}; only a run that was stopped or failed can go on")
    _set_state(run, "queued")


def _set_state(run: Run | Sweep, state: str, message: str = "", pid: int | None = None) -> None:
    if isinstance(run, Run):
        set_state(run, state, message, pid)
    else:
        sweep.set_state(run.folder, state, message, pid)


def most_at_once() -> int:
    """How many runs may run at once: $CAMDROP_MAX_RUNS, by default 1. RunError where that is no number above 0."""
    text = os.environ.get("CAMDROP_MAX_RUNS") or "1"
    if not text.isdecimal() or int(text) < 1:
        raise RunError(f"CAMDROP_MAX_RUNS must be a whole number of at least 1, got {text!r}")
    return int(text)


def launch(root: Path) -> list[Path]:
    """Start the waiting runs of `root`, those first that have waited longest, while there is room for them.

    Returns the folders of those started. Two calls at once never start one run twice.
    """
    if not root.is_dir():
        return []
    with FileLock(root / ".queue"):
        found: list[Run | Sweep] = [*list_runs(root), *list_sweeps(root)]
        room = most_at_once() - sum(run.state == "running" for run in found)
        # Without a status it does not wait, but was made this moment by a process that will run it itself.
        waiting = [run for run in found if run.state == "queued" and (run.folder / "status.json").exists()]
        started = []
        for run in sorted(waiting, key=_since)[: max(0, room)]:
            # One whose last process has not quite ended goes on waiting: that end launches it.
            with contextlib.suppress(RunError):
                _start(run)
                started.append(run.folder)
    return started


def _since(run: Run | Sweep) -> float:
    """When a run was put on the waiting list."""
    return (run.folder / "status.json").stat().st_mtime


def command(folder: Path) -> list[str]:
    """The command line that begins a run, or goes on with it."""
    kind = "sweep" if (folder / "sweep.json").exists() else "race"
    return [sys.executable, "-m", "camdrop", kind, "--run", str(folder), "--resume"]


def _spawn(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a process for a folder: at a low priority, in a session of its own, so that it outlives whoever starts it.

    What it prints goes to log.txt.
    """
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )  # fmt: skip
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _start(run: Run | Sweep) -> None:
    """Start the process of a run. The folder is held until it ends, so that the run is seen to be there at once."""
    folder = run.folder.resolve()
    lock = acquire(folder, LAUNCHED)
    try:
        _set_state(run, "running", "starting")
        process = _spawn(folder, command(folder))
    except BaseException:
        lock.release()
        raise
    _set_state(run, "running", "starting", process.pid)
    threading.Thread(target=_then_next, args=(process, lock, run.folder.parent), daemon=True).start()


def _then_next(process: subprocess.Popen[bytes], lock: FileLock, root: Path) -> None:
    process.wait()
    lock.release()
    with contextlib.suppress(OSError, RunError):
        launch(root)
