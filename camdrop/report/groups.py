"""Networks of a file that differ in their seed alone, in words; see `camdrop.analysis.seeds.over_seeds`."""

from __future__ import annotations

from collections.abc import Sequence

from camdrop.analysis.seeds import Paired, Spread
from camdrop.data import short_name
from camdrop.report.result_files import Json
from camdrop.report.verdicts import count, p_value


def over_seeds(said: Json) -> list[Json]:
    """The groups of a file's networks that differ in the seed alone, as `camdrop.analysis.seeds.over_seeds` says them.

    None where no group has two.
    """
    groups: list[Json] = said.get("over_seeds", [])
    return groups if any(len(group["seeds"]) > 1 for group in groups) else []


def title(group: Json) -> str:
    return f"{group['network']}, {count(len(group['seeds']))}"


def title_on(group: Json, said: Json) -> str:
    return f"{title(group)}, {short_name(said['data'])}"


def guided_after_baseline(groups: Sequence[Json]) -> list[Json]:
    """The groups of CamDrop, where the first is of baselines."""
    return [g for g in groups if g["method"] == "camdrop"] if groups[0]["method"] == "baseline" else []


def plus_minus(group: Json, name: str, digits: int = 2, scale: float = 1) -> str:
    found = Spread(**group[name])
    words = f"{scale * found.mean:.{digits}f}"
    return words if found.std is None else f"{words} ± {scale * found.std:.{digits}f}"


def against_first(group: Json, name: str) -> Paired | None:
    """The difference to the first group, paired by the seed."""
    return Paired(**group["minus_first"][name]) if name in group["minus_first"] else None


def difference(group: Json, name: str) -> str:
    """The same in words; nothing of the first group itself."""
    test = against_first(group, name)
    if test is None or test.low == test.high == 0:
        return ""
    return f" ({test.mean:+.1f}, p {p_value(test.p)})".replace("-", "−")
