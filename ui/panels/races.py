"""Runs as the pages Race and Runs show them: where they are, how they stand, what one can do with them."""

from __future__ import annotations

import contextlib
import html
import io
import threading
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from camdrop import runs
from camdrop.figures import method_css
from camdrop.report import curves
from camdrop.report.curves import Curve
from camdrop.runs import Run, RunError, scheduler
from camdrop.runs.records import Follower, Record, Result, Spread, command, label, metrics_csv, results, same_but_seed
from camdrop.training.config import method_name
from ui.choosers.run_checkpoints import PREFIX

STATES = {"queued": "waiting", "running": "running", "stopped": "stopped", "finished": "finished", "failed": "failed"}


@st.cache_resource(max_entries=64)
def _follower(folder: Path) -> tuple[Follower, threading.Lock]:
    return Follower(folder), threading.Lock()


def records(run: Run) -> list[Record]:
    """What a run has recorded; only what is new is read. RunError where its records are damaged."""
    follower, lock = _follower(run.folder)
    with lock:
        return follower.update()


def alike(run: Run) -> list[tuple[Run, list[Record]]]:
    """The finished runs beside `run`, itself among them, that differ from it at most in the seed."""
    found = []
    for other in runs.list_runs(run.folder.parent):
        if other.state == "finished" and same_but_seed(run.config, other.config):
            with contextlib.suppress(RunError):
                found.append((other, records(other)))
    return found


def curves_of(run: Run, prefix: str = "") -> list[Curve]:
    """The curves of a run's contenders, named as people know them."""
    return curves.curves_of(run, records(run), prefix)


