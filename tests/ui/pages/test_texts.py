"""What pages say, as far as it can be wrong without running them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from camdrop.figures.numbers import bound
from camdrop.report import markdown_report
from tests.support import ROOT

FILES = [*(ROOT / "pages").glob("*.py"), *(ROOT / "ui").rglob("*.py"), *(ROOT / "camdrop" / "report").glob("*.py")]
FILES += (ROOT / "camdrop" / "figures").glob("*.py")

BROKEN = {
    "a hyphen for a minus": r"(?<![\w.:/=*-])(?<!/ )-\d",  # but the last line of a grid in CSS
    "noise of binary fractions": r"\d\.\d*(0000000|9999999)",
    "a line break before %": r"(\d|\}|^) %",
    "a column that writes no space before %": r"^percent$|\w%%",
    "another apostrophe": r"\w’\w",
}


def faults(text: str) -> list[str]:
    """What is wrong with the numbers in a text that people read; code in it is left out."""
    plain = re.sub(r"```.*?```|`[^`]*`|</?\w[^>]*>|\$[^$]*\$|\d{4}-\d\d-\d\d", "", text, flags=re.DOTALL)
    return [
        f"{what}: …{plain[max(0, m.start() - 30) : m.end() + 10]}"
        for what, how in BROKEN.items()
        for m in re.finditer(how, plain)
    ]


def texts(path: Path) -> Iterator[str]:
    """The constants of a file but for its docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    with_docstring = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    own = [n.body[0] for n in ast.walk(tree) if isinstance(n, with_docstring) and ast.get_docstring(n)]
    docstrings = {id(statement.value) for statement in own if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_numbers_in_texts_are_whole(path) -> None:
    said = (bound(text) if path.name == "lessons.py" else text for text in texts(path))  # as the tour shows them
    assert [fault for text in said for fault in faults(text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_numbers_with_a_sign_are_written_by_the_helper(path) -> None:
    formats = (n.format_spec for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.FormattedValue))
    assert [how for spec in formats if spec and (how := ast.unparse(spec)).startswith(("f'+", "'+"))] == []


@pytest.mark.slow
def test_numbers_in_the_report_are_whole() -> None:
    assert faults(markdown_report([ROOT / "results"])) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_formula_over_several_lines_stands_between_lines_of_its_own(path) -> None:
    """Markdown takes what follows an opening $$ in its line for a name, and shows the rest as an error in red."""
    texts = (n.value for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Constant))
    lines = [line.strip() for text in texts if isinstance(text, str) for line in text.splitlines()]
    assert not [line for line in lines if line.count("$$") % 2 and line != "$$"]


def test_there_are_such_files() -> None:
    assert len(FILES) > 40
