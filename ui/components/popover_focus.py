"""Works around popovers that the keyboard does not reach: Streamlit puts their body at the end of the page.

So Tab on a popover's button goes past it. Nothing public tells where the body is; the browser half looks for the names
that Streamlit gives its parts for tests, and where they are gone, Tab does what it did.
"""

from pathlib import Path

import streamlit as st

_focus = st.components.v2.component(
    "camdrop.popover_focus", js=(Path(__file__).parent / "popover_focus.js").read_text("utf-8")
)


def popover_focus() -> None:
    """Let the Tab key enter what the button under the focus has opened; once a page, at its end."""
    _focus(key="popover_focus")
