"""The mask lab with every site masked: the answer that turns, and the probe, which waits for no slider."""

import re

from playwright.sync_api import Page, expect

LINK = "mask_lab?checkpoint=fashion-noise-resnet8-camdrop-leaky&image=19&training=true&seed=658&label=Sneaker"


def test_the_bag_becomes_a_sneaker_and_a_probe_says_why(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/{LINK}")
    turns = page.get_by_text("The answer turns to the label of the masks.")
    turns.wait_for(timeout=60_000)
    expect(page.get_by_label("Block size r", exact=True)).to_have_value("8")
    page.get_by_test_id("stCheckbox").filter(has_text="Guess the class").locator("label").first.click()
    expect(page.get_by_text("What the masks tell")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d\s%\sof 300"))).to_be_visible(timeout=60_000)
    expect(page).to_have_url(re.compile("guess=true"))
    page.get_by_role("slider", name="Keep rate γ").press("ArrowLeft")
    expect(page.get_by_role("button", name="Guess again")).to_be_visible()
    expect(turns).to_be_visible()
    page.get_by_role("slider", name="Keep rate γ").press("End")
    expect(page.get_by_text("The answer stays.")).to_be_visible()  # γ = 1: nothing is masked, nothing told
    expect(page.get_by_text("Draws that end in Sneaker")).to_be_visible()
