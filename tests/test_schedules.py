import pytest

from camdrop.schedules import keep_prob_at, learning_rate_at


@pytest.mark.parametrize(
    "schedule, expected",
    [("constant", [0.8, 0.8, 0.8]), ("linear", [1.0, 0.9, 0.8]), ("inverse", [0.8, 0.9, 1.0])],
)
def test_keep_probability_against_hand_values(schedule, expected):
    assert [keep_prob_at(p, 0.8, schedule) for p in (0.0, 0.5, 1.0)] == pytest.approx(expected)


def test_step_schedule_is_the_papers_in_fractions_of_400_epochs():
    epochs = [0, 149, 150, 249, 250, 349, 350, 399]
    rates = [learning_rate_at(e / 400, 0.1, "step") for e in epochs]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])


def test_one_cycle_against_hand_values():
    rates = [learning_rate_at(p, 1.0, "onecycle") for p in (0.0, 0.15, 0.3, 0.65, 1.0)]
    assert rates == pytest.approx([0.04, 0.52, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("call", [lambda: keep_prob_at(0, 0.9, "cosine"), lambda: learning_rate_at(0, 0.1, "cosine")])
def test_unknown_schedule(call):
    with pytest.raises(ValueError, match=r"one of .*'cosine'"):
        call()
