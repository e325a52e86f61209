"""The mask lab: dragging γ, and the link."""

import re

from playwright.sync_api import Page, expect

from tests.support.browser import until_quiet
from ui.choosers.scene import FIRST_DRAW


def pixels(page: Page, name: str | re.Pattern[str]) -> list[int]:
    canvas = page.get_by_role("img", name=name)
    return canvas.evaluate("c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)")


def test_dragging_gamma_moves_the_picture_and_the_link_restores_it(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/mask_lab?checkpoint=fashion-resnet8-camdrop&method=DropBlock&site=layer1.0.conv2")
    blocks = page.get_by_role("img", name=re.compile("units are dropped in channel"))
    blocks.wait_for()
    before = blocks.get_attribute("aria-label")
    track = page.get_by_role("slider", name="Keep rate γ").bounding_box()
    y = track["y"] + track["height"] / 2
    page.mouse.move(track["x"] + 0.9 * track["width"], y)
    page.mouse.down()
    page.mouse.move(track["x"] + 0.5 * track["width"], y, steps=4)
    expect(blocks).not_to_have_attribute("aria-label", before)  # before the mouse is released
    assert "gamma" not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"gamma=0\.\d+"))
    page.get_by_role("listbox", name=re.compile("All 16 channels")).press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("rank=16"))
    expect(page.get_by_text(re.compile("rank 16 of 16"))).to_be_visible()
    page.wait_for_timeout(300)
    shown = blocks.get_attribute("aria-label")
    drawn = pixels(page, shown)

    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("img", name=shown, exact=True).wait_for()
    assert pixels(other, shown) == drawn
    other.get_by_role("link", name=re.compile("all five methods")).click()
    expect(other.get_by_role("heading", name="Five methods")).to_be_visible()
    expect(other).to_have_url(re.compile(r"five_methods\?(?=.*gamma=0\.\d+)(?=.*site=layer1\.0\.conv2)"))
    other.go_back()
    expect(other).to_have_url(re.compile(r"mask_lab\?.*gamma=0\.\d+"))
    other.get_by_role("img", name=shown, exact=True).wait_for()
    other.close()


def test_a_class_that_another_network_lacks_is_no_longer_in_the_box(page: Page, app_url: str) -> None:
    page.goto(f"{app_url}/mask_lab?checkpoint=cifar10-resnet20-camdrop&label=cat&site=layer1.2.conv1")
    label = page.get_by_role("combobox", name="Label y")
    expect(label).to_have_value("cat", timeout=60_000)
    page.get_by_role("combobox", name="Checkpoint").select_option("fashion-noise-resnet8-camdrop")
    expect(page.get_by_role("img", name="The image with the map J over it: evidence for Bag")).to_be_visible()
    expect(label).to_have_value("True label")
    expect(page.get_by_role("combobox", name="Drop site")).to_have_value("layer2.0.conv2")


