"""A real race from start to Explore."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import serve


@pytest.fixture(scope="module")
def race_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMDROP_RUNS", str(tmp_path_factory.mktemp("runs")))
        with serve("app.py") as url:
            yield url


def test_a_real_race_from_start_to_explore(page: Page, race_url: str):
    page.set_default_timeout(60_000)
    page.goto(f"{race_url}/race")
    page.get_by_text("minutes", exact=True).click()
    for name in ("DropBlock γ", "CamDrop γ.* predicted", "CamDrop γ.* true"):  # a race of one is a quick one
        page.get_by_role("button", name=re.compile(f"^{name}")).click()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("button", name=re.compile(f"^{name}"))).to_have_count(0, timeout=30_000)
    minutes = page.get_by_role("spinbutton", name="Minutes")
    minutes.fill("0.3")
    minutes.press("Enter")
    expect(page.get_by_text("0.3 min are about")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Start", exact=True).click()
    lines = page.locator(".camdrop-curves .scatterlayer .trace")
    expect(lines.first).to_be_visible(timeout=60_000)
    assert "run=fashion-sample+resnet8" in page.url

    # Zoom lasts while the race is stopped and goes on, until it has finished.
    plot = page.locator(".camdrop-curves")
    ranges = "plot => [plot._fullLayout.xaxis.range, plot.data[0].x.length]"
    plot.evaluate("plot => window.Plotly.relayout(plot, {'xaxis.range': [0, 0.5]})")
    _, before = plot.evaluate(ranges)
    plot.evaluate("plot => plot.mine = true")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Finished")).to_be_visible(timeout=120_000)
    page.wait_for_function("n => document.querySelector('.camdrop-curves')?.data[0].x.length > n", arg=before)
    assert plot.evaluate(ranges)[0] == [0, 0.5] and plot.evaluate("plot => plot.mine")  # moved, not drawn anew

    page.reload()
    expect(page.get_by_text("Finished")).to_be_visible()
    expect(lines.first).to_be_visible()
    page.get_by_role("link", name="Open in Explore").click()
    expect(page.get_by_text("run:fashion-sample resnet8/baseline").first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("baseline", re.I)).first).to_be_visible(timeout=60_000)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/race\?run=fashion-sample"))
    expect(page.get_by_role("combobox", name="Race")).to_have_value("fashion-sample resnet8")
    expect(page.get_by_role("link", name="Open in Explore")).to_be_visible(timeout=60_000)
