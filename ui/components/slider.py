"""The slider that follows the hand: it sends its value while it is dragged (browser half: slider.js).

It also says `camdrop:live` on `window` with every move, so that a canvas bound to it by `Live` (pictures.py)
repaints without the server.
"""

import builtins
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui.components.component import Part, component
from ui.components.following import follow, nothing

_slider = component("slider", "sending")


@dataclass(frozen=True)
class Live:
    """A number that follows the slider `key` in the browser; `value` is what the slider returned."""

    key: str
    value: float


def live_slider(
    label: str,
    *,
    key: str,
    min: float,
    max: float,
    step: float,
    default: float,
    format: str | None = None,
    help: str = "",
    log: bool = False,
    disabled: bool = False,
    local: bool = False,
    values: Sequence[int] | None = None,
) -> float:
    """A slider that sends its value while it is dragged, every 40 ms if the server keeps up, the latest one winning.

    The value starts from the link's parameter `key` (clamped; `default` if it is no number), survives page switches,
    and is written to the address bar on release, or left out of it where it is the default. It is an int if `min`,
    `max`, `step` and `default` are. A page sets it by `st.session_state["live.<key>"] = value` before it runs.
    With `log` the range is logarithmic (`min` > 0). With `local` only the release is sent: for what the browser draws
    itself; so it is with values at which the pictures show what came ahead (ahead.py). `values`, sorted, are the only
    ones that it can have, a step apart. `format` is a printf format as for `st.slider`. Without `local`, call it inside
    a fragment: a whole-page rerun is cut off by the next one, and so would never finish while the hand moves.
    """
    integer = _are_whole(min, max, step, default)

    def clean(value: Any) -> float:
        value = _snap(_number(value, default), min, max, step, log, integer)
        return value if values is None else builtins.min(values, key=lambda x: (abs(x - value), x))

    value, told = follow(key, st.query_params.get(key, default), clean)
    data = _message(label, key, min, max, step, default, value, help, log, disabled, local)
    data |= {"format": format} if format else {}
    data |= {"values": None if values is None else list(values)}
    _slider(key=key, data=data | told, on_state_change=nothing)
    return value


def slider_part(label: str, *, key: str, min: float, max: float, step: float, value: float) -> Part:
    """What `live_slider` shows, for a page that is saved unseen; `value` is its default too."""
    data = _message(label, key, min, max, step, value, value, local=True)
    return Part(_slider, [data | {"revision": 0, "heard": None}])


def _message(
    label: str,
    key: str,
    min: float,
    max: float,
    step: float,
    default: float,
    value: float,
    help: str = "",
    log: bool = False,
    disabled: bool = False,
    local: bool = False,
) -> dict[str, Any]:
    integer = _are_whole(min, max, step, default)
    decimals = 0 if integer else 1 if step >= 1 else -math.floor(math.log10(step))
    return {
        "label": label,
        "key": key,
        "min": min,
        "max": max,
        "step": step,
        "default": default,
        "format": f"%.{decimals}f",
        "help": help,
        "log": log,
        "integer": integer,
        "disabled": disabled,
        "local": local,
        "value": value,
    }


def _are_whole(*numbers: float) -> bool:
    return all(isinstance(number, int) for number in numbers)


def _number(text: Any, default: float) -> float:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _snap(value: float, low: float, high: float, step: float, log: bool, integer: bool) -> float:
    """The same rounding as in slider.js, so that the browser never corrects what the server said."""
    if not log:
        value = low + math.floor((value - low) / step + 0.5) * step
    elif not integer:
        value = float(f"{value:.3g}")
    value = float(f"{min(max(value, low), high):.12g}")
    return math.floor(value + 0.5) if integer else value
