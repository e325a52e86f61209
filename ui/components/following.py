"""What the server knows of a slider or choice that is ahead of it in the browser (browser half: sending.js)."""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def follow(key: str, start: object, clean: Callable[[Any], T]) -> tuple[T, dict[str, Any]]:
    """The value of the component `key`, and what the browser must be told along with it.

    It starts from `start`, which is what the link says, survives page switches, and is set by
    `st.session_state["live.<key>"] = value` before the component runs. `clean` makes a value of anything.
    """
    store = st.session_state
    slot, book = f"live.{key}", f"live.{key}.book"
    if slot not in store:
        store[slot] = clean(start)
    value = store[slot]
    seen, revision = store.get(book, (value, 0))
    sent = (store.get(key) or {}).get("state") or {}
    if value != seen:
        revision += 1  # the page has set the value: what the browser has is void, and it starts over
    elif sent.get("revision") == revision:
        value = sent["value"]
    value = clean(value)
    store[slot], store[book] = value, (value, revision)
    # The browser waits until its last message is heard before it sends more.
    return value, {"revision": revision, "heard": sent.get("turn")}


def nothing() -> None:
    """Streamlit keeps in session state only those values of a component that have a callback."""
