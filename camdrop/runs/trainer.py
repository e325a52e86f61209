"""Train a race in its run folder: record it, save it, stop it when asked, resume it, test it."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from contextlib import nullcontext, suppress
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from camdrop import checkpoints
from camdrop.analysis.gradient_bounds import MOST_CLASSES, tension
from camdrop.analysis.leakage import obeys
from camdrop.cam import class_activation_map
from camdrop.data import Dataset, Split, load_dataset, normalise
from camdrop.data.files import write_atomic
from camdrop.data.folders import Progress
from camdrop.figures.numbers import percentage
from camdrop.runs.folder import Run, RunConfig, RunError, asked_knobs, create, load_run, locked, set_state
from camdrop.runs.stopping import StopAsked, Stopped, forget_stop, stop_requests, stoppable
from camdrop.runs.writer import Listener, RunWriter, load_state, open_writer, remove_leftovers
from camdrop.training import Contender, Race, Runner, evaluate
from camdrop.training.config import method_name
from camdrop.training.devices import device_name, pick_device, versions
from camdrop.training.distributed import Team, team

PROBES = 8
POINTS_PER_EPOCH = 10
OBEDIENCE_IMAGES = 250

Metrics = dict[str, Any]


def train(
    folder: Path,
    config: RunConfig | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    listen: Listener | None = None,
) -> Run:
    """Run the race that `folder` is configured for until it ends or is stopped (camdrop.runs.stop, SIGTERM, SIGINT).

    Returns the run. With `config`, the run folder is made first. With `resume`, the run goes on from its last state, if
    it has one. `listen` gets every record as it is written. RunError where another process uses the folder, where it
    has run already, or where it cannot be written; ValueError for a wrong configuration.
    """
    wanted = config or load_run(folder).config
    with team(pick_device(wanted.device)) as (ours, device):
        if config and ours.is_main:
            create(folder, config)
        ours.barrier()  # no member reads the folder before the main process has made it
        run = load_run(folder)
        with locked(folder) if ours.is_main else nullcontext():
            if ours.is_main and not resume and (folder / "metrics.jsonl").exists():
                raise RunError(f"{folder} has run already; continue it with --resume, or name another folder")
            if ours.is_main and run.state != "running":  # nobody launched this process who could have been asked since
                forget_stop(folder)
            try:
                _train(run, ours, device, resume, progress, listen)
            except OSError as error:
                why = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
                _try_status(folder, f"{why}; make room, then resume")
                raise RunError(f"{folder} cannot be written: {why}; make room, then continue with --resume") from None
            except Exception as error:
                _try_status(folder, str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
                raise
    return load_run(folder)


def _try_status(folder: Path, message: str) -> None:
    with suppress(OSError):  # where nothing can be written, the exception that follows says so
        write_atomic(folder / "status.json", json.dumps({"state": "failed", "message": message}))


def _train(
    run: Run, ours: Team, device: torch.device, resume: bool, progress: Progress | None, listen: Listener | None
) -> None:
    """Prepare the race, train it, and test it where it has come to its end."""
    config = run.config
    if ours.is_main:
        remove_leftovers(run.folder)
        at_start = Run(folder=run.folder, config=config, state=run.state, device=device_name(device))
        set_state(at_start, "running", "reading the data", os.getpid())
    if config.threads:
        torch.set_num_threads(config.threads)
    state = load_state(run.folder, device) if resume else None
    with stop_requests(run.folder, state["seconds"] if state else 0.0) as stopped:
        try:
            data = load_dataset(config.data, progress=stoppable(progress, stopped) if ours.size == 1 else progress)
        except StopAsked as asked:
            set_state(run, "stopped", str(asked))
            return
        _race(run, ours, device, data, state, stopped, listen)


def _race(
    run: Run, ours: Team, device: torch.device, data: Dataset, state: Metrics | None, stopped: Stopped,
    listen: Listener | None,
) -> None:  # fmt: skip
    config = run.config
    if config.bounds and len(data.info.classes) > MOST_CLASSES:
        raise ValueError(f"bounds are measured for at most {MOST_CLASSES} classes: race without --bounds")
    race = Race(data, config.recipe, list(config.contenders), device, ours, config.compiled)
    if state:
        race.restore(state["race"])
    probes = choose_probes(race, data)
    writing = open_writer(run, race, state, listen) if ours.is_main else nullcontext()
    with writing as writer:
        if writer:
            writer.save_probes(probes)
        why = _loop(run, race, probes, writer, stopped)
        if writer and race.finished:
            _test(race, data, writer)
            writer.status("finished")
        elif writer:
            writer.save_state()
            writer.status("stopped", why)


def _loop(run: Run, race: Race, probes: Split, writer: RunWriter | None, stopped: Stopped) -> str:
    """Train until the race has ended or shall stop; returns why, if there is more to say.

    Of a team, the main process alone has a writer.
    """
    every, knobs = -(-race.epoch_steps // POINTS_PER_EPOCH), KnobFile(run.folder)
    while not race.finished:
        if race.team.size == 1 or race.done % every == 0:  # a team agrees now and then: it costs a message
            stop, changes = race.team.broadcast((stopped(), knobs.changes()))
            if stop is not None:
                return str(stop)
            _turn_knobs(race, changes, writer)
        race.step()
        inside = race.done % race.epoch_steps
        epoch_ends = inside == 0 or race.finished
        if epoch_ends or inside % every == 0 or race.done == 1:  # the first comes at once
            points = _measure(race, run.config, probes if epoch_ends else None)
            if writer:
                _record(writer, points)
                if epoch_ends:
                    _save(writer, points, probes)
    return ""


class KnobFile:
    """knobs.json of a run, which `turn_knobs` writes while the race runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, -1

    def changes(self) -> dict[str, dict[str, float]]:
        """The knobs asked for, by contender, if the file has changed since the last call; else nothing."""
        try:
            changed = (self.folder / "knobs.json").stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if changed == self.seen:
            return {}
        self.seen = changed
        return asked_knobs(self.folder)


