"""The rules of the house: arrows point one way, every room keeps to its own, and none grows too large."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.imports import (
    FEWEST_FILES,
    FLOORS,
    MODULES,
    arrows,
    between_rooms,
    circle,
    modules_imported,
    room,
    upward,
)


def test_every_file_has_a_room():
    assert len(MODULES) >= FEWEST_FILES
    assert {room(module) for module in MODULES} - {None} == set().union(*FLOORS)


def test_arrows_point_one_way():
    assert upward(arrows(MODULES)) == []


def test_there_is_no_circle_of_modules_nor_of_rooms():
    found = arrows(MODULES)
    assert circle(found) == []
    assert circle(between_rooms(found)) == []


@pytest.mark.parametrize(
    "line",
    [
        "from camdrop.runs import folder, trainer",
        "from camdrop import masks, runs",
        "import camdrop.report.html",
        "def f():\n    from camdrop.report import html",
        "if TYPE_CHECKING:\n    from ui.components.slider import Live",
    ],
)
def test_an_arrow_upward_is_seen_wherever_it_stands(line):
    tampered = MODULES | {"camdrop.training.config": ast.parse(line)}
    assert upward(arrows(tampered))


def test_a_circle_is_seen():
    tampered = MODULES | {"camdrop.cam": ast.parse("from camdrop.masks import CamDrop")}
    assert {"camdrop.cam", "camdrop.masks"} <= set(circle(arrows(tampered)))


def top_level_packages(tree: ast.Module) -> set[str]:
    return {name.split(".")[0] for name in modules_imported(tree)}


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.split(".")[0] == "camdrop"))
def test_the_library_knows_no_streamlit_and_only_figures_knows_plotly(module):
    forbidden = {"streamlit", "ui", "pages"} | (set() if room(module) == "figures" else {"plotly"})
    assert not top_level_packages(MODULES[module]) & forbidden


PACKAGES = sorted(name for name in MODULES if name.count(".") and (ROOT / Path(*name.split("."))).is_dir())


@pytest.mark.parametrize("module", PACKAGES)
def test_a_packages_init_holds_no_logic(module):
    allowed = (ast.ImportFrom, ast.Expr, ast.Assign)
    assert all(isinstance(node, allowed) for node in MODULES[module].body)


LONGEST_FILE, LONGEST_CLASS = 330, 150
SOURCES = sorted(
    path
    for folder in ("camdrop", "ui", "pages", "tests", "bench", "examples", "scripts")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".js")
)


def test_no_file_and_no_class_is_too_long():
    assert len(SOURCES) > 2 * FEWEST_FILES
    too_long = set()
    for path in SOURCES:
        text, name = path.read_text("utf-8"), path.relative_to(ROOT).as_posix()
        if text.count("\n") > LONGEST_FILE:
            too_long.add(name)
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= LONGEST_CLASS:
                too_long.add(f"{name}: {node.name}")
    assert not too_long


TESTS = {path: ast.parse(path.read_text("utf-8")) for path in (ROOT / "tests").rglob("*.py")}


def test_only_the_browser_tests_need_playwright():
    """So that the others run where there is none."""
    apart = ROOT / "tests" / "browser", ROOT / "tests" / "support" / "browser.py"
    for path, tree in TESTS.items():
        if not any(path.is_relative_to(place) for place in apart):
            assert "playwright" not in top_level_packages(tree), path
            assert "tests.support.browser" not in modules_imported(tree), path


def test_no_file_of_tests_imports_from_another():
    """What they share is in tests/support."""
    for path, tree in TESTS.items():
        assert not any("tests" in name.split(".") and ".test_" in name for name in modules_imported(tree)), path


RELIED_ON = """
import runpy, sys
from camdrop import attach, drop_sites
from camdrop.cam import class_activation_map, compress_weights
from camdrop.checkpoints import Checkpoint, list_checkpoints, load, save
from camdrop.cli import main
from camdrop.data import gallery, load_dataset, normalise
from camdrop.mask import Mask
from camdrop.masks import METHODS, CamDrop, DropBlock, DropPath, Dropout, Mask, SpatialDropout
from camdrop.resnet import build
from camdrop.schedules import keep_prob_at, learning_rate_at
assert callable(main) and callable(attach) and callable(drop_sites)
sys.argv = ["camdrop", "--help"]
runpy.run_module("camdrop", run_name="__main__")
"""


@pytest.mark.slow
def test_the_names_that_the_outside_relies_on_are_there():
    done = subprocess.run([sys.executable, "-c", RELIED_ON], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0 and "evaluate" in done.stdout and not done.stderr, done.stderr
