"""Networks that differ in their seed: groups by their headers, spreads, and the paired t-test against scipy's."""

import dataclasses

import pytest
from scipy.stats import ttest_1samp, ttest_rel

from camdrop.analysis.seeds import Paired, Spread, over_seeds, paired_by_seed, seed_groups, spread
from camdrop.checkpoints import Meta

ONE = Meta(
    "resnet8", 10, 1, method="camdrop", method_options={"label": "true"}, recipe={"epochs": 3, "seed": 0}, seed=0
)


def other(seed: int, **changes: object) -> Meta:
    return dataclasses.replace(ONE, seed=seed, recipe=ONE.recipe | {"seed": seed}, **changes)


@pytest.mark.parametrize(("ours", "theirs"), [
    ([28.1, 30.4, 27.0, 29.9, 31.2], [38.5, 35.2, 39.1, 36.0, 37.7]), ([1.0, 2.0], [1.5, 2.1]),
    ([5.0, 1.0, 3.0], [4.0, 2.0, 3.5]),
])  # fmt: skip
def test_the_paired_test_is_scipy_s(ours: list[float], theirs: list[float]) -> None:
    expected = ttest_rel(ours, theirs)
    found = paired_by_seed(dict(enumerate(ours)), dict(reversed(list(enumerate(theirs)))))
    assert found and found.n == len(ours) and found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    one = spread(ours).test()
    assert one and one.p == pytest.approx(ttest_1samp(ours, 0).pvalue)


def test_only_seeds_of_both_are_pairs() -> None:
    assert paired_by_seed({0: 1.0, 1: 2.0}, {1: 1.0, 2: 5.0}) is None and paired_by_seed({0: 1.0}, {}) is None
    assert paired_by_seed({0: 1.0, 1: 2.0, 7: 9.0}, {1: 1.0, 0: 0.0}) == Paired(1.0, 1.0, 1.0, 0.0, 2)
    assert paired_by_seed({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}) == Paired(0.0, 0.0, 0.0, 1.0, 2)
    assert spread([3.0]) == Spread(3.0, None, 1) and spread([3.0]).test() is None
    assert -Paired(1.0, 0.5, 1.5, 0.1, 3) == Paired(-1.0, -1.5, -0.5, 0.1, 3)


def test_networks_that_differ_in_the_seed_alone_are_a_group() -> None:
    baseline = {"method": "baseline", "method_options": {}}
    metas = {
        "a0": other(0), "b0": other(0, **baseline), "a1": other(1, test_error=3.0, epochs=2, device="x"),
        "b1": other(1, **baseline), "p0": other(0, method_options={"label": "predicted"}),
        "longer": dataclasses.replace(ONE, recipe={"epochs": 9, "seed": 0}), "foreign": Meta("resnet8", 10, 1),
        "foreign too": Meta("resnet8", 10, 1),
    }  # fmt: skip
    assert seed_groups(metas) == [["a0", "a1"], ["b0", "b1"], ["p0"], ["longer"], ["foreign"], ["foreign too"]]
    assert seed_groups({"best": other(0), "last": other(0), "next": other(1)}) == [["best"], ["last"], ["next"]]


def test_numbers_over_seeds() -> None:
    metas = {"b0": other(0, method="baseline"), "b1": other(1, method="baseline"), "c1": other(1), "c0": other(0)}
    numbers = {"b0": {"x": 4.0}, "b1": {"x": 6.0}, "c1": {"x": 4.0}, "c0": {"x": 1.0}}
    first, second = over_seeds(metas, numbers, lambda name: {"name": name})
    assert first["name"] == "b0" and first["seeds"] == [0, 1] and first["x"] == {"mean": 5.0, "std": 2**0.5, "n": 2}
    assert first["minus_first"]["x"]["mean"] == 0 and second["seeds"] == [1, 0]
    assert second["minus_first"]["x"]["mean"] == -2.5 and second["minus_first"]["x"]["n"] == 2
