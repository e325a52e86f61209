"""What the server sends ahead of its time, in the browser."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import delayed, serve

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


def test_whoever_leaves_a_page_while_it_asks_for_more_sees_the_next(page: Page, app_url: str) -> None:
    with delayed(app_url, 0.3) as url:
        page.goto(f"{url}/mask_lab?method=DropBlock&gamma=0.5")
        picture = page.get_by_role("img", name=re.compile("units are dropped in channel"))
        for _ in range(3):
            expect(picture).to_be_visible(timeout=60_000)
            page.get_by_role("link", name=re.compile("all five methods")).click()
            expect(page.get_by_role("heading", name="Five methods")).to_be_visible()
            expect(page).to_have_url(re.compile("five_methods"))
            page.wait_for_timeout(300)  # it asks for the first load
            page.go_back()
        expect(picture).to_be_visible()
        page.goto("about:blank")


# Another element speaks in the tick in which the browser asks for a load.
TOGETHER = """
let sent = 0;
const { send } = WebSocket.prototype;
WebSocket.prototype.send = function (data) { sent += 1; return send.call(this, data); };
const idle = window.requestIdleCallback;
window.requestIdleCallback = (act) => idle((deadline) => {
  const before = sent;
  act(deadline);
  const parts = [...document.querySelectorAll("*")].flatMap((host) => host.shadowRoot ?? []);
  const found = parts.map((part) => part.querySelector("input[type=range][aria-label^='Largest change']"));
  const slider = found.find(Boolean);
  if (window.pressed || sent === before || !slider) return;
  window.pressed = true;
  slider.value = slider.max;
  for (const type of ["input", "change"]) slider.dispatchEvent(new Event(type));
});
"""


def test_what_a_person_does_while_the_browser_asks_is_heard(page: Page, app_url: str) -> None:
    page.add_init_script(TOGETHER)
    page.goto(f"{app_url}/attack?iterations=8")
    page.wait_for_function("window.pressed", timeout=60_000)
    expect(page.get_by_text("ε plays no part here")).to_be_visible()
