"""Files of runs and sweeps that are damaged, or written by hand: one sentence each, and the others stay usable."""

import copy
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from camdrop import report, runs
from camdrop.report.curves import curves_of, offered, panels
from camdrop.report.outcome import outcome
from camdrop.runs import RunError, sweep
from camdrop.runs.history import frame_files, read_frame, read_heatmap_history, read_probes
from camdrop.runs.reading import as_type, read_json, read_record
from camdrop.runs.records import Follower, command, metrics_csv, results
from camdrop.runs.sweep import Cell, Plan
from tests.support.finished_runs import finish

ODD = ("x", "", None, True, [], {}, -1, 0, 2.5, 10**30, [1], {"a": 1}, float("inf"), float("nan"), "\ud800", "1e9")


def mutated(value, coins: random.Random):
    """A copy of some JSON in which one place has an odd value, or is missing."""
    whole = copy.deepcopy({"": value})
    places = [(whole, "")]
    for holder, key in places:
        inside = holder[key]
        keys = inside if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        places += [(inside, k) for k in keys]
    holder, key = coins.choice(places)
    if coins.random() < 0.2 and holder is not whole and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = coins.choice(ODD)
    return whole[""]


def make_run(root: Path) -> Path:
    folder = root / "a"
    finish(folder, "baseline,dropblock,camdrop", [9.0, 8.0, 7.0])
    knob = {"kind": "knob", "step": 3, "epoch": 1.0, "contender": "camdrop", "keep_prob": 0.8}
    end = {"kind": "end", "step": 9, "epoch": 2.0, "contender": "dropblock", "reason": "its loss is infinite"}
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in (knob, end))
    (folder / "guess.json").write_text('{"contender": "camdrop"}')
    (folder / "film").mkdir()
    np.savez(folder / "film" / "0000009.npz", camdrop=np.zeros((8, 4, 4), np.float16))
    np.savez(folder / "probes.npz", images=np.zeros((8, 1, 28, 28), np.uint8), labels=np.zeros(8))
    return folder


def use_run(folder: Path) -> None:
    """What pages and the report do with a run. RunError where it cannot be read."""
    run = runs.load_run(folder)
    records = Follower(folder).update()
    rows = results(run, records)
    panels(curves_of(run, records), offered(run.config, records))
    texts = [*outcome(run, records, {}), command(run.config, "x"), metrics_csv(records), str(rows)]
    assert all(isinstance(text, str) for text in texts) and run.seconds_left != float("inf")
    read_heatmap_history(folder)
    runs.RunConfig.from_json(run.config.to_json())


@pytest.mark.parametrize("name", ["config.json", "status.json", "guess.json", "metrics.jsonl"])
def test_a_run_with_one_thing_wrong_is_read_or_refused_in_a_sentence(tmp_path, name):
    folder = make_run(tmp_path)
    finish(tmp_path / "b", "baseline,camdrop", [9.0, 7.0], seed=1)
    file, coins, refused = folder / name, random.Random(name), 0
    use_run(folder)
    lines = [json.loads(line) for line in (file.read_text().splitlines() if name.endswith("l") else [file.read_text()])]
    for turn in range(60):
        changed = list(lines)
        k = coins.randrange(len(lines))
        changed[k] = mutated(lines[k], coins)
        file.write_text("".join(json.dumps(one) + "\n" for one in changed))
        try:
            use_run(folder)
        except RunError as error:
            refused += 1
            assert re.fullmatch(r".*(cannot be read as a run \(.+\)|is damaged).*", str(error)), error
            assert "\n" not in str(error) and len(str(error)) < 400
        assert "b" in [run.name for run in runs.list_runs(tmp_path)]
        if turn % 10 == 0:
            report.markdown_report([tmp_path])
    assert refused > 15
    for garbage in (b"", b"\xff\xfe\x00", b"[" * 100_000, b"null", b"1e999", b"{}\n", b"[]\n", b"9" * 10_000):
        file.write_bytes(garbage + b"\n")
        try:
            use_run(folder)
        except RunError:
            continue
        assert name == "metrics.jsonl" and not garbage.strip()


SENTENCES = {
    "state must be one of queued, running, .*, got 'paused'": ("status.json", {"state": "paused"}),
    "state is missing": ("status.json", {"step": 1}),
    "state must be a text, got 3": ("status.json", {"state": 3}),
    "step must be a whole number, got 'many'": ("status.json", {"state": "running", "step": "many"}),
    "Infinity is no finite number": ("status.json", {"state": "stopped", "seconds": float("inf")}),
    "pid must be at least 1, got -1": ("status.json", {"state": "running", "pid": -1}),
    "data must be a text, got 5": ("config.json", {"data": 5}),
    "epochs must be a whole number, got '3'": ("config.json", {"recipe": {"model": "resnet8", "epochs": "3"}}),
    "contenders must be a list": ("config.json", {"contenders": {"a": 1}}),
    "guess must be a text": ("guess.json", {"contender": 5}),
}  # fmt: skip


