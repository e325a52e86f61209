"""Sentences about races with made-up records."""

import dataclasses
from pathlib import Path
from typing import Any

from camdrop.masks import CamDrop, DropBlock
from camdrop.report.outcome import outcome
from camdrop.runs import Run, RunConfig
from camdrop.runs.records import Spread
from camdrop.training.config import Contender, Recipe

BASELINE, BLOCKS = Contender("baseline"), Contender("blocks", DropBlock(block_size=4))
CAMDROP = Contender("camdrop", CamDrop())


def race(*contenders: Contender, data: str = "fashion-sample", noise: float = 0.0) -> Run:
    config = RunConfig(data, Recipe("resnet8", epochs=9, label_noise=noise), contenders)
    return Run(folder=Path("run"), config=config, state="finished")


def end(name: str, unmasked: float, validation: float | None, obeys: float | None = None) -> list[dict[str, Any]]:
    """The points of an epoch: one that ends it, before it one that another epoch left."""
    point = {"kind": "point", "step": 8, "epoch": 9.0, "contender": name, "train_error": 50.0}
    entries = {"unmasked_train_error": unmasked, "validation_error": validation, "obeys": obeys}
    return [
        point | dict.fromkeys(entries, 99.0) | {"step": 4},
        point | {k: v for k, v in entries.items() if v is not None},
    ]


def result(name: str, error: float) -> dict[str, Any]:
    return {"kind": "result", "step": 9, "contender": name, "test_error": error, "best_epoch": 9}


def test_who_is_ahead_with_one_seed() -> None:
    run = race(BASELINE, BLOCKS, CAMDROP)
    records = [result("baseline", 37.5), result("blocks", 28.5), result("camdrop", 29.25)]
    assert outcome(run, records, {"blocks": Spread((28.5,))}) == [
        "**DropBlock is ahead**: its test error is 28.5\u00a0%, 0.8 points below that of CamDrop "
        "and 9.0 points below the baseline's; one seed cannot say how sure that is."
    ]
    (tie,) = outcome(race(BASELINE, BLOCKS), [result("baseline", 30.0), result("blocks", 30.0)], {})
    assert tie.startswith("**Baseline and DropBlock share the lead** with a test error of 30.0\u00a0%; one seed")


def test_who_is_ahead_over_seeds() -> None:
    run, records = race(BASELINE, BLOCKS), [result("baseline", 30.0), result("blocks", 40.0)]
    (far,) = outcome(run, records, {"baseline": Spread((30.0, 31.0, 32.0)), "blocks": Spread((40.0, 41.0, 42.0))})
    assert (
        "**Baseline is ahead**: its mean test error over 3 seeds is 31.0\u00a0%, 10.0 points below that of Drop" in far
    )
    assert far.endswith("the lead over the next is more than the spread over the seeds (± 1.0).")
    (near,) = outcome(run, records, {"baseline": Spread((30.0, 40.0)), "blocks": Spread((40.0, 29.0))})
    assert "**DropBlock is ahead**" in near and "no more than the spread over the seeds (± 7.8)" in near


def test_nobody_is_ahead_of_nobody() -> None:
    assert outcome(race(BASELINE), [result("baseline", 30.0)], {}) == []
    ended = {"kind": "end", "step": 3, "contender": "blocks", "reason": "diverged"}
    assert outcome(race(BASELINE, BLOCKS), [result("baseline", 30.0), ended], {}) == []
    assert outcome(race(BASELINE, BLOCKS), [], {}) == []


def test_memorised_or_not() -> None:
    run = race(BASELINE, BLOCKS)
    why = "Wrong without masks, and expected if training images were no better known than those held out."
    assert outcome(run, [*end("baseline", 2.0, 30.0), *end("blocks", 25.0, 28.0)], {}) == [
        "**Memorised training images**: Baseline (2.0\u00a0%, expected 30.0\u00a0%); "
        f"not DropBlock (25.0\u00a0%, expected 28.0\u00a0%). {why}"
    ]
    (none,) = outcome(race(BASELINE), end("baseline", 29.0, 30.0), {})
    assert none == f"**None memorised training images**: Baseline (29.0\u00a0%, expected 30.0\u00a0%). {why}"
    assert outcome(race(BASELINE), end("baseline", 29.0, None), {}) == []


def test_wrong_labels_are_errors_that_one_expects() -> None:
    # 0.6 · 30\u00a0% + 0.4 · 90\u00a0%: a network that memorised nothing contradicts nine of ten labels drawn anew.
    (text,) = outcome(race(BASELINE, noise=0.4), end("baseline", 40.0, 30.0), {})
    assert text.startswith("**Memorised training images**: Baseline (40.0\u00a0%, expected 54.0\u00a0%). ")
    assert text.endswith("those held out and 40\u00a0% of their labels drawn anew.")
    assert outcome(race(BASELINE, data="folder:x", noise=0.4), end("baseline", 40.0, 30.0), {}) == []


