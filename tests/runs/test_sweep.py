"""The sweep of Figure 4: its cells against trainings of their own; a process that is stopped, killed and resumed."""

import dataclasses
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from camdrop import cli
from camdrop.masks import CamDrop
from camdrop.runs import LAUNCHED, RunError, in_use, locked, scheduler, sweep, sweep_workers
from camdrop.runs.sweep import KEEP_PROBS, LEARNING_RATES, RECIPE, Cell, Plan
from camdrop.training import Race, evaluate
from camdrop.training.config import Contender
from tests.support.shades import shades


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder data set: dark and bright images of 8×8 pixels, that overlap."""
    return shades(tmp_path_factory.mktemp("shades"), train=40, test=2, low=60, span=180)


@pytest.fixture
def plan(data):
    recipe = dataclasses.replace(RECIPE, batch_size=8, crop=1, validation=0.25)
    return Plan(data, recipe, (0.05, 1e20), (1.0, 0.5), block_size=3, reading="matched", images=60)


def test_the_plane_of_figure_4():
    assert len(LEARNING_RATES) == len(KEEP_PROBS) == 8 and (min(LEARNING_RATES), max(LEARNING_RATES)) == (0.03, 15)
    assert {1.0, 3.0, 10.0} < set(LEARNING_RATES) and {1.0, 0.9, 0.8, 0.7, 0.6, 0.5} < set(KEEP_PROBS)
    plan = Plan()
    assert len(plan.cells) == len(set(plan.cells)) == 64 and Plan.from_json(plan.to_json()) == plan
    assert plan.mask(1.0) is None and plan.mask(0.9) == CamDrop(keep_prob=0.9, block_size=7)
    for wrong, word in (
        ({"learning_rates": ()}, "at least one"), ({"learning_rates": (0.1, 0.1)}, "different"),
        ({"learning_rates": (0.0,)}, "above 0"), ({"keep_probs": (1.5,)}, "keep_prob"), ({"method": "x"}, "method"),
        ({"images": 1}, "images"), ({"reading": "x"}, "reading"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            Plan(**wrong)


def test_a_cell_is_the_training_that_its_recipe_says(plan):
    data = sweep_workers.prepare(plan)
    assert len(data.train) == 60
    cell = sweep_workers.train_cell(plan, data, 0.05, 0.5, lambda: False)
    recipe = dataclasses.replace(plan.recipe, learning_rate=0.05)
    method = CamDrop(keep_prob=0.5, block_size=3, reading="matched")
    race = Race(data, recipe, [Contender("cell", method)], torch.device("cpu"))
    while not race.finished:
        race.step()
    assert cell.state == "done" and cell.steps == race.done == 45 // 8
    assert cell.validation_error == evaluate(race.runners[0].model, race.held, data.info)["top1_error"]
    assert 0 <= cell.train_error <= 100 and cell.seconds > 0
    assert sweep_workers.train_cell(plan, data, 0.05, 0.5, lambda: True) is None  # stopped


def test_what_diverges_or_fails_is_a_cell(plan, tmp_path, monkeypatch):
    data = sweep_workers.prepare(plan)
    diverged = sweep_workers.train_cell(plan, data, 1e20, 1.0, lambda: False)
    assert diverged.state == "diverged" and "loss is" in diverged.message and diverged.validation_error > 20

    def break_down(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(sweep_workers, "Race", break_down)
    failed = sweep_workers.train_cell(plan, data, 0.05, 1.0, lambda: False)
    assert failed == Cell(0.05, 1.0, "failed", message="MemoryError: no room")
    # a failed cell is tried again on resuming, the others are kept
    sweep.create(tmp_path / "s", plan)
    for cell in (failed, diverged):
        sweep.append(tmp_path / "s", cell)
    tried = []
    monkeypatch.setattr(sweep_workers, "by_processes", lambda _plan, todo, *_: tried.extend(todo) or iter(()))
    ended = sweep_workers.run_sweep(tmp_path / "s", resume=True)
    assert set(tried) == set(plan.cells) - {(1e20, 1.0)} and ended.state == "stopped"


def test_half_a_line_is_no_cell(tmp_path, plan):
    sweep.create(tmp_path / "s", plan)
    sweep.append(tmp_path / "s", Cell(0.05, 1.0, "done", 1.0, 2.0))
    with (tmp_path / "s" / "cells.jsonl").open("ab") as file:
        file.write(b'{"learning_rate": 0.05, "keep')
    assert list(sweep.read_cells(tmp_path / "s")) == [(0.05, 1.0)]
    sweep.mend(tmp_path / "s")
    sweep.append(tmp_path / "s", Cell(1e20, 1.0, "diverged"))
    assert set(sweep.read_cells(tmp_path / "s")) == {(0.05, 1.0), (1e20, 1.0)}


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def lines(folder):
    path = folder / "cells.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


@pytest.fixture
def long(plan):
    """A sweep of 12 cells, of which none is done in no time."""
    rates = tuple(0.01 * k for k in range(1, 7))
    return dataclasses.replace(plan, learning_rates=rates, recipe=dataclasses.replace(plan.recipe, epochs=4))


@pytest.mark.slow
def test_killed_and_resumed(long, tmp_path):
    """No finished cell is lost or trained again, and no process is left behind."""
    folder = tmp_path / "s"
    sweep.create(folder, long)
    scheduler.submit(folder)
    assert scheduler.launch(tmp_path) == [folder]
    with pytest.raises(RunError, match="s is running; only"):
        scheduler.submit(folder)
    wait_for(lambda: len(lines(folder)) >= 2)
    pid = sweep.load_sweep(folder).pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    workers = [int(child) for child in children.read_text().split()] if children.exists() else []
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not in_use(folder))
    wait_for(lambda: not any(alive(worker) for worker in workers))
    killed = sweep.load_sweep(folder)
    assert killed.state == "stopped" and "resume" in killed.message
    kept = lines(folder)
    assert 2 <= len(kept) < 12
    with (folder / "cells.jsonl").open("ab") as file:
        file.write(b'{"learning')
    finished = sweep_workers.run_sweep(folder, resume=True, workers=1)
    assert finished.state == "finished" and set(finished.cells) == set(long.cells)
    assert lines(folder)[: len(kept)] == kept and len(lines(folder)) == 12


def test_delete(plan, tmp_path):
    with pytest.raises(RunError, match="holds no sweep"):
        sweep.delete(tmp_path)
    sweep.create(tmp_path / "s", plan)
    (tmp_path / "s" / "status.json").write_text("{")  # a damaged one can go too
    for lock in (".lock", LAUNCHED):
        with locked(tmp_path / "s", lock), pytest.raises(RunError, match="in use"):
            sweep.delete(tmp_path / "s")
    assert (tmp_path / "s" / "sweep.json").exists()
    sweep.delete(tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_stopped(long, tmp_path):
    """It ends after some steps of the cells in flight, by the page's button as by a signal."""
    heard = []

    def listen(cell):
        heard.append(cell)
        sweep.stop(tmp_path / "s")

    before = signal.getsignal(signal.SIGTERM)
    stopped = sweep_workers.run_sweep(tmp_path / "s", long, workers=1, listen=listen)
    assert stopped.state == "stopped" and 1 <= len(stopped.cells) == len(heard) < 12
    assert signal.getsignal(signal.SIGTERM) == before


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["camdrop", "sweep", *map(str, args)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_mistakes_are_one_line(monkeypatch, tmp_path, data, capsys):
    sweep.create(tmp_path / "there", Plan())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{")
    for args, word in (
        (("--run", tmp_path / "a", "--lr", "0.1,x"), "--lr"),
        (("--run", tmp_path / "a", "--keep-prob", "2"), "keep_prob"),
        (("--run", tmp_path / "a", "--method", "baseline"), "method"),
        (("--run", tmp_path / "there"), "--resume"),
        (("--run", tmp_path / "nowhere", "--resume"), "nowhere"),
        (("--run", tmp_path / "broken", "--resume"), "broken"),
        (("--run", tmp_path / "b", "--data", "imagenette"), "imagenette"),
        (("--run", tmp_path / "c", "--data", data, "--engine", "spark"), "ray"),
    ):
        assert run(monkeypatch, *args) == 2
        err = capsys.readouterr().err
        assert word in err and err.count("\n") == 1 and "Traceback" not in err, args
    assert sweep.load_sweep(tmp_path / "b").state == "failed" and not (tmp_path / "c").exists()
    assert [found.folder.name for found in sweep.list_sweeps(tmp_path)] != []


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install '.[ray]'")
def test_ray_trains_the_same_cells(plan, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ended = sweep_workers.run_sweep(tmp_path / "ray", plan, engine="ray", workers=2)
    assert ended.state == "finished" and set(ended.cells) == set(plan.cells)
    data = sweep_workers.prepare(plan)
    for (rate, keep_prob), cell in ended.cells.items():
        here = sweep_workers.train_cell(plan, data, rate, keep_prob, lambda: False)
        assert dataclasses.replace(cell, seconds=0) == dataclasses.replace(here, seconds=0)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_how_to_get_it(plan, tmp_path):
    with pytest.raises(ValueError, match=r"pip install '\.\[ray\]'"):
        sweep_workers.run_sweep(tmp_path / "ray", plan, engine="ray")
    assert json.loads((tmp_path / "ray" / "status.json").read_text())["state"] == "failed"
