"""Networks to compare, chosen in the browser: by hand, without the server, and in the link."""

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import until_quiet

BASELINE, DROPBLOCK, CAMDROP = (f"fashion-resnet8-{method}" for method in ("baseline", "dropblock", "camdrop"))


def heatmap(page: Page, name: str) -> Locator:
    return page.get_by_role("img", name=f"Where {name} looks for")


def expect_link(page: Page, *names: str) -> None:
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("checkpoints") == list(names))


def test_networks_come_and_go_without_the_server_and_the_link_has_them(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(f"{app_url}/?checkpoints={BASELINE}&checkpoints={CAMDROP}&image=3")
    there = """name => [...(window.camdropShelf?.messages.values() ?? [])].some(({ header }) =>
        header.state.at.checkpoints?.endsWith(`"${name}"]`))"""
    page.wait_for_function(there, arg=DROPBLOCK, timeout=60_000)
    until_quiet(page, sent)
    page.get_by_role("combobox", name="Checkpoints").select_option(DROPBLOCK)
    # The browser waits before it asks the server, so that it has drawn them first.
    assert heatmap(page, DROPBLOCK).count() == 1
    followed = page.locator(".grid").first.inner_text()
    expect_link(page, BASELINE, CAMDROP, DROPBLOCK)
    page.wait_for_timeout(1500)
    assert sent and page.locator(".grid").first.inner_text() == followed
    page.get_by_role("button", name=f"Remove {BASELINE}").focus()
    page.keyboard.press("Enter")
    expect(heatmap(page, BASELINE)).to_have_count(0)
    expect(page.get_by_role("button", name=f"Remove {CAMDROP}")).to_be_focused()
    expect_link(page, CAMDROP, DROPBLOCK)
    page.reload()
    for name in (CAMDROP, DROPBLOCK):
        expect(heatmap(page, name)).to_be_visible(timeout=60_000)
    expect(heatmap(page, BASELINE)).to_have_count(0)


def test_one_to_four_networks_are_compared(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/?checkpoints={BASELINE}")
    expect(heatmap(page, BASELINE)).to_be_visible(timeout=60_000)
    others = page.get_by_role("combobox", name="Checkpoints")
    for name in (CAMDROP, DROPBLOCK, "fashion-noise-resnet8-baseline"):
        others.select_option(name)
        expect(heatmap(page, name)).to_be_visible()
    expect(others).to_be_disabled()
    expect(others).to_have_text(re.compile("^At most 4"))
    for name in (CAMDROP, DROPBLOCK, "fashion-noise-resnet8-baseline", BASELINE):
        page.get_by_role("button", name=f"Remove {name}").click()
    expect(page.get_by_text("Choose at least one checkpoint")).to_be_visible()
    expect(others).to_be_focused()
    others.select_option("cifar10-resnet20-camdrop")
    expect(heatmap(page, "cifar10-resnet20-camdrop")).to_be_visible()
    expect_link(page, "cifar10-resnet20-camdrop")
