"""A checkpoint from a path to a link."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from camdrop.checkpoints import load
from tests.support.browser import serve
from tests.support.checkpoint_files import headerless_file, make_checkpoint


def test_from_a_path_to_a_link(
    page: Page, browser: BrowserContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").mkdir()
    make_checkpoint(tmp_path / "checkpoints")
    (tmp_path / "net.th").write_bytes(headerless_file(1))
    monkeypatch.setenv("CAMDROP_CHECKPOINTS", str(tmp_path / "checkpoints"))
    with serve("app.py") as url:
        page.goto(url)
        page.get_by_role("button", name="Add", exact=True).click(timeout=60_000)
        page.get_by_role("radio", name="Path").click()
        path = page.get_by_role("textbox", name="File or folder on this machine")
        path.fill(str(tmp_path / "net.th"))
        path.press("Enter")
        page.get_by_role("button", name="Describe").click()
        names = page.get_by_role("textbox", name="Class names, one a line")
        names.fill("\n".join(f"beast {letter}" for letter in "abcde"))
        page.get_by_role("button", name="Use this").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.get_by_role("img", name=re.compile("Where net.th looks for beast [a-e]"))).to_be_visible()
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_text("Kept as checkpoints/net.safetensors.")).to_be_visible()
        page.wait_for_url("**checkpoints=net")
        other = browser.new_page()
        other.goto(page.url)
        expect(other.get_by_role("img", name=re.compile("Where net looks for beast [a-e]"))).to_be_visible()
        other.close()
        page.goto("about:blank")
    assert load(tmp_path / "checkpoints" / "net.safetensors").meta.classes[0] == "beast a"