def test_who_reads_the_label() -> None:
    run = race(BLOCKS, CAMDROP)
    why = "How often the answer is a random class for which the masks are drawn"
    sentences = outcome(run, [*end("blocks", 30.0, 30.0, 9.5), *end("camdrop", 60.0, 70.0, 93.0)], {})
    assert sentences[-1] == (
        "**Read the label off the masks**: CamDrop (93.0\u00a0%); not DropBlock (9.5\u00a0%). "
        f"{why}; chance is 10\u00a0%."
    )
    free = outcome(race(CAMDROP, data="folder:x"), end("camdrop", 30.0, 30.0, 12.0), {})[-1]
    assert free == f"**None read the label off the masks**: CamDrop (12.0\u00a0%). {why}."


def test_names_are_as_short_as_they_can_be() -> None:
    predicted, linear = Contender("p", CamDrop(label="predicted")), Contender("l", CamDrop(), "linear")
    sentences = outcome(
        race(BLOCKS, CAMDROP, predicted), [*end("p", 30.0, 30.0, 12.0), *end("camdrop", 60.0, 70.0, 93.0)], {}
    )
    assert "masks**: CamDrop (true class) (93.0\u00a0%); not CamDrop (predicted class) (12.0\u00a0%)." in sentences[-1]
    nobody = Contender("n", CamDrop(guide="mean", channels="all"))
    sentences = outcome(race(CAMDROP, nobody), [*end("n", 30.0, 30.0, 12.0), *end("camdrop", 60.0, 70.0, 93.0)], {})
    assert "CamDrop (true class) (93.0\u00a0%); not CamDrop (no class) (12.0\u00a0%)." in sentences[-1]
    (sentences,) = outcome(race(CAMDROP, linear), [result("camdrop", 30.0), result("l", 31.0)], {})
    assert (
        "**CamDrop γ 0.9 r 8 true class is ahead**" in sentences
        and "CamDrop γ 0.9 r 8 true class linear; one" in sentences
    )


def test_the_guess_stands_beside_who_won() -> None:
    run = dataclasses.replace(race(BASELINE, BLOCKS, CAMDROP), guess="camdrop")
    records = [result("baseline", 37.5), result("blocks", 28.5), result("camdrop", 69.0)]
    assert outcome(run, records, {})[0] == (
        "**The guess was CamDrop; DropBlock won**: a test error of 28.5\u00a0%, against 69.0\u00a0% of the guess, "
        "which is number 3 of 3."
    )
    right = dataclasses.replace(run, guess="blocks")
    assert outcome(right, records, {})[0] == "**The guess was DropBlock, and it won**: a test error of 28.5\u00a0%."
    ended = [*records[:2], {"kind": "end", "step": 3, "contender": "camdrop", "reason": "diverged"}]
    assert "CamDrop, which did not come to the end; DropBlock won**" in outcome(run, ended, {})[0]
    spreads = {c: Spread(e) for c, e in (("baseline", (37.0, 38.0)), ("blocks", (29.0, 31.0)), ("camdrop", (1.0, 3.0)))}
    assert (
        "**The guess was CamDrop, and it won**: a mean test error over 2 seeds of 2.0\u00a0%"
        in outcome(run, records, spreads)[0]
    )
    assert outcome(dataclasses.replace(run, guess="gone"), records, {})[0].startswith("**DropBlock is ahead")
    assert "number" not in " ".join(outcome(run, [], {}))


def test_contenders_are_compared_in_pairs_of_seeds() -> None:
    run, seeds = race(BASELINE, BLOCKS, CAMDROP), (0, 1, 2)
    errors = {"baseline": (37.0, 40.0, 36.0), "blocks": (28.0, 31.5, 27.0), "camdrop": (36.0, 42.0, 35.0)}
    records = [result(name, first) for name, (first, *_) in errors.items()]
    spreads = {name: Spread(values, seeds) for name, values in errors.items()}
    assert outcome(run, records, spreads)[1] == (
        "**Against Baseline, seed by seed** (n = 3): better: DropBlock (−8.8 ± 0.3, p < 0.001); "
        "no clear difference: CamDrop (+0.0 ± 1.7, p = 1.00). "
        "Differences in points, mean ± std; clear is p < 0.05 in a paired t-test."
    )


def test_over_seeds_all_numbers_are_means() -> None:
    run = race(BLOCKS, CAMDROP)
    one = [*end("blocks", 30.0, 30.0, 9.0), *end("camdrop", 60.0, 70.0, 90.0)]
    two = [*end("blocks", 32.0, 30.0, 11.0), *end("camdrop", 62.0, 74.0, 70.0)]
    memorised, obeys = outcome(run, one, {}, [(run, one), (run, two)])
    assert "CamDrop (61.0\u00a0%, expected 72.0\u00a0%); not DropBlock (31.0\u00a0%, expected 30.0\u00a0%)" in memorised
    assert "**Read the label off the masks**: CamDrop (80.0\u00a0%); not DropBlock (10.0\u00a0%)" in obeys
    assert memorised.endswith(" Means over 2 seeds.") and obeys.endswith(" Means over 2 seeds.")


def test_turned_knobs_are_in_every_sentence() -> None:
    knob = {"kind": "knob", "step": 3, "contender": "blocks", "keep_prob": 0.5}
    (text,) = outcome(race(BASELINE, BLOCKS), [knob, result("baseline", 30.0), result("blocks", 20.0)], {})
    assert text.startswith("**DropBlock turned to γ 0.5 is ahead**")
