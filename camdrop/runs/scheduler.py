"""The scheduler of races and sweeps: a waiting one becomes a process as soon as fewer than the allowed number run.

Every tab of the app and every process may call `launch` at any time. A run that ends calls it too.
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

NICENESS = 10  # so that the page and other programs go before


def submit(folder: Path) -> None:
    """Put a run on the waiting list: a new, a stopped or a failed one. RunError for a running or finished run."""
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
    """How many runs may run at once: $CAMDROP_MAX_RUNS, by default 1. RunError if that is no number above 0."""
    text = os.environ.get("CAMDROP_MAX_RUNS") or "1"
    if not text.isdecimal() or int(text) < 1:
        raise RunError(f"CAMDROP_MAX_RUNS must be a whole number of at least 1, got {text!r}")
    return int(text)


def launch(root: Path) -> list[Path]:
    """Start waiting runs below `root`, the longest-waiting first, up to `most_at_once`; returns their folders.

    Two calls at the same time never start one run twice.
    """
    if not root.is_dir():
        return []
    with FileLock(root / ".queue"):
        found: list[Run | Sweep] = [*list_runs(root), *list_sweeps(root)]
        room = most_at_once() - sum(run.state == "running" for run in found)
        # A run without a status does not wait: the process that has just made it runs it.
        waiting = [run for run in found if run.state == "queued" and (run.folder / "status.json").exists()]
        started = []
        for run in sorted(waiting, key=_since)[: max(0, room)]:
            # A run whose last process has not quite ended goes on waiting: that end launches it.
            with contextlib.suppress(RunError):
                _start(run)
                started.append(run.folder)
    return started


def _since(run: Run | Sweep) -> float:
    """The time at which a run began to wait."""
    return (run.folder / "status.json").stat().st_mtime


def command(folder: Path) -> list[str]:
    """The command line that begins or resumes a run."""
    kind = "sweep" if (folder / "sweep.json").exists() else "race"
    return [sys.executable, "-m", "camdrop", kind, "--run", str(folder), "--resume"]


def _spawn(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a process of low priority that outlives the caller, and write what it prints to log.txt in the folder."""
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
    """Start the process of a run; lock the folder until that process ends, so that others see the run as running."""
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
