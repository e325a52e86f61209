"""Attack: dragging ε, and the table that stops."""

from playwright.sync_api import Page, expect


def test_drag_repaints_and_the_table_stops(page: Page, app_url: str) -> None:
    networks = "&".join(f"checkpoints=fashion-resnet8-{name}" for name in ("dropblock", "camdrop"))
    page.goto(f"{app_url}/attack?{networks}&iterations=8&step=2&image=20")
    attacked = page.get_by_role("img", name="The attacked image for fashion-resnet8-camdrop")
    expect(attacked).to_be_visible(timeout=60_000)

    def pixels() -> list[int]:
        return attacked.evaluate("""c => [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]""")

    before, address = pixels(), page.url
    box = page.get_by_role("slider", name="Largest change ε").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 5 / 32 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], y, steps=4)
    expect(page.get_by_text("Blue −16 to red +16").first).to_be_visible()
    assert pixels() != before and page.url == address
    page.mouse.up()
    page.wait_for_url("**epsilon=**")

    page.get_by_role("button", name="Attack them all").click()
    expect(page.get_by_role("table")).to_contain_text("DropBlock")
    expect(page.get_by_text("of 1,000 images")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Attack them all")).to_be_enabled()
    expect(page.get_by_text("Targeted PGD, ε = ")).to_be_visible()
