"""The parts of the page Results that are drawn live: Figures 2–4, and gradient bounds while training.

A choice in one of them runs nothing else of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from camdrop.data import DataError
from camdrop.report import SWEEP_COMMAND, bound_runs, find_sweeps, race_runs
from camdrop.report.curves import MEASURES, curves_of
from camdrop.report.finished import Found
from camdrop.report.html import SHEET_WORDS, sheet
from ui.choosers.checkpoint import choose_checkpoints
from ui.choosers.select import select
from ui.components.curves import curves
from ui.panels import sweeps


@st.fragment
def figure_2(found: Found) -> bool:
    """Training error left, validation error right; False where there is no race to draw."""
    runs = {run.name: (run, records) for run, records in race_runs(found)}
    if not runs:
        st.page_link("pages/race.py", label="Start a race", icon=":material/flag:")
        return False
    name = select("Race", list(runs), key="figure2", width=520)
    curves(curves_of(*runs[name]), list(MEASURES)[:2], key="results.curves", log=False, keep=name)
    return True


def while_training(found: Found) -> None:
    """Gradient bounds and saturated units of the last race that measured them."""
    if runs := bound_runs(found):
        run, records = runs[-1]
        curves(curves_of(run, records), ["Gradient bound", "Saturated units"], key="results.bounds", keep=run.name)


@st.fragment
def figure_3() -> None:
    """The contact sheet of some checkpoints that look at the same kind of images."""
    chosen = choose_checkpoints("Checkpoints", key="figure3")
    if not chosen:
        return
    try:
        picture, names = sheet(chosen)
    except DataError as error:
        st.info(str(error), icon=":material/image:")
        return
    st.image(picture, output_format="PNG", width="stretch")
    st.caption(SHEET_WORDS.format("; ".join(names)))


@st.fragment
def figure_4(folders: Sequence[Path]) -> bool:
    """Both views of one of the sweeps, and what it says of the paper's claim; False where there is none."""
    names = {f"{sweep.folder.name}: {sweep}": sweep for sweep in find_sweeps(folders)}
    if not names:
        st.page_link("pages/sweep.py", label="Start a sweep", icon=":material/grid_on:")
        return False
    shown = names[select("Sweep", list(names), key="figure4", width=720)]
    st.markdown(f"The paper: up to a rate of 1 all learn, from 10 on none, and masks save some. {shown.verdict()}")
    sweeps.figures(shown, "Validation error")
    st.markdown(f"Run it: `{SWEEP_COMMAND}`")
    return True
