"""Learning rate × retaining rate (paper Figure 4): one small training a cell, in a folder that a page can follow.

sweep.json      what the sweep does: data set, recipe, learning rates, retaining rates, method
status.json     its state: queued, running, stopped, finished or failed; process, message
cells.jsonl     one line a finished cell; resuming cuts off an incomplete last line
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from camdrop.data import short_name
from camdrop.data.files import write_atomic
from camdrop.masks import METHODS, Method
from camdrop.runs.folder import RunError, claim, in_use, open_folder, remove
from camdrop.runs.reading import pick, read_json, typed
from camdrop.runs.stopping import ask_to_stop
from camdrop.training.config import Recipe, make_method

# Section 4.2: between 0.03 and 15, with 1, 3 and 10 among them; γ from 1 to 0.5, with each tenth among them.
LEARNING_RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 6.0, 10.0, 15.0)
KEEP_PROBS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
RECIPE = Recipe(
    "resnet8", epochs=1, batch_size=64, lr_schedule="step", crop=2, flip=False, validation=0.1
)  # of the bundled sample some five minutes on two cores


@dataclass(frozen=True)
class Plan:
    """What a sweep does, as `sweep.json` holds it.

    `images` is the largest number of training images. The sweep does not use the learning rate of the recipe; a γ of 1
    trains without a mask. ValueError for values out of range.
    """

    data: str = "fashion-sample"
    recipe: Recipe = RECIPE
    learning_rates: tuple[float, ...] = LEARNING_RATES
    keep_probs: tuple[float, ...] = KEEP_PROBS
    method: str = "camdrop"
    block_size: int = 7
    reading: str = "paper"
    images: int | None = None

    def __post_init__(self) -> None:
        for name, values in (("learning rates", self.learning_rates), ("retaining rates", self.keep_probs)):
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must be different numbers, at least one, got {values}")
        if not min(self.learning_rates) > 0:
            raise ValueError(f"learning rates must be above 0, got {min(self.learning_rates)}")
        if self.images is not None and self.images < 4:
            raise ValueError(f"images must be at least 4, got {self.images}")
        if self.method == "baseline":
            raise ValueError(f"method must be one of {', '.join(METHODS)}: a γ of 1 trains without one")
        for keep_prob in self.keep_probs:
            self.mask(keep_prob)

    def mask(self, keep_prob: float) -> Method | None:
        """The method of the cells with this γ; None for a γ of 1, which drops nothing."""
        shared = {"block_size": self.block_size, "reading": self.reading}
        method = make_method(self.method, {"keep_prob": keep_prob}, shared)
        return None if keep_prob == 1 else method

    @property
    def cells(self) -> list[tuple[float, float]]:
        """(learning rate, γ) of every cell, in an order of training that soon reaches all parts of the plane."""
        every = [(rate, keep) for rate in self.learning_rates for keep in self.keep_probs]
        return [cell for start in range(3) for cell in every[start::3]]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """ValueError for a text that is no plan."""
        said = read_json(text)
        return typed(cls, said, recipe=typed(Recipe, pick(said, "recipe")))


@dataclass(frozen=True)
class Cell:
    """One training: errors without masks, in percent, on the held-out images and on as many training images.

    `state` is done, diverged (the loss is not finite, and the network answers by chance) or failed (no errors).
    `message` says why.
    """

    learning_rate: float
    keep_prob: float
    state: str
    train_error: float | None = None
    validation_error: float | None = None
    steps: int = 0
    seconds: float = 0.0
    message: str = ""

    def __post_init__(self) -> None:
        if self.state not in ("done", "diverged", "failed"):
            raise ValueError(f"state must be done, diverged or failed, got {self.state!r}")

    def __str__(self) -> str:
        if self.validation_error is None:
            return self.state
        return f"{self.validation_error:.1f}" + (" ×" if self.state == "diverged" else "")

    @property
    def learns(self) -> bool:
        """Whether the network answers more than half of the held-out images correctly."""
        return self.validation_error is not None and self.validation_error < 50


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep's folder at one moment. `state` is new, queued, running, stopped, finished or failed."""

    folder: Path
    plan: Plan
    state: str
    cells: dict[tuple[float, float], Cell]
    message: str = ""
    pid: int | None = None

    @property
    def title(self) -> str:
        """Method and data set in words."""
        plan = self.plan
        reading = f" ({plan.reading})" if plan.method == "camdrop" else ""
        return f"{METHODS[plan.method].__name__}{reading}, {short_name(plan.data)}"

    def __str__(self) -> str:
        plan = self.plan
        budget = "1 epoch" if plan.recipe.epochs == 1 else f"{plan.recipe.epochs} epochs"
        amount = "" if plan.images is None else f" of {plan.images:,} images"
        return f"{self.title}, r {plan.block_size}, {budget}{amount}"

    @property
    def learning_rates(self) -> list[float]:
        return sorted(self.plan.learning_rates)

    @property
    def keep_probs(self) -> list[float]:
        return sorted(self.plan.keep_probs, reverse=True)

    def _rows(self) -> list[list[Cell | None]]:
        """The cells by ascending rates and descending γ; None for a missing cell."""
        return [[self.cells.get((rate, keep)) for keep in self.keep_probs] for rate in self.learning_rates]

    def grid(self, measure: str) -> npt.NDArray[np.float64]:
        """(rates, γs) `validation_error` or `train_error` by ascending rates and descending γ, NaN if missing."""
        return np.array([[getattr(cell, measure, None) for cell in row] for row in self._rows()], np.float64)

    def marks(self) -> npt.NDArray[np.str_]:
        """(rates, γs) in the same order: × for a diverged cell, `failed` for a failed one, else an empty string."""
        words = {"diverged": "×", "failed": "failed"}
        return np.array([[words.get(cell.state, "") if cell else "" for cell in row] for row in self._rows()])

    def _alone(self) -> dict[float, bool]:
        """Whether the network learns without a mask, by learning rate, for the cells that exist."""
        found = {rate: self.cells.get((rate, 1.0)) for rate in self.learning_rates}
        return {rate: cell.learns for rate, cell in found.items() if cell}

    def saved_and_lost(self) -> tuple[str, str]:
        """How many masked cells learn where the unmasked one does not (`0 of 28`), and how many fail where it does."""
        alone, masked = self._alone(), [cell for cell in self.cells.values() if cell.keep_prob < 1]
        beyond, within = ([c.learns for c in masked if alone.get(c.learning_rate) is so] for so in (False, True))
        return f"{sum(beyond)} of {len(beyond)}", f"{len(within) - sum(within)} of {len(within)}"

    def verdict(self) -> str:
        """Whether masks save high learning rates, as the paper claims (section 4.2), in two sentences."""
        where = ", ".join(f"{rate:g}" for rate, learns in self._alone().items() if learns) or "none"
        saved, lost = self.saved_and_lost()
        return (
            f"Without a mask it learns (an error below 50 %) at the rates {where}. Where it does not, masks save "
            f"{saved} cells; where it does, they lose {lost}."
        )


