"""To whom runs belong, and when they go."""

import json
import os
import time

import pytest

from camdrop import runs
from camdrop.runs import owners, scheduler, sweep
from camdrop.training.config import Contender, Recipe

CONFIG = runs.RunConfig("fashion-sample", Recipe("resnet8", epochs=1), (Contender("baseline"),), "cpu", 1)


def make(folder, state="finished", token="mine", hours=0.0):
    runs.create(folder, CONFIG)
    runs.folder.set_state(runs.load_run(folder), state)
    if token:
        owners.set_owner(folder, token)
    for path in folder.iterdir():
        os.utime(path, (then := time.time() - 3600 * hours, then))
    return folder


def test_only_its_token_proves_an_owner_and_the_disk_does_not_tell_it(tmp_path):
    folder = make(tmp_path / "a", token="s3cret")
    assert owners.owner(folder, ["x", "s3cret"]) == "s3cret" and owners.owner(folder, ["x", "", "S3CRET"]) is None
    assert "s3cret" not in (text := (folder / owners.FILE).read_text())
    assert owners.owner(folder, [json.loads(text)["token"]]) is None
    assert owners.owner(runs.rename(folder, "b"), ["s3cret"]) == "s3cret"
    assert owners.owner(make(tmp_path / "of the server", token=""), ["s3cret", ""]) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"token": null}', '{"token": 1}', "\x80"])
def test_a_damaged_file_proves_nothing(tmp_path, text):
    folder = make(tmp_path / "a")
    (folder / owners.FILE).write_bytes(text.encode("latin-1"))
    assert owners.owner(folder, ["mine", "None", "null"]) is None


def test_what_people_started_goes_when_its_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_KEEP_HOURS", "2")
    old = [make(tmp_path / state, state, hours=3) for state in ("finished", "stopped", "failed")]
    plane = tmp_path / "plane"
    sweep.create(plane, sweep.Plan())
    sweep.set_state(plane, "stopped")
    owners.set_owner(plane, "mine")
    os.utime(plane / "status.json", (0, 0))
    kept = [make(tmp_path / "new", hours=1), make(tmp_path / "the server's", token="", hours=9)]
    used = make(tmp_path / "used", hours=9)
    with runs.locked(used):
        assert scheduler.launch(tmp_path) == []
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == sorted([*kept, used])
    assert not any(folder.exists() for folder in (*old, plane))


def test_what_waits_stays_and_says_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_SHARED", "1")
    waiting = [make(tmp_path / name, "queued", hours=hours) for name, hours in (("a", 30), ("b", 50), ("c", 40))]
    assert owners.expire(tmp_path, 24) == []
    assert scheduler.waiting(tmp_path) == [waiting[1], waiting[2], waiting[0]]
    for i in range(57):
        make(tmp_path / f"more {i}", "queued")
    late = make(tmp_path / "late", "stopped")
    with pytest.raises(runs.RunError, match="60 runs wait already"):
        scheduler.submit(late)
