"""Results: the paper's tables and figures, and ours beside them."""

from __future__ import annotations

import dataclasses

import streamlit as st

from ui.entry import through_app

through_app()

HOW = """
Every finished run is put into the tables by its configuration: data set, network, budget and recipe make a column,
method and options a row, seeds what stands behind ±. Runs that come with CamDrop Lab are in `results/`, your own in
`runs/`. The same as a file: `python -m camdrop report --out report.html`.

**Readings.** The paper's equations and its public code differ in how often a block is dropped, and the difference is
large: the mask lab explains *paper*, *official* and *matched*. The row *+ CamDrop* is the reading *paper*; other
readings stand below it.
"""
FIGURES = (
    ("**Figure 1.** Five ways to drop", "pages/five_methods.py", "Five methods"),
    ("**Eq. 13–16.** Gradient bounds", "pages/gradients.py", "Gradients"),
)


@st.fragment
def page() -> None:
    with st.spinner("Loading PyTorch …"):
        from camdrop import report
        from camdrop.experiments import TABLES
        from ui.run_checkpoints import root

    folders = [report.SHIPPED, root()]
    found = report.find(folders)
    st.info(report.PROTOCOL, icon=":material/balance:")
    first, *others = TABLES.values()
    st.subheader(f"Table {first.number}. {first.title}")
    st.markdown(report.table(first, found))
    figure_2(found)
    for pair in (others[:2], others[2:4]):
        for column, paper in zip(st.columns(2, gap="large"), pair, strict=True):
            with column:
                st.subheader(f"Table {paper.number}. {paper.title}")
                st.markdown(report.table(paper, found))
    last = others[-1]
    st.subheader(f"Table {last.number}. {last.title}")
    st.markdown(report.table(last, found))
    st.subheader("Figure 3. Where networks look")
    figure_3()
    st.markdown(report.looks(folders))
    st.subheader("Table 7. Targeted PGD")
    st.markdown(report.attacks(folders))
    st.subheader("Figure 4. Learning rate and retaining rate")
    figure_4(report.find_sweeps(folders))
    st.markdown(f"Run it: `{report.SWEEP_COMMAND}`")
    with st.container(horizontal=True):
        st.download_button(
            "Report (HTML)", lambda: report.page(folders), "report.html", icon=":material/html:", on_click="ignore"
        )
        st.download_button(
            "Report (Markdown)", lambda: report.markdown(folders), "report.md", icon=":material/markdown:",
            on_click="ignore",
        )  # fmt: skip


def figure_2(found) -> None:
    """Training error left, validation error right, of the run that compares most contenders of the paper's figure."""
    from camdrop.experiments import TABLES
    from camdrop.recipe import method_name
    from ui import races
    from ui.curves import MEASURES, curves

    st.subheader("Figure 2. Training error and validation error")
    wanted = {"baseline", "dropblock", "camdrop"}
    found = [run for run, _ in found if TABLES[1].takes(run.config.recipe)]
    shared = {run.name: len({method_name(c.method) for c in run.config.contenders} & wanted) for run in found}
    runs = {run.name: run for run in sorted(found, key=lambda run: -shared[run.name]) if shared[run.name] > 1}
    if not runs:
        st.info("No finished race of ours has baseline, DropBlock or CamDrop side by side.", icon=":material/flag:")
        st.page_link("pages/race.py", label="Start one", icon=":material/flag:")
        return
    name = st.selectbox("Race", list(runs), key="figure2", bind="query-params", width=520)
    curves(races.curves_of(runs[name]), list(MEASURES)[:2], key="results.curves", log=False, keep=name)


def figure_3() -> None:
    """The contact sheet of some checkpoints that look at the same kind of images."""
    from camdrop.data import INFO, Split, gallery
    from camdrop.evidence import contact_sheet
    from ui.choose import choose_checkpoints

    chosen = choose_checkpoints("Checkpoints", key="figure3")
    if not chosen:
        return
    first = chosen[0][1].meta
    if first.dataset not in INFO:
        st.info("No images are at hand for the first checkpoint: Explore takes your own.", icon=":material/image:")
        return
    images, info = gallery(first.dataset)
    alike = [(name, c) for name, c in chosen if c.meta.in_channels == first.in_channels]
    alike = [(name, c) for name, c in alike if c.meta.num_classes == first.num_classes]
    models = [(c.model, dataclasses.replace(info, mean=c.meta.mean, std=c.meta.std)) for _, c in alike]
    sheet = contact_sheet(models, Split(images.images[:10], images.labels[:10]), tile=144)
    st.image(sheet, output_format="PNG", width="stretch")
    names = "; ".join(name for name, _ in alike)
    st.caption(f"From above: the images; {names}. Heatmaps of the true class at the last stage, each in its own range.")


def figure_4(found) -> None:
    """Both views of one of the sweeps, and what it says of the paper's claim."""
    from ui import sweeps

    if not found:
        st.info("No sweep of ours has cells yet.", icon=":material/grid_on:")
        st.page_link("pages/sweep.py", label="Start one", icon=":material/grid_on:")
        return
    names = {f"{sweep.folder.name}: {sweep}": sweep for sweep in found}
    shown = names[st.selectbox("Sweep", list(names), key="figure4", bind="query-params", width=720)]
    st.markdown(f"The paper: up to a rate of 1 all learn, from 10 on none, and masks save some. {shown.verdict()}")
    sweeps.figures(shown, "Validation error")


st.title("Results")
st.caption("What the paper reports, and what the same experiments say here.")
page()
st.subheader("Other figures")
for title, target, label in FIGURES:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(title, width="content")
        st.page_link(target, label=label)
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
