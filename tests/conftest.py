"""Fixtures of the browser tests: the app served once a session, and a Chromium page for each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from bench.browser import launch, serve


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
