"""What a training writes into its run folder, file by file (the files are listed in camdrop/runs/folder.py)."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from camdrop import checkpoints
from camdrop.data import Split
from camdrop.data.files import write_atomic
from camdrop.resnet import Network
from camdrop.runs.folder import Run, set_state
from camdrop.training import Race
from camdrop.training.devices import device_name

Listener = Callable[[dict[str, Any]], None]


def remove_leftovers(folder: Path) -> None:
    """Delete the half-written files of a process that was killed."""
    for path in folder.rglob(".*.part"):
        path.unlink()


def load_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state from which a run can go on, its tensors on `device`; None where the run has not saved one yet."""
    path = folder / "state.pt"
    return torch.load(path, weights_only=True, map_location=device) if path.exists() else None


@contextmanager
def open_writer(
    run: Run, race: Race, state: dict[str, Any] | None, listen: Listener | None = None
) -> Iterator[RunWriter]:
    """A writer that goes on from `state`, or begins anew where that is None; records after the state are cut off."""
    state = state or {"metrics": 0, "seconds": 0.0, "best": {}}
    with (run.folder / "metrics.jsonl").open("ab") as metrics:
        metrics.truncate(state["metrics"])
        metrics.seek(state["metrics"])
        yield RunWriter(run, race, metrics, time.monotonic() - state["seconds"], dict(state["best"]), listen)


@dataclass
class RunWriter:
    """Writes the files of one run; of a team, the main process alone has a writer. Open one by `open_writer`."""

    run: Run
    race: Race
    metrics: BinaryIO  # metrics.jsonl, open at its end
    began: float  # when the run would have begun had it never stopped, by time.monotonic
    best: dict[str, float]  # the least error at the end of an epoch, by contender
    listen: Listener | None  # gets every record

    @property
    def seconds(self) -> float:
        """How long the run has taken, without the time in which it was stopped."""
        return time.monotonic() - self.began

    def status(self, state: str, message: str = "") -> None:
        now = dataclasses.replace(
            self.run, step=self.race.done, total=self.race.total, seconds=self.seconds,
            device=device_name(self.race.device),
        )  # fmt: skip
        set_state(now, state, message, os.getpid())

    def record(self, kind: str, contender: str, entries: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl: a `point`, `knob`, `end` or `result` of a contender."""
        entries = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in entries.items()}
        where = {"kind": kind, "step": self.race.done, "epoch": round(self.race.epoch, 4), "contender": contender}
        record = where | entries
        self.metrics.write(json.dumps(record).encode() + b"\n")
        self.metrics.flush()
        if self.listen:
            self.listen(record)

    def save_probes(self, probes: Split) -> None:
        """Write the images (N, C, H, W) whose heatmaps the history shows, with their labels."""
        self._save_arrays(
            self.run.folder / "probes.npz",
            {"images": probes.images.cpu().numpy(), "labels": probes.labels.cpu().numpy()},
        )

    def save_heatmaps(self, heatmaps: Mapping[str, np.ndarray]) -> None:
        """Add an entry to the heatmap history: the maps (probes, H, W) by contender."""
        folder = self.run.folder / "film"
        folder.mkdir(exist_ok=True)
        self._save_arrays(folder / f"{self.race.done:07d}.npz", heatmaps)

    def _save_arrays(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomic(path, buffer.getvalue())

    def save_checkpoint(self, contender: str, model: Network, meta: checkpoints.Meta) -> None:
        """Write a contender's `last` checkpoint; its `best` one too, unless an earlier epoch had a smaller error.

        The error is the validation error, or the training error where no images are held out. Where the recipe selects
        the last checkpoint, it is the best.
        """
        folder = self.run.folder / contender
        folder.mkdir(exist_ok=True)
        checkpoints.save(folder / "last.safetensors", model, meta)
        error = meta.train_error if meta.validation_error is None else meta.validation_error
        assert error is not None
        if self.race.recipe.selection == "last" or error <= self.best.get(contender, math.inf):
            self.best[contender] = error
            checkpoints.save(self.best_checkpoint(contender), model, meta)

    def best_checkpoint(self, contender: str) -> Path:
        return self.run.folder / contender / "best.safetensors"

    def save_state(self) -> None:
        """Write everything that resuming needs, among it how much of metrics.jsonl belongs to it."""
        self.metrics.flush()
        os.fsync(self.metrics.fileno())
        state = {
            "race": self.race.state(), "seconds": self.seconds, "best": self.best, "metrics": self.metrics.tell()
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomic(self.run.folder / "state.pt", buffer.getvalue())
