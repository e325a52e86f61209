"""The paper's tables beside ours, as Markdown and HTML: what the page Results shows, and `python -m camdrop report`."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camdrop.evidence import MEASURES, Estimate
from camdrop.experiments import TABLES, Cell, Found, PaperTable, Setting, columns, in_order
from camdrop.results import Follower
from camdrop.runs import RunError, list_runs
from camdrop.sweep import Sweep, list_sweeps

SHIPPED = Path(__file__).resolve().parent.parent / "results"  # runs that come along, without weights

PROTOCOL = (
    "Errors in percent. The paper reports the median of the best five results on the test set, after 400 epochs. Ours "
    "choose their best checkpoint on images held out of the training set, touch the test set once, and are trained "
    "for the budget that the column names; ± is the standard deviation over seeds. Compare within a column."
)
# Table 7: error and success rates of targeted PGD on ImageNet, ResNet-50.
ATTACKED = (("PGD", 82.21, 30.89), ("PGD / CamDrop", 65.73, 20.16))
COMPARE_COMMAND = "python -m camdrop compare checkpoints/CHECKPOINT… --data DATA --json > results/compare.json"
SWEEP_COMMAND = "python -m camdrop sweep --data mnist --run runs/sweep"
ATTACK_COMMAND = "python -m camdrop attack checkpoints/CHECKPOINT… --data DATA --json > results/attack.json"


def find(folders: Sequence[Path]) -> Found:
    """The finished runs below the folders with their records; those that cannot be read are left out."""
    found = []
    for run in (run for folder in folders for run in list_runs(folder) if run.state == "finished"):
        try:
            found.append((run, Follower(run.folder).update()))
        except RunError:
            continue
    return found


def table(paper: PaperTable, found: Found) -> str:
    """One of the tables 1–6 as Markdown: the paper's column and ours, and the command that makes another."""
    ours = columns(paper, found)
    names = ["", "Paper", *(f"Ours, {i}" for i in range(1, len(ours) + 1))]
    extra = dict.fromkeys(title for cells in ours.values() for title in cells)
    lines = [_line(names), _line([":--", *("--:" for _ in names[1:])])]
    for row in paper.rows:
        extra.pop(row.title, None)
        said = f"{row.paper:.2f}" + (f" ({paper.also} {row.paper_also:.3g})" if paper.also else "")
        lines.append(_line([row.title, said, *(_cell(paper, cells.get(row.title)) for cells in ours.values())]))
    for title in extra:
        lines.append(_line([title, "", *(_cell(paper, cells.get(title)) for cells in ours.values())]))
    notes = [_note(paper, i, setting, cells) for i, (setting, cells) in enumerate(ours.items(), 1)]
    notes += [] if ours else ["No run of ours fills this table yet."]
    return "\n".join([*lines, "", *(f"{note}  " for note in notes), "", f"Run it: `{paper.command}`"])


def _note(paper: PaperTable, number: int, setting: Setting, cells: dict[str, Cell]) -> str:
    agree, pairs = in_order(paper, cells)
    devices = " and ".join(dict.fromkeys(device for cell in cells.values() for device in cell.devices))
    rates = ", ".join(dict.fromkeys(cell.rates for cell in cells.values() if cell.rates))
    order = f"{agree} of {pairs} pairs of rows stand in the paper's order" if pairs else ""
    return f"**Ours, {number}:** {'; '.join(filter(None, [str(setting), rates, devices, order]))}."


def _cell(paper: PaperTable, cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell} ({paper.also} {sum(cell.also) / len(cell.also):.3g})" if paper.also and cell.also else str(cell)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def attacks(folders: Sequence[Path]) -> str:
    """Table 7 as Markdown: the paper's rates, and those of the files attack*.json in the folders."""
    lines = [_line(["", "Clean error", "Error rate", "Success rate", "Images"]), _line([":--", *["--:"] * 4])]
    lines += [_line([f"Paper: {name}", "", f"{e:.2f}", f"{s:.2f}", ""]) for name, e, s in ATTACKED]
    for path in sorted(path for folder in folders for path in folder.glob("attack*.json")):
        try:
            said = json.loads(path.read_text())
            for row in said["results"]:
                rates = [_interval(row, rate) for rate in ("clean_error", "error_rate", "success_rate")]
                lines.append(_line([f"{Path(row['checkpoint']).stem}, {said['data']}", *rates, f"{row['n']:,}"]))
        except (ValueError, KeyError, TypeError) as error:
            lines.append(_line([f"{path.name} cannot be read ({type(error).__name__})", "", "", "", ""]))
    words = "The paper's are ResNet-50 on ImageNet; in brackets: 95 % confidence intervals."
    return "\n".join([*lines, "", words, "", f"Run it: `{ATTACK_COMMAND}`"])


