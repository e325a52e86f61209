"""Class names in a text, in whichever of the usual forms it is written."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Mapping, Sequence

import yaml

from camdrop.checkpoints.statements import class_names, read_statements

BROKEN = (ValueError, TypeError, LookupError, SyntaxError, RecursionError, MemoryError, csv.Error, yaml.YAMLError)

_NUMBER = (
    "id",
    "index",
    "idx",
    "number",
    "no",
    "class_id",
    "class_index",
    "class_idx",
    "label_id",
    "label_idx",
    "target",
)
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # makes texts only: a class may be called "no" or "1"
_NAME = (
    *("name", "class_name", "classname", "label_name", "class", "label", "category", "display_name", "title"),
    *("species", "description", "text", "names", "classes", "labels"),
)


def names_in(text: str, suffix: str = "") -> tuple[str, ...]:
    """The class names of a text, in the order of their numbers where it has any; () where a structure holds none.

    JSON, a Python literal or assignment, YAML, a table (CSV), numbered lines, or one name a line. What is broken raises
    one of `BROKEN`.
    """
    text = text.strip()
    if suffix == ".py" or re.match(r"[\[{]|\(\s*['\"]|[A-Za-z_]\w*\s*=\s*[\[{(]", text):
        return _in_value(_json_or_python(text))
    lines = [line for line in text.splitlines() if line.strip()]
    if suffix in (".yaml", ".yml") or re.match(r"(---|(names|classes|id2label|labels)\s*:(\s|$))", _uncommented(lines)):
        return _in_value(yaml.load(text, Loader=_LOADER))
    if lines and (table := _table(lines, suffix in (".csv", ".tsv"))):
        return _in_rows(table, bool({_plain(cell) for cell in table[0]} & {*_NUMBER, *_NAME}))
    return _in_lines(lines)


def _json_or_python(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        pass
    for statement in reversed(ast.parse(text).body):  # never run: only literals count
        if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and statement.value is not None:
            return ast.literal_eval(statement.value)
    return None


def _in_value(value: object) -> tuple[str, ...]:
    """The names in a list or a dictionary, or in what a file of settings says (`id2label`, `names`, …)."""
    rows = [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []
    if rows and len(rows) == len(value):  # type: ignore[arg-type]
        columns = list(map(str, rows[0]))
        return _in_rows([columns, *([str(row.get(column, "")) for column in columns] for row in rows)], True)
    if names := class_names(value):
        return names
    return read_statements(value).any_classes() if isinstance(value, Mapping) else ()


def _table(lines: Sequence[str], surely: bool) -> list[list[str]]:
    """The rows of a table with a header or with numbers in its first column; [] where the lines are none."""
    delimiter = max(",;\t|", key=lines[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    header = [_plain(cell) for cell in rows[0]]
    if surely:
        return rows
    known = len(header) > 1 and all(cell in (*_NUMBER, *_NAME) for cell in header)
    return rows if known and len({len(row) for row in rows}) == 1 else []


def _in_rows(rows: list[list[str]], headed: bool) -> tuple[str, ...]:
    """The column of names in the order of the column of numbers, or of the rows where no column numbers them."""
    header = [_plain(cell) for cell in rows[0]]
    body = rows[1:] if headed else rows
    width = len(rows[0])
    if not body or any(len(row) != width for row in body):
        return ()
    columns = [[row[i] for row in body] for i in range(width)]
    numbered = [i for i in range(width) if _counts(columns[i])]
    named = [header.index(name) for name in _NAME if name in header and header.index(name) not in numbered]
    texts = [i for i in range(width) if i not in numbered and not all(re.fullmatch(r"n\d{8}", c) for c in columns[i])]
    if not (named or texts):
        return ()
    names = columns[(named or texts)[0]]
    if all(re.fullmatch(r"-?[\d.]+", name) for name in names) and not named:
        return ()
    if numbered:
        names = [name for _, name in sorted(zip(map(int, columns[numbered[0]]), names, strict=True))]
    return class_names(names)


def _in_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """A name a line, without the numbers of the lines or of WordNet if all have one."""
    matches = [re.match(r"\s*(\d+)(?:\s*[:;,.|)]\s*|\s+)(\S.*)", line) for line in lines]
    numbers = [match[1] for match in matches if match]
    if len(lines) > 1 and len(numbers) == len(lines) and _counts(numbers):
        lines = [match[2] for _, match in sorted(zip(map(int, numbers), matches, strict=True)) if match]
    wordnet = [re.match(r"\s*n\d{8}[\s,:]+(\S.*)", line) for line in lines]
    return class_names([match[1] for match in wordnet if match] if all(wordnet) else list(lines))


def _counts(cells: Sequence[str]) -> bool:
    """Whether cells are the numbers from 0, or from 1, in any order."""
    if not all(re.fullmatch(r"\d{1,6}", cell) for cell in cells):
        return False
    numbers = sorted(map(int, cells))
    return numbers in (list(range(len(cells))), list(range(1, len(cells) + 1)))


def _plain(cell: str) -> str:
    return re.sub(r"\W+", "_", cell.strip().lower()).strip("_")


def _uncommented(lines: Sequence[str]) -> str:
    return next((line for line in lines if not line.lstrip().startswith("#")), "")
