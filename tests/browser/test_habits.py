"""What people expect without being told: where Tab goes, what a word means, where to begin."""

import re

from playwright.sync_api import Page, expect

INSIDE = """
() => {
  let node = document.activeElement;
  while (node.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  for (; node; node = node.parentNode ?? node.host) if (node.dataset?.testid === "stPopoverBody") return true;
  return false;
}
"""


def test_explore_says_what_it_is_offers_the_tour_and_explains_its_words(page: Page, app_url: str) -> None:
    page.goto(app_url)
    entropy = page.locator(".term", has_text=re.compile("^entropy$")).first
    expect(entropy).to_have_attribute("title", re.compile("^How evenly the heatmap spreads"), timeout=60_000)
    for word in ("region", "regions", "above half of the maximum"):
        found = page.locator(".term", has_text=re.compile(f"^{word}$")).first
        if found.count():
            expect(found).to_have_attribute("title", re.compile(r"heatmap .*\.$"))
    expect(page.get_by_text("CamDrop Lab shows what structured dropout does")).to_be_visible()
    page.get_by_role("link", name="New here? Take the tour").click()
    expect(page).to_have_url(re.compile("/tour$"))


def test_tab_goes_from_the_button_of_a_popover_into_it(page: Page, app_url: str) -> None:
    page.goto(app_url)
    for name, first in (("Images", "Images from"), ("Colours", None), ("Save as page", "Download")):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_visible(timeout=60_000)
        button.focus()
        page.keyboard.press("Enter")
        body = page.get_by_test_id("stPopoverBody")
        expect(body.get_by_text(first).first if first else body).to_be_visible(timeout=60_000)
        page.wait_for_timeout(300)
        page.keyboard.press("Tab")
        assert page.evaluate(INSIDE), name
        page.keyboard.press("Escape")
        expect(body).to_have_count(0)


def test_what_explains_a_control_can_be_hit_by_a_finger(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/mask_lab")
    helps = page.get_by_role("button", name=re.compile("^Help for")).or_(page.get_by_role("note"))
    expect(helps.nth(5)).to_be_visible(timeout=60_000)
    for box in helps.evaluate_all("all => all.map((node) => node.getBoundingClientRect())"):
        assert min(box["width"], box["height"]) >= 24
    cut = "all => all.filter((node) => node.scrollWidth > node.clientWidth).map((node) => node.textContent)"
    assert page.locator("button [data-testid=stMarkdownContainer]").evaluate_all(cut) == []


def test_remarks_that_come_and_go_push_nothing(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/mask_lab")
    picture = page.get_by_role("img", name=re.compile("^The image as it is"))
    expect(picture).to_be_visible(timeout=60_000)
    page.wait_for_function("window.camdropShelf?.loads.length >= 1", timeout=60_000)
    before = picture.bounding_box()
    page.get_by_role("slider", name="Block size r").press("End")
    expect(page.get_by_text("nothing can be dropped here")).to_be_visible()
    assert picture.bounding_box() == before
    page.goto(f"{app_url}/attack?iterations=8")
    attacked = page.get_by_role("img", name=re.compile("^The attacked image")).first
    expect(attacked).to_be_visible(timeout=60_000)
    place, remark = attacked.bounding_box(), page.get_by_text("ε plays no part here")
    expect(remark).to_have_count(0)
    page.get_by_role("slider", name="Largest change ε").press("End")
    expect(remark).to_be_visible()
    assert attacked.bounding_box() == place
