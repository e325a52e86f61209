"""Gradients: another layer, and its link."""

import re

from playwright.sync_api import Page, expect


def test_another_layer_and_a_link_in_the_browser(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/gradients?checkpoint=fashion-resnet8-camdrop&images=4&r=3")
    expect(page.get_by_text("Eq. 15 holds for every one")).to_be_visible(timeout=60_000)
    charts = page.get_by_test_id("stPlotlyChart")
    expect(charts).to_have_count(3)
    page.get_by_role("combobox", name="Layer below").click()
    page.get_by_role("option", name="layer2.0.conv1").click()
    expect(page.get_by_text("What masks do to the bounds at layer2.0.conv1")).to_be_visible()
    expect(page).to_have_url(re.compile("layer=layer2.0.conv1"))
    page.reload()
    expect(page.get_by_text("What masks do to the bounds at layer2.0.conv1")).to_be_visible(timeout=60_000)
