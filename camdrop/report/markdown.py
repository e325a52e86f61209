"""The paper's tables and figures beside ours, as Markdown: what the page Results shows, and `python -m camdrop report`.

camdrop/report/html.py makes the same an HTML page, with the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camdrop.data import short_name
from camdrop.report import json_results
from camdrop.report.json_results import head, row
from camdrop.report.layout import places
from camdrop.report.paper_tables import (
    TABLES,
    Cell,
    Found,
    PaperTable,
    Setting,
    best_in_paper,
    best_is_best,
    columns,
    filling,
    in_order,
)
from camdrop.runs import Run, RunError, list_runs
from camdrop.runs.records import Follower, Record, label, results
from camdrop.runs.sweep import Sweep, list_sweeps
from camdrop.training.config import method_name

TITLE = "CamDrop Lab: the paper's results and ours"
PROTOCOL = (
    "Errors in percent. The paper reports the median of the best five results on the test set, after 400 epochs. Ours "
    "choose their best checkpoint on images held out of the training set, touch the test set once, and are trained "
    "for the budget that the column names; ± is the standard deviation over seeds. Compare within a column."
)
WHY = (
    "**Why CamDrop falls behind here.** Its masks are drawn with the true label, so where they cut tells the label. "
    "With masks at every site, a small network soon learns to read it there: its training error, with masks, is below "
    "the baseline's, its validation error, without, far above (Figure 2). The reading *official*, that of the "
    "authors' public code, drops so little that the network is all but the baseline. The paper does not speak of "
    "this; whether its 400 epochs of a ResNet-110 overcome it, our budgets cannot tell."
)
SWEEP_COMMAND = "python -m camdrop sweep --data mnist --run runs/sweep"
_MOST_EPOCHS = 8  # columns of Figure 2 as a table


@dataclass(frozen=True)
class Section:
    """A table or figure of the paper: `body` is Markdown; `half` sections stand in pairs where there is room."""

    anchor: str
    title: str
    body: str
    half: bool = False


def find(folders: Sequence[Path]) -> Found:
    """The finished runs below the folders with their records; those that cannot be read are left out."""
    found = []
    for run in (run for place in places(folders, "runs") for run in list_runs(place) if run.state == "finished"):
        try:
            found.append((run, Follower(run.folder).update()))
        except RunError:
            continue
    return found


def sections(folders: Sequence[Path], found: Found | None = None) -> list[Section]:
    """All tables and figures that are measured, in the paper's order."""
    found = find(folders) if found is None else found
    tables = {
        n: Section(f"table-{n}", f"Table {n}. {paper.title}", table(paper, found), n in (2, 3, 4, 5))
        for n, paper in TABLES.items()
    }
    figure_2 = Section("figure-2", "Figure 2. Training error and validation error", races(found))
    figure_3 = Section("figure-3", "Figure 3. Where networks look", json_results.looks(folders))
    measured = "\n\n".join(filter(None, [tensions(found), json_results.bounds(folders)]))
    bounds = Section("equation-16", "Equations 13 to 16. Bounds of the gradients", measured)
    figure_4 = Section("figure-4", "Figure 4. Learning rate and retaining rate", sweeps(folders))
    attacks = Section("table-7", "Table 7. Targeted PGD", json_results.attacks(folders))
    leaks = Section("leakage", "Leakage. What masks tell of the label", json_results.leaks(folders))
    before, after = [tables[n] for n in (2, 3, 4, 5)], [tables[6], attacks, leaks]
    return [tables[1], figure_2, *before, figure_3, bounds, figure_4, *after]


def overview(folders: Sequence[Path], found: Found | None = None) -> str:
    """What the paper claims, and what became of it here: a line for each of `sections`, with links to them."""
    found = find(folders) if found is None else found
    lines = [row("", "The paper", "Here"), row(":--", ":--", ":--")]

    def line(anchor: str, name: str, claim: str, here: str) -> None:
        link = name.replace(" ", "\N{NO-BREAK SPACE}")
        lines.append(row(f"[{link}](#{anchor})", claim, here or "not run yet"))

    for n in range(1, 6):
        line(f"table-{n}", f"Table {n}", *_verdict(TABLES[n], found))
        if n == 1:
            claim = "CamDrop has a higher training error than DropBlock, and a lower validation error"
            line("figure-2", "Figure 2", claim, _crossing(found))
    claim = "CamDrop's network looks at more of what matters (here: share of the image above half of the maximum)"
    line("figure-3", "Figure 3", claim, "; ".join(json_results.look_verdicts(folders)))
    claim = "Masks tighten the bound of each gradient, CamDrop's most: c ≤ t ≤ none"
    line("equation-16", "Eq. 16", claim, "; ".join(json_results.bound_verdicts(folders)))
    claim = "Masks in training keep units out of saturation (here: zero after ReLU)"
    line("equation-16", "Section 3.4", claim, "; ".join(_saturation(*pair) for pair in bound_runs(found)))
    claim = "CamDrop saves high learning rates at which nothing is learnt without it"
    whole = [sweep for sweep in find_sweeps(folders) if len(sweep.cells) == len(sweep.plan.cells)]
    saved = (f"{sweep.title}: saves {{}} cells, loses {{}}".format(*sweep.saved_and_lost()) for sweep in whole)
    line("figure-4", "Figure 4", claim, "; ".join(saved))
    line("table-6", "Table 6", *_verdict(TABLES[6], found))
    before, after = (success for *_, success in json_results.ATTACKED)
    claim = f"CamDrop lowers the success rate of attacks, {before:.1f} → {after:.1f}\N{NO-BREAK SPACE}%"
    line("table-7", "Table 7", claim, "; ".join(json_results.attack_verdicts(folders)))
    claim = "Not spoken of: a mask that the true label guides tells the label"
    line("leakage", "Leakage", claim, "; ".join(json_results.leak_verdicts(folders)))
    return "\n".join(lines)


