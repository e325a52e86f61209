"""The way into a page."""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def through_app() -> None:
    """Run app.py around this page, even if a link led straight to it on a server just started; call it first.

    A folder named pages makes Streamlit serve each file on its own, without our layout and navigation, until
    st.navigation has run once in the process. This says what st.navigation will say, and starts the run again.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
