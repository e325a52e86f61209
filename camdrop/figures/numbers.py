"""Numbers as people read them, one way on all pages and in all reports: a minus sign, and no line break before %."""

from __future__ import annotations

import functools
import re

NBSP = "\N{NO-BREAK SPACE}"
PERCENT = f"%.2f{NBSP}%%"  # the printf format of a column in percent


def number(value: float, how: str = ".3g") -> str:
    """A number by a format specification, with the minus sign −; what rounds to zero has none."""
    text = f"{value:{how}}"
    return re.sub(r"^-(?=[0.]*$)", "", text).replace("-", "−")


def in_percent(value: float, how: str = ".1f") -> str:
    """A value that is in percent, such as an error, with the sign behind it on the same line."""
    return f"{number(value, how)}{NBSP}%"


@functools.lru_cache(maxsize=4096)  # a layer has thousands of channels, and they share a few values
def percent(share: float, how: str | None = None) -> str:
    """A share in [0, 1] in percent, by default with two figures that matter: 10 %, 0.73 %, 0.02 %."""
    value = 100 * share
    return in_percent(value, how or (".0f" if value >= 9.95 or value == 0 else ".1f" if value >= 0.95 else ".2g"))


def percentage(share: float) -> float:
    """A share in percent as a number: 28 for 0.28, where a product is 28.000000000000004."""
    return round(100 * share, 9)


def p_value(p: float | None) -> str:
    """A p-value as it is printed: `p = 0.031`, `p < 0.001`; None is that of no test."""
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def bound(text: str) -> str:
    """Text with no line break between a number and its sign."""
    return re.sub(r" (?=%)|(?<=±) |(?<=Eq\.) ", NBSP, text)


def unbroken(text: str) -> str:
    """Text on one line, also on a phone."""
    return text.replace(" ", NBSP)
