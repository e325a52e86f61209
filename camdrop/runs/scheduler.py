"""The scheduler of races and sweeps: a waiting one becomes a process as soon as fewer than the allowed number run.

Every tab of the app and every process may call `launch` at any time. A run that ends calls it too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from camdrop.policy import policy
from camdrop.runs import owners, sweep
from camdrop.runs.folder import LAUNCHED, Run, RunError, acquire, list_runs, load_run, set_state
from camdrop.runs.stopping import forget_stop
from camdrop.runs.sweep import Sweep, list_sweeps

NICENESS = 10  # so that the page and other programs go before


def submit(folder: Path) -> None:
    """Put a run on the waiting list: a new, a stopped or a failed one.

    RunError for a running or finished run, and where as many wait as may.
    """
    if len(waiting(folder.parent)) >= policy().waiting:
        raise RunError(f"{policy().waiting:g} runs wait already, and more may not: try again when some have ended")
    run = sweep.load_sweep(folder) if (folder / "sweep.json").exists() else load_run(folder)
    if run.state in ("running", "finished"):
        raise RunError(f"{folder.name} is {run.state}; only a run that was stopped or failed can go on")
    _set_state(run, "queued")


def _set_state(run: Run | Sweep, state: str, message: str = "", pid: int | None = None) -> None:
    if isinstance(run, Run):
        set_state(run, state, message, pid)
    else:
        sweep.set_state(run.folder, state, message, pid)


def waiting(root: Path) -> list[Path]:
    """The folders of the runs below `root` that wait for their turn, the next one first."""
    return [run.folder for run in _queue(_all(root))]


def launch(root: Path) -> list[Path]:
    """Start waiting runs below `root`, as many as `policy` lets run at once; returns their folders.

    What it lets stay no longer is deleted. Two calls at the same time never start one run twice. ValueError for an
    environment that says no policy.
    """
    if not root.is_dir():
        return []
    rules = policy()
    with FileLock(root / ".queue"):
        owners.expire(root, rules.hours)
        found = _all(root)
        room = rules.runs - sum(run.state == "running" for run in found)
        started = []
        for run in _queue(found)[: max(0, room)]:
            # A run whose last process has not quite ended goes on waiting: that end launches it.
            with contextlib.suppress(RunError):
                _start(run)
                started.append(run.folder)
    return started


def _all(root: Path) -> list[Run | Sweep]:
    return [*list_runs(root), *list_sweeps(root)]


def _queue(found: Sequence[Run | Sweep]) -> list[Run | Sweep]:
    """Those that wait, the longest-waiting first; without a status it is run by the process that has just made it."""
    return sorted((r for r in found if r.state == "queued" and (r.folder / "status.json").exists()), key=_since)


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
            **_apart(),
        )  # fmt: skip
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _apart() -> dict[str, Any]:
    """Options of Popen for a process that neither Ctrl-C nor the end of the caller's terminal reaches."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS}
    return {"start_new_session": True}


def _start(run: Run | Sweep) -> None:
    """Start the process of a run; lock the folder until that process ends, so that others see the run as running."""
    folder = run.folder.resolve()
    lock = acquire(folder, LAUNCHED)
    try:
        forget_stop(folder)
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
    with contextlib.suppress(OSError, ValueError):
        launch(root)
