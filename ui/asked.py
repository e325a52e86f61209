"""Work of seconds that a button asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import streamlit as st

from ui.fragments import callback


@contextlib.contextmanager
def asked(label: str, *, key: str, **look: Any) -> Iterator[bool]:
    """A button, and within whether to do the work that it asks for; `look` goes to `st.button`.

    A button alone says True in one run, and where another run cuts that off, as whatever a person touches next does,
    the work is lost without a word. This asks until the work is done, or has failed.
    """
    st.button(label, key=key, on_click=_ask, args=(key,), **look)
    try:
        yield key in _waiting()
    except Exception:  # those by which Streamlit ends a run are none
        _waiting().discard(key)
        raise
    _waiting().discard(key)


@callback
def _ask(key: str) -> None:
    _waiting().add(key)


def _waiting() -> set[str]:
    """The keys of the buttons whose work is to be done."""
    return st.session_state.setdefault("asked", set())
