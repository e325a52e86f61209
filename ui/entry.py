"""The way into a page."""

import streamlit as st
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager


def through_app() -> None:
    """Run app.py around this page, even if a link led straight to it on a server just started; call it first.

    A folder named pages makes Streamlit serve each file on its own, without our layout and navigation, until
    st.navigation has run once in the process. This says what st.navigation will say, and starts the run again.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def keep_order() -> None:
    """Let the rerun of a fragment drop nothing that is still on its way to the browser; for the whole process.

    Streamlit drops what that fragment has sent, but not what fragments inside it have: these then have no place in
    the page, and it goes blank ("Cannot set a node at a delta path") when someone is quicker than the server.
    """
    ForwardMsgQueue.clear = _clear  # type: ignore[assignment, method-assign]


_streamlits_clear = ForwardMsgQueue.clear


def _clear(
    queue: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None
) -> None:
    # What belongs to none of the fragments named stays, so none is named.
    _streamlits_clear(queue, retain_lifecycle_msgs, None if fragment_ids_this_run is None else [])
