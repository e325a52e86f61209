"""Explore: its main path, and a file of another repository."""

import re

import torch
from playwright.sync_api import BrowserContext, Locator, Page, expect

from camdrop.checkpoints import load
from camdrop.data import gallery, normalise
from tests.support.checkpoint_files import cifar_resnet20, cifar_resnet20_file

FASHION = "&".join(f"checkpoints=fashion-resnet8-{name}" for name in ("baseline", "camdrop", "dropblock"))


def open_in_browser(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_role("listbox", name="The gallery")).to_be_visible(timeout=150_000)


def network_picture(page: Page, name: str, target: str) -> Locator:
    return page.get_by_role("img", name=f"Where {name} looks for {target}")


def pixels(canvas: Locator) -> list[int]:
    """The colours along the middle of a canvas on the screen."""
    return canvas.evaluate(
        """canvas => [...canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data]"""
    )


def test_main_path(page: Page, browser: BrowserContext, app_url: str) -> None:
    open_in_browser(page, f"{app_url}/?{FASHION}")
    gallery_box = page.get_by_role("listbox", name="The gallery").bounding_box()
    assert gallery_box
    side = gallery_box["width"] / 6
    page.mouse.click(gallery_box["x"] + 2.5 * side, gallery_box["y"] + 1.5 * side)  # the ninth: row 2, column 3
    expect(page.get_by_role("img", name="The image: Fashion-MNIST 9 · Bag")).to_be_visible()
    canvas = network_picture(page, "fashion-resnet8-camdrop", "Bag")
    expect(canvas).to_be_visible()
    canvas.hover()
    expect(page.get_by_text(re.compile(r"^row \d+, column \d+: J −?\d"))).to_be_visible()  # the value there
    word = page.locator(".term").get_by_text("entropy", exact=True).first
    expect(word).to_have_attribute("title", re.compile("0 is a single pixel"))
    page.get_by_role("combobox", name="Heatmap of").select_option("Coat")
    canvas = network_picture(page, "fashion-resnet8-camdrop", "Coat")
    expect(canvas).to_be_visible()
    page.get_by_role("radio", name="2", exact=True).click()
    page.wait_for_url("**stage=2**")

    before, address = pixels(canvas), page.url
    thumb = page.get_by_role("slider", name="Opacity").bounding_box()
    assert thumb
    y = thumb["y"] + thumb["height"] / 2
    page.mouse.move(thumb["x"] + 0.6 * thumb["width"], y)
    page.mouse.down()
    page.mouse.move(thumb["x"] + 0.3 * thumb["width"], y, steps=5)
    page.wait_for_timeout(100)
    during = pixels(canvas)
    assert during != before and page.url == address  # the browser blends by itself
    page.mouse.up()
    page.wait_for_url("**&opacity=0.*")
    page.wait_for_timeout(500)
    assert pixels(canvas) == during

    other = browser.new_page()
    open_in_browser(other, page.url)
    expect(other.get_by_role("img", name="The image: Fashion-MNIST 9 · Bag")).to_be_visible()
    expect(other.get_by_role("radio", name="2", exact=True)).to_be_checked()
    restored = network_picture(other, "fashion-resnet8-camdrop", "Coat")
    expect(restored).to_be_visible()
    assert pixels(restored) == during
    other.close()


def test_foreign_checkpoint_in_the_browser(page: Page, app_url: str) -> None:
    open_in_browser(page, app_url)
    page.get_by_role("button", name="Add").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "resnet20.th", "mimeType": "application/octet-stream", "buffer": cifar_resnet20_file()}
    )
    expect(page.get_by_text("CIFAR-10 · 20 images")).to_be_visible()
    split, info = gallery("cifar10")
    meta = load(cifar_resnet20_file(), name="resnet20.th").meta
    with torch.no_grad():
        best = cifar_resnet20()(normalise(split.images[18:19], meta.mean, meta.std)).softmax(1)[0]
    label = info.classes[int(best.argmax())]
    expect(page.get_by_text(f"{100 * float(best.max()):.1f} %", exact=True)).to_be_visible()
    expect(page.locator("figure").get_by_text(label).first).to_be_visible()


def test_image_class_and_stage_are_followed_without_the_server_which_draws_the_same(page: Page, app_url: str) -> None:
    open_in_browser(page, f"{app_url}/?{FASHION}&image=14")
    # Of 36 images, with 12 classes and 3 stages each.
    page.wait_for_function("window.camdropShelf?.messages.size >= 36 * 36", timeout=150_000)

    def words() -> list[str]:
        return page.locator("figure").all_inner_texts()

    # What is painted at once, before any message can come.
    follow = """([key, value]) => {
        dispatchEvent(new CustomEvent("camdrop:set", { cancelable: true, detail: { key, value } }));
        const roots = [...document.querySelectorAll("*")].map((node) => node.shadowRoot).filter(Boolean);
        return roots.flatMap((root) => [...root.querySelectorAll("figure")]).map((figure) => figure.innerText);
    }"""
    seen = [words()]
    for key, value in (("image", 16), ("class", "Coat"), ("stage", "2"), ("image", 33), ("class", "Predicted class")):
        at_once = page.evaluate(follow, [key, value])
        assert at_once not in seen
        seen.append(at_once)
        page.wait_for_timeout(700)
        assert words() == at_once  # as the server draws it
    page.wait_for_url("**image=33**class=Predicted+class**stage=2**")
    page.get_by_role("listbox", name="The gallery").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="The image: Fashion-MNIST 1 · T-shirt/top")).to_be_visible()
    page.wait_for_url("**image=1&**")
    with page.expect_download() as download:
        page.get_by_role("button", name="Table").click()
    assert "Fashion-MNIST 1 · T-shirt/top" in download.value.path().read_text("utf-8-sig")
