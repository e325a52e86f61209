"""Run folders: a race is a process that writes into its folder; everybody else reads the folder to follow the race.

    config.json     what the run does: data set, recipe, contenders, device
    status.json     its state: queued, running, stopped, finished or failed; step, total, seconds, message
    metrics.jsonl   one line a record: points of the curves, changes of knobs, results
    guess.json      which contender somebody expects to win, if anybody was asked: {"contender": …}
    stop            asks the process to stop, if it is there
    knobs.json      requested changes while it runs: {contender: {"learning_rate": …, "keep_prob": …, "block_size": …}}
    state.pt        everything that resuming needs, as of the last epoch or stop
    film/*.npz      the heatmap history: maps of the probe images, one file an epoch; probes.npz holds the images
    <contender>/    last.safetensors, best.safetensors

Every file but metrics.jsonl appears whole or not at all; resuming cuts off an incomplete last line of metrics.jsonl.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from camdrop.data.files import write_atomic
from camdrop.runs.reading import as_list, as_object, as_type, pick, read_json, read_record, typed
from camdrop.runs.stopping import ask_to_stop
from camdrop.training import KNOBS
from camdrop.training.config import Contender, Recipe, check_names, make_method, method_name, option_types

# The lock that the launcher of a run's process holds until the process ends; the process itself holds `.lock`.
LAUNCHED = ".launched"
STATES = ("queued", "running", "stopped", "finished", "failed")


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
    bounds: bool = False  # whether to measure gradient bounds at the end of each epoch
    leakage: bool = False  # whether to measure then how often networks obey their masks

    def to_json(self) -> str:
        plain = dataclasses.asdict(self)
        for entry, contender in zip(plain["contenders"], self.contenders, strict=True):
            entry["options"] = entry.pop("method") or {}
            entry["method"] = method_name(contender.method)
        return json.dumps(plain, indent=1)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """ValueError for a text that is no configuration."""
        said = read_json(text)
        contenders = tuple(_contender(entry) for entry in as_list(pick(said, "contenders"), "contenders"))
        check_names(contenders)
        return typed(cls, said, recipe=typed(Recipe, pick(said, "recipe")), contenders=contenders)


def _contender(said: object) -> Contender:
    name, options = as_type(pick(said, "method"), str, "method"), pick(said, "options")
    types = option_types(name)
    known = {key: as_type(value, types.get(key, Any), key) for key, value in as_object(options).items()}
    return typed(Contender, said, method=make_method(name, known))


@dataclass(frozen=True, kw_only=True)
class Status:
    """What `status.json` of a run or a sweep says. `state` is queued, running, stopped, finished or failed."""

    state: str
    step: int = 0
    total: int | None = None
    seconds: float = 0.0
    message: str = ""
    pid: int | None = None
    device: str = ""  # on which it trains

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, got {self.state!r}")
        for name, low in (("step", 0), ("total", 1), ("seconds", 0), ("pid", 1)):
            if (value := getattr(self, name)) is not None and value < low:
                raise ValueError(f"{name} must be at least {low}, got {value}")


@dataclass(frozen=True, kw_only=True)
class Run(Status):
    """The content of a run folder at one moment."""

    folder: Path
    config: RunConfig
    guess: str = ""  # the contender that somebody expects to win

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at the mean speed so far; None while the number of steps is unknown."""
        if not self.total or not self.step:
            return None
        return self.seconds / self.step * (self.total - self.step)


def create(folder: Path, config: RunConfig) -> None:
    """Make a run folder with its configuration. RunError if the folder already holds a run."""
    claim(folder, "run", "config.json", config.to_json())


