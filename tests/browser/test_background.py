"""What the server sends ahead of its time, in the browser."""

from pathlib import Path

from playwright.sync_api import Page

from tests.support.browser import serve

# Four loads, of which the second does not arrive the first time, as where Streamlit drops a message in its queue.
SCRIPT = """
import streamlit as st

from ui.components.pictures import Board, Panel, State
from ui.panels import background

tries = st.session_state.setdefault("tries", [])
send_ahead = background.send_ahead


def boards(load):
    tries.append(load)
    return [Board("board", [Panel(f"load {load}", "")], state=State("scene", {"x": load}))]


def send(boards, **options):
    boards = list(boards)
    if tries == [0, 1] and boards:
        return send_ahead((), **options | {"number": 0})
    return send_ahead(boards, **options)


background.send_ahead = send
background.plan(range(4), boards)
background.carrier()
"""


def test_a_load_that_is_lost_comes_again(page: Page, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, "utf-8")
    with serve(str(script)) as url:
        page.goto(url)
        page.wait_for_function("window.camdropShelf?.messages.size === 4", timeout=30_000)
        assert page.evaluate("window.camdropShelf.loads.length") == 4
        page.goto("about:blank")
