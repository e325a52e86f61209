"""What one can do with a run: start, stop, resume, rename, delete it, and take it away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from camdrop import runs
from camdrop.runs import Run, RunError, scheduler
from ui import guests
from ui.choosers.run_checkpoints import root
from ui.fragments import callback
from ui.panels.races import downloads
from ui.words import literal


@callback
def change(folder: Path, act: Callable[..., object], *args: Any) -> None:
    """`act(folder, *args)` where this session may change the run in the folder."""
    if not guests.is_mine(folder):
        raise RunError(f"{folder.name} is somebody else's: only whoever started it can change it")
    act(folder, *args)


def begin(stem: str, make: Callable[[Path], None]) -> str:
    """Put a new run of this session on the waiting list, and start it if there is room; its name begins with `stem`.

    `make` writes the run into its folder. RunError where it cannot be started.
    """
    if problem := guests.memory_problem():
        raise RunError(problem)
    folder = _new_folder(stem)
    make(folder)
    guests.claim(folder)
    resume(folder)
    return folder.name


def _new_folder(stem: str) -> Path:
    """A folder that no other session has, also where many ask at once."""
    root().mkdir(parents=True, exist_ok=True)
    folder, n = root() / stem, 2
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            folder, n = root() / f"{stem} {n}", n + 1


def resume(folder: Path) -> None:
    """Put a run back on the waiting list, and start it if there is room."""
    scheduler.submit(folder)
    scheduler.launch(folder.parent)


def estimate(words: Callable[[], str]) -> None:
    """How long something takes here, which `words` measures, or the sentence of its ValueError."""
    with st.empty():
        try:
            with st.spinner("Measuring some real steps …"):
                said = words()
            st.markdown(said)
        except ValueError as error:
            st.error(literal(error), icon=":material/broken_image:")


def manage(run: Run, *, key: str | None) -> None:
    """Stop, resume, rename, delete, download; `key` is that of a widget that holds the run's name, if there is one."""
    own = f".{run.name}"
    if guests.is_mine(run.folder):
        _change(run, own, key)
    with st.popover("Take away", icon=":material/download:", key="take" + own):
        downloads(run)


def _change(run: Run, own: str, key: str | None) -> None:
    busy = run.state == "running"
    why = "Stop it first" if busy else None
    if run.state in ("running", "queued"):
        st.button("Stop", icon=":material/stop:", key="stop" + own, on_click=change, args=(run.folder, runs.stop))
    elif run.state in ("stopped", "failed"):
        st.button(
            "Resume", icon=":material/play_arrow:", key="resume" + own, on_click=change, args=(run.folder, resume)
        )
    with st.popover("Rename", icon=":material/edit:", disabled=busy, help=why, key="rename" + own):
        name = st.text_input("New name", run.name, key="name" + own, max_chars=80)
        st.button("Rename", key="rename.go" + own, on_click=change, args=(run.folder, _rename, name.strip(), key))
    with st.popover("Delete", icon=":material/delete:", disabled=busy, help=why, key="delete" + own):
        st.write(f"Delete {literal(run.name)} with its checkpoints?")
        st.button(
            "Delete for good", type="primary", key="delete.go" + own, on_click=change, args=(run.folder, _delete, key)
        )


def _rename(folder: Path, name: str, key: str | None) -> None:
    if name != folder.name:
        new = runs.rename(folder, name).name
        if key:
            st.session_state[key] = new


def _delete(folder: Path, key: str | None) -> None:
    runs.delete(folder)
    if key:
        st.session_state.pop(key, None)