def claim(folder: Path, kind: str, file: str, text: str) -> None:
    """Make the folder of a run or a sweep (`kind`) with its configuration `file`. RunError if the folder has one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / file).exists():
            raise RunError(f"{folder} holds a {kind} already; continue it with --resume, or name another folder")
        write_atomic(folder / file, text)
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}); choose another folder") from None


@contextmanager
def open_folder(folder: Path, kind: str) -> Iterator[Status | None]:
    """Give this block the status of a run or a sweep (`kind`), None where it has none.

    RunError if that, or what the block reads, is missing or damaged.
    """
    status = folder / "status.json"
    try:
        yield typed(Status, read_json(status.read_bytes())) if status.exists() else None
    except FileNotFoundError:
        raise RunError(f"{folder} holds no {kind}; start one with --run {folder}") from None
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"{folder} cannot be read as a {kind} ({why}); delete it or restore its files") from None


def load_run(folder: Path) -> Run:
    """Read a run folder. RunError if it holds no run or its files are damaged."""
    with open_folder(folder, "run") as status:
        config = RunConfig.from_json((folder / "config.json").read_text("utf-8"))
        guess = folder / "guess.json"
        guessed = as_type(pick(read_json(guess.read_bytes()), "contender"), str, "guess") if guess.exists() else ""
        run = Run(folder=folder, config=config, guess=guessed, **vars(status or Status(state="queued")))
    if run.state == "running" and not in_use(folder):
        return dataclasses.replace(run, state="stopped", message="its process is gone; resume it to go on")
    return run


def survey(root: Path) -> tuple[list[Run], dict[Path, str]]:
    """The runs below `root`, newest first, and the folders that are no readable run, with the reason."""
    found, broken = [], {}
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            created = (folder / "config.json").stat().st_mtime
            found.append((created, load_run(folder)))
        except RunError as error:
            broken[folder] = str(error)
        except OSError:
            continue  # no run, or a run that somebody is deleting
    return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)], broken


def list_runs(root: Path) -> list[Run]:
    """The runs below `root`, newest first, without unreadable folders."""
    return survey(root)[0]


def read_metrics(folder: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The records of a run after byte `start`, and the offset where the next call starts; an incomplete line waits."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return [], start
    with path.open("rb") as file:
        file.seek(start)
        whole = file.read().rpartition(b"\n")
    lines = whole[0].splitlines() if whole[1] else []
    return [read_record(line) for line in lines if line.strip()], start + len(whole[0]) + len(whole[1])


def acquire(folder: Path, name: str = ".lock") -> FileLock:
    """Lock a run folder until `release` or until this process ends. RunError if another process holds the lock."""
    lock = FileLock(folder / name, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunError(f"{folder} is in use by another process; stop that one first") from None
    return lock


@contextmanager
def locked(folder: Path, name: str = ".lock") -> Iterator[None]:
    """Lock a run folder during this block. RunError if another process holds the lock."""
    lock = acquire(folder, name)
    try:
        yield
    finally:
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a process trains in the run folder, or the scheduler has started one that will."""
    try:
        with locked(folder, LAUNCHED), locked(folder):
            return False
    except RunError:
        return True


def set_state(run: Run, state: str, message: str = "", pid: int | None = None) -> None:
    """Write status.json: the progress of `run`, with this state, message and process."""
    now = {"step": run.step, "total": run.total, "seconds": run.seconds, "message": message, "pid": pid}
    now |= {"device": run.device}
    write_atomic(run.folder / "status.json", json.dumps({"state": state, **now}))


def stop(folder: Path) -> None:
    """Ask the process of a run to save its state and end after the current step; a waiting run stops at once."""
    run = load_run(folder)
    if run.state == "running":
        ask_to_stop(folder)
    elif run.state == "queued":
        set_state(run, "stopped", "stopped while it waited")


def delete(folder: Path) -> None:
    """Delete a run folder, even a damaged one. RunError while the run is running or if the folder holds no run."""
    remove(folder, "run", "config.json")


def remove(folder: Path, kind: str, file: str) -> None:
    """Delete a folder of a run or a sweep (`kind`), which has `file`. RunError where it lacks that, or is in use."""
    if not (folder / file).exists():
        raise RunError(f"{folder} holds no {kind}")
    with locked(folder, LAUNCHED), locked(folder):
        (folder / file).unlink()  # no longer a run or a sweep, so nobody starts it
    shutil.rmtree(folder)  # after the release: some systems cannot delete open files


def rename(folder: Path, name: str) -> Path:
    """Rename a run. RunError for a name that is no plain folder name or that another run has."""
    if not re.fullmatch(r"[\w][\w .+-]{0,79}", name):
        raise RunError(f"a run's name is made of letters, digits, spaces and . + - _, got {name!r}")
    new = folder.with_name(name)
    if new.exists():
        raise RunError(f"there is a run named {name} already; choose another name")
    with locked(folder, LAUNCHED), locked(folder):
        pass
    folder.rename(new)  # after the release: some systems cannot rename a folder with open files
    return new


def record_guess(folder: Path, contender: str) -> None:
    """Keep with a run which of its contenders somebody expects to win. RunError where it has no such contender."""
    names = [c.name for c in load_run(folder).config.contenders]
    if contender not in names:
        raise RunError(f"{folder.name} has no contender {contender!r}; it has {', '.join(names)}")
    write_atomic(folder / "guess.json", json.dumps({"contender": contender}))


def turn_knobs(folder: Path, contender: str, changes: dict[str, float]) -> None:
    """Ask a running race to change learning rate, γ or r of a contender at its next step. RunError for other knobs."""
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
    """The knobs that `turn_knobs` has asked for so far, by contender. RunError if the file is damaged."""
    path = folder / "knobs.json"
    try:
        asked = read_json(path.read_bytes()) if path.exists() else {}
        return cast("dict[str, dict[str, float]]", as_type(asked, dict[str, dict[str, float]], "knobs"))
    except ValueError:
        raise RunError(f"{path} is damaged; delete it, and turn the knobs again") from None
