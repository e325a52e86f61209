"""Live sliders and pictures in a real browser, by means of support/ui_app.py."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from camdrop.cam import upsample, upsample_weights
from tests.support import ROOT
from tests.support.browser import serve
from tests.support.ui_app import IMAGE, LUT, ramp


@pytest.fixture(scope="module")
def ui_url() -> Iterator[str]:
    with serve("tests/support/ui_app.py") as url:
        yield url


@pytest.fixture
def ui(page: Page, ui_url: str) -> Page:
    open_app(page, ui_url)
    return page


def open_app(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_text("gamma=")).to_be_visible()
    expect(page.get_by_role("img", name="the heatmap")).to_be_visible()
    page.evaluate("window.paints = 0; window.addEventListener('camdrop:painted', () => window.paints++)")


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name)


def number(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=name)


def pixel(page: Page, column: int) -> list[int]:
    """The colour on the screen's canvas at the centre of a cell of the heatmap's first row."""
    return page.get_by_role("img", name="the heatmap").evaluate(
        """(canvas, column) => {
            const x = ((column + 0.5) / 4) * canvas.width;
            return [...canvas.getContext("2d").getImageData(x, canvas.height / 8, 1, 1).data.slice(0, 3)];
        }""",
        column,
    )


def expect_pixel(page: Page, column: int, wanted: np.ndarray) -> None:
    """The picture may be painted a frame after the words that come with it."""
    end = time.monotonic() + 5
    while (found := pixel(page, column)) != pytest.approx(wanted, abs=1.5):
        assert time.monotonic() < end, (found, wanted)
        page.wait_for_timeout(20)


def blended(gamma: float, opacity: float, column: int) -> np.ndarray:
    color = LUT[round(255 * min(max(ramp(gamma)[0, column], 0), 1))]
    return (1 - opacity) * IMAGE[0, column] + opacity * color


def press_and_move(page: Page, target: Locator, share: float) -> None:
    """Press on the slider's thumb at 0.9 or so and drag it, without release, to a share of its length."""
    box = target.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.8, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(box["x"] + box["width"] * (0.8 + (share - 0.8) * step / 8), y)


def test_dragging_moves_the_picture_before_release_and_the_address_after(ui: Page) -> None:
    address, entries = ui.url, ui.evaluate("history.length")
    canvas = ui.get_by_role("img", name="the heatmap")
    canvas.evaluate("canvas => { canvas.mine = true; }")
    press_and_move(ui, slider(ui, "Gamma"), 0.2)
    dragged = float(number(ui, "Gamma").input_value())
    assert dragged == pytest.approx(0.2, abs=0.03)
    expect(ui.get_by_text(f"gamma={dragged:g} ")).to_be_visible()  # the latest value won
    expect_pixel(ui, 3, blended(dragged, 0.5, 3))
    assert ui.url == address
    ui.mouse.up()
    ui.wait_for_url(f"**?gamma={dragged:g}")
    assert ui.evaluate("history.length") == entries
    assert canvas.evaluate("canvas => canvas.mine")  # repainted, not replaced


def test_browser_blends_by_itself(ui: Page) -> None:
    for column in range(4):
        expect_pixel(ui, column, blended(0.9, 0.5, column))
    press_and_move(ui, slider(ui, "Opacity"), 0.1)
    opacity = float(number(ui, "Opacity").input_value())
    expect_pixel(ui, 2, blended(0.9, opacity, 2))
    ui.wait_for_timeout(200)
    expect(ui.get_by_text("opacity=0.5 ")).to_be_visible()  # the server has not heard of it
    ui.mouse.up()
    expect(ui.get_by_text(f"opacity={opacity:g} ")).to_be_visible()
    ui.wait_for_function("window.paints > 0")


def test_a_small_map_is_resized_as_the_library_does(page: Page) -> None:
    small, size = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)), (28, 31)
    matrices = [upsample_weights(*sizes).flatten().tolist() for sizes in zip(small.shape, size, strict=True)]
    script = (ROOT / "ui/components/layers.js").read_text("utf-8")
    resized = page.evaluate(
        f"values => {{ const voxels = null; {script}; return [...resized(...values)]; }}",
        [small.flatten().tolist(), list(small.shape), size, *matrices],
    )
    np.testing.assert_allclose(resized, upsample(small[None], size).flatten(), atol=1e-6)


