import csv
import dataclasses
import json
import shlex

import pytest

from camdrop import runs
from camdrop.masks import CamDrop, DropBlock, Dropout
from camdrop.runs import records as results
from camdrop.training.config import NOISE_METHODS, Contender, Recipe, contender, method_name

CONTENDERS = (Contender("baseline"), Contender("camdrop", CamDrop(keep_prob=0.8, block_size=7, reading="official")))


def make_run(folder, seed=0, contenders=CONTENDERS):
    config = runs.RunConfig("fashion-sample", Recipe("resnet8", epochs=2, seed=seed), contenders, "cpu", 1)
    runs.create(folder, config)
    return runs.load_run(folder)


def point(step, name="baseline", **entries):
    return {"kind": "point", "step": step, "epoch": step / 4, "contender": name, "train_error": 50.0 - step, **entries}


def write(run, *records, mode="a"):
    with (run.folder / "metrics.jsonl").open(mode) as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def test_a_follower_reads_on_and_notices_a_piece_run_again(tmp_path):
    run = make_run(tmp_path / "run")
    follower = results.Follower(run.folder)
    assert follower.update() == []
    write(run, point(1), point(2))
    first = follower.update()
    assert [r["step"] for r in first] == [1, 2]
    write(run, point(3))
    assert [r["step"] for r in follower.update()] == [1, 2, 3]
    assert len(first) == 2  # what was handed out does not grow
    write(run, point(1), point(2, loss=1.0), point(3, loss=1.0), point(4), mode="w")
    assert [r.get("loss") for r in follower.update()] == [None, 1.0, 1.0, None]
    (run.folder / "metrics.jsonl").write_text('{"step": 1}\nno record\n')
    with pytest.raises(runs.RunError, match="damaged"):
        follower.update()


def test_results_by_hand(tmp_path):
    run = make_run(tmp_path / "run")
    records = [
        point(4, images_per_second=64.0, validation_error=40.0, dropped=0.0),
        point(4, "camdrop", images_per_second=32.0, dropped=0.25),
        {"kind": "end", "step": 4, "epoch": 1.0, "contender": "camdrop", "reason": "diverged"},
        point(8, images_per_second=128.0, validation_error=None),
        {
            "kind": "result", "step": 8, "epoch": 2.0, "contender": "baseline", "test_error": 38.0, "top5_error": 1.0,
            "validation_error": 39.0, "train_error": 30.0, "best_epoch": 1,
        },
    ]  # fmt: skip
    baseline, camdrop = results.results(run, records)
    assert (baseline.test_error, baseline.gap, baseline.epoch, baseline.dropped) == (38.0, 9.0, 1, 0.0)
    assert [dataclasses.replace(baseline, test_error=error).error for error in (38.0, 0.0, None)] == [38.0, 0.0, 39.0]
    assert baseline.seconds == 4 * 128 / 64 + 4 * 128 / 128
    assert (camdrop.train_error, camdrop.gap, camdrop.ended, camdrop.seconds) == (46.0, None, "diverged", 16.0)


def test_spread_over_seeds(tmp_path):
    pairs = []
    for seed, error in ((0, 10.0), (1, 12.0), (2, 14.0)):
        result = {"kind": "result", "contender": "baseline", "test_error": error, "best_epoch": 2}
        pairs.append((make_run(tmp_path / str(seed), seed), [result]))
    other = (make_run(tmp_path / "other", 3, CONTENDERS[:1]), pairs[0][1])
    spread = results.over_seeds(pairs[0][0], [*pairs, other])["baseline"]
    assert str(spread) == "12.00 ± 2.00 (3 seeds)"
    assert str(results.over_seeds(other[0], [other])["baseline"]) == ""