def duration(seconds: float) -> str:
    """A time for people: `0:42`, `12:05`, `3 h 20 min`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def progress(run: Run) -> str:
    """State, progress bar, time spent and time left, as HTML."""
    share = run.step / run.total if run.total else 0.0
    words = [f"<b>{STATES[run.state].capitalize()}</b>"]
    if run.state == "running" and not run.step:
        words.append(html.escape(run.message or "starting"))
    if run.total:
        words.append(f"step {run.step:,} of {run.total:,}")
    if run.seconds:
        words.append(f"{duration(run.seconds)} so far" if run.state == "running" else duration(run.seconds))
    if run.state == "running" and run.seconds_left is not None:
        words.append(f"{duration(run.seconds_left)} left")
    style = "width:100%;height:0.6rem;accent-color:#2a8fb0"
    bar = f'<progress value="{share:.4f}" max="1" aria-label="Progress" style="{style}"></progress>'
    return f'<div style="font-variant-numeric:tabular-nums">{" · ".join(words)}{bar}</div>'


def table(rows: Sequence[Result], spreads: dict[str, Spread]) -> str:
    """How the contenders stand, as an HTML table."""
    ended = any(row.test_error is not None for row in rows)
    heads = ["Contender", "Training error", "Validation error", "Gap", "Share dropped", "Images / s", "Time"]
    heads[1:1] = ["Test error"] if ended else []
    heads += ["Test error over seeds"] if any(str(s) for s in spreads.values()) else []
    body = []
    for row in rows:
        method = row.contender.method
        color = method_css(method_name(method))
        name = (
            f'<span style="color:{color}">⬤</span>&ensp;{html.escape(label(row.contender))}'
            + (f'<br><small class="ended">{html.escape(row.ended)}</small>' if row.ended else "")
        )  # fmt: skip
        wanted = "" if method is None else f" <small>1 − γ: {100 * (1 - method.keep_prob):.3g} %</small>"
        cells = [name, _percent(row.train_error), _percent(row.validation_error)]
        cells[1:1] = [f"<b>{_percent(row.test_error)}</b>"] if ended else []
        cells += [
            "–" if row.gap is None else f"{row.gap:+.2f}",
            "–" if row.dropped is None or method is None else f"{100 * row.dropped:.3g} %{wanted}",
            "–" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
            duration(row.seconds) if row.seconds else "–",
        ]
        if heads[-1] == "Test error over seeds":
            cells.append(str(spreads.get(row.contender.name, "")) or "–")
        body.append("".join(f"<td>{cell}</td>" for cell in cells))
    head = "".join(f"<th>{h}</th>" for h in heads)
    return f'{_STYLE}<div class="race"><table><tr>{head}</tr><tr>{"</tr><tr>".join(body)}</tr></table></div>'


_STYLE = """<style>
.race { overflow-x: auto; }
.race table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.race th, .race td { padding: 0.3rem 0.7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.race th { font-weight: 600; font-size: 0.85rem; opacity: 0.75; }
.race th:first-child, .race td:first-child { text-align: left; padding-left: 0; }
.race small { opacity: 0.7; }
.race .ended { color: #d0442c; opacity: 1; }
</style>"""


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def manage(run: Run, *, key: str | None) -> None:
    """Stop, resume, rename, delete, download; `key` is that of a widget that holds the run's name, if there is one."""
    own, busy = f".{run.name}", run.state == "running"
    why = "Stop it first" if busy else None
    if run.state in ("running", "queued"):
        st.button("Stop", icon=":material/stop:", key="stop" + own, on_click=attempt, args=(runs.stop, run.folder))
    elif run.state in ("stopped", "failed"):
        st.button(
            "Resume", icon=":material/play_arrow:", key="resume" + own, on_click=attempt, args=(resume, run.folder)
        )
    with st.popover("Rename", icon=":material/edit:", disabled=busy, help=why, key="rename" + own):
        name = st.text_input("New name", run.name, key="name" + own, max_chars=80)
        st.button("Rename", key="rename.go" + own, on_click=attempt, args=(_rename, run, name.strip(), key))
    with st.popover("Delete", icon=":material/delete:", disabled=busy, help=why, key="delete" + own):
        st.write(f"Delete {run.name} with its checkpoints?")
        st.button("Delete for good", type="primary", key="delete.go" + own, on_click=attempt, args=(_delete, run, key))
    with st.popover("Take away", icon=":material/download:", key="take" + own):
        downloads(run)


def attempt(act: Callable[..., object], *args: Any) -> None:
    """Do it: a callback; what cannot be done is a sentence on the page (`race.problem`)."""
    try:
        act(*args)
    except (RunError, OSError) as error:
        st.session_state["race.problem"] = str(error)


def resume(folder: Path) -> None:
    """Put a run back on the waiting list, and start it if there is room."""
    scheduler.submit(folder)
    scheduler.launch(folder.parent)


def _rename(run: Run, name: str, key: str | None) -> None:
    if name != run.name:
        new = runs.rename(run.folder, name).name
        if key:
            st.session_state[key] = new


def _delete(run: Run, key: str | None) -> None:
    runs.delete(run.folder)
    if key:
        st.session_state.pop(key, None)


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
        "progress": [1.0 if run.state == "finished" else run.step / run.total if run.total else 0.0 for run in listed],
        "Best": [label(row.contender) if row else "" for row in best],
        "Its error (%)": [row and row.error for row in best],
        "Contenders": [", ".join(label(c) for c in run.config.contenders) for run in listed],
        "Data set": [run.config.data for run in listed],
        "Network": [run.config.recipe.model for run in listed],
        "Seed": [run.config.recipe.seed for run in listed],
        "Time": [duration(run.seconds) for run in listed],
        "started": [datetime.fromtimestamp((run.folder / "config.json").stat().st_mtime) for run in listed],
    }


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
            for path in [run.folder / "config.json", *sorted(run.folder.glob("*/*.safetensors"))]:
                archive.write(path, Path(run.name) / path.relative_to(run.folder))
        return out.getvalue()

    name = run.name
    st.download_button("Checkpoints (ZIP)", checkpoints, f"{name}.zip", icon=":material/folder_zip:", on_click="ignore")
    st.download_button(
        "Metrics (CSV)", lambda: metrics_csv(records(run)), f"{name}.csv", icon=":material/table:", on_click="ignore"
    )
    st.download_button(
        "Configuration (JSON)", run.config.to_json, f"{name}.json", icon=":material/data_object:", on_click="ignore"
    )
    st.caption("The same again, from the command line:")
    st.code(command(run.config, f"runs/{name} again"), language="bash", wrap_lines=True)


def links(run: Run) -> None:
    """To the other pages, with the checkpoints of this run."""
    names = [c.name for c in run.config.contenders if (run.folder / c.name / "best.safetensors").exists()]
    if not names:
        return
    ids = [f"{PREFIX}{run.name}/{name}" for name in names]
    guided = next((i for i in ids if "camdrop" in i.rpartition("/")[2]), ids[-1])
    with st.container(horizontal=True):
        st.page_link(
            "pages/explore.py", label="Open in Explore", icon=":material/image_search:",
            query_params=[("checkpoints", i) for i in ids[:4]],
        )  # fmt: skip
        st.page_link(
            "pages/mask_lab.py", label="Open in the mask lab", icon=":material/layers:",
            query_params={"checkpoint": guided},
        )  # fmt: skip
