"""The page Results: tables from finished runs, and words where there are none."""

import html
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.support import ROOT
from tests.support.finished_runs import finish


def open_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *opened: str) -> AppTest:
    """Results with those parts opened."""
    places = {"results": tmp_path / "shipped", "checkpoints": ROOT / "checkpoints"}
    monkeypatch.setattr("camdrop.shipped.shipped", places.get)
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params.update({f"draw-{name}": "true" for name in opened})
    app.switch_page("pages/results.py")
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    """All words, of tables the cells between bars."""
    texts = [*(e.value for e in [*app.markdown, *app.info]), *(e.proto.body for e in app.get("html"))]
    bars = re.sub(r"</?t[dh][^>]*>", "|", " ".join(texts)).replace("|\n|", "|")
    return re.sub(r"\|+", " | ", html.unescape(re.sub(r"<[^>]*>", "", bars)))


def test_without_runs_it_shows_the_paper_and_how_to_fill_it(monkeypatch, tmp_path):
    app = open_page(monkeypatch, tmp_path)
    assert "| + CamDrop | 4.19 |" in said(app) and "No run of ours fills this table yet" in said(app)
    assert "No finished race" in said(app) and "--preset table1" in said(app)


def test_runs_of_both_folders_fill_the_tables_and_figure_2(monkeypatch, tmp_path):
    finish(tmp_path / "shipped" / "a", "baseline,dropblock,camdrop", [10.0, 9.0, 8.0])
    finish(tmp_path / "runs" / "b", "baseline,dropblock,camdrop", [11.0, 9.0, 8.0], seed=1)
    app = open_page(monkeypatch, tmp_path, "figure-2")
    assert "| + CamDrop | 4.19 | 8.00 ± 0.00 |" in said(app)
    assert "3 of 3 pairs of rows stand in the paper's order" in said(app)
    assert app.selectbox("figure2").options == ["a", "b"] or app.selectbox("figure2").options == ["b", "a"]


def test_what_ships_fills_every_section(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["draw-figure-4"] = "true"
    app.switch_page("pages/results.py")
    app.run()
    assert not app.exception, app.exception
    assert not [box for box in app.selectbox if box.key == "figure2"]  # what is closed is not drawn
    assert "not run yet" not in said(app) and "yet." not in said(app) and "cannot be read" not in said(app)
    titles = [element.value for element in app.subheader]
    assert [sum(title.startswith(kind) for title in titles) for kind in ("Table", "Figure", "Equation")] == [7, 3, 1]
    assert "mnist" in app.selectbox("figure4").value  # the paper's data set first