@pytest.mark.parametrize("words", SENTENCES)
def test_the_sentence_says_what_is_wrong(tmp_path, words):
    folder = make_run(tmp_path)
    name, change = SENTENCES[words]
    before = json.loads((folder / name).read_text()) if name == "config.json" else {}
    (folder / name).write_text(json.dumps(before | change))
    with pytest.raises(RunError, match=words):
        runs.load_run(folder)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"kind": "point", "step": 1, "epoch": 1}, "contender"),
        ({"kind": "rumour", "step": 1, "epoch": 1, "contender": "a"}, "kind must be one of"),
        ({"kind": "point", "step": 1, "epoch": 1, "contender": "a", "train_error": "low"}, "train_error must be a"),
        ({"kind": "end", "step": 1, "epoch": 1, "contender": "a"}, "reason is missing"),
        ([], "object|contender"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_record(record, words):
    with pytest.raises(ValueError, match=words):
        read_record(json.dumps(record))


def test_json_is_finite_and_types_are_those_of_the_hints():
    for text in ("NaN", "1e400", "-Infinity", "9" * 40, "[" * 10_000, "{", b"\xff"):
        with pytest.raises(ValueError):
            read_json(text)
    assert read_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    assert as_type([1, 2], tuple[float, ...] | None, "x") == (1, 2)
    for value, hint in ((True, int), (1.5, int), ("1", float), ([1], str), (None, int), ({"a": "b"}, dict[str, float])):
        with pytest.raises(ValueError, match=r"^x( a)? must be "):
            as_type(value, hint, "x")


@pytest.mark.parametrize("garbage", [b"", b"PK\x03\x04", b"\x93NUMPY", "cut", "object", "text", "flat"])
def test_a_damaged_heatmap_history_is_a_sentence(tmp_path, garbage):
    folder = make_run(tmp_path)
    (folder / "film" / "notes.npz").write_bytes(b"?")  # of another name
    assert list(frame_files(folder)) == [9] and len(read_heatmap_history(folder)[9]["camdrop"]) == 8
    frame = frame_files(folder)[9]
    for path, read in ((frame, lambda: read_frame(frame)), (folder / "probes.npz", lambda: read_probes(folder))):
        odd = {"object": np.array([{}, None]), "text": np.array(["a"]), "flat": np.zeros(3)}
        if isinstance(garbage, bytes):
            path.write_bytes(garbage)
        elif garbage == "cut":
            path.write_bytes(path.read_bytes()[:-60])
        else:
            np.savez(path, allow_pickle=True, images=odd[garbage])
        with pytest.raises(RunError, match="is damaged; delete it"):
            read()
    (folder / "probes.npz").unlink()
    with pytest.raises(RunError, match=r"probes\.npz is missing"):
        read_probes(folder)


def test_a_sweep_with_one_thing_wrong(tmp_path):
    folder = tmp_path / "s"
    sweep.create(folder, Plan(learning_rates=(0.1, 1.0), keep_probs=(0.9, 1.0)))
    for rate in (0.1, 1.0):
        sweep.append(folder, Cell(rate, 1.0, "done", 5.0, 6.0, 3, 1.0))
    sweep.set_state(folder, "stopped")
    coins = random.Random(0)
    for name in ("sweep.json", "status.json", "cells.jsonl"):
        text = (folder / name).read_text()
        lines = text.splitlines() if name.endswith("l") else [text]
        for turn in range(40):
            changed = [*lines[:-1], json.dumps(mutated(json.loads(lines[-1]), coins))]
            (folder / name).write_text("\n".join(changed) + "\n")
            try:
                found = sweep.load_sweep(folder)
            except RunError as error:
                assert re.search(r"cannot be read as a sweep \(.+\)", str(error)) and len(str(error)) < 400
                continue
            assert str(found) and found.verdict() and found.grid("validation_error").shape == found.marks().shape
            if turn % 10 == 0:
                report.markdown_report([tmp_path])
        (folder / name).write_text(text)


@pytest.mark.parametrize("kind", ["attack", "compare", "bounds", "leakage"])
def test_json_results_with_one_thing_wrong(tmp_path, kind):
    from tests.support import ROOT

    said = [json.loads(path.read_bytes()) for path in sorted((ROOT / "results" / kind).glob("*.json"))[:2]]
    coins, place = random.Random(kind), tmp_path / kind
    place.mkdir()
    for i in range(60):
        (place / f"{i}.json").write_text(json.dumps(mutated(coins.choice(said), coins)))
    (place / "deep.json").write_bytes(b"[" * 100_000)
    (place / "bytes.json").write_bytes(b"\xff\x00\xfe")
    assert "cannot be read" in report.markdown_report([tmp_path])
