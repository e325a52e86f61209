"""Works around links that the browser's Back does not undo: Streamlit leaves two or three entries in its history.

Mostly the first has the old page's path with the new page's parameters: Back goes there, and the old page has lost its
own. Or the first has the new page's path alone. The browser half lets each of them take the first one's place. Where
the browser or Streamlit lets it not, Back does what it did.
"""

from pathlib import Path

import streamlit as st

_back = st.components.v2.component("camdrop.back", js=(Path(__file__).parent / "back.js").read_text("utf-8"))


def back_returns() -> None:
    """Let Back return from a link's page to the one before as it was; once a page, at its end."""
    _back(key="back")
