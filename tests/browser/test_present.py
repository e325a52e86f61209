"""The mask lab before a class: its steps fill the screen one by one, without the server, and can be read on a wall."""

import re

from playwright.sync_api import Page, expect

from tests.support.browser import until_quiet

SIZES = ((1024, 768), (1280, 720), (1920, 1080))
# What is on the screen, also in the components' own trees, and is too small, beyond the edges, or to be scrolled.
FAULTS = """
() => {
  const found = [];
  const look = (node) => {
    if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const text = node.textContent.slice(0, 40) || node.value;
    if (words || node.matches("input[type=text]")) {
      if (box.width && parseFloat(style.fontSize) < 20) found.push(["small", style.fontSize, text]);
      if (box.right > innerWidth || box.bottom > innerHeight || box.left < 0 || box.top < 0) found.push(["out", text]);
    }
    const scrolls = (overflow, all, seen) => /auto|scroll/.test(overflow) && all > seen + 1;
    if (scrolls(style.overflowY, node.scrollHeight, node.clientHeight)) found.push(["scrolls down", text]);
    if (scrolls(style.overflowX, node.scrollWidth, node.clientWidth)) found.push(["scrolls aside", text]);
  };
  const walk = (root) =>
    root.querySelectorAll("body *, :host *").forEach((node) => {
      if (!node.matches("style, script, title")) look(node);
      if (node.shadowRoot) walk(node.shadowRoot);
    });
  walk(document);
  if (document.documentElement.scrollHeight > innerHeight) found.push(["the page scrolls"]);
  return found;
}
"""


def test_the_steps_fill_the_screen_one_by_one_without_the_server(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(f"{app_url}/mask_lab?checkpoint=fashion-resnet8-camdrop&reading=matched")
    header, pictures = page.get_by_test_id("stHeader"), page.locator(".board .grid figure")
    stage = page.locator("figure.stage")
    page.get_by_text("Every drop site").wait_for()
    page.get_by_role("button", name="Present").click()
    expect(stage.get_by_text("0 · Image")).to_be_visible()
    expect(header).to_be_hidden()
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.keyboard.press("Home")
        for step in range(7):
            expect(stage.locator(".title")).to_have_text(re.compile(f"^{step} · "))
            assert pictures.filter(visible=True).count() == (step + 1 if step else 0)
            assert (stage.locator("math").count() > 0) == (step > 0)
            page.wait_for_timeout(60)
            assert page.evaluate(FAULTS) == [], (width, step)
            page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    expect(page).to_have_url(re.compile("present=6"))
    until_quiet(page, sent)
    page.keyboard.press("ArrowLeft")
    pictures.nth(4).click()
    expect(stage.locator(".title")).to_have_text("4 · Candidates, seeds")
    page.wait_for_timeout(400)
    assert not sent
    # A value under the pointer, in the large picture and in a small one.
    box = stage.locator("canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    expect(stage.locator(".lines")).to_have_text("row 1, column 1: no valid centre")
    pictures.nth(1).locator("canvas").hover()
    expect(page.locator(".presented > .note")).to_have_text(
        re.compile(r"^1 · Image with J: row \d+, column \d+: J −?\d")
    )
    # The sliders work, and the arrow keys go on from step to step after a drag.
    gamma = page.get_by_role("slider", name="Keep rate γ")
    track, equation = gamma.bounding_box(), stage.locator(".equation")
    assert track
    before = equation.inner_text()
    gamma.click(position={"x": 0.2 * track["width"], "y": track["height"] / 2})
    expect(equation).not_to_have_text(before)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    stage.locator("canvas").click()  # goes on; where there are channels to pick, it picks one
    expect(stage.locator(".title")).to_have_text("3 · Channel weights α")
    stage.locator("canvas").click()
    expect(stage.locator(".lines")).not_to_have_text("")
    page.keyboard.press("ArrowRight")
    stage.locator("canvas").click()
    expect(stage.locator(".title")).to_have_text("5 · Blocks")
    expect(page).to_have_url(re.compile(r"(?=.*gamma=0)(?=.*present=5)"))

    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("figure.stage .title")).to_have_text("5 · Blocks", timeout=60_000)
    expect(other.get_by_test_id("stHeader")).to_be_hidden()
    other.get_by_role("button", name="End the presentation").click()
    expect(other.get_by_test_id("stHeader")).to_be_visible()
    expect(other).not_to_have_url(re.compile("present"))
    other.close()
    page.keyboard.press("Escape")
    expect(stage).to_have_count(0)
    expect(page.get_by_role("heading", name="Mask lab")).to_be_visible()
    expect(page).not_to_have_url(re.compile("present"))


def test_two_settings_are_presented_side_by_side(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/mask_lab?checkpoint=fashion-resnet8-camdrop&ab=true&b_label=Sneaker&present=0")
    stages = page.locator("figure.stage")
    expect(stages).to_have_count(2, timeout=60_000)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.keyboard.press("Home")
        for step in range(7):
            for i in range(2):
                expect(stages.nth(i).locator(".title")).to_have_text(re.compile(f"^{step} · "))
            page.wait_for_timeout(60)
            assert page.evaluate(FAULTS) == [], (width, step)
            page.keyboard.press("ArrowRight")
    left, right = (stages.nth(i).locator("canvas").bounding_box() for i in range(2))
    assert left and right
    assert right["x"] > width / 2 > left["x"] + left["width"] and right["width"] == left["width"] > 500
    a, b = page.locator(".note", has_text="A ·"), page.locator(".note", has_text="B ·")
    expect(a.filter(visible=True)).to_have_text(re.compile("label Bag"))
    expect(b.filter(visible=True)).to_have_text(re.compile("label Sneaker"))
    page.keyboard.press("Escape")
    expect(stages).to_have_count(0)
