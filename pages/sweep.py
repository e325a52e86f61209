"""Sweep: which learning rates can be trained with, and does CamDrop widen their range (Figure 4)?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from ui.choosers.select import not_here, segments, select
from ui.entry import through_app
from ui.fragments import fragment, told
from ui.words import literal

if TYPE_CHECKING:
    from camdrop.runs.sweep import Sweep

through_app()

NEW = "New sweep"
HOW = """
**Figure 4** of the paper trains a ResNet-8 on MNIST at each of eight learning rates and eight retaining rates γ. It
finds that up to a rate of 1 all of them learn, that from 10 on none does, and that in between CamDrop (γ below 1) saves
some that are lost without it (γ = 1). It draws accuracies; here are errors with the axis turned, so that up is better.

**A cell** is one training: the same initial weights, batches and crops for all, its own learning rate (÷10 at three
milestones, as the paper does) and γ; at γ = 1 there is no mask. The validation error is of a tenth of the images that
are held out, the training error of as many that were trained on; both without masks. A cell whose loss is no longer
finite has *diverged*: such a network answers by chance.

**One seed a cell.** A difference between two neighbours of a few percent is luck; look at the shape of the whole.

**The process** that trains is its own: it goes on when this tab is closed, and this page only reads its folder. Killed
or stopped, it goes on with the cells that are missing. It waits its turn behind races and other sweeps. On the command
line: `python -m camdrop sweep --run runs/sweep`.
"""


def page() -> None:
    """Which sweep; then its setup, or how it goes."""
    with st.spinner("Loading PyTorch …"):
        from camdrop import report
        from camdrop.runs import scheduler
        from camdrop.runs.sweep import list_sweeps, load_sweep
        from camdrop.shipped import shipped
        from ui import guests
        from ui.choosers.run_checkpoints import root
        from ui.panels import run_actions, sweeps

    with told():
        scheduler.launch(root())
    names = [found.folder.name for found in list_sweeps(root())]
    wanted = st.query_params.get("sweep")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = select("Sweep", [NEW, *names], key="sweep", width=420)
        if name != NEW:
            found = load_sweep(root() / name)
            sweeps.manage(found)
    if wanted and wanted not in (NEW, *names):
        st.warning(not_here([wanted], "the sweep "), icon=":material/link_off:")
    for reason in sweeps.broken().values():
        st.error(literal(reason), icon=":material/broken_image:")
    if name != NEW:
        guests.sign(found.folder)
        fragment(watch, run_every=2.0 if found.state in ("running", "queued") else None)(found)
        return
    plan = sweeps.setup()
    if plan is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Start", type="primary", icon=":material/play_arrow:", on_click=sweeps.start, args=(plan,))
            beside = st.container(width="content")
        guests.limits()
    if examples := report.find_sweeps([shipped("results")]):
        fragment(example)(examples)
    if plan is not None:
        with beside:  # last, as it takes seconds
            run_actions.estimate(lambda: sweeps.forecast(plan))


def example(examples: list[Sweep]) -> None:
    """One of the sweeps that come along, so that there is something to see before the first of one's own."""
    from ui.panels import sweeps

    st.subheader("One that ran before")
    titles = {str(found): found for found in examples}
    found = titles[select("Sweep that comes along", list(titles), key="example", width=420)]
    st.markdown(found.verdict())
    sweeps.figures(found, "Validation error")


def watch(before: Any) -> None:
    """The live part: reads the folder, every two seconds while cells are trained."""
    from camdrop.runs import RunError, scheduler
    from camdrop.runs.sweep import load_sweep
    from ui.panels import sweeps

    try:
        found = load_sweep(before.folder)
    except RunError as error:
        st.error(literal(error), icon=":material/error:")
        return
    if found.state != before.state:
        st.rerun()  # other buttons, and another pace
    if found.state == "queued":
        with told():
            scheduler.launch(found.folder.parent)
    with st.container():  # one element, whatever it has to say
        sweeps.progress(found)
    if not found.cells:
        waits = found.state == "queued"
        words = "It begins when what is trained now has ended." if waits else "The first cells take some seconds."
        st.info(words, icon=":material/hourglass_empty:")
        return
    measure = segments("Measure", list(sweeps.MEASURES), key="measure", hide_label=True)
    sweeps.figures(found, measure)


st.title("Sweep")
st.caption("At which learning rates does a network still learn, and does CamDrop widen their range?")
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
