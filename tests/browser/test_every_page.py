"""What holds on every page as it opens: it can be read and reached by all, and nothing jumps while it loads."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

PAGES = ("", "tour", "mask_lab", "five_methods", "attack", "race", "runs", "results", "gradients", "sweep")
# Rule → a part of the HTML that it is about, of what Streamlit draws and nothing public changes.
EXCEPTIONS = {
    # The chosen one of a segmented control is in the primary colour on a tint of it. In the dark no colour has a
    # contrast of 4.5 both there and under the white text of buttons and tags.
    "color-contrast": "<p>",
}
STEADY = 0.1  # Google's limit of what is good
JUMPS = """
window.jumps = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    // The page itself, while nothing is on it, is narrow until Streamlit has its configuration.
    const moved = entry.sources.filter(({ node }) => node?.dataset?.testid !== "stMainBlockContainer");
    if (!entry.hadRecentInput && moved.length)
      window.jumps.push([entry.value, ...moved.map(({ node }) => (node?.innerText ?? "").slice(0, 60))]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def serious(page: Page) -> list[Any]:
    """What axe finds grave on the page as it is, but for the exceptions."""
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], node["html"][:200], (node["any"] or node["all"] or node["none"])[0]["message"])
        for rule in found if rule["impact"] in ("serious", "critical") for node in rule["nodes"]
        if not (rule["id"] in EXCEPTIONS and _is_exception(page, rule["id"], node))
    ]  # fmt: skip


def _is_exception(page: Page, rule: str, node: Any) -> bool:
    """Whether it is within the chosen one of a segmented control."""
    return bool(
        page.evaluate(
            "at => !!document.querySelector(at)?.closest('[role=radio][aria-checked=true]')", node["target"][-1]
        )
    )


def rested(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=60_000)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_does_not_jump(page: Page, app_url: str, name: str) -> None:
    page.add_init_script(JUMPS)
    page.goto(f"{app_url}/{name}")
    rested(page)
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert serious(page) == []
    jumps = page.evaluate("window.jumps")
    assert sum(value for value, *_ in jumps) <= STEADY, jumps
