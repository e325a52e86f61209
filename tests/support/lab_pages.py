"""The lab's pages under AppTest, and the panels that they draw."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from camdrop.checkpoints import Checkpoint
from camdrop.data import gallery, normalise
from tests.support import ROOT
from ui.choosers.image import FIRST
from ui.components.pictures import Panel


def first_image(checkpoint: Checkpoint) -> tuple[torch.Tensor, int]:
    """The image that a page begins with, normalised, and its label."""
    split, _ = gallery("fashion-mnist")
    image = split.images[FIRST - 1 : FIRST]
    return normalise(image, checkpoint.meta.mean, checkpoint.meta.std), int(split.labels[FIRST - 1])


class Pages:
    """Opens a page by a link and remembers its panels, by the key of their `pictures` and their id."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.panels: dict[str, dict[str, Panel]] = {}
        patch.setattr("ui.choosers.checkpoint.FOLDER", folder)
        patch.setattr("ui.components.pictures.pictures", self._remember)

    def open(self, page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.switch_page(f"pages/{page}.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        return app

    def _remember(self, panels: Sequence[Panel], *, key: str, **_: object) -> None:
        self.panels[key] = {panel.id: panel for panel in panels}


def texts(panel: Panel) -> dict[str, str]:
    """The rows under a picture."""
    return {row.label.strip(): row.text for row in panel.rows}
