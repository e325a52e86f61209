"""Room for what is still to come, so that nothing below it moves as a page fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

LINE, ROW = 40, 68  # pixels: buttons; choosers with their labels
STRIP, GALLERY, SCREEN = 352, 560, 720  # small pictures in one row, large ones, those that go on below the screen's end


def room(name: str, height: int) -> DeltaGenerator:
    """A place that is `height` pixels high from the start, and grows with what is in it; `name` is its own on the page.

    Beside it stands an empty container of that height: a style from the server comes too late. On a phone, where
    columns stand below each other, entry.css hides it.
    """
    place, post = st.columns([999, 1], gap=None, vertical_alignment="top" if height > ROW else "bottom")
    post.container(key=f"room.{name}", height=height, border=False).empty()
    return place
