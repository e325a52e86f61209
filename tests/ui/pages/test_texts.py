"""What pages say, as far as it can be wrong without running them."""

import ast

import pytest

from tests.support import ROOT

FILES = [*(ROOT / "pages").glob("*.py"), *(ROOT / "ui").rglob("*.py"), *(ROOT / "camdrop" / "report").glob("*.py")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_formula_over_several_lines_stands_between_lines_of_its_own(path) -> None:
    """Markdown takes what follows an opening $$ in its line for a name, and shows the rest as an error in red."""
    texts = (n.value for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Constant))
    lines = [line.strip() for text in texts if isinstance(text, str) for line in text.splitlines()]
    assert not [line for line in lines if line.count("$$") % 2 and line != "$$"]


def test_there_are_such_files() -> None:
    assert len(FILES) > 40
