"""What became of a claim of the paper, in one of four words, by one rule for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from camdrop.analysis.seeds import Paired

Word = Literal["reproduced", "not reproduced", "no difference", "not tested at this scale"]
WORDS: tuple[Word, ...] = get_args(Word)
SEEDS, LEVEL = 3, 0.05

RULE = (
    f"**The verdicts**: a claim says that some numbers lie below others, and each such difference is paired by the "
    f"seed and tested by a t-test over {SEEDS} seeds or more: *reproduced* where every difference is as claimed with "
    f"p < {LEVEL}, *not reproduced* where one is the other way round with p < {LEVEL} divided by their number, "
    f"*no difference* where neither is so, *not tested at this scale* where there are fewer than {SEEDS} seeds."
)


@dataclass(frozen=True)
class Verdict:
    """A word, and on what it was found: data, network and budget; what of CamDrop or which network; how many seeds."""

    word: Word
    setting: str
    variant: str
    seeds: int


def verdict(differences: Iterable[Paired | None]) -> Word:
    """The word for a claim by its differences, negative where it holds; those of too few seeds play no part."""
    known = [d for d in differences if d is not None and d.n >= SEEDS]
    if not known:
        return "not tested at this scale"
    if all(d.mean < 0 and d.p < LEVEL for d in known):
        return "reproduced"
    if any(d.mean > 0 and d.p < LEVEL / len(known) for d in known):
        return "not reproduced"
    return "no difference"


def in_words(found: Sequence[Verdict], name: Callable[[str], str] = str) -> str:
    """Verdicts with what they were found on, by word; of what has too few seeds no more than how much there is.

    `name` says a setting in short.
    """
    parts = []
    for word in WORDS[:3]:
        if those := [one for one in found if one.word == word]:
            parts.append(f"**{word}**: {_found_on(those, name)}")
    untested = [one for one in found if one.word == WORDS[3]]
    if not parts:
        return f"**{WORDS[3]}**" + (f": {_found_on(untested, name)}" if untested else "")
    return ". ".join([*parts, *([f"{WORDS[3]}: {len(untested)} more"] if untested else [])])


def _found_on(those: Sequence[Verdict], name: Callable[[str], str]) -> str:
    """Settings, each once, with its variants and seeds."""
    by_setting: dict[tuple[str, int], list[str]] = {}
    for one in those:
        by_setting.setdefault((one.setting, one.seeds), []).append(one.variant)
    return "; ".join(
        f"{name(setting)}, {count(seeds)}" + (f" ({' · '.join(filter(None, variants))})" if any(variants) else "")
        for (setting, seeds), variants in by_setting.items()
    )


def count(seeds: int) -> str:
    """`1 seed`, `5 seeds`."""
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
