"""The numbers of the report as JSON, for other programs; the format is in docs/formats.md."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camdrop.analysis.seeds import spread
from camdrop.report.cells import Cell, Setting
from camdrop.report.finished import Found, find
from camdrop.report.guides import Guided, guided
from camdrop.report.paper_tables import TABLES, PaperTable, columns, references, verdict_of

Json = dict[str, Any]


def json_report(folders: Sequence[Path]) -> str:
    """Tables 1–6 and who guides the masks: each cell with its seeds, its spread, and its paired tests."""
    found = find(folders)
    tables = [_table(paper, found) for paper in TABLES.values()]
    return json.dumps({"tables": tables, "guides": [_guided(one) for one in guided(found)]}, indent=1) + "\n"


def _table(paper: PaperTable, found: Found) -> Json:
    rows = [{"title": paper.name(line.title), "paper": line.paper, "methods": line.contender} for line in paper.rows]
    rows += [{"title": arm.title, "paper": None, "methods": arm.contender} for arm in paper.arms]
    ours = []
    for setting, cells in columns(paper, found).items():
        others = references(found).get(dataclasses.replace(setting, variant=None), {})
        said = {paper.name(title): _cell(one, others) for title, one in cells.items()}
        ours.append(_setting(setting) | {"verdict": verdict_of(paper, cells), "cells": said})
    return {"table": paper.number, "claim": paper.claim, "network": paper.network, "rows": rows, "columns": ours}


def _setting(setting: Setting) -> Json:
    variant = setting.variant
    return {
        "title": setting.title, "data": setting.data, "recipe": dataclasses.asdict(setting.recipe),
        "variant": dataclasses.asdict(variant) if variant else None,
    }  # fmt: skip


def _cell(cell: Cell, others: dict[str, Cell]) -> Json:
    tests = {
        name: test for name, other in others.items() if (test := cell.minus(other)) and cell.method != other.method
    }
    said = {"errors": cell.errors, "seeds": cell.numbers} | dataclasses.asdict(spread(cell.errors))
    return said | {"minus": {name: dataclasses.asdict(test) for name, test in tests.items()}}


def _guided(one: Guided) -> Json:
    cells = [
        {"who": who, "where": where} | _cell(found, one.others)
        | {"obeys": dataclasses.asdict(spread(obeys)) if (obeys := one.obeys[who, where]) else None}
        for (who, where), found in one.cells.items()
    ]  # fmt: skip
    others = {name: _cell(other, {}) for name, other in one.others.items()}
    return _setting(one.setting) | {"method": one.words, "chance": one.chance, "cells": cells, "others": others}