BLOCK = """
async ([script, below, points]) => {
  const module = `${script}; export { voxels, readVoxels };
    const current = (gamma) => gamma;
    const say = (name) => name;`;
  const { voxels, readVoxels } = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
  const layer = { shape: [3, 4, 5], below: 0, gamma: 0.5, color: "#ff0000" };
  const blob = () => new Uint8Array(below);
  const context = new OffscreenCanvas(300, 200).getContext("2d");
  voxels(layer, blob, () => ({ slice: "#0000ff", line: "#0000ff" }))(context, 300, 200);
  const read = readVoxels(layer, ["channel 7", "channel 5", "channel 0"], blob);
  const color = (x, y) => [...context.getImageData(x, y, 1, 1).data];
  return points.map(([x, y]) => [color(x, y), read((x + 0.5) / 300, (y + 0.5) / 200, 300, 200)]);
}
"""


def test_what_is_said_of_a_block_is_what_is_seen_there(page: Page) -> None:
    generator = np.random.default_rng(0)
    dropped = generator.random((3, 4, 5)) < 0.3
    points = generator.integers(0, (300, 200), (400, 2)).tolist()
    page.goto("about:blank")
    script = (ROOT / "ui/components/voxels.js").read_text("utf-8")
    found = page.evaluate(BLOCK, [script, np.where(dropped, 100, 0).flatten().tolist(), points])
    seen = [("dropped" if red > blue else "kept") if opacity else "" for (red, _, blue, opacity), _ in found]
    said = [words.rpartition(": ")[2] for _, words in found]
    assert min(seen.count(what) for what in ("dropped", "kept", "")) > 40
    assert sum(a == b for a, b in zip(seen, said, strict=True)) > 380  # the rest are on edges, which have a width
    for _, words in found:
        if words:
            c, i, j = map(int, re.findall(r"\d+", words))
            assert ("dropped" in words) == dropped[[7, 5, 0].index(c), i - 1, j - 1]


def test_keys_number_entry_and_double_click(ui: Page) -> None:
    slider(ui, "Gamma").focus()
    ui.keyboard.press("ArrowLeft")
    expect(ui.get_by_text("gamma=0.89 ")).to_be_visible()
    expect(slider(ui, "Gamma")).to_have_attribute("aria-valuetext", "0.89")
    for typed, value in [("0.333", "0.33"), ("0,5", "0.5"), ("12", "1.0"), ("nonsense", "1.0")]:
        number(ui, "Gamma").fill(typed)
        ui.keyboard.press("Enter")
        expect(ui.get_by_text(f"gamma={value} ")).to_be_visible()
        expect(number(ui, "Gamma")).to_have_value(f"{float(value):.2f}")
    number(ui, "Gamma").focus()
    ui.keyboard.press("ArrowDown")
    expect(ui.get_by_text("gamma=0.99 ")).to_be_visible()
    slider(ui, "Gamma").dblclick()
    expect(ui.get_by_text("gamma=0.9 ")).to_be_visible()
    number(ui, "Block size").fill("3")
    ui.keyboard.press("Tab")
    expect(ui.get_by_text("size=3 ")).to_be_visible()
    slider(ui, "Rate").focus()
    ui.keyboard.press("Home")
    expect(ui.get_by_text("rate=0.001 ")).to_be_visible()
    number(ui, "Rate").fill("0.5")
    ui.keyboard.press("Enter")
    expect(ui.get_by_text("rate=0.5 ")).to_be_visible()


def test_link_restores_and_shares_the_address_with_bound_widgets(page: Page, ui_url: str) -> None:
    open_app(page, f"{ui_url}/?gamma=0.4&size=99&seed=5")
    expect(page.get_by_text(re.compile("gamma=0.4 size=16 .* seed=5 "))).to_be_visible()
    expect(number(page, "Gamma")).to_have_value("0.40")
    page.wait_for_url("**?gamma=0.4&size=16&seed=5")  # the address says what is shown
    page.get_by_role("button", name="Increment").click()
    page.wait_for_url(re.compile(r"gamma=0\.4.*seed=6"))
    slider(page, "Gamma").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"gamma=0\.41.*seed=6"))
    # The server now sets a bound widget and pushes its own, stale copy of the address.
    page.get_by_role("listbox", name="the channels").click(position={"x": 10, "y": 10})
    page.wait_for_url(re.compile(r"gamma=0\.25.*seed=7"))
    expect(number(page, "Gamma")).to_have_value("0.25")


def test_values_survive_a_page_switch(ui: Page) -> None:
    slider(ui, "Gamma").focus()
    ui.keyboard.press("Home")
    expect(ui.get_by_text("gamma=0.0 ")).to_be_visible()
    ui.get_by_role("link", name="away").click()
    expect(ui.get_by_role("heading", name="Elsewhere")).to_be_visible()
    ui.wait_for_timeout(400)
    assert "gamma" not in ui.url
    ui.get_by_role("link", name="home").click()
    expect(ui.get_by_text("gamma=0.0 ")).to_be_visible()
    expect(number(ui, "Gamma")).to_have_value("0.00")
    ui.wait_for_url("**?gamma=0")


