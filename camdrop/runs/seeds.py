"""Runs that differ in their seed alone: which seeds come next, and contenders compared in pairs, seed by seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from camdrop.analysis.seeds import paired_by_seed
from camdrop.figures.numbers import number, p_value
from camdrop.runs.folder import RunConfig
from camdrop.runs.records import Spread
from camdrop.training.config import Contender


def next_seeds(config: RunConfig, taken: Sequence[RunConfig], count: int) -> list[RunConfig]:
    """`config` with the `count` seeds after the largest of its own and those `taken`."""
    last = max(c.recipe.seed for c in (config, *taken))
    recipes = [dataclasses.replace(config.recipe, seed=last + 1 + i) for i in range(count)]
    return [dataclasses.replace(config, recipe=recipe) for recipe in recipes]


def reference(contenders: Sequence[Contender]) -> Contender:
    """With which the others are compared: the first baseline, else the first contender."""
    return next((c for c in contenders if c.method is None), contenders[0])


@dataclass(frozen=True)
class Paired:
    """A paired t-test: differences of two errors, seed by seed, as mean and standard deviation in points over n seeds.

    `p` is None where all differences are the same, so that nothing can be tested.
    """

    mean: float
    std: float
    p: float | None
    n: int

    def __str__(self) -> str:
        return f"{number(self.mean, '+.1f')} ± {self.std:.1f}, {p_value(self.p)}"


def paired_test(own: Spread, other: Spread) -> Paired | None:
    """Compare `own` errors with those of another contender in the seeds that both have; None for less than two."""
    ours, theirs = own.by_seed, other.by_seed
    test = paired_by_seed(ours, theirs)
    if test is None:
        return None
    std = stdev([ours[seed] - theirs[seed] for seed in ours.keys() & theirs.keys()])
    return Paired(test.mean, std, test.p if std > 1e-9 else None, test.n)
