"""Sweep: the page shows what is in the folder, and starts, stops and resumes a process of its own."""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from camdrop.figures.plots import sweep_heatmap, sweep_surface
from camdrop.runs import in_use, scheduler, sweep
from camdrop.runs.sweep import RECIPE, Cell, Plan
from tests.support.lab_pages import Pages

PLAN = Plan(recipe=dataclasses.replace(RECIPE, seed=4), learning_rates=(10.0, 0.1), keep_probs=(0.5, 1.0))
WAIT = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.02)"  # until it is asked to stop


def waiting(folder: Path) -> list[str]:
    return [sys.executable, "-S", "-c", WAIT, str(folder / "stop")]


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path))
    monkeypatch.setattr("ui.panels.sweeps._speed", lambda *_: 0.001)
    monkeypatch.setattr(scheduler, "command", waiting)  # in place of a process that trains
    return Pages(tmp_path, monkeypatch)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def words(app: AppTest) -> str:
    return " ".join(
        element.value for kind in ("markdown", "caption", "error", "warning", "info") for element in app.get(kind)
    )


def drawn(pages: Pages, monkeypatch: pytest.MonkeyPatch, **query: str) -> dict[str, dict]:
    """The figures of the page, by their keys."""
    found: dict[str, dict] = {}
    monkeypatch.setattr("streamlit.plotly_chart", lambda figure, *, key, **_: found.update({key: figure}))
    pages.open("sweep", **query)
    return found


def test_the_figures_are_the_cells(pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep.create(tmp_path / "s", PLAN)
    for cell in (
        Cell(0.1, 1.0, "done", 5.0, 12.5), Cell(0.1, 0.5, "done", 9.0, 11.0), Cell(10.0, 1.0, "diverged", 90.0, 91.0),
    ):  # fmt: skip
        sweep.append(tmp_path / "s", cell)
    found = drawn(pages, monkeypatch, sweep="s", surfaces="true")
    heat = found["heatmap"]["data"][0]
    assert (heat["y"], heat["x"]) == (["0.1", "10"], ["1", "0.5"])
    assert heat["z"] == [[12.5, 11.0], [91.0, None]] and heat["text"] == [["12.5", "11.0"], ["91.0 ×", ""]]
    for key in ("surface.rate", "surface.keep"):
        surface = found[key]["data"][0]
        assert (surface["x"], surface["y"], surface["z"]) == ([0.1, 10.0], [1.0, 0.5], [[12.5, 91.0], [11.0, None]])
    only = drawn(pages, monkeypatch, sweep="s", measure="Training error", surfaces="false")
    assert list(only) == ["heatmap"]  # what is not asked for is not drawn
    training = only["heatmap"]["data"][0]
    assert training["z"] == [[5.0, 9.0], [90.0, None]]


def test_plotly_takes_the_figures() -> None:
    import numpy as np
    from plotly.graph_objects import Figure

    errors = np.array([[1.0, np.nan], [2.0, 3.0]])
    for front in ("rate", "keep"):
        Figure(sweep_surface([0.1, 1.0], [1.0, 0.5], errors, front=front, keep="x"))
    Figure(sweep_heatmap([0.1, 1.0], [1.0, 0.5], errors, np.full((2, 2), "")))


def test_start_stop_resume_delete(pages: Pages, tmp_path: Path) -> None:
    app = pages.open("sweep")
    assert "64 trainings of 6,000 images" in words(app)
    app.text_input(key="sweep.rates").set_value("0.1, fast").run()
    assert "numbers with commas" in app.error[0].value
    app.text_input(key="sweep.rates").set_value("0.1, 1").run()
    assert "16 trainings" in words(app)
    press(app, "Start")
    assert not app.exception and app.selectbox(key="sweep").value == "sweep camdrop fashion-sample"
    folder = tmp_path / "sweep camdrop fashion-sample"
    assert sweep.load_sweep(folder).state == "running" and sweep.load_sweep(folder).plan.learning_rates == (0.1, 1.0)
    press(app, "Stop")
    end = time.monotonic() + 60
    while in_use(folder):
        assert time.monotonic() < end
        time.sleep(0.05)
    app.run()
    assert sweep.load_sweep(folder).state == "stopped"
    press(app, "Resume")
    assert sweep.load_sweep(folder).state == "running"
    os.kill(sweep.load_sweep(folder).pid, signal.SIGKILL)
    while in_use(folder):
        time.sleep(0.05)
    app.run()
    assert "its process is gone" in words(app)
    press(app, "Delete for good")
    assert not folder.exists() and app.selectbox(key="sweep").value == "New sweep" and not app.exception


def test_broken_folders_and_links(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{")
    app = pages.open("sweep", sweep="gone")
    assert "the sweep gone, which is not here" in words(app) and "cannot be read as a sweep" in words(app)
    sweep.create(tmp_path / "s", PLAN)
    sweep.append(tmp_path / "s", Cell(0.1, 1.0, "failed", message="MemoryError: no room"))
    assert "A cell failed: MemoryError: no room" in words(pages.open("sweep", sweep="s"))


def test_a_sweep_that_waits_says_so(pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    sweep.create(tmp_path / "s", PLAN)
    scheduler.submit(tmp_path / "s")
    app = pages.open("sweep", sweep="s")
    assert "It begins when what is trained now has ended." in words(app)
    press(app, "Stop")
    assert sweep.load_sweep(tmp_path / "s").state == "stopped"
