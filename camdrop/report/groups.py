"""Networks of a file that differ in their seed alone, in words; see `camdrop.analysis.seeds.over_seeds`."""

from __future__ import annotations

from collections.abc import Sequence

from camdrop.analysis.seeds import Paired, Spread
from camdrop.figures.numbers import bound, number, p_value
from camdrop.masks import METHODS
from camdrop.report.result_files import Json
from camdrop.report.verdicts import count
from camdrop.runs.records import shortest


def over_seeds(said: Json) -> list[Json]:
    """The groups of a file's networks that differ in the seed alone; [] where no group has two.

    A group is as `camdrop.analysis.seeds.over_seeds` says it, with a `name` that is as short as it can be.
    """
    groups: list[Json] = said.get("over_seeds", [])
    if not any(len(group["seeds"]) > 1 for group in groups):
        return []
    names = shortest([(_method(group), _guided(group), group["network"]) for group in groups])
    return [
        group | {"name": name, "trained": bound(group["trained"])} for group, name in zip(groups, names, strict=True)
    ]


def _method(group: Json) -> str:
    method = group["method"]
    return METHODS[method].__name__ if method in METHODS else method.capitalize() or str(group["network"])


def _guided(group: Json) -> str:
    """The method, with the class that guides it."""
    who = group["who"]
    return f"{_method(group)} ({'no' if who == 'nobody' else who} class)" if who else _method(group)


def title(group: Json) -> str:
    """Its name and how many seeds it has."""
    return f"{group['name']}, {count(len(group['seeds']))}"


def legend(said: Json) -> str:
    """What the names of a file's groups stand for."""
    groups = over_seeds(said)
    words = (f"{g['name']}: {g['network']}" if g["name"] != g["network"] else str(g["name"]) for g in groups)
    return f"Trained on {groups[0]['trained']}: {'; '.join(words)}." if groups else ""


def guided_after_baseline(groups: Sequence[Json]) -> list[Json]:
    """The groups of CamDrop, where the first is of baselines."""
    return [g for g in groups if g["method"] == "camdrop"] if groups[0]["method"] == "baseline" else []


def plus_minus(group: Json, name: str, digits: int = 2, scale: float = 1) -> str:
    return Spread(**group[name]).words(digits, scale)


def against_first(group: Json, name: str) -> Paired | None:
    """The difference to the first group, paired by the seed."""
    return Paired(**group["minus_first"][name]) if name in group["minus_first"] else None


def difference(group: Json, name: str) -> str:
    """The same in words; nothing of the first group itself."""
    test = against_first(group, name)
    if test is None or test.low == test.high == 0:
        return ""
    return f" ({number(test.mean, '+.1f')}, {p_value(test.p)})"
