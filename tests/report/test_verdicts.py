"""One rule gives the word for a claim."""

import pytest

from camdrop.analysis.seeds import Paired, spread
from camdrop.report.verdicts import RULE, WORDS, Verdict, in_words, verdict


def d(mean: float, p: float, n: int = 5) -> Paired:
    return Paired(mean, mean - 1, mean + 1, p, n)


@pytest.mark.parametrize(
    ("differences", "word"),
    [
        ([d(-3, 0.01), d(-2, 0.04)], "reproduced"),
        ([d(-3, 0.01), d(-2, 0.06)], "no difference"),
        ([d(-3, 0.01), d(2, 0.024)], "not reproduced"),
        ([d(-3, 0.01), d(2, 0.026)], "no difference"),  # of two differences each has half the level
        ([d(2, 0.04)], "not reproduced"),
        ([d(-3, 0.01), d(9, 0.001, 2)], "reproduced"),  # two seeds say nothing
        ([d(-3, 0.001, 2), None], "not tested at this scale"),
        ([], "not tested at this scale"),
    ],
)
def test_the_word(differences: list[Paired | None], word: str) -> None:
    assert verdict(differences) == word


def test_real_spreads_decide() -> None:
    assert verdict([spread([-9.0, -11.0, -10.0]).test()]) == "reproduced"
    assert verdict([spread([-9.0, 11.0, -10.0]).test()]) == "no difference"


def test_the_rule_names_each_word() -> None:
    assert all(f"*{word}*" in RULE for word in WORDS) and RULE.count(". ") == 0


def test_in_words() -> None:
    found = [
        Verdict("reproduced", "ResNet-8, mnist, 2 epochs", "true class", 5),
        Verdict("reproduced", "ResNet-8, mnist, 2 epochs", "predicted class", 5),
        Verdict("no difference", "ResNet-20, mnist, 2 epochs", "", 3),
        Verdict("not tested at this scale", "mnist", "", 1),
    ]
    assert in_words(found) == (
        "**reproduced**: ResNet-8, mnist, 2 epochs, 5 seeds (true class · predicted class). "
        "**no difference**: ResNet-20, mnist, 2 epochs, 3 seeds. not tested at this scale: 1 more"
    )
    assert in_words(found[3:]) == "**not tested at this scale**: mnist, 1 seed"
    assert in_words([]) == "**not tested at this scale**"
