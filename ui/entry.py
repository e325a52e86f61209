"""The way into a page: app.py runs around it, with the page config and the navigation."""

from contextvars import ContextVar
from pathlib import Path

import streamlit as st

from ui.components.back import back_returns
from ui.components.popover_focus import popover_focus
from ui.fragments import tell_waiting, told
from ui.guests import admit

_in_app = ContextVar("in_app", default=False)
_HERE = Path(__file__).parent
_ROOT = _HERE.parent


def run(page: st.Page) -> None:
    """Run the page that st.navigation has chosen, with errors of the library told: for app.py."""
    admit()
    _arrive(page.url_path)
    token = _in_app.set(True)
    try:
        st.html(_HERE / "entry.css")  # at once: it takes a while until the browser can read it
        tell_waiting()
        with told():
            page.run()
        popover_focus()
        back_returns()
    finally:
        _in_app.reset(token)


def _arrive(page: str) -> None:
    """Where another page is left for this one, keep what the link says, which Streamlit would forget after Back.

    In the first run the link lacks, in the address bar too, what elements of the page before have in theirs. What it
    says goes before what this session had last (following.py).
    """
    store = st.session_state
    if store.setdefault("page", page) != page:
        store["page"], store["arrived"] = page, True
        st.rerun()
    if store.pop("arrived", False) and (link := _link()):
        st.query_params.from_dict(link)
        for key in link:
            store.pop(f"live.{key}", None)


def _link() -> dict[str, list[str]]:
    """What the link says, with all values of each parameter."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def through_app() -> None:
    """Run app.py around this page, even if a link led straight to it on a server just started; call it first.

    A folder named pages makes Streamlit serve each file on its own, until st.navigation has run once on the server. So
    it runs here, with the pages under the same addresses, and the run starts again. What the page before showed and
    offered to save is forgotten.
    """
    if not _in_app.get():
        st.navigation([_ROOT / "app.py", *(_ROOT / "pages").glob("*.py")])  # the first one has no address
        st.rerun()
    for key in ("parts", "saved"):
        st.session_state.pop(key, None)


def home() -> None:
    """The address `/explore`: Explore, as the first page, is at `/`."""
    st.switch_page("pages/explore.py", query_params=_link())