def _verdict(paper: PaperTable, found: Found) -> tuple[str, str]:
    """What the table claims, and in how many of our columns it is so."""
    ours = list(columns(paper, found).values())
    asked = [is_best for cells in ours if (is_best := best_is_best(paper, cells))]
    claim = f"{paper.claim} ({best_in_paper(paper).paper:.2f}\N{NO-BREAK SPACE}%)"
    if not asked:
        return claim, ""
    agree, pairs = (sum(counts) for counts in zip(*(in_order(paper, cells) for cells in ours), strict=True))
    level = f", level in {n}" if (n := asked.count("level")) else ""
    found_so = f"in {asked.count('yes')} of {len(asked)} settings{level}"
    return claim, f"{found_so}; {agree} of {pairs} pairs of rows in the paper's order"


def table(paper: PaperTable, found: Found) -> str:
    """One of the tables 1–6: the paper's column and ours, and the command that makes another."""
    ours = columns(paper, found)
    heads = [f"{i}: {setting.title}" for i, setting in enumerate(ours, 1)]
    extra = dict.fromkeys(title for cells in ours.values() for title in cells)
    lines = head("", "Paper", *heads)
    for line in paper.rows:
        extra.pop(line.title, None)
        said = f"{line.paper:.2f}" + (f" ({paper.also} {line.paper_also:.3g})" if paper.also else "")
        lines.append(row(line.title, said, *(_cell(paper, cells.get(line.title)) for cells in ours.values())))
    for title in extra:
        lines.append(row(title, "", *(_cell(paper, cells.get(title)) for cells in ours.values())))
    notes = [_note(paper, i, setting, cells) for i, (setting, cells) in enumerate(ours.items(), 1)]
    notes += [] if ours else ["No run of ours fills this table yet."]
    return "\n".join([*lines, "", *(f"{note}  " for note in notes), "", f"Run it: `{paper.command}`"])


def _note(paper: PaperTable, number: int, setting: Setting, cells: dict[str, Cell]) -> str:
    agree, pairs = in_order(paper, cells)
    devices = " and ".join(dict.fromkeys(device for cell in cells.values() for device in cell.devices))
    rates = ", ".join(dict.fromkeys(cell.rates for cell in cells.values() if cell.rates))
    counts = sorted({cell.seeds for cell in cells.values()})
    seeds = "1 seed" if counts == [1] else f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    order = f"{agree} of {pairs} pairs of rows stand in the paper's order" if pairs else ""
    fill = filling(paper, setting, cells, f"runs/{paper.preset}-{number}")
    words = f"**{number}:** {'; '.join(filter(None, [str(setting), rates, seeds, devices, order]))}."
    return words + (f" Its empty cells: `{fill}`" if fill else "")


def _cell(paper: PaperTable, cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell} ({paper.also} {sum(cell.also) / len(cell.also):.3g})" if paper.also and cell.also else str(cell)


def race_runs(found: Found) -> list[tuple[Run, Sequence[Record]]]:
    """The races of Figure 2: those with validation errors of two or more of its three networks, the fullest first."""
    wanted = {"baseline", "dropblock", "camdrop"}

    def shared(run: Run) -> int:
        return len({method_name(c.method) for c in run.config.contenders} & wanted)

    fit = [
        (run, records)
        for run, records in found
        if TABLES[1].takes(run.config.recipe) and shared(run) > 1 and any(_validated(record) for record in records)
    ]
    return sorted(fit, key=lambda pair: (-shared(pair[0]), -len(pair[0].config.contenders), pair[0].name))


def _validated(record: Record) -> bool:
    return record["kind"] == "point" and record.get("validation_error") is not None


