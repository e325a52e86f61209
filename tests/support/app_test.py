"""What the tests of pages say under AppTest: open, press, read; an exception on the page fails the test."""

from collections.abc import Sequence
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support import ROOT

APP = str(ROOT / "app.py")


def open_page(**link: str | list[str]) -> AppTest:
    """The app's first page by a link."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update(link)
    return settled(app.run())


def settled(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    return settled(next(button for button in app.button if button.label == label).click().run())


def errors(app: AppTest) -> list[str]:
    return [element.value for element in app.error]


def widget(kind: Sequence[Any], label: str) -> Any:
    """The first widget of a kind whose label starts so."""
    return next(element for element in kind if element.label.startswith(label))
