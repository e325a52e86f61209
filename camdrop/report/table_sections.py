"""The paper's tables 1–6 beside ours, as Markdown: a column for each setting, and what pairs of one seed say."""

from __future__ import annotations

import dataclasses

from camdrop.analysis.seeds import Paired
from camdrop.data.text import markdown_code, markdown_text
from camdrop.figures.numbers import in_percent, number, p_value
from camdrop.report.paper_tables import (
    Cell,
    Found,
    PaperTable,
    Setting,
    best_in_paper,
    best_is_best,
    columns,
    filling,
    in_order,
    readings,
    references,
    verdict_of,
)
from camdrop.report.result_files import head, row
from camdrop.report.verdicts import Verdict

PAIRED = (
    "Paired: the mean difference of two networks of one seed, which share images, labels, first weights and order, in "
    "points, with the p-value of the paired t-test over n seeds; bold where p < 0.05."
)


def table(paper: PaperTable, found: Found) -> str:
    """One of the tables 1–6: the paper's column and ours, and the command that makes another."""
    ours = columns(paper, found)
    heads = [f"{i}: {setting.words}" for i, setting in enumerate(ours, 1)]
    lines = head("", f"Paper: {paper.network}", *heads)
    for line in paper.rows:
        said = f"{line.paper:.2f}" + (f" ({paper.also} {line.paper_also:.3g})" if paper.also else "")
        cells = (_cell(paper, cells.get(line.title)) for cells in ours.values())
        lines.append(row(paper.name(line.title), said, *cells))
    for title in _more(paper, ours):
        lines.append(row(title, "", *(_cell(paper, cells.get(title)) for cells in ours.values())))
    notes = [_note(paper, i, setting, cells) for i, (setting, cells) in enumerate(ours.items(), 1)]
    notes += [] if ours else ["No run of ours fills this table yet."]
    paired = differences(paper, found) if paper.number < 5 else []
    parts = ["\n".join(lines), *(["\n".join(paired), PAIRED] if paired else [])]
    return "\n\n".join([*parts, "\n".join(f"{note}  " for note in notes), f"Run it: `{paper.command}`"])


def _more(paper: PaperTable, ours: dict[Setting, dict[str, Cell]]) -> list[str]:
    """Titles of the rows that the paper lacks."""
    known = {line.title for line in paper.rows}
    return [title for title in dict.fromkeys(title for cells in ours.values() for title in cells) if title not in known]


def differences(paper: PaperTable, found: Found) -> list[str]:
    """The lines of a table: each cell of ours minus the baseline and minus DropBlock, paired by the seed."""
    ours, columns_of = columns(paper, found), references(found)
    heads, against = [], []
    for i, (setting, cells) in enumerate(ours.items(), 1):
        for name, other in columns_of.get(dataclasses.replace(setting, variant=None), {}).items():
            if any(test for cell in cells.values() if (test := cell.minus(other)) and cell.method != other.method):
                heads.append(f"{i}: − {name}")
                against.append((cells, other))
    if not heads:
        return []
    lines = head("Paired", *heads)
    for title in [*(line.title for line in paper.rows), *_more(paper, ours)]:
        tests = [
            None if title not in cells or cells[title].method == other.method else cells[title].minus(other)
            for cells, other in against
        ]
        if any(tests):
            lines.append(row(paper.name(title), *map(_paired, tests)))
    return lines


def _paired(test: Paired | None) -> str:
    if test is None:
        return "–"
    words = f"{number(test.mean, '+.2f')} ({p_value(test.p)}, n = {test.n})"
    return f"**{words}**" if test.p < 0.05 else words


def _note(paper: PaperTable, number: int, setting: Setting, cells: dict[str, Cell]) -> str:
    agree, pairs = in_order(paper, cells)
    devices = " and ".join(dict.fromkeys(device for cell in cells.values() for device in cell.devices))
    rates = ", ".join(dict.fromkeys(cell.rates for cell in cells.values() if cell.rates))
    counts = sorted({cell.seeds for cell in cells.values()})
    seeds = "1 seed" if counts == [1] else f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    order = f"{agree} of {pairs} pairs of rows stand in the paper's order" if pairs else ""
    fill = filling(paper, setting, cells, f"runs/{paper.preset}-{number}")
    said = filter(None, [str(setting), rates, seeds, markdown_text(devices), order])
    return f"**{number}:** {'; '.join(said)}." + (f" Its empty cells: {markdown_code(fill)}" if fill else "")


def _cell(paper: PaperTable, cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell} ({paper.also} {sum(cell.also) / len(cell.also):.3g})" if paper.also and cell.also else str(cell)


def claim(paper: PaperTable) -> str:
    """What the table asserts, with its best number."""
    return f"{paper.claim} ({in_percent(best_in_paper(paper).paper, '.2f')})"


def agreement(paper: PaperTable, found: Found) -> str:
    """In how many of our columns the paper's best row is the best, and how many pairs of rows are in its order."""
    ours = list(columns(paper, found).values())
    asked = [is_best for cells in ours if (is_best := best_is_best(paper, cells))]
    if not asked:
        return ""
    agree, pairs = (sum(counts) for counts in zip(*(in_order(paper, cells) for cells in ours), strict=True))
    best = f"in {asked.count('yes')} of {len(asked)} settings" + (
        f", level in {n}" if (n := asked.count("level")) else ""
    )
    return f"{best}; {agree} of {pairs} pairs of rows in the paper's order"


def verdicts(paper: PaperTable, found: Found) -> list[Verdict]:
    """For each of our columns that has the paper's best row, or a reading of it, whether that has the least error."""
    said = []
    for setting, cells in columns(paper, found).items():
        shared = dataclasses.replace(setting, variant=None).words
        for title in readings(paper, cells):
            reading = title.removeprefix(best_in_paper(paper).title).strip(", ")
            words = ", ".join(filter(None, [str(setting.variant or ""), reading]))
            said.append(Verdict(verdict_of(paper, cells, title), shared, words, cells[title].seeds))
    return said
