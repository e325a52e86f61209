"""Explore: where do several networks look at one image?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import streamlit as st

from ui.asked import asked
from ui.choosers.checkpoint import alike, at_hand, choose_subjects, open_checkpoint
from ui.choosers.image import ChosenImage, Shelf, leaf_through
from ui.components.choice import live_choice
from ui.components.pictures import pictures
from ui.components.slider import live_slider
from ui.entry import through_app
from ui.fragments import fragment, prepared
from ui.rooms import GALLERY, room
from ui.saved.button import Seen as Shown
from ui.saved.button import offer, save_button
from ui.saved.page import Markup

if TYPE_CHECKING:
    from camdrop.checkpoints import Checkpoint
    from ui.components.pictures import Board, Panel
    from ui.panels.explore import Load
    from ui.panels.views import Seen, Style

through_app()

LINK = (
    *("checkpoints", "image", "image_from", "image_class", "image_show", "class", "stage"),
    *("colormap", "shared", "difference", "opacity", "from", "to"),
)
TITLE = "Where do networks look?"
QUESTION = (
    "**CamDrop Lab** shows what structured dropout does inside a convolutional network. Here: the same image, the same "
    "kind of network, different dropout in training. Which parts does each answer by?"
)

HOW = r"""
**The heatmap.** The network ends in the mean of each feature map and one linear layer. So the score of a class $y$ is,
up to its bias, the mean over all positions of

$$J_{h,w} = \sum_c \alpha_c\, X_{c,h,w}, \qquad \alpha = A_y \qquad \text{(Eq. 5)}$$

with $X$ the features of the last stage and $A$ the weights of the linear layer: $J$ says how much each position speaks
for the class. An earlier stage has fewer channels $C$ than there are weights, $C'$, so contiguous groups of weights
are summed:

$$\alpha_c = \sum_{k=0}^{\lfloor C'/C \rfloor - 1} A_{y,\; c \lfloor C'/C \rfloor + k} \qquad \text{(Eq. 7)}$$

There it no longer adds up to the score; it is the guide that CamDrop follows in training. The map is resized
bilinearly to the image. **The statistics** are of its positive part: the share of the image above half of the maximum,
the separate regions there, and the entropy of the map over that of an even one (0: a single pixel, 1: even).

**The difference** shows what a network has more or less than the first. With one range for all it is in units of the
score; otherwise each map is divided by its largest value first, so that only their shapes are compared.

