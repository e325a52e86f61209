"""The lab's pages under AppTest, with checkpoints of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from streamlit.runtime.pages_manager import PagesManager

from camdrop.checkpoints import Checkpoint
from tests.support.checkpoint_files import FASHION_METHODS, fashion, make_checkpoint
from tests.support.lab_pages import Pages


@pytest.fixture(autouse=True)
def st_navigation_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest takes each run for the first one on its server: see `through_app` in ui/entry.py."""
    init = PagesManager.__init__

    def and_go_on(*args: object, **options: object) -> None:
        init(*args, **options)  # type: ignore[arg-type]
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", and_go_on)


@pytest.fixture(autouse=True)
def nothing_goes_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages do not go on with what the browser may need next: seconds of work."""
    monkeypatch.setattr("ui.panels.background.plan", lambda *_: False)


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


@pytest.fixture(scope="module")
def three() -> list[tuple[str, Checkpoint]]:
    """A checkpoint of each method, by its name."""
    return [(method, fashion(seed, method)) for seed, method in enumerate(FASHION_METHODS)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the app: see `_load` in ui/choosers/checkpoint.py."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