def _turn_knobs(race: Race, asked: dict[str, dict[str, float]], writer: RunWriter | None) -> None:
    for runner in race.active:
        wanted = asked.get(runner.contender.name, {})
        changes = {knob: value for knob, value in wanted.items() if runner.knob(knob) != value}
        if changes:
            runner.knobs.update(changes)
            if writer:
                writer.record("knob", runner.contender.name, changes)


def _measure(race: Race, config: RunConfig, probes: Split | None) -> dict[Runner, Metrics]:
    """The metrics of every contender since the last point; ends those that have diverged.

    With `probes`, at the end of an epoch, the main process adds errors without masks, of training and of held-out
    images, and what `config` asks for: gradient bounds, and whether the network obeys its masks.
    """
    points: dict[Runner, Metrics] = {}
    for runner in race.active:
        metrics = points[runner] = runner.pop_metrics(race.progress, probes is not None)
        runner.end_if_diverged(metrics)
        if probes is None or runner.ended or not race.team.is_main:
            continue
        metrics["unmasked_train_error"] = evaluate(runner.model, race.sample, race.info)["top1_error"]
        if len(race.held):
            metrics["validation_error"] = evaluate(runner.model, race.held, race.info)["top1_error"]
        if config.bounds:
            metrics |= measure_bounds(race, runner, probes)
        if config.leakage and runner.contender.method is not None:
            metrics["obeys"] = measure_obedience(race, runner)
    return points


def _record(writer: RunWriter, points: dict[Runner, Metrics]) -> None:
    for runner, metrics in points.items():
        writer.record("point", runner.contender.name, {"seconds": writer.seconds, **metrics})
        if runner.ended:
            writer.record("end", runner.contender.name, {"reason": runner.ended})
    writer.status("running")


def _save(writer: RunWriter, points: dict[Runner, Metrics], probes: Split) -> None:
    """Save what the end of an epoch leaves: checkpoints, heatmaps of the probes, the state to resume from."""
    race = writer.race
    for runner in race.active:
        writer.save_checkpoint(
            runner.contender.name, runner.model, header(race, runner, writer.run.config.data, points[runner])
        )
    writer.save_heatmaps(draw_heatmaps(race, probes))
    writer.save_state()


