"""Run folders: a race is a process that writes into its folder; whoever wants to know how it goes reads the folder.

    config.json     what is run: data set, recipe, contenders, device
    status.json     where it is: running, stopped, finished or failed; step, total, seconds, message
    metrics.jsonl   one line a record: points of the curves, changes of knobs, results
    knobs.json      changes asked for while it runs: {contender: {"learning_rate": …, "keep_prob": …, "block_size": …}}
    state.pt        everything that resuming needs, as of the last epoch or stop
    film/*.npz      heatmaps of the probe images, one file an epoch; probes.npz holds the images
    <contender>/    last.safetensors, best.safetensors

Every file but metrics.jsonl appears whole or not at all; a torn last line of that one is cut off on resuming.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from camdrop.data.files import write_atomic
from camdrop.training import KNOBS
from camdrop.training.config import Contender, Recipe, make_method, method_name

LAUNCHED = ".launched"  # held by who launched a run's process, until it ends; `.lock` by that process, while it works


class RunError(ValueError):
    """A run that cannot be started, followed or changed; the message is one sentence."""


@dataclass(frozen=True)
class RunConfig:
    """What a run does, as `config.json` holds it."""

    data: str
    recipe: Recipe
    contenders: tuple[Contender, ...]
    device: str | None = None
    threads: int | None = None
    compiled: bool = False
    bounds: bool = False  # whether gradient bounds are measured at the end of each epoch
    leakage: bool = False  # whether it is measured then how often networks obey their masks

    def to_json(self) -> str:
        plain = dataclasses.asdict(self)
        for entry, contender in zip(plain["contenders"], self.contenders, strict=True):
            entry["options"] = entry.pop("method") or {}
            entry["method"] = method_name(contender.method)
        return json.dumps(plain, indent=1)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        plain = json.loads(text)
        contenders = tuple(
            Contender(
                entry["name"],
                make_method(entry["method"], entry["options"]),
                entry["schedule"],
                *(None if entry[k] is None else tuple(entry[k]) for k in ("stages", "kinds")),
            )
            for entry in plain["contenders"]
        )
        later = {name: plain.get(name, False) for name in ("compiled", "bounds", "leakage")}
        return cls(plain["data"], Recipe(**plain["recipe"]), contenders, plain["device"], plain["threads"], **later)


@dataclass(frozen=True)
class Run:
    """A run folder as it is now. `state` is queued, running, stopped, finished or failed."""

    folder: Path
    config: RunConfig
    state: str
    step: int = 0
    total: int | None = None
    seconds: float = 0.0
    message: str = ""
    pid: int | None = None
    device: str = ""  # what it was trained on

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def seconds_left(self) -> float | None:
        """At the mean speed so far; None while the length is not known."""
        if not self.total or not self.step:
            return None
        return self.seconds / self.step * (self.total - self.step)


def create(folder: Path, config: RunConfig) -> None:
    """Make a run folder with its configuration. RunError where it holds a run already."""
    claim(folder, "run", "config.json", config.to_json())


def claim(folder: Path, kind: str, file: str, text: str) -> None:
    """Make a folder of a run or a sweep (`kind`) with the `file` that says what it is. RunError where it is one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / file).exists():
            raise RunError(f"{folder} holds a {kind} already; continue it with --resume, or name another folder")
        write_atomic(folder / file, text)
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}); choose another folder") from None


@contextmanager
def open_folder(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    """Read a folder of a run or a sweep (`kind`) in this block, which gets its status. RunError where it cannot be."""
    status = folder / "status.json"
    try:
        yield json.loads(status.read_text()) if status.exists() else {}
    except FileNotFoundError:
        raise RunError(f"{folder} holds no {kind}; start one with --run {folder}") from None
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise RunError(
            f"{folder} cannot be read as a {kind} ({type(error).__name__}); delete it or restore its files"
        ) from None


def load_run(folder: Path) -> Run:
    """Read a run folder. RunError where there is no run in it or its files cannot be read."""
    with open_folder(folder, "run") as status:
        config = RunConfig.from_json((folder / "config.json").read_text())
        run = Run(folder, config, **({"state": "queued"} | status))
    if run.state == "running" and not in_use(folder):
        return dataclasses.replace(run, state="stopped", message="its process is gone; resume it to go on")
    return run


def survey(root: Path) -> tuple[list[Run], dict[Path, str]]:
    """The runs below `root`, the newest first; and the folders that cannot be read as one, with the reason."""
    found, broken = [], {}
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            created = (folder / "config.json").stat().st_mtime
            found.append((created, load_run(folder)))
        except RunError as error:
            broken[folder] = str(error)
        except OSError:
            continue  # no run, or one that goes this very moment
    return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)], broken


