"""What all tests have. It imports nothing large, since `pytest -n` waits for it before its workers start."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_runs_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The app sees no runs but those of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMDROP_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(autouse=True)
def no_page_as_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit leaves the page that ran as `__main__`; a process that a later test spawns would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
