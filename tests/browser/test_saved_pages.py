"""Saved pages, opened from the disk by a browser without a network: they ask for nothing, and what moves moves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from ui.panels.lessons import LESSONS, Slider
from ui.panels.saved_tour import site

# By the address: a slider that goes on working, the last of the page's pictures, and what the link says.
PAGES = {
    "mask_lab?checkpoint=fashion-resnet8-camdrop&r=5&gamma=0.5": ("Block size r", "Mean of each stage", "r=5"),
    "mask_lab?checkpoint=fashion-resnet8-camdrop&ab=true&b_label=Coat&b_own=true&b_r=3": (
        "Block size r of B",
        "Mean of each stage",
        "b_r=3",
    ),
    "five_methods?checkpoint=fashion-resnet8-camdrop&gamma=0.89": ("Keep rate γ", "CamDrop", "gamma=0.89"),
    "?opacity=0.59": ("Opacity", "Gallery", "opacity=0.59"),
    "attack?checkpoints=fashion-resnet8-baseline&opacity=0.59": ("Opacity", "Attacked image", "opacity=0.59"),
    "tour?lesson=3&tour_r=2": ("Block size r", "All channels", "r=2"),
}


@pytest.fixture
def offline(browser: BrowserContext) -> Iterator[Page]:
    """A page without a network that is dark and as narrow as a phone; a request or a word on the console fails."""
    assert browser.browser
    context = browser.browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    problems: list[str] = []
    context.route(re.compile("^(?!file:)"), lambda route: (problems.append(route.request.url), route.abort())[1])
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems, problems


def pixels(pictures: Locator) -> list[str]:
    return pictures.evaluate_all("all => all.map((canvas) => canvas.toDataURL())")


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_saved_and_lives_without_a_server(
    page: Page, offline: Page, app_url: str, tmp_path: Path, address: str
) -> None:
    name, last, moved = PAGES[address]
    page.goto(f"{app_url}/{address}")
    page.get_by_text(last, exact=True).last.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Save as page").click()
    button = page.get_by_role("button", name="Download", exact=True)
    button.wait_for(timeout=60_000)
    with page.expect_download() as download:
        button.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.stat().st_size < 5_000_000

    offline.goto(path.as_uri())
    slider = offline.get_by_role("slider", name=name, exact=True)
    slider.wait_for()
    pictures = offline.get_by_role("img")
    offline.wait_for_timeout(200)
    assert pictures.count() == page.get_by_role("img").count()
    assert offline.evaluate("document.documentElement.scrollWidth") == 390
    link = offline.get_by_role("link", name="This state in the app")
    expect(link).to_have_attribute("href", re.compile(rf"^{app_url}.*{moved}"))
    before = pixels(pictures)
    if "checkpoint=" in address:
        networks = offline.get_by_role("combobox", name="Checkpoint", exact=True)
        networks.select_option("fashion-resnet8-dropblock")
        assert pixels(pictures) != before
        expect(offline.get_by_role("status")).to_be_hidden()
        expect(link).to_have_attribute("href", re.compile("checkpoint=fashion-resnet8-dropblock"))
        networks.select_option("fashion-resnet8-camdrop")
        assert pixels(pictures) == before
    slider.press("Home")
    assert pixels(pictures) != before
    first = moved.partition("=")[0] + r"=[01](&|$)"
    expect(link).to_have_attribute("href", re.compile(first))
    track = slider.bounding_box()
    assert track
    y = track["y"] + track["height"] / 2
    low = pixels(pictures)
    offline.mouse.move(track["x"] + 2, y)
    offline.mouse.down()
    offline.mouse.move(track["x"] + 0.5 * track["width"], y, steps=3)
    assert pixels(pictures) not in (low, before)
    offline.mouse.up()
    offline.wait_for_timeout(400)  # the slider writes the address of the page
    goes_on(offline, moved.partition("=")[2])
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert offline.evaluate(background) == "rgb(17, 23, 28)"
    offline.get_by_role("button", name="Light").click()
    assert offline.evaluate(background) == "rgb(255, 255, 255)"
    words = offline.locator("details p").first
    expect(words).to_be_hidden()
    offline.locator("summary").click()
    expect(words).to_be_visible()


def goes_on(offline: Page, saved: str) -> None:
    """From image to image, and to no choice that the file lacks without a word; `saved` is where the slider was."""
    image, board = offline.get_by_role("img", name=re.compile("^The image: ")), offline.get_by_role("slider")
    missing = offline.get_by_role("status")
    expect(missing).to_be_hidden()
    if offline.get_by_role("listbox", name="The gallery").is_visible() and board.count() > 1:  # Explore
        before = image.get_attribute("aria-label")
        offline.get_by_role("slider", name="Image", exact=True).press("End")
        assert image.get_attribute("aria-label") != before
        expect(missing).to_be_hidden()
    sides = offline.get_by_role("listbox", name=re.compile("^All .* channels"))
    channels, count = sides.first, sides.count()
    if channels.is_visible() and offline.get_by_role("button", name="Draw again").is_visible():  # Mask lab
        channels.press("End")
        offline.keyboard.press("Enter")
        expect(missing).to_be_visible()
        number = offline.get_by_role("textbox", name=re.compile("^Block size r")).last
        number.fill(saved)
        number.press("Enter")
        expect(missing).to_be_hidden()
        channels.press("End")
        offline.keyboard.press("Enter")
        expect(missing).to_be_hidden()
        offline.get_by_role("button", name="Present").click()
        offline.keyboard.press("End")
        expect(offline.locator("figure.stage .title")).to_have_text(["6 · Masked features"] * count)
        expect(offline.get_by_role("heading", level=1)).to_be_hidden()
        expect(board.first).to_be_visible()
        offline.keyboard.press("Escape")


def test_the_tour_is_a_site_without_a_server(offline: Page, tmp_path: Path) -> None:
    for name, text in site("https://lab.example.org/").items():
        (tmp_path / name).write_text(text, "utf-8")
    offline.goto((tmp_path / "index.html").as_uri())
    pictures = offline.locator(".pictures canvas")
    for number, lesson in enumerate(LESSONS, 1):
        offline.get_by_role("link", name=re.compile(f"^{number} · " if number > 1 else lesson.title)).click()
        expect(offline.get_by_role("heading", level=1)).to_have_text(f"{number} · {lesson.title}")
        pictures.first.wait_for()
        offline.wait_for_timeout(150)
        before = pixels(pictures)
        control = offline.get_by_role("slider" if isinstance(lesson.control, Slider) else "radio").first
        control.press("ArrowRight")
        assert pixels(pictures) != before, number
        link = offline.get_by_role("link", name="This state in the app")
        expect(link).to_have_attribute("href", re.compile(rf"^https://lab.example.org/{lesson.page}\?"))
        assert offline.evaluate("document.documentElement.scrollWidth") == 390
