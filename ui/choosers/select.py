"""A select box that shows what the page takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import streamlit as st

from ui.words import literal

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


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
