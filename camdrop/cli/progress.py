"""What the command line shows while it works: a bar for data, a live table for a race, plain lines in a pipe."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from camdrop.runs import load_run

_COLUMNS = {
    "epoch": "{:.1f}", "loss": "{:.4f}", "train_error": "{:.2f}%", "validation_error": "{:.2f}%", "dropped": "{:.2%}",
    "gradient_norm": "{:.2f}", "images_per_second": "{:.0f}/s",
}  # fmt: skip


@contextlib.contextmanager
def data_progress() -> Iterator[Callable[[str, float], None]]:
    """A progress callback that draws a bar on standard error for each thing that is done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=1.0)
            bar.update(tasks[what], completed=share)
            if share >= 1:
                bar.remove_task(tasks.pop(what))

        yield progress


@contextlib.contextmanager
def race_table(folder: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A listener that keeps a live table of the contenders, and leaves the table of results behind."""
    console = Console()
    bar = Progress(TextColumn("step {task.completed:.0f} of {task.total:.0f}"), BarColumn(), TimeRemainingColumn())
    task = bar.add_task("race", total=float("inf"))
    latest: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, Any]] = {}
    with Live(console=console, transient=True) if console.is_terminal else contextlib.nullcontext() as live:

        def listen(record: dict[str, Any]) -> None:
            name = record["contender"]
            if record["kind"] == "point":
                latest[name] = latest.get(name, {}) | {k: v for k, v in record.items() if v is not None}
            elif record["kind"] == "result":
                results[name] = record
            else:
                console.print(_plain(record), soft_wrap=True)
            if live is not None:
                bar.update(task, completed=record["step"], total=load_run(folder).total or float("inf"))
                live.update(Group(_table(latest), bar))
            elif "validation_error" in record and record["kind"] == "point":
                console.print(_plain(record), soft_wrap=True)

        yield listen
    if results:
        console.print(_results(results))
        console.print(f"Look at them: make app, then choose the run {folder.name} on the page Runs.")


def _cell(record: dict[str, Any], column: str) -> str:
    return _COLUMNS[column].format(record[column]).replace("%", " %") if record.get(column) is not None else "–"


def _plain(record: dict[str, Any]) -> str:
    if record["kind"] == "end":
        return f"{record['contender']} {record['reason']}"
    if record["kind"] == "knob":
        changes = {k: v for k, v in record.items() if k not in ("kind", "step", "epoch", "contender")}
        return f"{record['contender']} step {record['step']}: " + ", ".join(f"{k} = {v}" for k, v in changes.items())
    return f"{record['contender']:<16} " + "  ".join(f"{c.replace('_', ' ')} {_cell(record, c)}" for c in _COLUMNS)


def _table(latest: dict[str, dict[str, Any]]) -> Table:
    table = Table("contender", *(c.replace("_", " ") for c in _COLUMNS))
    for name, record in latest.items():
        table.add_row(name, *(_cell(record, column) for column in _COLUMNS))
    return table


def _results(results: dict[str, dict[str, Any]]) -> Table:
    table = Table("contender", "test error", "top-5", "validation error", "train error", "tested epoch")
    for name, r in results.items():
        errors = (r["test_error"], r["top5_error"], r["validation_error"], r["train_error"])
        table.add_row(name, *("–" if e is None else f"{e:.2f} %" for e in errors), str(r["best_epoch"]))
    return table
