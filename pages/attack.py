"""Attack: one image, a little changed to mislead each network; and how often that works over a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.checkpoint import choose_subjects
from ui.choosers.image import ChosenImage, Shelf, leaf_through
from ui.components.pictures import pictures
from ui.entry import through_app
from ui.fragments import fragment, prepared
from ui.rooms import SCREEN, room
from ui.saved.button import Seen, heading, offer

if TYPE_CHECKING:
    from camdrop.checkpoints import Checkpoint
    from ui.components.pictures import Board

through_app()

TITLE = "Attack"
QUESTION = "How little must an image change until a network errs, and does one trained with masks resist better?"
HOW = r"""
**The attack** knows the network (white box). Projected gradient descent changes an image $x_0$ step by step so that the
cross-entropy $\mathcal L$ of a target class $t$, drawn at random from all but the true one, falls:

$$
x_{i+1} = \mathrm{clip}_{[0,255]}\Big(x_0 + \mathrm{clip}_{[-\varepsilon,\varepsilon]}\big(x_i - x_0 -
s \cdot \mathrm{sign}\, \nabla_x \mathcal L(x_i, t)\big)\Big)
$$

with step $s$ on the scale of pixels from 0 to 255. No pixel moves more than $\varepsilon$, nor more than steps ×
iterations: two steps of 1 never use up $\varepsilon = 5$, the paper's setting. Untargeted, it goes up the loss of the
true class, $+s$ in place of $-s$. **FGSM** is one step with $s = \varepsilon$. A random start begins anywhere in the
ball.

**Error rate**: how many attacked images are not answered rightly. **Success rate**: how many are answered with the
target; of an untargeted attack, how many of those answered rightly before are no longer. In brackets: 95 % confidence
intervals (Wilson). All networks get the same images, targets and random starts, but each its own perturbation.

**The paper's Table 7** is of ResNet-50 on ImageNet, 1,000 classes and larger images: its numbers stand beside ours to
compare the order of the methods, not the values.

**The heatmap** is J of Eq. 5 in the last stage, before and after on one scale of colours.
"""


def page() -> None:
    """What changes rarely; the rest is in `duel` and in the table."""
    with st.spinner("Loading PyTorch …"):
        from ui.panels import attack_table
        from ui.panels.background import carrier

    subjects = choose_subjects()
    if subjects is None:
        return
    chosen, shelf = subjects
    with room("board", SCREEN):
        duels(chosen, shelf)
    st.subheader("Over a data set")
    bout: attack_table.Bout | None = st.session_state.get("attack.bout")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data, limit = attack_table.choose_data(chosen[0][1].meta)
        # All three are always there: a button that goes away would linger under reruns this fast.
        busy = bout is not None and bout.running
        st.button(
            "Attack them all", type="primary", icon=":material/play_arrow:", on_click=attack_table.start, disabled=busy,
            args=(chosen, data, limit), help="With the attack above. Targets are random, as in the paper.",
        )  # fmt: skip
        st.button("Stop", icon=":material/stop:", on_click=attack_table.stop, disabled=not busy)
        st.download_button(
            "Table", prepared(lambda: attack_table.table_csv(bout)), "attack.csv", icon=":material/download:",
            on_click="ignore", help="The numbers as CSV", disabled=bout is None,
        )  # fmt: skip
    pace = attack_table.EVERY if busy else None
    fragment(attack_table.show, run_every=pace)(bout)
    carrier()


@fragment
def duels(chosen: list[tuple[str, Checkpoint]], shelf: Shelf | ChosenImage) -> None:
    """What follows the hand: the attack on one image."""
    from ui.panels import attack_table
    from ui.panels.attack import choose_attack, remarks
    from ui.panels.attack_ahead import Duels, boards, loads
    from ui.panels.background import plan

    classes, extra = chosen[0][1].meta.classes, []
    near: list[int] = []
    row = st.container(horizontal=True, vertical_alignment="bottom")
    choice, shown_class, opacity = choose_attack(classes, row)
    if isinstance(shelf, Shelf):
        with row:
            picture, panel, near = leaf_through(shelf, key="image")
        extra = [panel]
    else:
        picture = shelf
    st.session_state["attack.choice"] = choice
    shown = Duels(chosen, choice, opacity, extra)
    outcomes = shown.outcomes(picture)

    def ahead(load: tuple[str, tuple[int, ...]]) -> Iterator[Board]:
        return boards(shown, [shelf.picture(n) for n in load[1]] if isinstance(shelf, Shelf) else [picture])

    next_loads = loads(shown, picture, near)
    planned = plan(next_loads, ahead)
    note = " ".join(remarks(choice, picture.truth(chosen[0][1].meta)))
    st.caption(note or "&nbsp;")
    places = st.columns([2, *(3 for _ in chosen)])
    for place, board in zip(places, shown.boards(picture, outcomes, shown_class), strict=True):
        with place:
            pictures(**vars(dataclasses.replace(board, planned=planned)))
    columns = [["attack.image"], *([f"attack.{outcome.name}"] for outcome in outcomes)]
    facts = {"Image": picture.name, "Target": choice.target, "Heatmap of": shown_class, "Seed": str(choice.seed)}

    def whole() -> list[Board]:
        return [board for load in next_loads for board in ahead(load)]

    metas = {name: checkpoint.meta for name, checkpoint in chosen}
    offer(Seen(TITLE, QUESTION, [columns], facts, metas, HOW, picture.own, note, attack_table.saved, whole))


heading(TITLE, QUESTION)
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
