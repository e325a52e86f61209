"""What races recorded while they trained, as Markdown: Figure 2, and gradient bounds (Eq. 13–16, section 3.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from camdrop.analysis.seeds import paired_by_seed
from camdrop.data import short_name
from camdrop.data.text import markdown_text
from camdrop.figures.numbers import percent
from camdrop.masks import CamDrop
from camdrop.report.cells import Setting, variant_of
from camdrop.report.finished import Found
from camdrop.report.paper_tables import TABLES
from camdrop.report.result_files import head, row
from camdrop.report.verdicts import Verdict, verdict
from camdrop.runs import Run
from camdrop.runs.records import Record, Result, label, turned
from camdrop.training.config import method_name

_MOST_EPOCHS = 8  # columns of Figure 2 as a table
_MOST_CURVES = 10
_TENSE = ("gradient_bound", "unmasked_bound", "saturated")


def race_runs(found: Found) -> list[tuple[Run, Sequence[Record]]]:
    """The races of Figure 2: those with validation errors of two or more of its three networks, no knobs turned.

    The fullest come first, but for those with more curves than can be told apart.
    """
    wanted = {"baseline", "dropblock", "camdrop"}

    def shared(run: Run) -> int:
        return len({method_name(c.method) for c in run.config.contenders} & wanted)

    fit = [
        (run, records)
        for run, records in found
        if TABLES[1].takes(run.config.recipe)
        and shared(run) > 1
        and not turned(records)
        and any(_validated(record) for record in records)
    ]
    sizes = {run.folder: len(run.config.contenders) for run, _ in fit}
    return sorted(
        fit, key=lambda p: (-shared(p[0]), sizes[p[0].folder] > _MOST_CURVES, -sizes[p[0].folder], p[0].name)
    )  # fmt: skip


def _validated(record: Record) -> bool:
    return record["kind"] == "point" and all(record.get(name) is not None for name in _ERRORS)


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
    data, recipe = markdown_text(short_name(run.config.data)), run.config.recipe
    note = f"**{markdown_text(run.name)}**: {data}, {recipe.model}, seed {recipe.seed}."
    return "\n".join([*lines, "", note, "", command])


def bound_runs(found: Found) -> list[tuple[Run, Sequence[Record]]]:
    """The races that measured gradient bounds while they trained, and whose knobs nobody turned."""
    return [(run, records) for run, records in found if run.config.bounds and _tense(records) and not turned(records)]


def _tense(records: Sequence[Record]) -> dict[str, Record]:
    """By contender, the last point of its curves that has gradient bounds."""
    tense = (r for r in records if r["kind"] == "point" and all(r.get(name) is not None for name in _TENSE))
    return {r["contender"]: r for r in tense}


def tensions(found: Found) -> str:
    """What the races that measured gradient bounds ended with, as a table for each."""
    parts = []
    for run, records in bound_runs(found):
        last, recipe, data = _tense(records), run.config.recipe, markdown_text(short_name(run.config.data))
        note = f"after {next(iter(last.values()))['epoch']:g} epochs of {data}, {recipe.model}"
        lines = [
            f"**{markdown_text(run.name)}**, {note}: means over eight held-out images, at the end of each stage.",
            "",
        ]
        lines += head("Trained with", "Bound with its mask", "Without", "Saturated units", "Validation error")
        for contender in (c for c in run.config.contenders if c.name in last):
            r = last[contender.name]
            numbers = (f"{r['gradient_bound']:.2f}", f"{r['unmasked_bound']:.2f}", percent(r["saturated"], ".1f"))
            error = r.get("validation_error")
            lines.append(row(label(contender), *numbers, "–" if error is None else f"{error:.1f}"))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def crossing(found: Found) -> str:
    """In how many races CamDrop learns less by heart than DropBlock, as Figure 2 draws it."""
    held, total, fit = 0, 0, {run.folder for run, _ in race_runs(found)}
    for _, all_results in (pair for pair in found.results if pair[0].folder in fit):
        rows = {method_name(r.contender.method): r for r in reversed(all_results)}
        a, b = rows.get("camdrop"), rows.get("dropblock")
        if a is None or b is None or None in (a.train_error, a.validation_error, b.train_error, b.validation_error):
            continue
        total += 1
        held += a.train_error > b.train_error and a.validation_error < b.validation_error  # type: ignore[operator]
    return f"both in {held} of {total} races" if total else ""


def crossing_verdicts(found: Found) -> list[Verdict]:
    """For each setting and variant of CamDrop, whether both halves of what Figure 2 claims hold over the seeds."""
    guided: dict[tuple[Setting, str], dict[int, Result]] = {}
    blocks: dict[Setting, dict[int, Result]] = {}
    for run, rows in found.results:
        recipe = run.config.recipe
        setting = Setting(run.config.data, dataclasses.replace(recipe, seed=0))
        for r in (r for r in rows if TABLES[1].takes(recipe) and r.train_error is not None and _usual(r)):
            method = r.contender.method
            if method_name(method) == "dropblock" and r.validation_error is not None:
                blocks.setdefault(setting, {})[recipe.seed] = r
            elif isinstance(method, CamDrop) and r.validation_error is not None and method.label != "random":
                variant = variant_of(r.contender, readings=True)
                words = f"{variant}, all channels" if method.channels == "all" else str(variant)
                guided.setdefault((setting, words), {})[recipe.seed] = r
    said = []
    for (setting, words), ours in guided.items():
        if theirs := blocks.get(setting):
            more, fewer = (paired_by_seed(_by_seed(ours, name), _by_seed(theirs, name)) for name in _ERRORS)
            seeds = len(ours.keys() & theirs)
            said.append(Verdict(verdict([-more if more else None, fewer]), setting.words, words, seeds))
    return said


_ERRORS = ("train_error", "validation_error")


def _usual(r: Result) -> bool:
    """Whether a contender has the sites and the schedule of the paper, and is none of its ablations of CamDrop."""
    c, m = r.contender, r.contender.method
    if c.schedule != "constant" or c.stages or c.kinds:
        return False
    if not isinstance(m, CamDrop):
        return True
    read_as_in_the_paper = (m.reading, m.position_fraction) == ("paper", None)
    return m.guide == "cam" and m.channel_fraction == 1 / 8 and (m.channels == "dominant" or not read_as_in_the_paper)


def _by_seed(rows: dict[int, Result], name: str) -> dict[int, float]:
    return {seed: getattr(r, name) for seed, r in rows.items()}


def saturation(found: Found) -> str:
    """The share of saturated units at the end of each race that measured it."""
    said = []
    for run, records in bound_runs(found):
        last = _tense(records)
        shares = (
            f"{label(c)} {percent(last[c.name]['saturated'], '.0f')}" for c in run.config.contenders if c.name in last
        )
        said.append(f"{markdown_text(run.name)}: {', '.join(shares)}")
    return "; ".join(said)


def saturation_verdicts(found: Found) -> list[Verdict]:
    """For each setting, whether CamDrop's networks have fewer saturated units than the baseline's, over the seeds."""
    grouped: dict[Setting, dict[str, dict[int, float]]] = {}
    for run, records in bound_runs(found):
        setting, last = Setting(run.config.data, dataclasses.replace(run.config.recipe, seed=0)), _tense(records)
        for c in run.config.contenders:
            if c.name in last and method_name(c.method) in ("baseline", "camdrop"):
                by_seed = grouped.setdefault(setting, {}).setdefault(label(c), {})
                by_seed[run.config.recipe.seed] = last[c.name]["saturated"]
    return [
        Verdict(verdict([paired_by_seed(ours, shares["Baseline"])]), setting.words, name, len(ours))
        for setting, shares in grouped.items() if "Baseline" in shares
        for name, ours in shares.items() if name != "Baseline"
    ]  # fmt: skip
