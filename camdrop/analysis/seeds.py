"""Numbers of networks that differ in their seed alone: mean and standard deviation, differences paired by the seed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, TypeVar

from camdrop.checkpoints import Meta

Key = TypeVar("Key")


@dataclass(frozen=True)
class Paired:
    """The mean of `n` differences, its 95 % interval, and the p-value of the t-test that it is 0."""

    mean: float
    low: float
    high: float
    p: float
    n: int

    def __neg__(self) -> Paired:
        return Paired(-self.mean, -self.high, -self.low, self.p, self.n)


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over `n` networks; `std` is None for one."""

    mean: float
    std: float | None
    n: int

    def words(self, digits: int = 2, scale: float = 1) -> str:
        """`37.6 ± 1.8`, times `scale`; of one network the value alone."""
        text = f"{scale * self.mean:.{digits}f}"
        return text if self.std is None else f"{text} ± {scale * self.std:.{digits}f}"

    def test(self) -> Paired | None:
        """Student's t-test that the mean is 0; None for one network."""
        from scipy.special import stdtr, stdtrit  # scipy.stats takes three times as long to load, and 1 ms a test

        if self.std is None:
            return None
        error = self.std / math.sqrt(self.n)
        if not error:
            return Paired(self.mean, self.mean, self.mean, 0.0 if self.mean else 1.0, self.n)
        half = error * float(stdtrit(self.n - 1, 0.975))
        p = 2 * float(stdtr(self.n - 1, -abs(self.mean) / error))
        return Paired(self.mean, self.mean - half, self.mean + half, p, self.n)


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of at least one value."""
    return Spread(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def paired_by_seed(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Paired | None:
    """The paired t-test, as of `scipy.stats.ttest_rel`, of `ours` against `theirs`, both by seed.

    It is of the seeds that both have; None for fewer than two.
    """
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    return spread(differences).test() if differences else None


def seed_groups(metas: Mapping[Key, Meta]) -> list[list[Key]]:
    """The networks by groups that differ in the seed alone, as their headers say, in the order in which they come.

    A network whose header names no seed stands alone, and so do all those of a group in which a seed comes twice.
    """
    groups: dict[object, list[Key]] = {}
    for key, meta in metas.items():
        groups.setdefault(key if meta.seed is None else _but_seed(meta), []).append(key)
    found: list[list[Key]] = []
    for keys in groups.values():
        alike = len({metas[key].seed for key in keys}) < len(keys)
        found += [[key] for key in keys] if alike else [keys]
    return found


def _but_seed(meta: Meta) -> str:
    """What networks of a group have in common: all but the seed, and what training made of it."""
    recipe = {name: value for name, value in meta.recipe.items() if name != "seed"}
    network = (meta.architecture, meta.shortcut, meta.stem, meta.num_classes, meta.in_channels, meta.dataset)
    return json.dumps([*network, meta.method, meta.method_options, recipe], sort_keys=True)


def over_seeds(
    metas: Mapping[Key, Meta],
    numbers: Mapping[Key, Mapping[str, float]],
    describe: Callable[[Key], dict[str, Any]],
) -> list[dict[str, Any]]:
    """For each of `seed_groups`, as JSON holds it: what `describe` says of its first network, the `seeds`, the numbers.

    By the name of a number, the fields of its `Spread`; by name in `minus_first`, those of the `Paired` difference to
    the first group, as far as two seeds are in both.
    """
    groups = seed_groups(metas)

    def by_seed(keys: Sequence[Key], name: str) -> dict[int, float]:
        return {seed: numbers[key][name] for key in keys if (seed := metas[key].seed) is not None}

    said = []
    for keys in groups:
        names = list(numbers[keys[0]])
        entry = describe(keys[0]) | {"seeds": [metas[key].seed for key in keys]}
        entry |= {name: dataclasses.asdict(spread([numbers[key][name] for key in keys])) for name in names}
        tests = {name: paired_by_seed(by_seed(keys, name), by_seed(groups[0], name)) for name in names}
        entry["minus_first"] = {name: dataclasses.asdict(test) for name, test in tests.items() if test}
        said.append(entry)
    return said
