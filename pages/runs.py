"""Runs: all races so far, any of them in one plot."""

from __future__ import annotations

import streamlit as st

from camdrop.figures.numbers import NBSP
from ui.choosers.select import not_here
from ui.entry import through_app
from ui.fragments import callback, told
from ui.words import literal

through_app()

HOW = """
**Figure 2** of the paper shows the training error at the left and the validation error at the right. Read them
together: a network that is worse at the left and better at the right than another has learnt less by heart.

Methods have the colours and marks that they have everywhere here; contenders of the same method differ in their dashes.
A click on a name in the legend hides a curve, a double click all others; drag to zoom, double-click to zoom out.
"""


def page() -> None:
    with st.spinner("Loading PyTorch …"):
        from camdrop import runs
        from camdrop.report.curves import MEASURES, offered
        from camdrop.runs import scheduler
        from ui import guests
        from ui.choosers.run_checkpoints import root
        from ui.components.curves import curves
        from ui.panels import races, run_actions

    with told():
        scheduler.launch(root())
    found, broken = runs.survey(root())
    for folder, reason in broken.items():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.error(literal(reason), icon=":material/broken_image:", width="stretch")
            if guests.is_mine(folder):
                st.button(
                    "Delete", key=f"broken.{folder.name}", on_click=run_actions.change, args=(folder, runs.delete)
                )
    if not found:
        st.info("No race was run here yet.", icon=":material/flag:")
        st.page_link("pages/race.py", label="Start the first one", icon=":material/flag:")
        return
    names = [run.name for run in found]
    if gone := [name for name in st.query_params.get_all("runs") if name not in names]:
        st.warning(not_here(gone), icon=":material/link_off:")
    words = st.text_input(
        "Search", key="search", bind="query-params", placeholder="name, data set, network, method, state …",
        icon=":material/search:",
    )  # fmt: skip
    listed = [run for run in found if races.matches(run, words or "")]

    @callback
    def choose() -> None:
        rows = st.session_state["runs.table"]["selection"]["rows"]
        st.session_state["runs"] = [listed[row].name for row in rows]

    @callback
    def figure_2() -> None:
        st.session_state["curves"] = list(MEASURES)[:2]

    st.dataframe(
        races.overview(listed), key="runs.table", on_select=choose, selection_mode="multi-row", hide_index=True,
        height=min(320, 38 + 35 * max(1, len(listed))),
        column_config={
            "progress": st.column_config.ProgressColumn("Progress", format=f"%.0f{NBSP}%%", min_value=0, max_value=100),
            "Its error (%)": st.column_config.NumberColumn(format="%.2f"),
            "started": st.column_config.DatetimeColumn("Created", format="D MMM, HH:mm"),
        },
    )  # fmt: skip
    chosen = st.multiselect(
        "In the plot",
        names,
        [names[0]],
        key="runs",
        bind="query-params",
        placeholder="Choose runs, here or in the table",
    )
    compare = [run for run in found if run.name in chosen]
    if not compare:
        st.info("Choose a run in the table to see its curves.", icon=":material/arrow_upward:")
        return
    readable = []
    for run in compare:
        try:
            readable.append((run, offered(run.config, races.records(run))))
        except runs.RunError as error:
            st.error(literal(error), icon=":material/error:")
    measures = list(dict.fromkeys([*MEASURES, *(title for _, titles in readable for title in titles)]))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Figure 2", icon=":material/stacked_line_chart:", help="Training left, validation right, as in the "
                  "paper", on_click=figure_2)  # fmt: skip
        shown = st.pills(
            "Curves", measures, selection_mode="multi", default=measures[:2], key="curves",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        log = st.toggle("Logarithmic", key="log", bind="query-params")
    if shown:
        drawn = []
        for run, _ in readable:
            drawn += races.curves_of(run, f"{run.name} · " if len(compare) > 1 else "")
        curves(drawn, shown, key="runs.curves", log=log, keep=" ".join(chosen))
    for run in compare:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link(
                "pages/race.py",
                label=f"**{literal(run.name)}**",
                icon=":material/flag:",
                query_params={"run": run.name},
            )
            run_actions.manage(run, key=None)


st.title("Runs")
st.caption("Every race that was run here: find one, lay any of them over each other.")
page()
with st.expander("How to read the curves", icon=":material/function:"):
    st.markdown(HOW)
