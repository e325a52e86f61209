"""Results: the paper's tables and figures, and ours beside them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import streamlit as st

from ui.entry import through_app
from ui.fragments import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from camdrop.report import Section
    from camdrop.report.finished import Found

through_app()

HOW = """
Every finished run is put into the tables by its configuration: data set, network, budget and recipe make a column,
method and options a row, seeds what stands behind ±. Of CamDrop, each class that guides (*true*, as in the paper, or
*predicted*) has a column of its own, and in Tables 2 to 5 each reading too; what these do not change, such as the
baseline, is in all of them. Runs that come with CamDrop Lab are in `results/`, your own in `runs/`. The same as a file:
`python -m camdrop report --out report.html`, the numbers with `--out report.json`.

**Readings.** The paper's equations and its public code differ in how often a block is dropped, and the difference is
large: the mask lab explains *paper*, *official* and *matched*. In Table 1 the row *+ CamDrop* is the reading *paper*;
other readings stand below it.

**In the paper's order**: of each two rows of a column, the better one is the one that the paper has as the better one.
With a single seed and a small budget, neighbours of half a point say nothing.

**Paired tests.** Networks of one seed share their images, labels, first weights and the order of both. So the
difference of two of them says more than their errors: its mean over n seeds, with the p-value of Student's t-test that
it is zero. The p-values are not corrected for how many there are; one in twenty is below 0.05 by chance.
"""

# Tables may be wider than the page; a number stays on its line, words have room. On a phone each claim is a card.
STYLE = """<style>
.report { line-height: 1.6; overflow-wrap: anywhere; }
.report a { color: inherit; }
.report code { padding: 0.1em 0.3em; border-radius: 4px; background: color-mix(in srgb, currentColor 8%, transparent); }
.report [role="region"] { overflow-x: auto; margin-bottom: 1rem; }
.report table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.report :is(th, td) { padding: 0.3rem 0.75rem; border: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.report :is(th, td) { text-align: left; overflow-wrap: normal; }
.report [style*="right"] { text-align: right; white-space: nowrap; }
.report td[style*="left"]:not(:first-child) { min-width: 12rem; vertical-align: top; }
.report td[style*="left"]:nth-child(4) { min-width: 20rem; }
@media (max-width: 640px) {
  .claims thead { display: none; }
  .claims :is(table, tbody, tr, td) { display: block; border: 0; padding: 0; }
  .claims tr { margin-bottom: 1rem; border-top: 2px solid color-mix(in srgb, currentColor 18%, transparent); }
  .claims td:nth-child(2)::before { content: "The paper: "; opacity: 0.7; }
  .claims td:nth-child(3)::before { content: "Here: "; opacity: 0.7; }
  .claims td:nth-child(4)::before { content: "Verdict: "; opacity: 0.7; }
}
</style>"""


def page() -> None:
    with st.spinner("Loading PyTorch …"):
        from camdrop import report
        from camdrop.shipped import shipped
        from ui.choosers.run_checkpoints import root

    folders = [shipped("results"), root()]
    found = report.find(folders)
    st.html(STYLE)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link("pages/five_methods.py", label="Figure 1: five ways to drop", icon=":material/view_in_ar:")
        for title, make, name, icon, what in (
            ("Report (HTML)", report.html_report, "report.html", "html", "This page as a file, with its pictures"),
            ("Report (Markdown)", report.markdown_report, "report.md", "markdown",
             "Its tables, for a repository or a paper"),
            ("Numbers (JSON)", report.json_report, "report.json", "data_object",
             "Each cell with its seeds, its spread and its paired tests"),
        ):  # fmt: skip
            st.download_button(
                title,
                prepared(functools.partial(make, folders)),
                name,
                icon=f":material/{icon}:",
                on_click="ignore",
                help=what,
            )
    claims = report.fragment(report.overview(folders, found), "What the paper claims, and what became of it here")
    st.html(f'<div class="claims">{claims}</div>')
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
    """A table or figure: its numbers, below what is drawn when it is opened."""
    from camdrop.report import fragment
    from ui.panels.paper_figures import draw

    st.subheader(section.title, anchor=section.anchor)
    draw(section.anchor, found, folders)
    if section.anchor == "equation-16":
        st.page_link("pages/gradients.py", label="Measure it for any checkpoint", icon=":material/ssid_chart:")
    st.html(fragment(section.body, section.title))


st.title("Results")
st.caption("What the paper reports, and what the same experiments say here.")
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
