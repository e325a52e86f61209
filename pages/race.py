"""Race: networks that differ only in their dropout, trained side by side on the same batches."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.choosers.select import not_here, select
from ui.entry import through_app
from ui.fragments import fragment, told
from ui.words import literal

through_app()

NEW = "New race"
HOW = """
**Lockstep.** All contenders begin with the same weights and see the same batches in the same order, with the same
crops and mirrorings; they differ in their dropout alone. So a difference between two curves at one step is no luck of
the draw, but for the coins of the masks themselves.

**The race that this page opens with** has 1,000 training images, and 40 % of their labels are drawn anew: so few images
with so many wrong labels that a network without dropout learns them by heart. Where a network trains on all images for
a few epochs, it learns too little rather than too much, and every dropout only costs. Images and labels are drawn by
the seed; validation and test images keep their true labels. Both are settings under Recipe, for any data set.

**Errors.** The training error is that of the batches as they are trained on, masks included, since the epoch began.
The *training error without masks* is measured after each epoch, on at most 500 training images with the labels that are
trained on. The validation error is of images held out, with no masks. The test images are touched once, at the end, by
the checkpoint with the least validation error; then all errors in the table are that checkpoint's.

**Seeds.** Another seed draws other images, wrong labels, initial weights and batches. *Run it with two more seeds*
trains the same contenders with the next two. Then the table has the mean test error ± its standard deviation over the
seeds, and how much each contender differs from the baseline seed by seed, with the p of a paired t-test over n seeds:
how often chance alone would make so large a difference. With three seeds only large ones can be told from chance.

**Memorised** is said, below the table, of a network whose training error without masks, after the last epoch, is at
least 10 points below the one to expect of images never seen: the validation error e, or with a share p of labels drawn
anew (1 − p)·e + p·(1 − 1/classes), since such a label is hit by chance alone.

**A low training error with masks beside a high one without them** is what CamDrop as the paper states it often shows
here. Its masks are drawn with the true label, so where they cut tells the label, and the network learns to read it
there; when it is tested there are no masks to read. Guided by the *predicted* class instead, or by a random one, a mask
tells no more of the label than the image does, and there is nothing to read. The reading *official* drops too little
for either to matter.

**Obeys its masks** measures that after each epoch, where it is asked for under Recipe: masks are drawn for a random
class at the sites of training, for at most 250 images held out, and what counts is how often the network answers that
class. By chance that is one in the number of classes; the sentence below the table speaks from 10 points more on.

**Share dropped** is what the masks really dropped, beside 1 − γ: a guided method has few places where a block may
begin, so with the same γ it drops much less than DropBlock.

**Where they look.** Heatmaps (Eq. 5) of the true class in the last stage, each from zero to its own maximum, of images
that are held out, after each epoch.

**Gradient bounds** (under Recipe) are those of Eq. 13–15 as the page Gradients measures them: the L1 norm of ∂S/∂b over
the classes, for the biases at the end of each stage, with the contender's own mask there and without; the mean over
eight images that are held out, after each epoch. *Saturated* are units that ReLU has turned into zero.

**Knobs** take effect at the next step, are recorded, and are marked ▼ on the curves. Where they were turned is part of
the contender's name from then on, also in the header of its checkpoint; such a contender stands in no table of Results.

**The process** that trains is its own: it goes on when this tab is closed or the server restarts, and this page only
reads its folder. One race runs at a time, later ones wait (`CAMDROP_MAX_RUNS`).
"""


def page() -> None:
    """Which race; then its setup, or how it goes."""
    with st.spinner("Loading PyTorch …"):
        from camdrop import runs
        from camdrop.runs import scheduler
        from ui import guests
        from ui.choosers.run_checkpoints import root
        from ui.panels import heatmap_history, race_contenders, race_setup, races, run_actions

    with told():
        scheduler.launch(root())
    found, broken = runs.survey(root())
    names = [run.name for run in found]
    wanted = st.query_params.get("run")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = select("Race", [NEW, *names], key="run", width=520)
        if name != NEW:
            run = runs.load_run(root() / name)  # once: buttons and curves are of one moment
            run_actions.manage(run, key="run")
    if wanted and root() / wanted in broken:
        st.error(literal(broken[root() / wanted]), icon=":material/broken_image:")
    elif wanted and wanted not in (NEW, *names):
        st.warning(not_here([wanted], "the race "), icon=":material/link_off:")
    if name != NEW:
        guests.sign(run.folder)
        live = races.under_way(races.relatives(run))
        pace = (1.0 if run.step else 0.5) if live else None  # seconds; the first number is waited for
        fragment(watch, run_every=pace)(run, live)
        heatmap_history.show(run, pace)
        return
    config = race_setup.setup()
    if config is None:
        return
    guess = race_contenders.choose_winner(config.contenders)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            on_click=race_setup.start,
            args=(config, "run", guess),
        )
        run_actions.estimate(lambda: race_setup.forecast(config))
    guests.limits()


def watch(before: Any, live: bool) -> None:
    """The live part: reads the run folder, every second while something happens there or to its other seeds."""
    from camdrop import runs
    from camdrop.report.curves import offered
    from camdrop.report.outcome import outcome
    from camdrop.runs import scheduler
    from camdrop.runs.records import over_seeds, results, turned
    from ui import guests
    from ui.components.curves import curves
    from ui.panels import heatmap_history, race_setup, races

    try:
        run = runs.load_run(before.folder)
        records = races.records(run)
    except runs.RunError as error:
        st.error(literal(error), icon=":material/error:")
        return
    relatives = races.relatives(run)
    if run.state != before.state or live != races.under_way(relatives):
        st.rerun()  # other buttons, and another pace
    if live:
        with told():
            scheduler.launch(run.folder.parent)
    others = races.finished(relatives)
    rows, spreads = results(run, records), over_seeds(run, others)
    races.progress(run)
    races.table(rows, spreads)
    with st.container():  # one element, whatever is in it: the curves below keep their place and zoom
        if run.message and run.state in ("failed", "stopped"):
            st.error(literal(run.message), icon=":material/error:")
        if run.state == "finished":
            st.markdown("\n".join(f"- {sentence}" for sentence in outcome(run, records, spreads, others)))
            races.links(run, rows)
            by_hand = turned(records)
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    "Run it with two more seeds", icon=":material/replay:", on_click=race_setup.more_seeds,
                    args=(run, 2), disabled=live or bool(by_hand),
                    help="Wait for those that are under way." if live else None,
                )  # fmt: skip
                races.seeds(run, relatives)
            if by_hand:
                st.caption(
                    "Its knobs were turned by hand, which no other seed repeats: in Results it stands in no table."
                )
    measures = offered(run.config, records)
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.pills(
            "Curves", measures, selection_mode="multi", default=measures[:2], key="curves",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        log = st.toggle("Logarithmic", key="log", bind="query-params")
    if shown:
        curves(races.curves_of(run), shown, key="race.curves", log=log, keep=run.name)
    if run.state == "running" and guests.is_mine(run.folder):  # below the curves, which one wants to watch
        with st.expander("Knobs", icon=":material/tune:", key="knobs"):
            heatmap_history.knobs(run)
    if run.step and not before.step:
        st.rerun()  # at another pace


st.title("Race")
st.caption("The same network, the same batches, different dropout: which one learns to answer new images best?")
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
