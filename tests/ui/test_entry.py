"""The way into a page: each goes through app.py, and no fragment of it is inside another."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from streamlit.runtime.fragment import MemoryFragmentStorage

from camdrop import runs
from camdrop.runs import scheduler, sweep
from camdrop.runs.sweep import Cell, Plan
from camdrop.training.config import Contender, Recipe
from tests.support import ROOT
from tests.support.lab_pages import Pages

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))


def test_there_are_ten_pages_and_all_are_in_the_navigation() -> None:
    assert len(PAGES) == 10
    assert sorted(re.findall(r'st\.Page\("pages/(\w+)\.py"', (ROOT / "app.py").read_text("utf-8"))) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_goes_through_app_before_all_else(name: str) -> None:
    _, *body = ast.parse((ROOT / "pages" / f"{name}.py").read_text("utf-8")).body
    first = next(
        ast.unparse(node)
        for node in body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    )
    assert first == "through_app()"


FILES = {path: path.read_text("utf-8") for room in ("pages", "ui") for path in (ROOT / room).rglob("*.py")}


def last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def test_every_fragment_callback_and_download_tells_the_errors_of_the_library() -> None:
    assert [path.name for path, text in FILES.items() if re.search(r"st\.fragment[(\n]", text)] == ["fragments.py"]
    nodes = [node for text in FILES.values() for node in ast.walk(ast.parse(text))]
    telling = {
        node.name for node in nodes if isinstance(node, ast.FunctionDef)
        if "callback" in map(last_name, node.decorator_list)
    }  # fmt: skip
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    words = [word for call in calls for word in call.keywords if not isinstance(word.value, ast.Constant)]
    kinds = ("on_click", "on_change", "on_select", "on_pick", "on_ask")
    given = {last_name(word.value) for word in words if word.arg in kinds}
    assert len(given) > 15 and given - {*kinds} - telling == set()
    made = [call.args[1] for call in calls if last_name(call.func) == "download_button"]
    assert len(made) > 4 and all(ast.unparse(make).startswith("prepared(") for make in made)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_no_fragment_is_inside_another(lab: Pages, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path))
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    recipe = Recipe("resnet8", epochs=1)
    runs.create(tmp_path / "race", runs.RunConfig("fashion-sample", recipe, (Contender("baseline"),), "cpu", 1))
    sweep.create(tmp_path / "sweep", dataclasses.replace(Plan(), learning_rates=(0.1,)))
    sweep.append(tmp_path / "sweep", Cell(0.1, 1.0, "done", 5.0, 12.5))
    register, parents = MemoryFragmentStorage.register, []

    def remember(*args: object, parent_fragment_id: str | None = None, **others: object) -> None:
        parents.append(parent_fragment_id)
        register(*args, parent_fragment_id=parent_fragment_id, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryFragmentStorage, "register", remember)
    lab.open(name)
    if name in ("race", "sweep"):
        lab.open(name, **{name: name, "run": "race"})
    # Streamlit drops what a fragment has yet to send when that one runs again, but not what those inside it have,
    # which then have no place: the page goes blank ("Cannot set a node at a delta path").
    assert not any(parents)
    assert parents or name in ("gradients", "runs")