**Deletion** takes pixels away, the most important first, and **insertion** brings them back into a blurred image; the
score is the area under the probability of the class. A heatmap that points at what the network uses has a low deletion
and a high insertion score.
"""
LEFT_OUT = "To stay small it has two classes of other images: the true and the predicted one."


def page() -> None:
    """What changes rarely; the rest is in `look_at`."""
    with st.spinner("Loading PyTorch …"):
        from camdrop.analysis.explanations import scores
        from ui.panels.background import carrier
        from ui.panels.explore import choose_style, legend
        from ui.panels.export import bundle, table
        from ui.panels.views import filters

    subjects = choose_subjects(filters)
    if subjects is None:
        return
    chosen, shelf = subjects
    board, tools = room("board", GALLERY), st.container(horizontal=True, vertical_alignment="center")
    with tools:
        opacity = live_slider("Opacity", key="opacity", min=0.0, max=1.0, step=0.01, default=0.6, local=True)
        with st.popover("Colours", icon=":material/palette:", help="Colour map and range; differences"):
            style = choose_style(opacity)
        st.html(legend(style))
        state: dict[str, Seen] = st.session_state.setdefault("explore", {})

        def seen() -> Seen:
            if "seen" not in state:
                raise ValueError("There is no heatmap yet: choose an image that the networks can take.")
            return state["seen"]

        help = "Does the network use what the heatmap shows?"
        with asked("Deletion and insertion", key="score", icon=":material/query_stats:", help=help) as now:
            if now:
                with st.spinner("Deleting and inserting pixels …"):
                    for explanation in seen().explanations:
                        scores(explanation, compute=True)
                st.session_state["explore.scored"] = st.session_state.get("explore.scored", 0) + 1
        files: dict[str, tuple[Callable[[], bytes], str, str]] = {
            "Table": (lambda: table(seen()), "explore.csv", "The numbers as CSV"),
            "Everything": (
                lambda: bundle(seen(), style),
                "explore.zip",
                "Pictures, maps, numbers, settings as ZIP",
            ),
        }
        for label, (make, name, what) in files.items():
            st.download_button(label, prepared(make), name, icon=":material/download:", on_click="ignore", help=what)
    with board:
        look_at(chosen, shelf, style, list(alike(chosen[0][0], at_hand())))
    carrier()


@fragment
def look_at(chosen: list[tuple[str, Checkpoint]], shelf: Shelf | ChosenImage, style: Style, among: list[str]) -> None:
    """What follows the hand. A move here runs nothing else, and each element of it costs time.

    The browser goes to other networks `among` these.
    """
    from camdrop.analysis.explanations import explain
    from ui.panels.background import plan
    from ui.panels.explore import View, boards, legend, lighter, loads
    from ui.panels.views import PREDICTED, TRUE, Seen, class_of

    meta, store = chosen[0][1].meta, st.session_state
    stages = max((checkpoint.model.stage_names for _, checkpoint in chosen), key=len)
    numbers = [name.removeprefix("layer") for name in stages]
    extra: list[Panel] = []
    near: list[int] = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choices = st.container(horizontal=True, vertical_alignment="bottom", width="content")
        if isinstance(shelf, Shelf):
            picture, panel, near = leaf_through(shelf, key="image")
            extra = [panel]
        else:
            picture = shelf
    truth = picture.truth(meta)
    with choices:
        wanted = live_choice(
            "Heatmap of", [*([TRUE] if truth else []), PREDICTED, *meta.classes], key="class", width=180
        )
        stage = live_choice("Stage", numbers, key="stage", default=numbers[-1], look="row")
    target = class_of(wanted, truth)
    explained = [explain(name, c, picture.fit(c.meta), target, f"layer{stage}") for name, c in chosen]
    settings = {key: value for key in LINK if (value := store.get(f"live.{key}", store.get(key))) is not None}
    if picture.number and not near:  # no image of the gallery meets the conditions
        settings = {key: value for key, value in settings.items() if key not in ("image_class", "image_show")}
    store["explore"]["seen"] = Seen(explained, picture.name, truth, settings)
    view = View(chosen, style, extra, store.get("explore.scored", 0), among)

    def ahead(load: Load) -> Iterator[Board]:
        images = [shelf.picture(n) for n in load.images] if isinstance(shelf, Shelf) else [picture]
        there = [(name, open_checkpoint(name)) for name in load.networks]
        return boards(dataclasses.replace(view, networks=there or chosen), load, images, numbers)

    next_loads = loads(view, picture, near, wanted, stage)
    planned = plan(next_loads, ahead)
    board = view.board(view.panels(picture, explained), view.state(picture, wanted, stage))
    pictures(**vars(dataclasses.replace(board, planned=planned)))
    metas = {name: checkpoint.meta for name, checkpoint in chosen}
    facts = {"Image": picture.name, "Heatmap of": wanted, "Stage": stage}
    offer(
        Shown(
            TITLE, QUESTION, [[["board"]]], facts, metas, HOW, picture.own, below=lambda: [Markup(legend(style))],
            ahead=lambda: [board for load in lighter(next_loads, picture, wanted) for board in ahead(load)],
            left_out=LEFT_OUT if picture.number else "",
        )
    )  # fmt: skip


with st.container(horizontal=True, vertical_alignment="center"):
    st.title(TITLE, width="content")
    st.page_link("pages/tour.py", label="New here? Take the tour", icon=":material/school:", width="content")
    save_button()
st.caption(QUESTION)
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
