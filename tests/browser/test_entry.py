"""The way into a page, in the browser."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import serve

SCRIPT = """
import time

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.entry import keep_order

keep_order()
runs = st.session_state.setdefault("runs", [])


@st.fragment
def outer():
    runs.append(None)
    st.button("Press")
    if len(runs) == 1:
        requests = get_script_run_ctx().script_requests
        while str(requests._state) != "ScriptRequestType.RERUN":  # until the button is pressed
            time.sleep(0.01)
        loop = Runtime.instance()._get_async_objs().eventloop
        loop.call_soon_threadsafe(time.sleep, 0.5)  # a server too busy to send what follows before the next run
        time.sleep(0.1)
    st.text(f"Run {len(runs)}")
    with st.container():
        inner()


@st.fragment
def inner():
    st.text("What is inside")


outer()
"""


def test_whoever_is_quicker_than_the_server_sees_the_page(page: Page, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(SCRIPT)
    with serve(str(script)) as url:
        page.goto(url)
        page.get_by_role("button", name="Press").click()
        expect(page.get_by_text("Run 2")).to_be_visible()
        expect(page.get_by_text("What is inside")).to_be_visible()
        page.goto("about:blank")