def _interval(row: dict[str, Any], rate: str) -> str:
    return f"{row[rate]:.2f} [{row[f'{rate}_low']:.2f}, {row[f'{rate}_high']:.2f}]"


def looks(folders: Sequence[Path]) -> str:
    """What Figure 3 asserts, as numbers in Markdown: those of the files compare*.json in the folders."""
    head = ["", *(name.capitalize() for name in MEASURES), "Images"]
    lines = [_line(head), _line([":--", *["--:"] * (len(head) - 1)])]
    for path in sorted(path for folder in folders for path in folder.glob("compare*.json")):
        try:
            said = json.loads(path.read_text())
            for row in said["results"]:
                cells = [str(Estimate(**row[name])) for name in MEASURES]
                lines.append(_line([f"{Path(row['checkpoint']).stem}, {said['data']}", *cells, f"{said['n']:,}"]))
        except (ValueError, KeyError, TypeError) as error:
            lines.append(_line([f"{path.name} cannot be read ({type(error).__name__})", *[""] * len(MEASURES), ""]))
    words = "; ".join(f"{name}: {what}" for name, what in MEASURES.items())
    lines = lines if len(lines) > 2 else ["No comparison of ours is recorded yet."]
    note = f"Means with 95 % confidence intervals. {words[0].upper()}{words[1:]}."
    return "\n".join([*lines, "", note, "", f"Run it: `{COMPARE_COMMAND}`"])


def sweeps(folders: Sequence[Path]) -> str:
    """Figure 4 as numbers in Markdown: the validation errors of the sweeps in the folders."""
    parts = [sweep_table(found) for found in find_sweeps(folders)] or ["No sweep of ours is recorded yet."]
    return "\n\n".join([*parts, f"Run it: `{SWEEP_COMMAND}`"])


def find_sweeps(folders: Sequence[Path]) -> list[Sweep]:
    """The sweeps in the folders that have cells."""
    return [found for folder in folders for found in list_sweeps(folder) if found.cells]


def sweep_table(found: Sweep) -> str:
    """A sweep's validation errors in percent, and what they say of the paper's claim, as Markdown."""
    plan = found.plan
    lines = [f"**{found}.** {found.verdict()}", ""]
    lines += [
        _line(["lr \\ γ", *(f"{keep:g}" for keep in plan.keep_probs)]),
        _line(["--:"] * (len(plan.keep_probs) + 1)),
    ]
    for rate in plan.learning_rates:
        lines.append(_line([f"{rate:g}", *(str(found.cells.get((rate, keep), "–")) for keep in plan.keep_probs)]))
    return "\n".join(lines)


def markdown(folders: Sequence[Path]) -> str:
    """The whole report."""
    found = find(folders)
    parts = ["# CamDrop Lab: the paper's results and ours", PROTOCOL]
    for paper in TABLES.values():
        parts += [f"## Table {paper.number}. {paper.title}", table(paper, found)]
    parts += ["## Table 7. Targeted PGD", attacks(folders), "## Figure 3. Where networks look", looks(folders)]
    parts += ["## Figure 4. Learning rate and retaining rate", sweeps(folders)]
    return "\n\n".join(parts) + "\n"


def page(folders: Sequence[Path]) -> str:
    """The whole report as an HTML page that stands by itself."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark").enable("table").render(markdown(folders))
    title = html.escape("CamDrop Lab: the paper's results and ours")
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>{_STYLE}{body}</html>\n'


_STYLE = """<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
</style>"""
