"""Runs as the pages Race and Runs show them: where they are, how they stand."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from camdrop import runs
from camdrop.figures import method_css
from camdrop.figures.numbers import NBSP, in_percent, number, percent, unbroken
from camdrop.masks import CamDrop
from camdrop.report import curves
from camdrop.report.curves import Curve
from camdrop.runs import Run, RunError, scheduler
from camdrop.runs.records import (
    Follower,
    Record,
    Result,
    Spread,
    command,
    label,
    metrics_csv,
    results,
    same_but_seed,
    short_names,
    turned,
)
from camdrop.runs.seeds import paired_test, reference
from camdrop.runs.sweep import Sweep
from camdrop.training.config import Contender, method_name
from ui.choosers.run_checkpoints import PREFIX
from ui.fragments import prepared
from ui.words import literal

STATES = {"queued": "waiting", "running": "running", "stopped": "stopped", "finished": "finished", "failed": "failed"}
_FORMATS: dict[str, Callable[[float], str]] = {
    "Test error": lambda error: f"**{in_percent(error, '.2f')}**",
    "Training error": lambda error: in_percent(error, ".2f"),
    "Validation error": lambda error: in_percent(error, ".2f"),
    "Gap": lambda gap: unbroken(f"{number(gap, '+.2f')} points"),
    "Share dropped": lambda share: in_percent(share, ".3g"),
    "1 − γ": lambda share: in_percent(share, ".3g"),
    "Images / s": lambda rate: number(rate, ",.0f"),
}


@st.cache_resource(max_entries=64)
def _follower(folder: Path) -> tuple[Follower, threading.Lock]:
    return Follower(folder), threading.Lock()


def records(run: Run) -> list[Record]:
    """What a run has recorded; only what is new is read. RunError where its records are damaged."""
    follower, lock = _follower(run.folder)
    with lock:
        return follower.update()


def relatives(run: Run) -> list[Run]:
    """The runs beside `run`, itself among them, that differ from it at most in the seed; in the order of seeds.

    A run that is not finished, or whose knobs were turned, stands alone.
    """
    if run.state != "finished" or _turned(run):
        return [run]
    found = [other for other in runs.list_runs(run.folder.parent) if same_but_seed(run.config, other.config)]
    return sorted(found, key=lambda other: (other.config.recipe.seed, other.name))


def under_way(found: Sequence[Run]) -> bool:
    """Whether any of the runs is running or waiting."""
    return any(run.state in ("running", "queued") for run in found)


def finished(found: Sequence[Run]) -> list[tuple[Run, list[Record]]]:
    """Those of the runs that are finished and readable, with their records."""
    whole = []
    for run in found:
        if run.state == "finished":
            with contextlib.suppress(RunError):
                whole.append((run, records(run)))
    return whole


def seeds(run: Run, found: Sequence[Run]) -> None:
    """How the other seeds of a race stand, with a link to each."""
    for other in found:
        if other.name != run.name:
            share = f" {percent(other.step / other.total, '.0f')}" if other.state == "running" and other.total else ""
            st.page_link(
                "pages/race.py", label=f"Seed {other.config.recipe.seed}: {STATES[other.state]}{share}",
                icon=":material/flag:", query_params={"run": other.name},
            )  # fmt: skip


def curves_of(run: Run, prefix: str = "") -> list[Curve]:
    """The curves of a run's contenders, named as people know them."""
    return curves.curves_of(run, records(run), prefix)


def duration(seconds: float) -> str:
    """A time for people: `0:42`, `12:05`, `3 h 20 min`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def state_words(run: Run | Sweep) -> str:
    """`Running`, or `Waiting, number 2 in the queue`."""
    words = STATES.get(run.state, run.state).capitalize()
    if run.state != "queued":
        return words
    queue = scheduler.waiting(run.folder.parent)
    return f"{words}, number {queue.index(run.folder) + 1} in the queue" if run.folder in queue else words


def progress(run: Run) -> None:
    """State, progress bar, time spent and time left."""
    words = [f"**{state_words(run)}**"]
    if run.state == "running" and not run.step:
        words.append(literal(run.message or "starting"))
    if run.total:
        words.append(f"step {run.step:,} of {run.total:,}")
    if run.seconds:
        words.append(f"{duration(run.seconds)} so far" if run.state == "running" else duration(run.seconds))
    if run.state == "running" and run.seconds_left is not None:
        words.append(f"{duration(run.seconds_left)} left")
    guessed = {c.name: name for c, name in short_names(run.config.contenders).items()}.get(run.guess)
    if guessed and run.state != "finished":
        words.append(f"guess: {literal(guessed)}")
    st.progress(min(run.step / run.total, 1.0) if run.total else 0.0, " · ".join(words))


def table(rows: Sequence[Result], spreads: Mapping[str, Spread]) -> None:
    """How the contenders stand, with their test errors as soon as there are some, and over seeds."""
    methods = [row.contender.method for row in rows]
    numbers = {
        "Test error": [row.test_error for row in rows],
        "Training error": [row.train_error for row in rows],
        "Validation error": [row.validation_error for row in rows],
        "Gap": [row.gap for row in rows],
        "Share dropped": [None if m is None else row.dropped for m, row in zip(methods, rows, strict=True)],
        "1 − γ": [None if m is None else 1 - m.keep_prob for m in methods],
        "Images / s": [row.images_per_second for row in rows],
    }
    frame = pd.DataFrame(numbers, dtype=float)
    frame[["Share dropped", "1 − γ"]] *= 100
    if frame["Test error"].isna().all():
        del frame["Test error"]
    frame.insert(0, "Contender", [_contender(row) for row in rows])
    if len(frame) > 1 and any(len(spread.errors) > 1 for spread in spreads.values()):
        _insert_seeds(frame, [row.contender for row in rows], spreads)
    frame["Time"] = [duration(row.seconds) if row.seconds else "–" for row in rows]
    formats = {head: how for head, how in _FORMATS.items() if head in frame}
    st.table(frame.style.format(formats, na_rep="–"), hide_index=True, border="horizontal")
    st.caption("Gap: validation minus training error. Share dropped: what masks really drop, beside 1 − γ.")


def _insert_seeds(frame: pd.DataFrame, contenders: Sequence[Contender], spreads: Mapping[str, Spread]) -> None:
    """Put the test errors over seeds into the table, and how each differs from the baseline's in a paired t-test."""
    own, base = [spreads.get(c.name, Spread()) for c in contenders], reference(contenders)
    tests = [paired_test(spread, spreads.get(base.name, Spread())) for spread in own]
    at = 2 if "Test error" in frame else 1
    frame.insert(at, "Over seeds", [unbroken(f"**{spread}**" if str(spread) else "–") for spread in own])
    frame.insert(
        at + 1,
        f"To {short_names(contenders)[base]} (paired t-test)",
        ["–" if c == base or test is None else unbroken(f"{test} (n = {test.n})")
         for c, test in zip(contenders, tests, strict=True)],
    )  # fmt: skip


