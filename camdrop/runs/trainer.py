"""Drive a race in its run folder: record it, checkpoint it, stop it when asked, take it up again, test it."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camdrop import checkpoints
from camdrop.analysis.gradient_bounds import MOST_CLASSES, tension
from camdrop.cam import class_activation_map
from camdrop.data import Dataset, Split, load_dataset, normalise
from camdrop.data.files import write_atomic
from camdrop.data.folders import Progress
from camdrop.runs.folder import Run, RunConfig, RunError, create, load_run, locked
from camdrop.training import Race, Runner, evaluate
from camdrop.training.config import method_name
from camdrop.training.devices import device_name, pick_device, versions
from camdrop.training.distributed import Team, team

PROBES = 8
POINTS_PER_EPOCH = 10

Listener = Callable[[dict[str, Any]], None]


def train(
    folder: Path,
    config: RunConfig | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    listen: Listener | None = None,
) -> Run:
    """Run the race that `folder` is configured for until it ends or is stopped (SIGTERM, SIGINT); returns the run.

    With `config`, the run folder is made first.

    `resume` goes on from the last state, if there is one. `listen` gets every record as it is written. RunError where
    the folder is in use, has run already, or cannot be written; ValueError for what the configuration gets wrong.
    """
    wanted = config or load_run(folder).config
    with team(pick_device(wanted.device)) as (ours, device):
        if config and ours.is_main:
            create(folder, config)
        ours.barrier()  # the folder is there
        _drive(folder, ours, device, resume, progress, listen)
    return load_run(folder)


def _drive(
    folder: Path, ours: Team, device: torch.device, resume: bool, progress: Progress | None, listen: Listener | None
) -> None:
    run = load_run(folder)
    with locked(folder) if ours.is_main else nullcontext():
        if ours.is_main and not resume and (folder / "metrics.jsonl").exists():
            raise RunError(f"{folder} has run already; continue it with --resume, or name another folder")
        try:
            _Drive(run, ours, device, resume, progress, listen).run()
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
            _try_status(folder, f"{why}; make room, then resume")
            raise RunError(f"{folder} cannot be written: {why}; make room, then continue with --resume") from None
        except Exception as error:
            _try_status(folder, str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
            raise


def _try_status(folder: Path, message: str) -> None:
    with suppress(OSError):  # where nothing can be written, the exception that follows says so
        write_atomic(folder / "status.json", json.dumps({"state": "failed", "message": message}))


class _Drive:
    def __init__(
        self,
        run: Run,
        team: Team,
        device: torch.device,
        resume: bool,
        progress: Progress | None,
        listen: Listener | None,
    ) -> None:
        self.folder, self.config, self.team, self.device, self.listen = run.folder, run.config, team, device, listen
        self.seconds, self.knobs_seen, self.asked_to_stop = 0.0, -1, False
        self.device_name = device_name(device)
        self.best: dict[str, float] = {}
        for left in self.folder.rglob(".*.part") if team.is_main else ():  # by a process that was killed
            left.unlink()
        self.status("running", "reading the data")
        if self.config.threads:
            torch.set_num_threads(self.config.threads)
        self.data: Dataset = load_dataset(self.config.data, progress=progress)
        if self.config.bounds and len(self.data.info.classes) > MOST_CLASSES:
            raise ValueError(f"bounds are measured for at most {MOST_CLASSES} classes: race without --bounds")
        self.race = Race(
            self.data, self.config.recipe, list(self.config.contenders), device, team, self.config.compiled
        )
        self.held = self.race.held
        self.probes = self._probes()
        path, kept = self.folder / "state.pt", 0
        if resume and path.exists():
            state = torch.load(path, weights_only=True, map_location=self.device)
            self.race.restore(state["race"])
            self.seconds, self.best, kept = state["seconds"], state["best"], state["metrics"]
        self.metrics = (self.folder / "metrics.jsonl" if team.is_main else Path(os.devnull)).open("ab")
        if team.is_main:
            self.metrics.truncate(kept)
        self.began = time.monotonic() - self.seconds

    def run(self) -> None:
        race = self.race
        previous = {}
        if threading.current_thread() is threading.main_thread():
            previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            every = -(-race.epoch_steps // POINTS_PER_EPOCH)
            stop = False
            while not race.finished and not stop:
                if self.team.size == 1 or race.done % every == 0:  # a team agrees now and then: it costs a message
                    stop, asked = self.team.broadcast((self.asked_to_stop, self._knobs_asked()))
                    if stop:
                        break
                    self._turn_knobs(asked)
                race.step()
                ends = race.done % race.epoch_steps == 0 or race.finished
                if ends or race.done % race.epoch_steps % every == 0 or race.done == 1:  # the first comes at once
                    self._point(ends)
                if ends:
                    self._keep()
            if race.finished:
                self._test()
                self.status("finished")
            else:
                self._save_state()
                self.status("stopped")
        finally:
            self.metrics.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        self.asked_to_stop = True

    def status(self, state: str, message: str = "") -> None:
        race = getattr(self, "race", None)
        self.seconds = time.monotonic() - self.began if race and hasattr(self, "began") else self.seconds
        step, total = (race.done, race.total) if race else (0, None)
        if not self.team.is_main:
            return
        now = {"state": state, "step": step, "total": total, "seconds": self.seconds, "message": message}
        now |= {"pid": os.getpid(), "device": self.device_name}
        write_atomic(self.folder / "status.json", json.dumps(now))

    def write(self, kind: str, **entries: Any) -> None:
        if not self.team.is_main:
            return
        record = {"kind": kind, "step": self.race.done, "epoch": round(self.race.epoch, 4), **entries}
        self.metrics.write(json.dumps(record).encode() + b"\n")
        self.metrics.flush()
        if self.listen:
            self.listen(record)

    def _point(self, ends: bool) -> None:
        """A point of the curves for each contender; with the validation error at the end of an epoch."""
        for runner in self.race.active:
            taken: dict[str, Any] = runner.take(self.race.progress)
            if ends and self.team.is_main and len(self.held) and runner.ended is None:
                taken["validation_error"] = evaluate(runner.model, self.held, self.data.info)["top1_error"]
            if ends and self.team.is_main and self.config.bounds and runner.ended is None:
                taken |= self._tension(runner)
            self.write("point", contender=runner.contender.name, seconds=time.monotonic() - self.began, **taken)
            if runner.ended:
                self.write("end", contender=runner.contender.name, reason=runner.ended)
            elif ends and self.team.is_main:
                error = taken.get("validation_error", taken["train_error"])
                self._checkpoint(runner, "last", taken)
                if error <= self.best.get(runner.contender.name, float("inf")):
                    self.best[runner.contender.name] = error
                    self._checkpoint(runner, "best", taken)
        self.status("running")

    def _tension(self, runner: Runner) -> dict[str, float | None]:
        """Gradient bounds at the probes; masks are drawn by a generator of their own, so that training is the same."""
        info, race = self.data.info, self.race
        generator = torch.Generator(self.device).manual_seed(self.config.recipe.seed + race.done)
        found = tension(
            runner.model, normalise(self.probes.images, info.mean, info.std), self.probes.labels,
            runner.method_at(race.progress), runner.sites, generator,
        )  # fmt: skip
        return {name: value if math.isfinite(value) else None for name, value in dataclasses.asdict(found).items()}

    def _keep(self) -> None:
        """At the end of an epoch: a frame of the film, and the state from which the run can go on."""
        if not self.team.is_main:
            return
        frame, images = io.BytesIO(), normalise(self.probes.images, self.data.info.mean, self.data.info.std)
        maps = {}
        with torch.no_grad():
            for runner in self.race.active:
                runner.model.eval()
                features = runner.model.stages(images)[runner.model.stage_names[-1]]
                cam = class_activation_map(features, runner.model.fc.weight, self.probes.labels)
                maps[runner.contender.name] = cam.half().cpu().numpy()
        np.savez_compressed(frame, **maps)  # type: ignore[arg-type]
        (self.folder / "film").mkdir(exist_ok=True)
        write_atomic(self.folder / "film" / f"{self.race.done:07d}.npz", frame.getvalue())
        self._save_state()

    def _save_state(self) -> None:
        if not self.team.is_main:
            return
        self.metrics.flush()
        os.fsync(self.metrics.fileno())
        self.seconds = time.monotonic() - self.began
        state = {
            "race": self.race.state(), "seconds": self.seconds, "best": self.best, "metrics": self.metrics.tell()
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomic(self.folder / "state.pt", buffer.getvalue())

    def _knobs_asked(self) -> dict[str, dict[str, float]]:
        """What knobs.json asks for, if it changed since the last look."""
        try:
            changed = (self.folder / "knobs.json").stat().st_mtime_ns
            if changed == self.knobs_seen or not self.team.is_main:
                return {}
            self.knobs_seen = changed
            return json.loads((self.folder / "knobs.json").read_text())
        except FileNotFoundError:
            return {}

    def _turn_knobs(self, asked: dict[str, dict[str, float]]) -> None:
        for runner in self.race.active:
            wanted = asked.get(runner.contender.name, {})
            news = {k: v for k, v in wanted.items() if runner.knobs.get(k) != v}
            if news:
                runner.knobs.update(news)
                self.write("knob", contender=runner.contender.name, **news)

    def _probes(self) -> Split:
        """The first held-out images (of the test set if none are held out), whose heatmaps make the film."""
        source = self.held if len(self.held) else self.data.test
        probes = Split(source.images[:PROBES].to(self.device), source.labels[:PROBES].to(self.device))
        file = io.BytesIO()
        np.savez_compressed(file, images=probes.images.cpu().numpy(), labels=probes.labels.cpu().numpy())
        if self.team.is_main:
            write_atomic(self.folder / "probes.npz", file.getvalue())
        return probes

    def _checkpoint(self, runner: Runner, which: str, taken: dict[str, Any], **more: Any) -> None:
        place = self.folder / runner.contender.name
        place.mkdir(exist_ok=True)
        checkpoints.save(place / f"{which}.safetensors", runner.model, self.meta(runner, taken, **more))

    def meta(self, runner: Runner, taken: dict[str, Any], **more: Any) -> checkpoints.Meta:
        """The header of a contender's checkpoint."""
        info, contender, model = self.data.info, runner.contender, runner.model
        options = {} if contender.method is None else dataclasses.asdict(contender.method)
        return checkpoints.Meta(
            architecture=model.architecture, num_classes=model.num_classes, in_channels=model.in_channels,
            shortcut=model.shortcut, dataset=info.name, classes=info.classes, mean=info.mean, std=info.std,
            image_size=info.size, method=method_name(contender.method),
            method_options=options | ({"schedule": contender.schedule} if options else {}),
            recipe=dataclasses.asdict(self.config.recipe) | {"data": self.config.data},
            epochs=int(self.race.epoch), seed=self.config.recipe.seed, train_error=taken["train_error"],
            validation_error=taken.get("validation_error"), device=self.device_name, versions=versions(),
            created=date.today().isoformat(), **more,
        )  # fmt: skip

    def _test(self) -> None:
        """Touch the test set once: the error of each contender's best checkpoint, written into its header."""
        for runner in self.race.active if self.team.is_main else ():
            path = self.folder / runner.contender.name / "best.safetensors"
            best = checkpoints.load(path)
            result = evaluate(best.model.to(self.device), self.data.test, self.data.info)
            meta = dataclasses.replace(best.meta, test_error=result["top1_error"], test_images=int(result["n"]))
            checkpoints.save(path, best.model, meta)
            self.write(
                "result", contender=runner.contender.name, test_error=result["top1_error"],
                top5_error=result["top5_error"], validation_error=meta.validation_error, train_error=meta.train_error,
                best_epoch=meta.epochs,
            )  # fmt: skip
