"""Several of a list of options, which the browser follows by itself as it does one (browser half: choices.js)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from ui.components.component import component
from ui.components.following import follow, nothing

_choices = component("choices", "sending", "field")


def live_choices(label: str, options: Sequence[str], *, key: str, default: Sequence[str], most: int) -> list[str]:
    """Up to `most` of the options, in the order in which they were chosen; none, if a person removes all.

    They start from the link's parameters `key`, survive page switches, and are written to the address bar, or left out
    of it where they are the default. Of those no longer offered the rest stays; the default, if nothing does. A page
    sets them by `st.session_state["live.<key>"] = options` before it runs. Pictures know them by `text_of`.
    """

    def clean(wanted: Any) -> list[str]:
        if isinstance(wanted, str):  # from the browser
            wanted = _read(wanted)
        if not isinstance(wanted, list):
            return list(default)
        kept = sorted((option for option in options if option in wanted), key=wanted.index)
        return kept[:most] if kept or not wanted else list(default)

    value, told = follow(key, st.query_params.get_all(key) or list(default), clean)
    data = {"label": label, "key": key, "options": list(options), "default": list(default), "value": value}
    _choices(key=key, data=data | {"most": most} | told, on_state_change=nothing)
    return value


def text_of(chosen: Sequence[str]) -> str:
    """What is chosen as the browser knows it."""
    return json.dumps(list(chosen), ensure_ascii=False, separators=(",", ":"))


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
