"""A choice that the browser follows by itself: a list or a row of options (browser half: choice.js).

Like the slider it says `camdrop:live` on `window`, so that pictures show what came ahead (ahead.py) without the server.
"""

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from ui.components.component import Part, component
from ui.components.following import follow, nothing

_choice = component("choice", "sending", "field")


def live_choice(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    default: str | None = None,
    look: Literal["list", "row"] = "list",
    width: int | Literal["content", "stretch"] = "content",
    help: str = "",
) -> str:
    """One of at least one option, by default the first; a drop-down list, or a row of all of them.

    It starts from the link's parameter `key`, survives page switches, and is written to the address bar, or left out of
    it where it is the default. A choice that is no longer offered becomes the default, and so does the one that was the
    default before. A page sets it by `st.session_state["live.<key>"] = option` before it runs.
    """
    usual, store = options[0] if default is None else default, st.session_state
    before = store.get(f"live.{key}.default", usual)
    if usual != before == store.get(f"live.{key}"):
        store[f"live.{key}"] = usual
    store[f"live.{key}.default"] = usual

    def clean(value: Any) -> str:
        return value if value in options else usual

    value, told = follow(key, st.query_params.get(key, usual), clean)
    data = _message(label, options, key, usual, value) | {"look": look, "help": help} | told
    _choice(key=key, data=data, width=width, on_state_change=nothing)
    return value


def choice_part(label: str, options: Sequence[str], *, key: str, value: str) -> Part:
    """What a row of `live_choice` shows, for a page that is saved unseen; the default is the first option."""
    told = {"look": "row", "help": "", "revision": 0, "heard": None}
    return Part(_choice, [_message(label, options, key, options[0], value) | told])


def _message(label: str, options: Sequence[str], key: str, default: str, value: str) -> dict[str, Any]:
    return {"label": label, "key": key, "options": list(options), "default": default, "value": value}
