"""The way into a page in the browser: by a link, and on a server slower than the hand."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support import ROOT
from tests.support.browser import serve


@pytest.mark.parametrize("name", ["race", "explore"])
def test_a_link_to_a_page_of_a_server_just_started_has_the_navigation(page: Page, name: str) -> None:
    with serve("app.py") as url:
        page.goto(f"{url}/{name}")
        for title in ("Tour", "Sweep"):
            expect(page.get_by_role("link", name=title, exact=True)).to_be_visible(timeout=60_000)
        expect(page).to_have_title("CamDrop Lab")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("dialog")).to_have_count(0)  # which would say that there is no such page
        page.goto("about:blank")


def test_explore_has_its_own_address_too(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/explore?checkpoints=fashion-resnet8-baseline&checkpoints=fashion-resnet8-camdrop&image=3")
    for name in ("fashion-resnet8-baseline", "fashion-resnet8-camdrop"):
        expect(page.get_by_role("img", name=f"Where {name} looks for Pullover")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/\?.*image=3"))


def test_a_link_takes_the_choices_along_and_back_brings_them_back(page: Page, app_url: str) -> None:
    networks = ("fashion-resnet8-baseline", "fashion-resnet8-camdrop")
    chosen = "&".join(f"checkpoints={name}" for name in networks)
    start = f"{app_url}/?{chosen}&image=3&opacity=0.8"
    page.goto(start)
    for name in networks:
        expect(page.get_by_role("img", name=f"Where {name} looks for")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Attack", exact=True).click()
    for name in networks:
        expect(page.get_by_role("img", name=f"The attacked image for {name}")).to_be_visible(timeout=60_000)
    expect(page).to_have_url(re.compile(f"attack.(?=.*{chosen})(?=.*image=3)"))
    page.go_back()
    for name in networks:
        expect(page.get_by_role("img", name=f"Where {name} looks for")).to_be_visible()
    expect(page).to_have_url(start)


def test_back_and_forward_bring_each_page_as_it_was(page: Page, app_url: str) -> None:
    def expect_state(checkpoint: str, r: int) -> None:
        expect(page.get_by_role("combobox", name="Checkpoint", exact=True)).to_have_value(checkpoint, timeout=60_000)
        expect(page.get_by_role("slider", name="Block size r", exact=True)).to_have_value(str(r))
        expect(page).to_have_url(re.compile(f"(?=.*checkpoint={checkpoint})(?=.*r={r})"))

    before, after = ("fashion-resnet8-dropblock", 5), ("fashion-resnet8-baseline", 6)
    page.goto(f"{app_url}/mask_lab?checkpoint={before[0]}&r={before[1]}")
    expect_state(*before)
    page.get_by_role("link", name=re.compile("all five methods")).click()
    expect(page.get_by_role("heading", name="Five methods")).to_be_visible()
    expect_state(*before)
    page.get_by_role("combobox", name="Checkpoint", exact=True).select_option(after[0])
    page.get_by_role("slider", name="Block size r", exact=True).press("ArrowRight")
    expect_state(*after)
    page.go_back()
    expect(page.get_by_role("heading", name="Mask lab")).to_be_visible()
    expect_state(*before)
    page.go_forward()
    expect(page.get_by_role("heading", name="Five methods")).to_be_visible()
    expect_state(*after)


# The app on a server that in its first run waits in one of our functions for a press, and then is too busy to send what
# it draws.
BUSY = """
import time
from pathlib import Path

from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.choosers import {module} as module

if not hasattr(module, "at_once"):
    module.at_once, waits = module.{function}, [True]

    def function(*args, **options):
        if waits:
            waits.clear()
            (Path(__file__).parent / "waits").touch()
            requests = get_script_run_ctx().script_requests
            while str(requests._state) != "ScriptRequestType.RERUN":
                time.sleep(0.01)
            loop = Runtime.instance()._get_async_objs().eventloop
            loop.call_soon_threadsafe(time.sleep, 0.5)
            time.sleep(0.1)
        return module.at_once(*args, **options)

    module.{function} = function
"""


@pytest.mark.parametrize(
    ("name", "module", "function", "button", "sliders"),
    [
        ("", "checkpoint", "choose_shelf", "Add", ("Image", "Opacity")),  # outside of any fragment
        ("mask_lab", "scene", "size_slider", "Draw again", ("Keep rate γ", "Block size r")),  # inside of one
    ],
)
def test_whoever_is_quicker_than_the_server_sees_the_page(
    page: Page, tmp_path: Path, name: str, module: str, function: str, button: str, sliders: tuple[str, ...]
) -> None:
    (tmp_path / "pages").symlink_to(ROOT / "pages")
    _, _, app = (ROOT / "app.py").read_text("utf-8").split('"""')  # its docstring would not be the first
    (tmp_path / "app.py").write_text(BUSY.format(module=module, function=function) + app, "utf-8")
    with serve(str(tmp_path / "app.py")) as url:
        page.goto(f"{url}/{name}")
        while not (tmp_path / "waits").exists():
            page.wait_for_timeout(50)
        page.get_by_role("button", name=button).click()
        for slider in sliders:
            expect(page.get_by_role("slider", name=slider, exact=True)).to_be_visible(timeout=60_000)
        expect(page.get_by_role("img").first).to_be_visible()
        expect(page.get_by_text("How it is computed")).to_be_visible()
        page.goto("about:blank")
