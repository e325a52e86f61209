import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from camdrop import runs
from camdrop.checkpoints import load
from camdrop.masks import CamDrop, DropBlock
from camdrop.runs import writer
from camdrop.runs.trainer import train
from camdrop.training.config import Contender, Recipe
from tests.support import ROOT
from tests.support.kills import MOST
from tests.support.shades import shades

RECIPE = Recipe("resnet8", epochs=3, batch_size=10, learning_rate=0.05, crop=1, flip=False, validation=0.2)
CONTENDERS = (Contender("baseline"), Contender("dropblock", DropBlock(keep_prob=0.8, block_size=3)),
              Contender("camdrop", CamDrop(keep_prob=0.5, block_size=3), "linear"))  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return shades(tmp_path_factory.mktemp("shades"), train=50, test=10)


@pytest.fixture
def start(data, tmp_path):
    def start(name="run", recipe=RECIPE, contenders=CONTENDERS, bounds=False):
        folder = tmp_path / name
        runs.create(folder, runs.RunConfig(data, recipe, contenders, "cpu", 1, bounds=bounds))
        return folder

    return start


def weights(folder, which="last"):
    return {c.name: load(folder / c.name / f"{which}.safetensors").model.state_dict() for c in CONTENDERS}


def same(a, b):
    return all(torch.equal(a[c][k], b[c][k]) for c in a for k in a[c])


def points(folder):
    """The curves without what depends on the clock."""
    clock = ("seconds", "images_per_second")
    return [{k: v for k, v in r.items() if k not in clock} for r in runs.read_metrics(folder)[0]]


def stop_after(step):
    def listen(record):
        if record["step"] >= step:
            os.kill(os.getpid(), signal.SIGTERM)

    return listen


@pytest.mark.slow
def test_a_run_records_itself(start):
    folder = start()
    run = train(folder)
    assert run.state == "finished" and run.step == run.total == 24 and run.seconds_left == 0
    records = points(folder)
    for contender in CONTENDERS:
        own = [r for r in records if r["contender"] == contender.name]
        validated = [r["epoch"] for r in own if r.get("validation_error") is not None and r["kind"] == "point"]
        assert validated == [1, 2, 3] and len([r for r in own if r["kind"] == "point"]) == 24
        result = own[-1]
        meta = load(folder / contender.name / "best.safetensors").meta
        assert result["kind"] == "result" and meta.test_error == result["test_error"] and meta.test_images == 20
        assert meta.validation_error == min(r["validation_error"] for r in own if r.get("validation_error") is not None)
    linear = [r["keep_prob"] for r in records if r["contender"] == "camdrop" and r["kind"] == "point"]
    assert linear == pytest.approx([1 - 0.5 * step / 24 for step in range(1, 25)])
    history = runs.read_heatmap_history(folder)
    assert list(history) == [8, 16, 24] and history[8]["camdrop"].shape == (8, 2, 2)
    assert np.load(folder / "probes.npz")["images"].shape == (8, 1, 8, 8)
    assert runs.load_run(folder).config == runs.RunConfig.from_json((folder / "config.json").read_text())
    assert [r.name for r in runs.list_runs(folder.parent)] == ["run"]


@pytest.mark.slow
@pytest.mark.parametrize("step", [8, 11])
def test_a_stopped_run_that_is_resumed_ends_bit_for_bit_as_one_that_never_stopped(start, step):
    whole, parts = start("whole"), start("parts")
    train(whole)
    assert train(parts, listen=stop_after(step)).state == "stopped"
    assert runs.load_run(parts).step == step
    assert train(parts, resume=True).state == "finished"
    assert same(weights(whole), weights(parts)) and same(weights(whole, "best"), weights(parts, "best"))
    assert points(whole) == points(parts)
    with pytest.raises(runs.RunError, match="has run already"):
        train(parts)


@pytest.mark.slow
def test_bounds_are_recorded_and_change_nothing(start):
    plain, whole, parts = start("plain"), start("whole", bounds=True), start("parts", bounds=True)
    for folder in (plain, whole):
        train(folder)
    train(parts, listen=stop_after(11))
    assert train(parts, resume=True).state == "finished"
    assert points(parts) == points(whole) and same(weights(plain), weights(whole))
    names = ("gradient_bound", "unmasked_bound", "saturated")
    measured = [r for r in points(whole) if names[0] in r]
    assert [(r["epoch"], r["contender"]) for r in measured] == [(e, c.name) for e in (1, 2, 3) for c in CONTENDERS]
    assert points(plain) == [{k: v for k, v in r.items() if k not in names} for r in points(whole)]
    for record in measured:
        assert record["unmasked_bound"] > 0 and 0 < record["saturated"] < 1
        same_bound = record["gradient_bound"] == record["unmasked_bound"]
        assert same_bound if record["contender"] == "baseline" else record["contender"] == "camdrop" or not same_bound


@pytest.mark.slow
def test_eight_kills_at_random_moments_lose_nothing(start):
    longer = dataclasses.replace(RECIPE, epochs=20)
    whole, killed = start("whole", longer), start("killed", longer)
    train(whole)
    command = [sys.executable, "-m", "tests.support.kills", str(killed)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) == MOST, "the run was over before: make it longer"
    assert not list(killed.rglob("*.part"))
    assert same(weights(whole), weights(killed)) and points(whole) == points(killed)


