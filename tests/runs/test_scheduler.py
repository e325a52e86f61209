import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from camdrop import runs
from camdrop.runs import scheduler, stopping, sweep
from camdrop.training.config import Contender, Recipe

CONFIG = runs.RunConfig("fashion-sample", Recipe("resnet8", epochs=1), (Contender("baseline"),), "cpu", 1)


@pytest.fixture
def submit(tmp_path):
    def submit(name, config=CONFIG):
        runs.create(tmp_path / name, config)
        scheduler.submit(tmp_path / name)
        time.sleep(0.01)  # the queue goes by the time of entry
        return tmp_path / name

    return submit


@pytest.fixture
def sleepers(monkeypatch):
    """Processes that only sleep until they are asked to stop, in place of those that train."""
    code = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.05)"
    monkeypatch.setattr(
        scheduler, "command", lambda folder: [sys.executable, "-S", "-c", code, str(folder / stopping.FILE)]
    )
    pids = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def state(folder):
    return runs.load_run(folder).state


def test_one_runs_and_the_others_wait_their_turn(submit, sleepers, tmp_path):
    folders = [submit(name) for name in "cab"]
    assert scheduler.launch(tmp_path) == folders[:1]
    assert scheduler.launch(tmp_path) == []
    assert [state(folder) for folder in folders] == ["running", "queued", "queued"]
    first = runs.load_run(folders[0])
    assert os.getpriority(os.PRIO_PROCESS, first.pid) == os.getpriority(os.PRIO_PROCESS, 0) + scheduler.NICENESS
    for act in (lambda: runs.delete(folders[0]), lambda: runs.rename(folders[0], "x")):
        with pytest.raises(runs.RunError, match="in use"):
            act()
    with pytest.raises(runs.RunError, match="is running"):
        scheduler.submit(folders[0])
    runs.stop(folders[1])  # it leaves the queue
    runs.stop(folders[0])  # and when this one ends, the last one starts by itself
    wait_for(lambda: state(folders[2]) == "running" and runs.load_run(folders[2]).pid)
    assert [state(folder) for folder in folders] == ["stopped", "stopped", "running"]
    sleepers.append(runs.load_run(folders[2]).pid)


def test_a_sweep_waits_behind_a_race_and_a_race_behind_a_sweep(submit, sleepers, tmp_path):
    first = submit("race")
    plane = tmp_path / "sweep"
    sweep.create(plane, sweep.Plan())
    scheduler.submit(plane)
    time.sleep(0.01)
    last = submit("another")
    assert scheduler.launch(tmp_path) == [first] and sweep.load_sweep(plane).state == "queued"
    runs.stop(first)
    wait_for(lambda: sweep.load_sweep(plane).state == "running" and sweep.load_sweep(plane).pid)
    assert scheduler.launch(tmp_path) == [] and state(last) == "queued"
    sweep.stop(plane)
    wait_for(lambda: state(last) == "running" and runs.load_run(last).pid)
    sleepers.append(runs.load_run(last).pid)
    assert sweep.load_sweep(plane).state == "stopped"
    scheduler.submit(plane)
    sweep.stop(plane)  # it leaves the queue
    assert sweep.load_sweep(plane).message == "stopped while it waited"


def test_each_kind_has_its_command(tmp_path):
    sweep.create(tmp_path / "s", sweep.Plan())
    assert scheduler.command(tmp_path / "s")[2:4] == ["camdrop", "sweep"]
    assert scheduler.command(tmp_path / "r")[2:4] == ["camdrop", "race"]


def test_many_launches_at_once_start_a_run_once(submit, sleepers, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_MAX_RUNS", "2")
    for name in "abcd":
        submit(name)
    started = []
    threads = [threading.Thread(target=lambda: started.extend(scheduler.launch(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folder.name for folder in started) == ["a", "b"]
    sleepers += [runs.load_run(folder).pid for folder in started]
    for name in "cd":
        runs.stop(tmp_path / name)


def test_a_process_that_dies_before_it_works_leaves_a_run_that_can_be_resumed(submit, sleepers, tmp_path):
    folder = submit("a")
    scheduler.launch(tmp_path)
    os.kill(runs.load_run(folder).pid, signal.SIGKILL)
    wait_for(lambda: state(folder) == "stopped")
    scheduler.submit(folder)
    assert scheduler.launch(tmp_path) == [folder] or state(folder) == "running"
    sleepers.append(runs.load_run(folder).pid)


def test_a_run_whose_last_process_still_ends_waits_for_that(submit, sleepers, tmp_path):
    folder = submit("a")
    with runs.locked(folder, runs.LAUNCHED):
        assert scheduler.launch(tmp_path) == [] and state(folder) == "queued"
    assert scheduler.launch(tmp_path) == [folder]
    sleepers.append(runs.load_run(folder).pid)


def test_only_what_was_put_in_the_queue_is_started(tmp_path, sleepers):
    assert scheduler.launch(tmp_path / "nowhere") == []
    runs.create(tmp_path / "of the command line", CONFIG)
    assert scheduler.launch(tmp_path) == []


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_limit_that_is_no_number_is_a_sentence(tmp_path, monkeypatch, text):
    monkeypatch.setenv("CAMDROP_MAX_RUNS", text)
    with pytest.raises(ValueError, match="CAMDROP_MAX_RUNS must be a whole number"):
        scheduler.launch(tmp_path)


@pytest.mark.slow
def test_a_real_process_trains_to_the_end(submit, tmp_path):
    rng = np.random.default_rng(0)
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "data" / place).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / place / f"{i}.png")
    recipe = Recipe("resnet8", epochs=1, batch_size=4, crop=1, validation=0.2)
    folder = submit("run", runs.RunConfig(f"folder:{tmp_path / 'data'}", recipe, (Contender("baseline"),), "cpu", 1))
    assert scheduler.launch(tmp_path) == [folder]
    wait_for(lambda: state(folder) != "running", 120)
    run = runs.load_run(folder)
    assert (run.state, run.step, run.message) == ("finished", 4, ""), (folder / "log.txt").read_text()