def list_runs(root: Path) -> list[Run]:
    """The runs below `root`, the newest first; folders that cannot be read are left out."""
    return survey(root)[0]


def read_metrics(folder: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The records of a run from a byte offset on, and the offset to go on from; half a line is left for later."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return [], start
    with path.open("rb") as file:
        file.seek(start)
        whole = file.read().rpartition(b"\n")
    lines = whole[0].splitlines() if whole[1] else []
    return [json.loads(line) for line in lines if line.strip()], start + len(whole[0]) + len(whole[1])


def read_heatmap_history(folder: Path) -> dict[int, dict[str, np.ndarray]]:
    """Heatmaps by epoch and contender, each (probes, H, W)."""
    frames = {}
    for path in sorted((folder / "film").glob("*.npz")):
        with np.load(path) as frame:
            frames[int(path.stem)] = {name: frame[name] for name in frame.files}
    return frames


def acquire(folder: Path, name: str = ".lock") -> FileLock:
    """Hold a run folder until `release`; the system lets go of it when the process ends, however it ends."""
    lock = FileLock(folder / name, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunError(f"{folder} is in use by another process; stop that one first") from None
    return lock


@contextmanager
def locked(folder: Path, name: str = ".lock") -> Iterator[None]:
    """Hold a run folder in this block. RunError where another process does."""
    lock = acquire(folder, name)
    try:
        yield
    finally:
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a process holds the run folder, or has been started to do so (see camdrop/runs/scheduler.py)."""
    try:
        with locked(folder, LAUNCHED), locked(folder):
            return False
    except RunError:
        return True


def set_state(run: Run, state: str, message: str = "", pid: int | None = None) -> None:
    """Write where a run is, when no process of its own does."""
    now = {"step": run.step, "total": run.total, "seconds": run.seconds, "message": message, "pid": pid}
    now |= {"device": run.device}
    write_atomic(run.folder / "status.json", json.dumps({"state": state, **now}))


def stop(folder: Path) -> None:
    """Ask the run's process to end after its step; it writes its state first."""
    run = load_run(folder)
    if run.state == "running" and run.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGTERM)
    elif run.state == "queued":
        set_state(run, "stopped", "stopped while it waited")


def delete(folder: Path) -> None:
    """Delete a run folder, a broken one too. RunError while it is running or where it holds no run."""
    if not (folder / "config.json").exists():
        raise RunError(f"{folder} holds no run")
    with locked(folder, LAUNCHED), locked(folder):
        (folder / "config.json").unlink()  # from here on it is no run, so that nobody starts it
    shutil.rmtree(folder)  # where files that are open cannot be deleted, the locks would stay


def rename(folder: Path, name: str) -> Path:
    """Give a run another name. RunError for a name that is no plain folder name or is taken."""
    if not re.fullmatch(r"[\w][\w .+-]{0,79}", name):
        raise RunError(f"a run's name is made of letters, digits, spaces and . + - _, got {name!r}")
    new = folder.with_name(name)
    if new.exists():
        raise RunError(f"there is a run named {name} already; choose another name")
    with locked(folder, LAUNCHED), locked(folder):
        pass
    folder.rename(new)  # no earlier: a folder with files that are open cannot be renamed everywhere
    return new


def turn_knobs(folder: Path, contender: str, changes: dict[str, float]) -> None:
    """Ask a running race to change learning rate, γ or r of a contender at its next step. RunError for other names."""
    run = load_run(folder)
    found = {c.name: c for c in run.config.contenders}
    if contender not in found or (unknown := set(changes) - set(KNOBS)):
        what = f"contender {contender!r}" if contender not in found else f"knob {sorted(unknown)[0]!r}"
        raise RunError(f"{run.name} has no {what}; knobs are {', '.join(KNOBS)} of {', '.join(found)}")
    if not changes.get("learning_rate", 0.0) >= 0:
        raise RunError(f"learning_rate must be at least 0, got {changes['learning_rate']}")
    if method := found[contender].method:
        known: dict[str, Any] = {k: v for k, v in changes.items() if hasattr(method, k)}
        dataclasses.replace(method, **known)  # raises for values out of range
    asked = asked_knobs(folder)
    asked.setdefault(contender, {}).update(changes)
    write_atomic(folder / "knobs.json", json.dumps(asked))


def asked_knobs(folder: Path) -> dict[str, dict[str, float]]:
    """What `turn_knobs` has asked for so far, by contender. RunError where the file is damaged."""
    path = folder / "knobs.json"
    try:
        return dict(json.loads(path.read_text())) if path.exists() else {}
    except ValueError:
        raise RunError(f"{path} is damaged; delete it, and turn the knobs again") from None