def test_of_two_starts_one_wins(start):
    folder = start()
    with runs.locked(folder):
        assert runs.in_use(folder)
        with pytest.raises(runs.RunError, match=r"in use.*stop that one"):
            train(folder, resume=True)
        with pytest.raises(runs.RunError, match="in use"):
            runs.delete(folder)
    assert not runs.in_use(folder)
    runs.delete(folder)
    assert not folder.exists()


@pytest.mark.slow
def test_divergence_ends_a_contender_and_the_others_go_on(start):
    folder = start()

    def blow_up(record):
        if record["step"] == 3 and record["contender"] == "dropblock":
            runs.turn_knobs(folder, "dropblock", {"learning_rate": 1e30})

    assert train(folder, listen=blow_up).state == "finished"
    records = points(folder)
    (end,) = [r for r in records if r["kind"] == "end"]
    assert end["contender"] == "dropblock" and "diverged" in end["reason"]
    assert {r["contender"] for r in records if r["kind"] == "result"} == {"baseline", "camdrop"}
    assert max(r["step"] for r in records if r["contender"] == "dropblock") == end["step"] < 24
    assert max(r["step"] for r in records if r["contender"] == "baseline") == 24


@pytest.mark.slow
def test_knobs_take_effect_at_the_next_step_and_are_recorded(start):
    folder = start()

    def turn(record):
        if record["step"] == 10 and record["contender"] == "dropblock" and record["kind"] == "point":
            runs.turn_knobs(folder, "dropblock", {"keep_prob": 0.5, "learning_rate": 0.01, "block_size": 1})

    train(folder, listen=turn)
    headers = [load(folder / name / "last.safetensors").meta for name in ("baseline", "dropblock")]
    assert [meta.knobs for meta in headers] == [{}, {"keep_prob": 0.5, "learning_rate": 0.01, "block_size": 1}]
    own = [r for r in points(folder) if r["contender"] == "dropblock"]
    (knob,) = [r for r in own if r["kind"] == "knob"]
    assert (knob["step"], knob["keep_prob"], knob["learning_rate"], knob["block_size"]) == (10, 0.5, 0.01, 1)
    keep = {r["step"]: r["keep_prob"] for r in own if r["kind"] == "point"}
    assert keep[10] == 0.8 and keep[11] == 0.5
    dropped = {r["step"]: r["dropped"] for r in own if r["kind"] == "point"}
    assert np.mean([dropped[s] for s in range(11, 25)]) == pytest.approx(0.5, abs=0.02)
    for contender, change, words in (
        ("nobody", {"keep_prob": 0.5}, "nobody"), ("dropblock", {"size": 3}, "size"),
        ("dropblock", {"keep_prob": 1.5}, "keep_prob"), ("baseline", {"learning_rate": -1.0}, "learning_rate"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            runs.turn_knobs(folder, contender, change)


def test_a_guess_is_kept_with_the_run(start):
    folder = start()
    assert runs.load_run(folder).guess == ""
    runs.record_guess(folder, "dropblock")
    assert runs.load_run(folder).guess == "dropblock"
    with pytest.raises(runs.RunError, match="no contender 'nobody'; it has baseline, dropblock, camdrop"):
        runs.record_guess(folder, "nobody")


@pytest.mark.slow
def test_a_time_budget_picks_the_length(start):
    folder = start(recipe=Recipe("resnet8", minutes=0.1, batch_size=10, crop=1, validation=0.2))
    begin = time.monotonic()
    run = train(folder)
    assert run.state == "finished" and run.total is not None and run.step == run.total > 12
    assert time.monotonic() - begin < 60
    rates = [r["learning_rate"] for r in points(folder) if r["kind"] == "point"]
    assert rates[-1] < 0.01 < max(rates)


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(start, monkeypatch):
    folder, real = start(), writer.write_atomic

    def full(path, content):
        if path.name == "state.pt":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr(writer, "write_atomic", full)
    with pytest.raises(runs.RunError, match=r"the disk is full; make room.*--resume"):
        train(folder)
    assert runs.load_run(folder).state == "failed"
    monkeypatch.undo()
    assert train(folder, resume=True).state == "finished"


def test_broken_and_missing_runs_are_a_sentence(start, tmp_path):
    with pytest.raises(runs.RunError, match="holds no run"):
        runs.load_run(tmp_path / "nowhere")
    folder = start()
    with pytest.raises(runs.RunError, match="holds a run already"):
        runs.create(folder, runs.load_run(folder).config)
    (folder / "config.json").write_text('{"data": ')
    with pytest.raises(runs.RunError, match="cannot be read as a run"):
        runs.load_run(folder)
    assert runs.list_runs(tmp_path) == []
    for name in ("../x", "", ".hidden"):
        with pytest.raises(runs.RunError, match="name"):
            runs.rename(folder, name)


def test_rename_and_a_line_half_written(start):
    def line(step):
        return json.dumps({"kind": "point", "step": step, "epoch": 0.5, "contender": "camdrop"})

    folder = runs.rename(start(), "tuesday")
    (folder / "metrics.jsonl").write_text(f"{line(1)}\n{line(2)}\n" + line(3)[:20])
    records, offset = runs.read_metrics(folder)
    assert [r["step"] for r in records] == [1, 2]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line(3)[20:] + "\n")
    assert runs.read_metrics(folder, offset)[0] == [json.loads(line(3))]
    assert json.loads((folder / "config.json").read_text())["contenders"][2]["method"] == "camdrop"
