"""A real sweep from start to figures."""

import re

from playwright.sync_api import Page, expect


def test_a_real_sweep_in_the_browser(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/sweep")
    amount = page.get_by_role("spinbutton", name="Training images")
    expect(amount).to_be_visible(timeout=60_000)
    amount.fill("200")
    amount.press("Enter")
    page.get_by_role("button", name="More").click()
    for axis, numbers in (("Learning rates", "0.1"), ("Retaining rates γ", "1, 0.5")):
        page.get_by_role("textbox", name=axis).fill(numbers)
        page.get_by_role("textbox", name=axis).press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_text("2 trainings of 200 images")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text(re.compile("Finished · 2 of 2 cells"))).to_be_visible(timeout=90_000)
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(1)
    page.get_by_text("As surfaces").click()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)
    expect(page).to_have_url(re.compile("sweep=sweep"))
    page.reload()
    expect(page.get_by_text(re.compile("Finished · 2 of 2 cells"))).to_be_visible(timeout=60_000)