def create(folder: Path, plan: Plan) -> None:
    """Make a sweep's folder. RunError if the folder already holds a sweep."""
    claim(folder, "sweep", "sweep.json", plan.to_json())


def load_sweep(folder: Path) -> Sweep:
    """Read a sweep's folder. RunError if it holds no sweep or its files are damaged."""
    with open_folder(folder, "sweep") as status:
        plan = Plan.from_json((folder / "sweep.json").read_text("utf-8"))
        now = (status.state, status.message, status.pid) if status else ("new", "", None)
        sweep = Sweep(folder, plan, now[0], read_cells(folder), *now[1:])
    if sweep.state == "running" and not in_use(folder):
        return dataclasses.replace(sweep, state="stopped", message="its process is gone; resume it to go on")
    return sweep


def list_sweeps(root: Path) -> list[Sweep]:
    """The sweeps below `root`, newest first, without unreadable folders."""
    found = []
    for path in sorted(root.glob("*/sweep.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        with contextlib.suppress(RunError):
            found.append(load_sweep(path.parent))
    return found


def read_cells(folder: Path) -> dict[tuple[float, float], Cell]:
    """The finished cells by (learning rate, γ), without an incomplete last line."""
    path = folder / "cells.jsonl"
    whole = path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else []
    cells = (typed(Cell, read_json(line)) for line in whole)
    return {(cell.learning_rate, cell.keep_prob): cell for cell in cells}


def append(folder: Path, cell: Cell) -> None:
    """Append a cell to cells.jsonl; it is on the disk when this returns."""
    with (folder / "cells.jsonl").open("ab") as file:
        file.write(json.dumps(dataclasses.asdict(cell)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def mend(folder: Path) -> None:
    """Cut off the incomplete line that a killed process may have left in cells.jsonl."""
    path = folder / "cells.jsonl"
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(len(b"".join(file.read().rpartition(b"\n")[:2])))


def set_state(folder: Path, state: str, message: str = "", pid: int | None = None) -> None:
    """Write status.json of a sweep."""
    write_atomic(folder / "status.json", json.dumps({"state": state, "message": message, "pid": pid}))


def stop(folder: Path) -> None:
    """Ask the process of a sweep to end; it loses the unfinished cells. A waiting sweep stops at once."""
    sweep = load_sweep(folder)
    if sweep.state == "running":
        ask_to_stop(folder)
    elif sweep.state == "queued":
        set_state(folder, "stopped", "stopped while it waited")


def delete(folder: Path) -> None:
    """Delete a sweep's folder, even a damaged one. RunError while it is running or if the folder holds no sweep."""
    remove(folder, "sweep", "sweep.json")