def test_turned_knobs_are_part_of_a_contender(tmp_path):
    blocks = (Contender("baseline"), Contender("blocks", DropBlock(block_size=7)))
    run = make_run(tmp_path / "run", contenders=blocks)
    knob = {"kind": "knob", "step": 3, "epoch": 0.75, "contender": "blocks"}
    done = [{"kind": "result", "contender": c.name, "test_error": 9.0, "best_epoch": 2} for c in blocks]
    records = [point(2), knob | {"keep_prob": 0.8, "learning_rate": 0.05}, knob | {"keep_prob": 0.85, "block_size": 2}]
    assert results.turned(records) == {"blocks": {"keep_prob": 0.85, "learning_rate": 0.05, "block_size": 2}}
    name = "DropBlock γ 0.9 r 7 turned to γ 0.85 r 2 learning rate 0.05"
    assert [row.name for row in results.results(run, records)] == ["Baseline", name]
    assert results.command(run.config, "x", results.turned(records)).endswith(f" # by hand, and not repeated: {name}")
    assert set(results.over_seeds(run, [(run, records + done)])) == {"baseline"}
    assert results.label(blocks[0], {"learning_rate": 0.2}) == "Baseline turned to learning rate 0.2"


def test_the_command_says_all_that_was_set(tmp_path):
    recipe = Recipe("resnet20", minutes=2.0, seed=3, flip=False, learning_rate=0.05)
    cs = (*CONTENDERS, Contender("droppy", Dropout(keep_prob=0.5), "linear", ("layer2", "layer3"), ("skip",)))
    words = shlex.split(results.command(runs.RunConfig("folder:my data", recipe, cs, "cpu", 1, True, True), "runs/a b"))
    assert words[:4] == ["python", "-m", "camdrop", "race"] and {"--no-flip", "--compile", "--bounds"} <= set(words)
    given = {
        flag: words[words.index(flag) + 1] for flag in ("--run", "--data", "--model", "--minutes", "--lr", "--seed")
    }
    assert list(given.values()) == ["runs/a b", "folder:my data", "resnet20", "2.0", "0.05", "3"]
    again = [contender(text, {}) for text in words[words.index("--methods") + 1].split(",")]
    assert [dataclasses.replace(c, name="x") for c in again] == [dataclasses.replace(c, name="x") for c in cs]


def test_the_command_names_the_class_that_guides_and_nothing_for_a_baseline():
    cs = (Contender("b", None, "linear", ("layer3",)), Contender("c", CamDrop(label="random", position_fraction=0.5)))
    words = shlex.split(results.command(runs.RunConfig("d", Recipe("resnet8", epochs=1), cs), "run"))
    lines = words[words.index("--methods") + 1].split(",")
    assert lines[0] == "baseline" and contender(lines[1], {}).method == cs[1].method
    assert results.label(cs[1]) == "CamDrop γ 0.9 r 8 random class 0.5 of positions"


def test_names_tell_contenders_apart():
    cs = [Contender("x"), Contender("x", DropBlock(block_size=3)), Contender("x", DropBlock(block_size=5)),
          Contender("x", CamDrop())]  # fmt: skip
    named = results.unique_names(cs)
    assert [c.name for c in named] == ["baseline", "dropblock block_size=3", "dropblock block_size=5", "camdrop"]
    assert [method_name(c.method) for c in named] == ["baseline", "dropblock", "dropblock", "camdrop"]
    assert results.label(Contender("x", CamDrop(keep_prob=0.8, reading="matched"), "linear")) == (
        "CamDrop γ 0.8 r 8 true class reading matched linear"
    )
    here = Contender("x", DropBlock(), stages=("layer3",), kinds=("conv", "skip"))
    assert results.label(here) == "DropBlock γ 0.9 r 8 at layer3 at conv, skip"
    alike = results.unique_names([Contender("x", DropBlock()), here])
    assert [c.name for c in alike] == ["dropblock stages=all sites=all", "dropblock stages=layer3 sites=conv+skip"]


def test_labels_tell_the_contenders_of_the_default_race_apart():
    assert [results.label(contender(text, {})) for text in NOISE_METHODS.split(",")] == [
        "Baseline", "DropBlock γ 0.9 r 4",
        "CamDrop γ 0.9 r 4 predicted class reading matched all channels 0.5 of positions",
        "CamDrop γ 0.9 r 8 true class",
    ]  # fmt: skip
    nobody = CamDrop(guide="mean", channels="all")  # no class guides it
    assert results.label(Contender("x", nobody)) == "CamDrop γ 0.9 r 8 guide mean all channels"


def test_csv_has_a_column_for_each_entry():
    rows = list(csv.DictReader(results.metrics_csv([point(1), point(2, loss=0.5)]).splitlines()))
    assert [row["loss"] for row in rows] == ["", "0.5"] and rows[0]["train_error"] == "49.0"
