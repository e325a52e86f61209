"""What a run's writer leaves on the disk."""

import dataclasses
import json
import os

import pytest
import torch

from camdrop import runs
from camdrop.checkpoints import Meta, load
from camdrop.runs.writer import load_state, open_writer, remove_leftovers
from camdrop.training import Race
from camdrop.training.config import Contender, Recipe
from tests.support.stripes import stripes

CPU = torch.device("cpu")
RECIPE = Recipe("resnet8", epochs=1, batch_size=60, crop=0, validation=0.2)


@pytest.fixture
def run(tmp_path):
    runs.create(tmp_path / "run", runs.RunConfig("stripes", RECIPE, (Contender("a"),), "cpu"))
    return runs.load_run(tmp_path / "run")


@pytest.fixture
def race():
    return Race(stripes(), RECIPE, [Contender("a")], CPU)


def test_records_after_the_state_are_cut_off_and_the_next_state_knows_it(run, race):
    with open_writer(run, race, None) as writer:
        writer.record("point", "a", {"loss": 1.0})
        writer.save_state()
        writer.record("point", "a", {"loss": 2.0})
    state = load_state(run.folder, CPU)
    size = (run.folder / "metrics.jsonl").stat().st_size
    assert 0 < state["metrics"] < size
    with open_writer(run, race, state) as writer:
        writer.save_state()  # as by a stop before the first step
    assert load_state(run.folder, CPU)["metrics"] == state["metrics"]
    assert [record["loss"] for record in runs.read_metrics(run.folder)[0]] == [1.0]


@pytest.mark.parametrize(("selection", "tested"), [("best", 2), ("last", 3)])
def test_the_checkpoint_that_is_tested(run, selection, tested):
    race = Race(stripes(), dataclasses.replace(RECIPE, selection=selection), [Contender("a")], CPU)
    meta = Meta("resnet8", 2, race.info.channels, recipe={})
    with open_writer(run, race, None) as writer:
        for epoch, error in ((1, 50.0), (2, 20.0), (3, 30.0)):
            described = dataclasses.replace(meta, epochs=epoch, validation_error=error, train_error=1.0)
            writer.save_checkpoint("a", race.runners[0].model, described)
    assert load(run.folder / "a" / "best.safetensors").meta.epochs == tested
    assert load(run.folder / "a" / "last.safetensors").meta.epochs == 3


def test_a_number_that_is_not_finite_is_null_on_disk_and_for_who_listens(run, race):
    heard = []
    with open_writer(run, race, None, heard.append) as writer:
        writer.record("point", "a", {"loss": float("nan"), "gradient_norm": float("inf"), "keep_prob": None, "n": 3})
    (line,) = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert heard == [json.loads(line, parse_constant=pytest.fail)]
    assert list(heard[0].values())[-4:] == [None, None, None, 3] and heard[0]["contender"] == "a"


def test_the_status_tells_where_the_race_is(run, race):
    with open_writer(run, race, {"metrics": 0, "seconds": 100.0, "best": {}}) as writer:
        race.step()
        writer.status("stopped", "by hand")
    now = runs.load_run(run.folder)
    assert (now.state, now.message, now.step, now.total, now.pid) == ("stopped", "by hand", 1, race.total, os.getpid())
    assert 100 <= now.seconds < 160 and "cores" in now.device


def test_half_written_files_of_a_killed_process_go(run):
    (run.folder / "a").mkdir()
    for name in (".status.json.x.part", "a/.last.safetensors.y.part"):
        (run.folder / name).touch()
    remove_leftovers(run.folder)
    assert sorted(path.name for path in run.folder.rglob("*") if path.is_file()) == ["config.json"]