def test_another_network_alike_is_there_without_the_server(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(f"{app_url}/mask_lab?checkpoint=fashion-resnet8-camdrop&gamma=0.5")
    there = """() => [...(window.camdropShelf?.messages ?? [])].filter(([place, { header }]) =>
        header.state.at.checkpoint === "fashion-resnet8-dropblock").length >= 3"""
    page.wait_for_function(there, timeout=60_000)
    until_quiet(page, sent)
    box = page.get_by_role("combobox", name="Checkpoint", exact=True)
    at_first = page.locator(".grid").all_inner_texts()
    box.select_option("fashion-resnet8-dropblock")
    followed = page.locator(".grid").all_inner_texts()
    assert followed[:3] != at_first[:3]
    page.wait_for_timeout(1500)
    assert sent  # of the release, for what only the server can draw
    assert page.locator(".grid").all_inner_texts()[:3] == followed[:3]
    expect(page).to_have_url(re.compile("checkpoint=fashion-resnet8-dropblock"))


def test_gamma_and_r_are_dragged_without_the_server_and_it_draws_the_same(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(f"{app_url}/mask_lab?checkpoint=fashion-resnet8-camdrop&image=19&gamma=0.5")
    page.locator("figure", has_text="This mask in numbers").wait_for()
    page.wait_for_function("window.camdropShelf?.loads.length >= 13", timeout=60_000)  # this r, four more, eight draws
    numbers = page.locator("figure", has_text="This mask in numbers")
    at_first = numbers.inner_text()
    page.wait_for_timeout(300)
    draw, followed = page.get_by_role("button", name="Draw again"), []
    for _ in range(3):
        draw.click()
        followed.append(numbers.inner_text())
    assert len({at_first, *followed}) > 2
    expect(page).to_have_url(re.compile(f"seed={FIRST_DRAW + 3}"))
    page.wait_for_timeout(1500)
    assert numbers.inner_text() == followed[-1]
    grid = page.get_by_role("listbox", name=re.compile("All 32 channels"))
    grid.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("rank 2 of 32")).to_be_visible()
    expect(page).to_have_url(re.compile("rank=2"))
    page.wait_for_timeout(1500)
    expect(page.get_by_text("rank 2 of 32")).to_be_visible()
    for name, share in (("Block size r", 0.1), ("Keep rate γ", 0.7)):
        track = page.get_by_role("slider", name=name).bounding_box()
        y = track["y"] + track["height"] / 2
        page.mouse.move(track["x"] + (0.2 if name == "Block size r" else 0.5) * track["width"], y)
        page.mouse.down()
        until_quiet(page, sent)  # while it is held, nothing more is asked for
        page.mouse.move(track["x"] + share * track["width"], y, steps=5)
        page.wait_for_timeout(100)
        assert not sent  # before the release
        followed = page.locator(".grid").all_inner_texts()
        page.mouse.up()
        page.wait_for_timeout(1500)
        assert sent
        assert page.locator(".grid").all_inner_texts()[:3] == followed[:3]
    assert numbers.inner_text() != at_first
    expect(page).to_have_url(re.compile(r"(?=.*gamma=0\.[67])(?=.*r=[23])"))


def test_one_gamma_moves_two_settings_without_the_server_and_the_link_has_both(page: Page, app_url: str) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(f"{app_url}/mask_lab?checkpoint=fashion-resnet8-camdrop&image=19&label=Sneaker&gamma=0.5")
    page.locator("label", has_text="A | B").click()
    page.get_by_text("B · fashion-resnet8-camdrop · DropBlock.").wait_for()
    tables = """() => new Set([...(window.camdropShelf?.messages.values() ?? [])]
        .filter(({ header }) => /[AB] · /.test(JSON.stringify(header.note)) && header.state.along.includes("gamma"))
        .map(({ header }) => header.key)).size === 2"""
    page.wait_for_function(tables, timeout=60_000)
    strips = page.get_by_role("img", name=re.compile("units are dropped in channel"))
    before = strips.evaluate_all("all => all.map((canvas) => canvas.ariaLabel)")
    assert len(before) == 2
    track = page.get_by_role("slider", name="Keep rate γ", exact=True).bounding_box()
    y = track["y"] + track["height"] / 2
    page.mouse.move(track["x"] + 0.5 * track["width"], y)
    page.mouse.down()
    until_quiet(page, sent)
    page.mouse.move(track["x"] + 0.1 * track["width"], y, steps=5)
    page.wait_for_timeout(100)
    assert not sent  # before the release
    followed = strips.evaluate_all("all => all.map((canvas) => canvas.ariaLabel)")
    assert all(a != b for a, b in zip(before, followed, strict=True))
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"(?=.*gamma=0\.[01])(?=.*ab=true)(?=.*b_method=DropBlock)"))
    page.wait_for_timeout(1000)
    assert strips.evaluate_all("all => all.map((canvas) => canvas.ariaLabel)") == followed
    other = page.context.new_page()
    other.goto(page.url)
    for name in followed:
        expect(other.get_by_role("img", name=name, exact=True).first).to_be_visible()
    other.close()
