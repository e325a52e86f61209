"""What a race shows, in sentences made from its records: who is ahead, who memorised, who reads the label off masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev

from camdrop.data import INFO
from camdrop.figures.numbers import in_percent, percent
from camdrop.runs import Run
from camdrop.runs.records import Record, Result, Spread, knob_words, results, short_names, turned
from camdrop.runs.seeds import Paired, paired_test, reference
from camdrop.training.config import Contender, Recipe

_CLEAR = 10.0  # points: what 250 images hardly show by chance
_SURE = 0.05  # the p of a paired t-test below which two contenders count as different


def outcome(
    run: Run,
    records: Sequence[Record],
    spreads: Mapping[str, Spread],
    others: Sequence[tuple[Run, Sequence[Record]]] = (),
) -> list[str]:
    """Up to five sentences about a race; one is left out where the records do not hold what it is made from.

    `spreads` are the test errors by contender over runs that differ in their seed alone, see `over_seeds`; `others` are
    these runs with their records, over which the other numbers are means, `run` among them.
    """
    rows, short = results(run, records), short_names(run.config.contenders)
    names = {r.contender: " ".join([short[r.contender], *([knob_words(r.knobs)] if r.knobs else [])]) for r in rows}
    seeds = [own for _, own in others if not turned(own)]
    seeds = seeds if len(seeds) > 1 else [records]
    points = {name: _mean([_last_epoch(own, c.name) for own in seeds]) for c, name in names.items()}
    classes = len(INFO[run.config.data].classes) if run.config.data in INFO else None
    over = f" Means over {len(seeds)} seeds." if len(seeds) > 1 else ""
    found = (
        _guessed(run, rows, spreads, names),
        _ahead(rows, spreads, names),
        _compared(run, spreads, names),
        _memorised(points, run.config.recipe, classes, over),
        _obeys(points, classes, over),
    )
    return [sentence for sentence in found if sentence]


def _mean(points: Sequence[Record]) -> Record:
    """The means of the errors in points of several seeds, where all of them know them."""
    measures = ("unmasked_train_error", "validation_error", "obeys")
    known = [name for name in measures if all(point.get(name) is not None for point in points)]
    return {name: mean(point[name] for point in points) for name in known}


def _last_epoch(records: Sequence[Record], name: str) -> Record:
    """The last point of a contender that ended an epoch; what is measured there belongs to one network."""
    ends = [r for r in records if r["contender"] == name and "unmasked_train_error" in r]
    return ends[-1] if ends else {}


def _rank(rows: Sequence[Result], spreads: Mapping[str, Spread]) -> tuple[dict[Result, float], int]:
    """The test errors of those that came to the end, the least first; over how many seeds they are means."""
    known = [row for row in rows if row.test_error is not None and row.ended is None]
    seeds = min((len(spreads.get(row.contender.name, Spread()).errors) for row in known), default=0)
    errors = {row: row.test_error or 0.0 if seeds < 2 else mean(spreads[row.contender.name].errors) for row in known}
    return {row: errors[row] for row in sorted(known, key=lambda row: errors[row])}, max(1, seeds)


def _guessed(
    run: Run, rows: Sequence[Result], spreads: Mapping[str, Spread], names: Mapping[Contender, str]
) -> str | None:
    errors, seeds = _rank(rows, spreads)
    guessed = next((row for row in rows if row.contender.name == run.guess), None)
    if guessed is None or len(errors) < 2:
        return None
    text = f"**The guess was {names[guessed.contender]}"
    best = min(errors.values())
    won = in_percent(best)
    winners = [names[row.contender] for row in errors if errors[row] == best]
    what = "test error" if seeds < 2 else f"mean test error over {seeds} seeds"
    if guessed not in errors:
        return f"{text}, which did not come to the end; {' and '.join(winners)} won** with a {what} of {won}."
    if errors[guessed] == best:
        return f"{text}, and it won**{', with others' if len(winners) > 1 else ''}: a {what} of {won}."
    place = list(errors).index(guessed) + 1
    numbers = f"a {what} of {won}, against {in_percent(errors[guessed])} of the guess, which is number {place}"
    return f"{text}; {' and '.join(winners)} won**: {numbers} of {len(errors)}."


def _ahead(rows: Sequence[Result], spreads: Mapping[str, Spread], names: Mapping[Contender, str]) -> str | None:
    errors, seeds = _rank(rows, spreads)
    if len(errors) < 2:
        return None
    ranked = list(errors)
    first, second = ranked[:2]
    leader, next_one = names[first.contender], names[second.contender]
    lead = errors[second] - errors[first]
    what = "test error" if seeds < 2 else f"mean test error over {seeds} seeds"
    if lead == 0:
        text = f"**{leader} and {next_one} share the lead** with a {what} of {in_percent(errors[first])}"
    else:
        text = f"**{leader} is ahead**: its {what} is {in_percent(errors[first])}, {_points(lead)} below that of "
        text += next_one
        baseline = next((row for row in ranked[2:] if row.contender.method is None), None)
        if baseline:
            text += f" and {_points(errors[baseline] - errors[first])} below the baseline's"
    if seeds < 2:
        return f"{text}; one seed cannot say how sure that is."
    spread = max(stdev(spreads[row.contender.name].errors) for row in (first, second))
    compared = "more" if lead > spread else "no more"
    return f"{text}; the lead over the next is {compared} than the spread over the seeds (± {spread:.1f})."


def _compared(run: Run, spreads: Mapping[str, Spread], names: Mapping[Contender, str]) -> str | None:
    """Which contenders differ from the baseline in a paired t-test over the seeds."""
    base = reference(run.config.contenders)
    tests = {
        names[c]: test
        for c in run.config.contenders
        if c != base and (test := paired_test(spreads.get(c.name, Spread()), spreads.get(base.name, Spread())))
    }
    if not tests:
        return None

    def those(fits: Callable[[Paired], bool]) -> str:
        return ", ".join(f"{name} ({test})" for name, test in tests.items() if fits(test))

    sure = lambda test: test.p is not None and test.p < _SURE  # noqa: E731
    groups = {
        "better": those(lambda test: sure(test) and test.mean < 0),
        "worse": those(lambda test: sure(test) and test.mean > 0),
        "no clear difference": those(lambda test: not sure(test)),
    }
    counts = sorted({test.n for test in tests.values()})
    pairs = f"n = {counts[0]}" if len(counts) == 1 else f"n from {counts[0]} to {counts[-1]}"
    text = "; ".join(f"{how}: {found}" for how, found in groups.items() if found)
    why = f"Differences in points, mean ± std; clear is p < {_SURE:g} in a paired t-test."
    return f"**Against {names[base]}, seed by seed** ({pairs}): {text}. {why}"


def _memorised(points: Mapping[str, Record], recipe: Recipe, classes: int | None, over: str) -> str | None:
    """Compares the training error without masks to the one that the validation error lets expect.

    A label drawn anew is wrong for a network that has not memorised it, but for chance: with the share p of such labels
    a validation error e lets expect (1 − p)·e + p·(1 − 1/classes) on training images.
    """
    wanted = {"unmasked_train_error", "validation_error"}
    known = {name: p for name, p in points.items() if wanted <= p.keys()}
    noise = recipe.label_noise if classes else 0.0
    if not known or (recipe.label_noise and not classes):
        return None
    figures = {}
    for name, point in known.items():
        expected = (1 - noise) * point["validation_error"] + noise * 100 * (1 - 1 / (classes or 1))
        figures[name] = (point["unmasked_train_error"], expected)
    by_amount = sorted(figures, key=lambda name: figures[name][0] - figures[name][1])
    learnt = [name for name in by_amount if figures[name][1] - figures[name][0] >= _CLEAR]
    words = {
        name: f"{name} ({in_percent(wrong)}, expected {in_percent(usual)})" for name, (wrong, usual) in figures.items()
    }
    why = "Wrong without masks, and expected if training images were no better known than those held out"
    why += f" and {percent(noise, 'g')} of their labels drawn anew." if noise else "."
    return _sorted_out("memorised training images", words, learnt, by_amount, why + over)


def _obeys(points: Mapping[str, Record], classes: int | None, over: str) -> str | None:
    obeyed = {name: point["obeys"] for name, point in points.items() if point.get("obeys") is not None}
    if not obeyed:
        return None
    limit = 100 / classes + _CLEAR if classes else 50.0
    readers = [name for name in obeyed if obeyed[name] >= limit]
    words = {name: f"{name} ({in_percent(share)})" for name, share in obeyed.items()}
    why = "How often the answer is a random class for which the masks are drawn"
    why += f"; chance is {in_percent(100 / classes, '.3g')}." if classes else "."
    return _sorted_out("read the label off the masks", words, readers, list(obeyed), why + over)


def _sorted_out(did: str, words: Mapping[str, str], those: Sequence[str], order: Sequence[str], why: str) -> str:
    """Who `did` something and who did not, in the words for each; and `why`."""
    others = [words[name] for name in order if name not in those]
    if not those:
        return f"**None {did}**: {', '.join(others)}. {why}"
    text = f"**{did.capitalize()}**: {', '.join(words[name] for name in order if name in those)}"
    return f"{text}; not {', '.join(others)}. {why}" if others else f"{text}. {why}"


def _points(value: float) -> str:
    return f"{value:.1f} points"