def _contender(row: Result) -> str:
    """A contender in the colour of its method, and why it ended, as Markdown."""
    color = method_css(method_name(row.contender.method))
    name = f':color[⬤]{{foreground="{color}"}}{NBSP}{_whole(literal(row.name))}'
    return name + (f"  \n:small[:red[{literal(row.ended)}]]" if row.ended else "")


def _whole(name: str) -> str:
    """A contender's name whose method, γ and r stay on one line, so that the column of a phone is wide enough."""
    return re.sub(r" (γ|r) (?=[\d.])", rf"{NBSP}\1{NBSP}", name)


def matches(run: Run, words: str) -> bool:
    """Whether all of the words are in what a run is."""
    recipe = run.config.recipe
    parts = [run.name, run.config.data, recipe.model, run.state, f"seed {recipe.seed}"]
    text = " ".join([*parts, *(label(c) for c in run.config.contenders)]).lower()
    return all(word in text for word in words.lower().split())


def overview(listed: Sequence[Run]) -> dict[str, list[Any]]:
    """The table of runs, by columns."""
    best = [_best(run) for run in listed]
    return {
        "Name": [run.name for run in listed],
        "State": [STATES[run.state] for run in listed],
        "progress": [100.0 * (run.state == "finished" or (run.step / run.total if run.total else 0)) for run in listed],
        "Best": [row.name if row else "" for row in best],
        "Its error (%)": [row and row.error for row in best],
        "Contenders": [", ".join(_names(run)) for run in listed],
        "Data set": [run.config.data for run in listed],
        "Network": [run.config.recipe.model for run in listed],
        "Seed": [run.config.recipe.seed for run in listed],
        "Time": [duration(run.seconds) for run in listed],
        "started": [datetime.fromtimestamp((run.folder / "config.json").stat().st_mtime) for run in listed],
    }


def _names(run: Run) -> list[str]:
    """The contenders of a run for people, with the knobs that were turned."""
    knobs = _turned(run)
    return [label(c, knobs.get(c.name)) for c in run.config.contenders]


def _turned(run: Run) -> dict[str, dict[str, float]]:
    """The knobs that were turned, by contender; none that are known where the records are damaged."""
    try:
        return turned(records(run))
    except RunError:
        return {}


def _best(run: Run) -> Result | None:
    """The contender with the least test error, or validation error where there is none yet."""
    try:
        rows = results(run, records(run))
    except RunError:
        return None
    known = [(row.error, row) for row in rows if row.error is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def downloads(run: Run) -> None:
    """Checkpoints, metrics, configuration, and the command that repeats the run."""

    def checkpoints() -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            kept = [run.folder / name for name in ("config.json", "knobs.json") if (run.folder / name).exists()]
            for path in [*kept, *sorted(run.folder.glob("*/*.safetensors"))]:
                archive.write(path, Path(run.name) / path.relative_to(run.folder))
        return out.getvalue()

    knobs = _turned(run)
    name = run.name + (" knobs turned" if knobs else "")
    for title, make, suffix, icon in (
        ("Checkpoints (ZIP)", checkpoints, "zip", "folder_zip"),
        ("Metrics (CSV)", lambda: metrics_csv(records(run)), "csv", "table"),
        ("Configuration (JSON)", run.config.to_json, "json", "data_object"),
    ):
        st.download_button(title, prepared(make), f"{name}.{suffix}", icon=f":material/{icon}:", on_click="ignore")
    st.caption("The same again, from the command line:")
    st.code(command(run.config, f"runs/{run.name} again", knobs), language="bash", wrap_lines=True)


def links(run: Run, rows: Sequence[Result]) -> None:
    """To the other pages, with the checkpoints of this run; to the mask lab with the one that has most to show."""
    there = [row for row in rows if (run.folder / row.contender.name / "best.safetensors").exists()]
    if not there:
        return
    ids = [f"{PREFIX}{run.name}/{row.contender.name}" for row in there]
    most = max(there, key=lambda row: (isinstance(row.contender.method, CamDrop), row.dropped or 0))
    with st.container(horizontal=True):
        st.page_link(
            "pages/explore.py", label="Open in Explore", icon=":material/image_search:",
            query_params=[("checkpoints", i) for i in ids[:4]],
        )  # fmt: skip
        st.page_link(
            "pages/mask_lab.py", label="Open in the mask lab", icon=":material/layers:",
            query_params={"checkpoint": ids[there.index(most)], "training": "true"},  # with its own γ, r and reading
        )  # fmt: skip
