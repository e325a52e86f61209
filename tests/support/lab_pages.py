"""The lab's pages under AppTest, and the panels that they draw."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from camdrop.checkpoints import Checkpoint
from camdrop.data import gallery, normalise
from tests.support import ROOT
from ui.choosers.image import FIRST
from ui.components.pictures import Along, Board, Marks, Panel, Reading, Text, Voxels, say
from ui.components.slider import Live


def first_image(checkpoint: Checkpoint) -> tuple[torch.Tensor, int]:
    """The image that a page begins with, normalised, and its label."""
    split, _ = gallery("fashion-mnist")
    image = split.images[FIRST - 1 : FIRST]
    return normalise(image, checkpoint.meta.mean, checkpoint.meta.std), int(split.labels[FIRST - 1])


class Pages:
    """Opens a page by a link and remembers its panels, by the key of their `pictures` and their id."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.panels: dict[str, dict[str, Panel]] = {}
        self.boards: dict[str, Board] = {}
        self.notes: dict[str, str] = {}
        patch.setattr("ui.choosers.checkpoint.FOLDER", folder)
        patch.setattr("ui.components.pictures.pictures", self._remember)
        self._patch = patch
        patch.setattr("ui.panels.background.plan", lambda *_: False)  # seconds of work

    def open(self, page: str, **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.switch_page(f"pages/{page}.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        return app

    def open_and_fill(
        self, page: str, wanted: Callable[[Any], bool] = lambda load: True, **query: str | list[str]
    ) -> list[Board]:
        """Open a page, and let it send the browser what it may need next, of the `wanted` loads: that is returned."""
        sent: list[Board] = []

        def plan(loads: Iterable[Any], boards: Callable[[Any], Iterable[Board]]) -> bool:
            for load in {repr(load): load for load in loads}.values():
                if wanted(load):
                    sent.extend(boards(load))
            return False

        self._patch.setattr("ui.panels.background.plan", plan)
        self.open(page, **query)
        self._patch.setattr("ui.panels.background.plan", lambda *_: False)
        return sent

    def _remember(self, panels: Sequence[Panel], *, key: str, note: Text | None = None, **others: Any) -> None:
        self.panels[key] = {panel.id: panel for panel in panels}
        self.boards[key] = Board(key, panels, state=others.get("state"))
        self.notes[key] = say(note or "")


def texts(panel: Panel) -> dict[str, str]:
    """The rows under a picture."""
    return {row.label.strip(): say(row.text) for row in panel.rows}


def seen(value: object, gamma: float) -> object:
    """A panel, or a part of one, as the browser shows it with the slider at γ: its words, and the cells it marks."""
    if isinstance(value, Along):
        value = dataclasses.replace(value, live=dataclasses.replace(value.live, value=gamma)).now
        return round(value, 3) if isinstance(value, float) else value
    if isinstance(value, Live):
        return value.key
    if isinstance(value, Marks | Voxels):
        return value.color, (round(100 * gamma) < value.below).tolist()
    if isinstance(value, Reading) and value.gamma is not None:
        return value.words, (round(100 * gamma) < value.values).tolist()
    if isinstance(value, tuple) and value and all(isinstance(part, str | Along) for part in value):
        return "".join(str(seen(part, gamma)) for part in value)
    if isinstance(value, list | tuple):
        return [seen(part, gamma) for part in value]
    if dataclasses.is_dataclass(value):
        return {key: seen(part, gamma) for key, part in vars(value).items()}
    if isinstance(value, float):
        return round(value, 3)
    return value.tolist() if isinstance(value, np.ndarray) else value
