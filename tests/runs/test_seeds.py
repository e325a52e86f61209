"""Seeds of one race: the next ones, and paired tests over them."""

import dataclasses
from statistics import mean, stdev

import pytest
from scipy.stats import ttest_1samp

from camdrop.masks import DropBlock
from camdrop.runs import RunConfig
from camdrop.runs.records import Spread
from camdrop.runs.seeds import next_seeds, paired_test, reference
from camdrop.training.config import Contender, Recipe

BLOCKS, BASELINE = Contender("blocks", DropBlock()), Contender("baseline")
CONFIG = RunConfig("d", Recipe("resnet8", epochs=1, seed=1), (BLOCKS, BASELINE))


def test_the_next_seeds_are_those_that_no_run_has():
    taken = [dataclasses.replace(CONFIG, recipe=dataclasses.replace(CONFIG.recipe, seed=seed)) for seed in (0, 4)]
    found = next_seeds(CONFIG, taken, 2)
    assert [c.recipe.seed for c in found] == [5, 6] and [c.recipe.seed for c in next_seeds(CONFIG, [], 1)] == [2]
    assert dataclasses.replace(found[0], recipe=CONFIG.recipe) == CONFIG


def test_others_are_compared_with_the_baseline():
    assert reference((BLOCKS, BASELINE)) == BASELINE and reference((BLOCKS,)) == BLOCKS


def test_a_paired_test_takes_the_seeds_that_both_have():
    own, other = Spread((28.0, 31.0, 26.0, 9.0), (2, 0, 1, 7)), Spread((40.0, 36.0, 35.0), (0, 1, 2))
    found = paired_test(own, other)
    differences = [31.0 - 40.0, 26.0 - 36.0, 28.0 - 35.0]
    assert (found.mean, found.std, found.n) == (mean(differences), stdev(differences), 3)
    assert found.p == pytest.approx(ttest_1samp(differences, 0).pvalue)  # which a paired test is
    assert str(found) == "−8.7 ± 1.5, p = 0.010"


@pytest.mark.parametrize("errors", [Spread((3.0,), (0,)), Spread((3.0, 4.0), (8, 9)), Spread((3.0, 4.0)), Spread()])
def test_there_is_no_test_of_less_than_two_pairs(errors):
    assert paired_test(errors, Spread((1.0, 2.0), (0, 1))) is None


def test_equal_differences_cannot_be_tested():
    found = paired_test(Spread((3.0, 4.0), (0, 1)), Spread((2.0, 3.0), (0, 1)))
    assert (found.mean, found.p) == (1.0, None) and str(found) == "+1.0 ± 0.0, p unknown"
