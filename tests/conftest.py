"""Fixtures: the app served once a session with a Chromium page for each test; the lab's pages under AppTest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from camdrop.checkpoints import Checkpoint
from tests.support.browser import launch, serve
from tests.support.lab_pages import Pages, make_checkpoint


@pytest.fixture(scope="session", autouse=True)
def no_runs_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The app sees no runs but those of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMDROP_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """The address of the app, served with its own settings."""
    with serve("app.py") as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserContext]:
    """One profile for all tests, so that Streamlit's JavaScript is loaded once; each page is a session of its own."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(20_000)
        yield context
        chromium.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A fresh session at 1440×900; an uncaught JavaScript error fails the test."""
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors, errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pages of `lab` look for checkpoints."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return make_checkpoint(folder)


@pytest.fixture
def lab(folder: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """The lab's pages under AppTest, with that checkpoint alone."""
    return Pages(folder, monkeypatch)
