"""The parts of the page Results that are drawn live: Figures 2–4, and gradient bounds while training.

Each is drawn when it is opened: pictures take most of the page's time. A choice in one runs nothing else of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from camdrop.data import DataError
from camdrop.report import bound_runs, find_sweeps, race_runs
from camdrop.report.curves import MEASURES, curves_of
from camdrop.report.finished import Found
from camdrop.report.html import SHEET_WORDS, sheet
from ui.choosers.checkpoint import choose_checkpoints
from ui.choosers.select import select
from ui.components.curves import curves
from ui.fragments import fragment
from ui.panels import sweeps
from ui.words import literal


@fragment
def draw(anchor: str, found: Found, folders: Sequence[Path]) -> None:
    """What there is to draw of a section, once it is opened; where a race or a sweep is missing, the way to one."""
    if anchor == "figure-2" and not race_runs(found):
        st.page_link("pages/race.py", label="Start a race", icon=":material/flag:")
    elif anchor == "figure-4" and not find_sweeps(folders):
        st.page_link("pages/sweep.py", label="Start a sweep", icon=":material/grid_on:")
    elif anchor in ("figure-2", "figure-3", "figure-4") or (anchor == "equation-16" and bound_runs(found)):
        words = "The curves" if anchor in ("figure-2", "equation-16") else "The picture"
        key = f"draw-{anchor}"
        box = st.expander(words, icon=":material/show_chart:", key=key, on_change="rerun", bind="query-params")
        if box.open:
            with box:
                _draw(anchor, found, folders)


def _draw(anchor: str, found: Found, folders: Sequence[Path]) -> None:
    if anchor == "figure-2":
        _figure_2(found)
    elif anchor == "figure-3":
        _figure_3()
    elif anchor == "figure-4":
        _figure_4(folders)
    else:
        _while_training(found)


def _figure_2(found: Found) -> None:
    """Training error left, validation error right."""
    runs = {run.name: (run, records) for run, records in race_runs(found)}
    name = select("Race", list(runs), key="figure2", width=520)
    curves(curves_of(*runs[name]), list(MEASURES)[:2], key="results.curves", log=False, keep=name)


def _while_training(found: Found) -> None:
    """Gradient bounds and saturated units of the last race that measured them."""
    run, records = bound_runs(found)[-1]
    curves(curves_of(run, records), ["Gradient bound", "Saturated units"], key="results.bounds", keep=run.name)


def _figure_3() -> None:
    """The contact sheet of some checkpoints that look at the same kind of images."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    chosen = choose_checkpoints("Checkpoints", key="figure3", row=row)
    if not chosen:
        return
    try:
        picture, names = sheet(chosen)
    except DataError as error:
        st.info(literal(error), icon=":material/image:")
        return
    st.image(picture, output_format="PNG", width="stretch")
    st.caption(SHEET_WORDS.format("; ".join(map(literal, names))))


def _figure_4(folders: Sequence[Path]) -> None:
    """Both views of one of the sweeps, and what it says of the paper's claim."""
    names = {f"{sweep.folder.name}: {sweep}": sweep for sweep in find_sweeps(folders)}
    shown = names[select("Sweep", list(names), key="figure4", width=720)]
    st.markdown(f"The paper: up to a rate of 1 all learn, from 10 on none, and masks save some. {shown.verdict()}")
    sweeps.figures(shown, "Validation error")
