"""What a race shows, in sentences made from its records: who is ahead, who memorised, who reads the label off masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from camdrop.data import INFO
from camdrop.masks import CamDrop
from camdrop.runs import Run
from camdrop.runs.records import Record, Result, Spread, label, results
from camdrop.training.config import Contender, Recipe

_CLEAR = 10.0  # points: what 250 images hardly show by chance


def outcome(run: Run, records: Sequence[Record], spreads: Mapping[str, Spread]) -> list[str]:
    """Up to three sentences about a race; one is left out where the records do not hold what it is made from.

    `spreads` are the test errors by contender over runs that differ in their seed alone, see `over_seeds`.
    """
    names = _short_names(run.config.contenders)
    points = {name: _last_epoch(records, c.name) for c, name in names.items()}
    classes = len(INFO[run.config.data].classes) if run.config.data in INFO else None
    found = (
        _ahead(results(run, records), spreads, names),
        _memorised(points, run.config.recipe, classes),
        _obeys(points, classes),
    )
    return [sentence for sentence in found if sentence]


def _last_epoch(records: Sequence[Record], name: str) -> Record:
    """The last point of a contender that ended an epoch; what is measured there belongs to one network."""
    ends = [r for r in records if r["contender"] == name and "unmasked_train_error" in r]
    return ends[-1] if ends else {}


def _ahead(rows: Sequence[Result], spreads: Mapping[str, Spread], names: Mapping[Contender, str]) -> str | None:
    known = [row for row in rows if row.test_error is not None and row.ended is None]
    if len(known) < 2:
        return None
    seeds = min(len(spreads.get(row.contender.name, Spread()).errors) for row in known)
    errors = {row: row.test_error or 0.0 if seeds < 2 else mean(spreads[row.contender.name].errors) for row in known}
    ranked = sorted(known, key=lambda row: errors[row])
    first, second = ranked[:2]
    leader, next_one = names[first.contender], names[second.contender]
    lead = errors[second] - errors[first]
    what = "test error" if seeds < 2 else f"mean test error over {seeds} seeds"
    if lead == 0:
        text = f"**{leader} and {next_one} share the lead** with a {what} of {errors[first]:.1f} %"
    else:
        text = f"**{leader} is ahead**: its {what} is {errors[first]:.1f} %, {_points(lead)} below that of "
        text += next_one
        baseline = next((row for row in ranked[2:] if row.contender.method is None), None)
        if baseline:
            text += f" and {_points(errors[baseline] - errors[first])} below the baseline's"
    if seeds < 2:
        return f"{text}; one seed cannot say how sure that is."
    spread = max(stdev(spreads[row.contender.name].errors) for row in (first, second))
    compared = "more" if lead > spread else "no more"
    return f"{text}; the lead over the next is {compared} than the spread over the seeds (± {spread:.1f})."


def _memorised(points: Mapping[str, Record], recipe: Recipe, classes: int | None) -> str | None:
    """Compares the training error without masks to the one that the validation error lets expect.

    A label drawn anew is wrong for a network that has not memorised it, but for chance: with the share p of such labels
    a validation error e lets expect (1 − p)·e + p·(1 − 1/classes) on training images.
    """
    known = {name: p for name, p in points.items() if p.get("validation_error") is not None}
    noise = recipe.label_noise if classes else 0.0
    if not known or (recipe.label_noise and not classes):
        return None
    figures = {}
    for name, point in known.items():
        expected = (1 - noise) * point["validation_error"] + noise * 100 * (1 - 1 / (classes or 1))
        figures[name] = (point["unmasked_train_error"], expected)
    by_amount = sorted(figures, key=lambda name: figures[name][0] - figures[name][1])
    learnt = [name for name in by_amount if figures[name][1] - figures[name][0] >= _CLEAR]
    words = {name: f"{name} ({wrong:.1f} %, expected {usual:.1f} %)" for name, (wrong, usual) in figures.items()}
    why = "Wrong without masks, and expected if training images were no better known than those held out"
    why += f" and {100 * noise:g} % of their labels drawn anew." if noise else "."
    return _sorted_out("memorised training images", words, learnt, by_amount, why)


def _obeys(points: Mapping[str, Record], classes: int | None) -> str | None:
    obeyed = {name: point["obeys"] for name, point in points.items() if point.get("obeys") is not None}
    if not obeyed:
        return None
    limit = 100 / classes + _CLEAR if classes else 50.0
    readers = [name for name in obeyed if obeyed[name] >= limit]
    words = {name: f"{name} ({share:.1f} %)" for name, share in obeyed.items()}
    why = "How often the answer is a random class for which the masks are drawn"
    why += f"; chance is {100 / classes:.3g} %." if classes else "."
    return _sorted_out("read the label off the masks", words, readers, list(obeyed), why)


def _sorted_out(did: str, words: Mapping[str, str], those: Sequence[str], order: Sequence[str], why: str) -> str:
    """Who `did` something and who did not, in the words for each; and `why`."""
    others = [words[name] for name in order if name not in those]
    if not those:
        return f"**None {did}**: {', '.join(others)}. {why}"
    text = f"**{did.capitalize()}**: {', '.join(words[name] for name in order if name in those)}"
    return f"{text}; not {', '.join(others)}. {why}" if others else f"{text}. {why}"


def _short_names(contenders: Sequence[Contender]) -> dict[Contender, str]:
    """The method of each, with the class that guides it or in full where that is what tells them apart."""
    options = [(_kind(c), _guided_kind(c), label(c)) for c in contenders]
    alike = [[names[level] for names in options] for level in range(2)]
    return {
        c: next((name for name, all_names in zip(names, alike, strict=False) if all_names.count(name) == 1), names[-1])
        for c, names in zip(contenders, options, strict=True)
    }


def _kind(contender: Contender) -> str:
    return "Baseline" if contender.method is None else type(contender.method).__name__


def _guided_kind(contender: Contender) -> str:
    method = contender.method
    if isinstance(method, CamDrop):
        return f"CamDrop ({f'{method.label} class' if method.guided_by_class else 'no class'})"
    return _kind(contender)


def _points(value: float) -> str:
    return f"{value:.1f} points"