def choose_probes(race: Race, data: Dataset) -> Split:
    """The first held-out images (of the test set if none are held out), whose heatmaps the history shows."""
    source = race.held if len(race.held) else data.test
    return Split(source.images[:PROBES].to(race.device), source.labels[:PROBES].to(race.device))


@torch.no_grad()
def draw_heatmaps(race: Race, probes: Split) -> dict[str, np.ndarray]:
    """Class activation maps (probes, H, W) of the probes' labels at the last stage, by contender, in half precision."""
    x, maps = normalise(probes.images, race.info.mean, race.info.std), {}
    for runner in race.active:
        model = runner.model.eval()
        features = model.stages(x)[model.stage_names[-1]]
        cam = class_activation_map(features, model.fc.weight, probes.labels)
        maps[runner.contender.name] = cam.half().cpu().numpy()
    return maps


def measure_bounds(race: Race, runner: Runner, probes: Split) -> Metrics:
    """Gradient bounds at the probes. A generator apart draws the masks, so that the training stays as it is."""
    x = normalise(probes.images, race.info.mean, race.info.std)
    generator = torch.Generator(race.device).manual_seed(race.recipe.seed + race.done)
    method = runner.method_at(race.progress)
    return dataclasses.asdict(tension(runner.model, x, probes.labels, method, runner.sites, generator))


def measure_obedience(race: Race, runner: Runner) -> float:
    """How often, in percent, the network answers a random class for which its masks are drawn; see `leakage.obeys`."""
    method = runner.method_at(race.progress)
    assert method is not None
    source = race.held if len(race.held) else race.sample
    x = normalise(source.images[:OBEDIENCE_IMAGES].to(race.device), race.info.mean, race.info.std)
    share = obeys(runner.model.eval(), method, x, runner.sites, seed=race.recipe.seed + race.done).value
    return percentage(share)


def header(race: Race, runner: Runner, data: str, metrics: Metrics) -> checkpoints.Meta:
    """The header of a contender's checkpoint; `data` names the data set as the run's configuration does."""
    info, contender, model = race.info, runner.contender, runner.model
    options = {} if contender.method is None else dataclasses.asdict(contender.method) | where(contender)
    return checkpoints.Meta(
        architecture=model.architecture, num_classes=model.num_classes, in_channels=model.in_channels,
        shortcut=model.shortcut, dataset=info.name, classes=info.classes, mean=info.mean, std=info.std,
        image_size=info.size, method=method_name(contender.method),
        method_options=options, knobs=dict(runner.knobs),
        recipe=dataclasses.asdict(race.recipe) | {"data": data}, epochs=int(race.epoch), seed=race.recipe.seed,
        train_error=metrics["train_error"], validation_error=metrics.get("validation_error"),
        device=device_name(race.device), versions=versions(), created=date.today().isoformat(),
    )  # fmt: skip


def where(contender: Contender) -> dict[str, Any]:
    """Schedule of a contender, and the stages and kinds of site where it acts if they are not the usual ones."""
    places = {"stages": contender.stages, "kinds": contender.kinds}
    return {"schedule": contender.schedule} | {name: list(found) for name, found in places.items() if found}


def _test(race: Race, data: Dataset, writer: RunWriter) -> None:
    """Touch the test set once: measure the error of each contender's best checkpoint, and write it into the header."""
    for runner in race.active:
        path = writer.best_checkpoint(runner.contender.name)
        best = checkpoints.load(path)
        result = evaluate(best.model.to(race.device), data.test, data.info)
        meta = dataclasses.replace(best.meta, test_error=result["top1_error"], test_images=int(result["n"]))
        checkpoints.save(path, best.model, meta)
        writer.record("result", runner.contender.name, {
            "test_error": result["top1_error"], "top5_error": result["top5_error"],
            "validation_error": meta.validation_error, "train_error": meta.train_error, "best_epoch": meta.epochs,
        })  # fmt: skip
