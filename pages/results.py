"""Results: the paper's tables and figures, and ours beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.entry import through_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from camdrop.experiments import Found
    from camdrop.report import Section

through_app()

HOW = """
Every finished run is put into the tables by its configuration: data set, network, budget and recipe make a column,
method and options a row, seeds what stands behind ±. Runs that come with CamDrop Lab are in `results/`, your own in
`runs/`. The same as a file: `python -m camdrop report --out report.html`.

**Readings.** The paper's equations and its public code differ in how often a block is dropped, and the difference is
large: the mask lab explains *paper*, *official* and *matched*. The row *+ CamDrop* is the reading *paper*; other
readings stand below it.

**In the paper's order**: of each two rows of a column, the better one is the one that the paper has as the better one.
With a single seed and a small budget, neighbours of half a point say nothing.
"""


@st.fragment
def page() -> None:
    with st.spinner("Loading PyTorch …"):
        from camdrop import report, report_page
        from ui.run_checkpoints import root

    folders = [report.SHIPPED, root()]
    found = report.find(folders)
    st.html("<style>.stMarkdown table { display: block; overflow-x: auto; }</style>")  # wider than a phone
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link("pages/five_methods.py", label="Figure 1: five ways to drop", icon=":material/view_in_ar:")
        st.download_button(
            "Report (HTML)", lambda: report_page.page(folders), "report.html", icon=":material/html:",
            on_click="ignore", help="This page as a file, with its pictures",
        )  # fmt: skip
        st.download_button(
            "Report (Markdown)", lambda: report.markdown(folders), "report.md", icon=":material/markdown:",
            on_click="ignore", help="Its tables, for a repository or a paper",
        )  # fmt: skip
    st.markdown(report.overview(folders, found))
    st.markdown(report.WHY)
    st.info(report.PROTOCOL, icon=":material/balance:")
    for row in _rows(report.sections(folders, found)):
        for column, section in zip(st.columns(len(row), gap="large"), row, strict=True):
            with column:
                show(section, folders, found)


def _rows(sections: Sequence[Section]) -> Iterator[list[Section]]:
    """Sections that stand beside each other."""
    waiting: list[Section] = []
    for section in sections:
        waiting.append(section)
        if not section.half or len(waiting) == 2:
            yield waiting
            waiting = []


def show(section: Section, folders: Sequence[Path], found: Found) -> None:
    """A table or figure; what is drawn live has its place above the numbers."""
    st.subheader(section.title, anchor=section.anchor)
    if section.anchor == "figure-2" and figure_2(found):
        with st.expander("The numbers", icon=":material/table:"):
            st.markdown(section.body)
        return
    if section.anchor == "figure-3":
        figure_3()
    elif section.anchor == "equation-16":
        while_training(found)
        st.page_link("pages/gradients.py", label="Measure it for any checkpoint", icon=":material/ssid_chart:")
    elif section.anchor == "figure-4" and figure_4(folders):
        return
    st.markdown(section.body)


def figure_2(found: Found) -> bool:
    """Training error left, validation error right; False where there is no race to draw."""
    from camdrop.race_figures import MEASURES, curves_of
    from camdrop.report import race_runs
    from ui.curves import curves

    runs = {run.name: (run, records) for run, records in race_runs(found)}
    if not runs:
        st.page_link("pages/race.py", label="Start a race", icon=":material/flag:")
        return False
    name = st.selectbox("Race", list(runs), key="figure2", bind="query-params", width=520)
    curves(curves_of(*runs[name]), list(MEASURES)[:2], key="results.curves", log=False, keep=name)
    return True


def while_training(found: Found) -> None:
    """Gradient bounds and saturated units of the last race that measured them."""
    from camdrop.race_figures import curves_of
    from camdrop.report import bound_runs
    from ui.curves import curves

    if runs := bound_runs(found):
        run, records = runs[-1]
        curves(curves_of(run, records), ["Gradient bound", "Saturated units"], key="results.bounds", keep=run.name)


def figure_3() -> None:
    """The contact sheet of some checkpoints that look at the same kind of images."""
    from camdrop.data import DataError
    from camdrop.report_page import SHEET_WORDS, sheet
    from ui.choose import choose_checkpoints

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


def figure_4(folders: Sequence[Path]) -> bool:
    """Both views of one of the sweeps, and what it says of the paper's claim; False where there is none."""
    from camdrop import report
    from ui import sweeps

    names = {f"{sweep.folder.name}: {sweep}": sweep for sweep in report.find_sweeps(folders)}
    if not names:
        st.page_link("pages/sweep.py", label="Start a sweep", icon=":material/grid_on:")
        return False
    shown = names[st.selectbox("Sweep", list(names), key="figure4", bind="query-params", width=720)]
    st.markdown(f"The paper: up to a rate of 1 all learn, from 10 on none, and masks save some. {shown.verdict()}")
    sweeps.figures(shown, "Validation error")
    st.markdown(f"Run it: `{report.SWEEP_COMMAND}`")
    return True


st.title("Results")
st.caption("What the paper reports, and what the same experiments say here.")
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
