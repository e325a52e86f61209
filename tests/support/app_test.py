"""What the tests of pages say under AppTest: open, press, read; an exception on the page fails the test."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support import ROOT

APP = str(ROOT / "app.py")


def open_page(name: str = "", session: Mapping[str, object] | None = None, **link: str | list[str]) -> AppTest:
    """A page of the app, by default the first, by a link, with what a session knows already."""
    app = AppTest.from_file(APP, default_timeout=90)
    if name:
        app.switch_page(f"pages/{name}.py")
    app.query_params.update(link)
    for key, value in (session or {}).items():
        app.session_state[key] = value
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