def test_tiles_are_picked_by_mouse_and_keys(ui: Page) -> None:
    channels = ui.get_by_role("listbox", name="the channels")
    channels.click(position={"x": 150, "y": 30})
    expect(ui.get_by_text(re.compile(r"picked=Picked\(panel='0', index=1\) chosen=1"))).to_be_visible()
    channels.focus()
    ui.keyboard.press("ArrowDown")
    expect(channels.get_by_role("option")).to_have_text("3")
    ui.keyboard.press("Enter")
    expect(ui.get_by_text("chosen=3")).to_be_visible()
    bars = ui.get_by_role("listbox", name="the weights")
    bars.focus()
    ui.keyboard.press("End")
    expect(bars.get_by_role("option")).to_have_text("c")


def test_equation_stays_open_and_follows(ui: Page) -> None:
    equation = ui.get_by_role("dialog", name="Equation")
    expect(equation).to_be_hidden()
    ui.get_by_role("button", name="Equation of Heat").click()
    expect(equation).to_have_text("γ=0.90")
    press_and_move(ui, slider(ui, "Gamma"), 0.5)
    ui.mouse.up()
    expect(equation).to_have_text(f"γ={number(ui, 'Gamma').input_value()}")
    ui.get_by_role("button", name="Equation of Heat").press("Escape")
    expect(equation).to_be_hidden()


def test_download_is_the_picture_enlarged(ui: Page, tmp_path: Path) -> None:
    with ui.expect_download() as download:
        ui.get_by_role("button", name="Download Heat").press("Enter")
    assert download.value.suggested_filename == "heat.png"
    download.value.save_as(tmp_path / "heat.png")
    with Image.open(tmp_path / "heat.png") as picture:
        assert picture.size == (1024, 1024)
        assert picture.getpixel((900, 100))[:3] == pytest.approx(blended(0.9, 0.5, 3), abs=1.5)


ORANGE = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] === 0xd5 && data[i + 1] === 0x5e && data[i + 2] === 0;
    return count;
}"""


def test_block_shows_dropped_cells_and_turns(ui: Page) -> None:
    block = ui.get_by_role("img", name="a block")
    before = block.evaluate(ORANGE)
    assert before > 50
    block.locator("..").press("ArrowLeft")
    ui.keyboard.press("ArrowLeft")
    assert block.evaluate(ORANGE) not in (0, before)


def test_cells_come_and_go_under_the_slider_without_the_server(ui: Page) -> None:
    block, channels = (
        ui.get_by_role("img", name="a block"),
        ui.get_by_role("listbox", name="the channels").locator("canvas"),
    )
    at_first = channels.evaluate(ORANGE)
    size = channels.evaluate("canvas => canvas.width * canvas.height")
    assert at_first == pytest.approx(size / 16, rel=0.1)  # 2×2 cells of 8×8
    press_and_move(ui, slider(ui, "Opacity"), 0.7)
    assert float(number(ui, "Opacity").input_value()) > 0.6
    assert block.evaluate(ORANGE) == channels.evaluate(ORANGE) == 0
    press_and_move(ui, slider(ui, "Opacity"), 0.2)
    assert channels.evaluate(ORANGE) == at_first
    assert block.evaluate(ORANGE) > 50
    expect(ui.get_by_text("opacity=0.5 ")).to_be_visible()  # the server has not heard of it
    ui.mouse.up()


def test_narrow_page_wraps_without_sideways_scrolling(page: Page, ui_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    open_app(page, ui_url)
    first, second, third = (page.locator("figure").nth(i).bounding_box() for i in range(3))
    assert first["y"] == second["y"] < third["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box, entry = slider(page, "Gamma").bounding_box(), number(page, "Gamma").bounding_box()
    assert abs((box["y"] + box["height"] / 2) - (entry["y"] + entry["height"] / 2)) < 2  # one line
    assert box["width"] > 100


def test_link_straight_to_a_page_of_a_fresh_server(page: Page) -> None:
    with serve("app.py") as url:
        page.goto(f"{url}/five_methods")
        expect(page.get_by_role("navigation").first).to_contain_text("Mask lab")  # ours, not "mask lab" of the folder
        expect(page.get_by_role("heading", name="Five methods")).to_be_visible()
        page.goto("about:blank")
