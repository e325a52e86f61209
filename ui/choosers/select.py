"""Choices and numbers in the link, of which a page takes no other than it offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import streamlit as st

from ui.words import literal

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")


def not_here(names: Sequence[str], kind: str = "") -> str:
    """That what a link names is missing, one thing or several."""
    said = " and ".join(map(literal, names))
    return f"The link names {kind}{said}, which {'is' if len(names) == 1 else 'are'} not here."


def select(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    default: str | None = None,
    width: int | Literal["stretch"] = "stretch",
    help: str | None = None,
    place: DeltaGenerator | None = None,
) -> str:
    """A choice in the link, under `key`, of at least one option; by default the first.

    A choice that is no longer offered (the class of another network, a deleted race) becomes the default in the box
    too, where Streamlit would go on showing it.
    """
    usual = options[0] if default is None else default
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = usual
    # Streamlit wants a default or a value, not both.
    index = 0 if key in st.session_state else options.index(usual)
    return str((place or st).selectbox(label, options, index, key=key, bind="query-params", width=width, help=help))


def segments(
    label: str,
    options: Sequence[T],
    *,
    key: str,
    default: T | None = None,
    help: str | None = None,
    disabled: bool = False,
    hide_label: bool = False,
    on_change: Callable[[], None] | None = None,
) -> T:
    """A choice in the link, under `key`, of a few that are all seen; by default the first.

    A choice that is not offered becomes the default, as in `select`, and so does the empty one of a link.
    """
    store, usual = st.session_state, options[0] if default is None else default
    if key in store and store[key] not in options:
        store[key] = usual
    chosen = st.segmented_control(
        label, options, default=None if key in store else usual, required=True, key=key, bind="query-params", help=help,
        disabled=disabled, label_visibility="collapsed" if hide_label else "visible", on_change=on_change,
    )  # fmt: skip
    if chosen is None:
        st.rerun()  # the box follows
    return chosen


def whole_number(
    label: str,
    low: int,
    high: int,
    default: int,
    *,
    key: str,
    width: int | Literal["stretch"] = "stretch",
    help: str | None = None,
) -> int:
    """A whole number in the link, under `key`; what is none, or out of range, is the default.

    Streamlit's own whole numbers fail on a link that says 1e309, so to it this is a float without decimals.
    """
    shown = (float(low), float(high), float(default), 1.0, "%.0f")
    return int(st.number_input(label, *shown, key=key, bind="query-params", width=width, help=help))
