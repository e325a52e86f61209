"""What stops a training: signals, a file, the end of its time."""

import os
import signal
import threading

import pytest

from camdrop import runs
from camdrop.runs import stopping
from camdrop.runs.stopping import StopAsked, ask_to_stop, stop_requests, stoppable
from camdrop.runs.trainer import train
from camdrop.training.config import Contender, Recipe
from tests.support.shades import shades


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_question_to_ask_and_handlers_are_put_back(number, tmp_path):
    before = signal.getsignal(number)
    with stop_requests(tmp_path) as stopped:
        assert stopped() is None
        os.kill(os.getpid(), number)
        assert stopped() == ""
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_no_signal_is_taken_but_the_file_is(tmp_path):
    before, answers = signal.getsignal(signal.SIGTERM), []

    def ask():
        with stop_requests(tmp_path) as stopped:
            answers.append((stopped(), signal.getsignal(signal.SIGTERM) is before))
            ask_to_stop(tmp_path)
            answers.append(stopped())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [(None, True), ""]
    assert list(tmp_path.iterdir()) == []  # what was asked has been done


def test_its_time_ends_it_and_earlier_processes_count(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_MAX_MINUTES", "2")
    with stop_requests(tmp_path, before=119) as stopped:
        assert stopped() is None
    with stop_requests(tmp_path, before=120) as stopped:
        assert stopped() == "it has trained for 2 minutes, the most on this server"


def test_reading_the_data_can_be_stopped(tmp_path):
    told = []
    with stop_requests(tmp_path) as stopped:
        report = stoppable(lambda *words: told.append(words), stopped)
        report("Reading", 0.5)
        ask_to_stop(tmp_path)
        with pytest.raises(StopAsked):
            report("Reading", 0.6)
    assert told == [("Reading", 0.5)]


@pytest.mark.slow
def test_a_race_stops_where_it_is_asked(tmp_path, monkeypatch):
    data = shades(tmp_path / "data", train=40, test=4)
    recipe = Recipe("resnet8", epochs=3, batch_size=10, crop=1, flip=False, validation=0.25)
    config = runs.RunConfig(data, recipe, (Contender("baseline"),), "cpu", 1)

    def stop_at(step):
        return lambda record: runs.stop(tmp_path / "race") if record["step"] == step else None

    stopped = train(tmp_path / "race", config, listen=stop_at(3))
    assert (stopped.state, stopped.message, stopped.step) == ("stopped", "", 3)
    (tmp_path / "race" / stopping.FILE).touch()  # of somebody who asked when nothing ran
    monkeypatch.setenv("CAMDROP_MAX_MINUTES", "1e-9")
    late = train(tmp_path / "race", resume=True)
    assert late.state == "stopped" and late.step == 3 and "the most on this server" in late.message
    monkeypatch.delenv("CAMDROP_MAX_MINUTES")
    assert train(tmp_path / "race", resume=True).state == "finished"
    with runs.locked(tmp_path / "race", runs.LAUNCHED):  # as the scheduler does; asked before it has read the data
        runs.folder.set_state(runs.load_run(tmp_path / "race"), "running", "starting")
        runs.stop(tmp_path / "race")
        assert train(tmp_path / "race", resume=True).state == "stopped"
