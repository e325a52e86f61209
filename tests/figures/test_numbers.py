"""Numbers as people read them."""

import math

import numpy as np

from camdrop.figures.numbers import bound, in_percent, number, p_value, percent, percentage


def test_a_number_has_a_minus_sign_and_a_zero_has_none():
    assert [number(v, ".2f") for v in (-8.16, 8.16, -0.001, 0.0)] == ["−8.16", "8.16", "0.00", "0.00"]
    assert [number(v, "+.1f") for v in (-2.5, 2.5)] == ["−2.5", "+2.5"]
    assert number(np.float32(-0.02)) == "−0.02" and number(-1e-7) == "−1e−07"


def test_percent_stays_on_its_line_with_two_figures_that_matter():
    shares = [percent(share) for share in (0.1, 0.0073, 0.0002, 0, 1)]
    assert shares == ["10\u00a0%", "0.73\u00a0%", "0.02\u00a0%", "0\u00a0%", "100\u00a0%"]
    assert percent(0.28, "g") == "28\u00a0%" and in_percent(57.14) == "57.1\u00a0%"
    assert bound("Eq. 5 says 3 ± 1 % of it") == "Eq.\u00a05 says 3 ±\u00a01\u00a0% of it"


def test_a_share_in_percent_is_the_number_that_is_written():
    assert [percentage(n / 1000) for n in range(1001)] == [float(f"{n / 10}") for n in range(1001)]
    assert math.isnan(percentage(math.nan))


def test_a_p_value_has_one_form():
    assert [p_value(p) for p in (0.0004, 0.009, 0.0123, 0.4567, None)] == [
        "p < 0.001", "p = 0.009", "p = 0.012", "p = 0.46", "p unknown",
    ]  # fmt: skip