def races(found: Found) -> str:
    """Figure 2 as a table: training and validation error of the first of `race_runs`, epoch by epoch."""
    command = f"Run it: `{TABLES[1].command}`"
    if not (fit := race_runs(found)):
        return f"No finished race of ours has baseline, DropBlock or CamDrop side by side.\n\n{command}"
    run, records = fit[0]
    points = [record for record in records if _validated(record)]
    epochs = sorted({round(r["epoch"]) for r in points}, reverse=True)
    epochs = epochs[:: -(-len(epochs) // _MOST_EPOCHS)][::-1]  # the last one among them
    lines = head("Training / validation error after epoch", *map(str, epochs))
    for contender in run.config.contenders:
        own = {round(r["epoch"]): r for r in points if r["contender"] == contender.name}
        cells = [f"{own[e]['train_error']:.1f} / {own[e]['validation_error']:.1f}" if e in own else "–" for e in epochs]
        lines.append(row(label(contender), *cells))
    note = f"**{run.name}**: {short_name(run.config.data)}, {run.config.recipe.model}, seed {run.config.recipe.seed}."
    return "\n".join([*lines, "", note, "", command])


def bound_runs(found: Found) -> list[tuple[Run, Sequence[Record]]]:
    """The races that measured gradient bounds while they trained."""
    return [(run, records) for run, records in found if run.config.bounds and _tense(records)]


def _tense(records: Sequence[Record]) -> dict[str, Record]:
    """By contender, the last point of its curves that has gradient bounds."""
    return {r["contender"]: r for r in records if r["kind"] == "point" and r.get("gradient_bound") is not None}


def tensions(found: Found) -> str:
    """What the races that measured gradient bounds ended with, as a table for each."""
    parts = []
    for run, records in bound_runs(found):
        last, recipe = _tense(records), run.config.recipe
        note = f"after {next(iter(last.values()))['epoch']:g} epochs of {short_name(run.config.data)}, {recipe.model}"
        lines = [f"**{run.name}**, {note}: means over eight held-out images, at the end of each stage.", ""]
        lines += head("Trained with", "Bound with its mask", "Without", "Saturated units", "Validation error")
        for contender in (c for c in run.config.contenders if c.name in last):
            r = last[contender.name]
            numbers = (f"{r['gradient_bound']:.2f}", f"{r['unmasked_bound']:.2f}", f"{100 * r['saturated']:.1f} %")
            lines.append(row(label(contender), *numbers, f"{r['validation_error']:.1f}"))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _crossing(found: Found) -> str:
    """In how many races CamDrop learns less by heart than DropBlock, as Figure 2 draws it."""
    held, total = 0, 0
    for run, records in race_runs(found):
        rows = {method_name(r.contender.method): r for r in reversed(results(run, records))}
        a, b = rows.get("camdrop"), rows.get("dropblock")
        if a is None or b is None or None in (a.train_error, a.validation_error, b.train_error, b.validation_error):
            continue
        total += 1
        held += a.train_error > b.train_error and a.validation_error < b.validation_error  # type: ignore[operator]
    return f"both in {held} of {total} races" if total else ""


def _saturation(run: Run, records: Sequence[Record]) -> str:
    last = _tense(records)
    shares = (f"{label(c)} {100 * last[c.name]['saturated']:.0f} %" for c in run.config.contenders if c.name in last)
    return f"{run.name}: {', '.join(shares)}"


def sweeps(folders: Sequence[Path]) -> str:
    """Figure 4 as numbers: the validation errors of the sweeps in the folders."""
    parts = [sweep_table(found) for found in find_sweeps(folders)] or ["No sweep of ours is recorded yet."]
    return "\n\n".join([*parts, f"Run it: `{SWEEP_COMMAND}`"])


def find_sweeps(folders: Sequence[Path]) -> list[Sweep]:
    """The sweeps in the folders that have cells, of each folder those on the paper's MNIST first."""
    found = [
        sorted(list_sweeps(place), key=lambda sweep: (short_name(sweep.plan.data) != "mnist", sweep.folder.name))
        for place in places(folders, "sweeps")
    ]
    return [sweep for sweeps in found for sweep in sweeps if sweep.cells]


def sweep_table(found: Sweep) -> str:
    """A sweep's validation errors in percent, and what they say of the paper's claim."""
    plan = found.plan
    heads = [f"{keep:g}" for keep in plan.keep_probs]
    lines = [f"**{found}.** {found.verdict()}", "", row("lr \\ γ", *heads), row("--:", *("--:" for _ in heads))]
    for rate in plan.learning_rates:
        lines.append(row(f"{rate:g}", *(str(found.cells.get((rate, keep), "–")) for keep in plan.keep_probs)))
    return "\n".join(lines)


def markdown_report(folders: Sequence[Path]) -> str:
    """The whole report."""
    found = find(folders)
    parts = [f"# {TITLE}", PROTOCOL, overview(folders, found), WHY]
    for section in sections(folders, found):
        parts += [f'<a id="{section.anchor}"></a>', f"## {section.title}", section.body]
    return "\n\n".join(parts) + "\n"
