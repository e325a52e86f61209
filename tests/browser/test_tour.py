"""The tour by keyboard alone."""

import re

from playwright.sync_api import Page, expect

from ui.panels.lessons import LESSONS


def test_the_tour_by_keyboard_alone(page: Page, app_url: str) -> None:
    """From each lesson's title: Tab to the link, on to the answer and to Next; the last link by Enter."""
    page.goto(f"{app_url}/tour?tour_class=Sneaker")
    expect(page.get_by_role("heading", name="1 · ")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Open in Explore").wait_for()
    focus = "document.activeElement?.closest('a, button, summary')?.innerText ?? ''"

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if name in page.evaluate(focus):
                return
        raise AssertionError(f"{name} cannot be reached")

    for number, lesson in enumerate(LESSONS, 1):
        expect(page.get_by_role("heading", name=f"{number} · {lesson.title}")).to_be_visible()
        if number > 1:
            expect(page).to_have_url(re.compile(f"lesson={number}"))
            expect(page.locator("[tabindex='-1'][role=heading]:focus")).to_have_count(1)
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)
        tab_to(f"Open in {lesson.page_title}")
        if number == len(LESSONS):
            break
        answer = page.get_by_text(lesson.answer.replace("*", "")[:20])
        expect(answer).to_be_hidden()
        tab_to("Answer")
        page.keyboard.press("Enter")
        expect(answer).to_be_visible()
        tab_to("Next")
        page.keyboard.press("Enter")
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    attack = opened.value
    expect(attack.get_by_role("heading", name="Attack", exact=True)).to_be_visible(timeout=60_000)
    expect(attack.get_by_role("img", name="The image: Fashion-MNIST 100 · Ankle boot")).to_be_visible(timeout=20_000)
    expect(attack.get_by_text("2 steps of 1 change a pixel by 2 at most")).to_be_visible()
    attack.close()
