"""Mask lab: one mask taken apart, step by step."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.checkpoint import Offered, alike, choose_checkpoint, offer_checkpoints
from ui.choosers.mask_options import choose_options
from ui.choosers.scene import carry_over, choose_rates, choose_scene, scene_facts
from ui.choosers.training_switch import choose_training
from ui.components.choice import live_choice
from ui.components.pictures import Picked, pictures
from ui.components.present import present_button
from ui.entry import through_app
from ui.fragments import callback, fragment
from ui.rooms import LINE, ROW, SCREEN, STRIP, room
from ui.saved.button import Seen, heading, offer

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from ui.components.pictures import Board, State

through_app()

TITLE, QUESTION = "Mask lab", "Which units does a mask drop, and why just those?"
LARGE = 128  # pixels
GUESS = "A probe, a logistic regression, names the class from what is dropped. It sees neither image nor network."
MEANS = "How often each unit is dropped in 100 draws, and how much is dropped on average."
HOW = """
A **mask** is drawn for the features X at one drop site, by the very function that training calls; the network then runs
on from there. CamDrop drops blocks where the network sees the class: J = Σ α X says *where* the network sees the label
(1, 2), the weights α say *which channels* it sees it by (3). Where both are large and a whole block fits, a coin
decides (4): in the reading *paper* it drops with probability 1 − γ; ƒ of step 4 has that of the other readings. Press ƒ
on a picture for its equation with the numbers of this moment.

**One seed, one draw.** The same seed gives the same coins. Moving γ only moves the threshold that they are compared
with, so blocks come and go but never jump.

**The label leaks.** In training the label is the true one, so where CamDrop cuts tells the layers behind it something
about the answer. Choose another class as *Label y* and see the holes move: whatever moves with the label could be read
off the mask. When the network is tested nothing is masked, and that hint is gone. *Guess the class from the mask* asks
a probe (multinomial logistic regression) that was fitted on the masks of 600 training images of the bundled sample,
with this network, method and γ, and says how often it is right about 300 others. *Mask every site, as in training*
runs the pass of a training step, by the function that training calls: the steps are then those behind all masks before
this site. A network that has learned to read its masks answers their label, whatever the image shows.

**A | B** shows a second setting beside the first: choose what of B is not as in A. Both draw with the same coins, so
whatever differs comes from the setting.

**γ is not the share that survives.** Only candidates can become seeds, and there are few of them: compare *Share
dropped* with 1 − γ. The reading *matched* (under More) spends DropBlock's budget on the candidates instead.
"""


@callback
def enlarge(picked: Picked) -> None:
    st.session_state["rank"] = picked.index + 1


@fragment
def lab(offered: Offered, row: DeltaGenerator) -> None:
    """What follows the hand. The choosers are in `row`, and in the place that was offered."""
    from ui.panels import ahead, mask_lab, mask_message, second
    from ui.panels.mask_side import BLOCKS, KINDS, Side, rows

    chosen = choose_checkpoint("Checkpoint", offered)
    if chosen is None:
        return
    networks = alike(chosen[0], offered.metas)
    rates = room("rates", LINE).container(key="rates")
    switches = room("switches", LINE).container(horizontal=True, vertical_alignment="center")
    with switches:
        present_button(mask_lab.STEPS)
        training = choose_training(chosen[0], chosen[1].meta)
        guess = st.toggle("Guess the class from the mask", key="guess", bind="query-params", help=GUESS)
        means = st.toggle("Mean of draws", key="means", bind="query-params", help=MEANS)
    with row:
        scene = choose_scene(chosen[1])
        if scene is None:
            return
        kind = KINDS[live_choice("Method", list(KINDS), key="method", width=150)]
        options, seed, rank = choose_options(kind == "camdrop", scene.activation.site.channels)
    with switches:
        compare = second.choose_compare(kind == "camdrop")
        # A whole pass with all masks at every move: too slow for large images to come unasked.
        every = scene.image.shape[-1] <= LARGE or st.toggle(
            "Every drop site", key="every", bind="query-params", help="Mask all of them at each move: slower"
        )
    with rates:
        gamma, r = choose_rates(kind in BLOCKS)
    # The browser cannot follow: behind other masks every γ has features of its own, and a probe sees each mask.
    alone = not training and not guess
    a = Side(*chosen, networks, scene, scene.activation.site.name, kind, options, gamma, r, seed, rank, training, alone)
    sides = [a]
    if compare and (b := second.choose_second(a)):
        sides = [dataclasses.replace(a, mark="A"), b]

    def boards(near: State) -> list[Board]:
        return [board for side in sides if side.at(near) for board in side.boards(near)]

    near: list[list[State]] = []
    for portion in itertools.zip_longest(*(side.near() for side in sides), fillvalue=()):
        states = [state for some in portion for state in some]
        near.append([state for i, state in enumerate(states) if state not in states[:i]])
    planned = ahead.fill(near, boards)
    rests = mask_message.hand_rests((training, guess, *map(second.fixed, sides)), [side.drawn for side in sides])
    missing = []
    for side in sides:
        message, unknown = side.message(guess)
        if message:
            pictures(message, key=side.key("message"), columns=3, note=side.name or None)
        if unknown:
            missing.append((unknown, side.scene.meta))
    strips, grids, numbers = zip(*(side.seen() for side in sides), strict=True)
    for strip in strips:
        with room(strip.key, STRIP):
            pictures(**vars(strip), on_pick=enlarge)
    below = st.columns(2)
    for i, side in enumerate(sides):
        left, right = below if len(sides) == 1 else (below[i], below[i])
        with left:
            pictures(**vars(grids[i]), on_pick=enlarge)
            if means:
                waits = side.waits and {**side.waits, "rank": rank}
                pictures([side.mean()], key=side.key("mean"), max_width=310, waits=waits)
        with right:
            pictures(**vars(dataclasses.replace(numbers[i], planned=planned and side is sides[-1])))
            if every:

                @callback
                def visit(picked: Picked, side: Side = side) -> None:
                    st.session_state["live.site"] = side.scene.activation.model.drop_sites[picked.index].name

                pictures(
                    side.sites(),
                    key=side.key("sites"),
                    columns=2,
                    waits=side.waits_anywhere,
                    on_pick=visit,
                )
    if missing:
        with switches:
            mask_message.ask(*missing[0], rests)
    facts = scene_facts(chosen[0], scene) | {"Method": type(a.drawn).__name__, "Seed of the draw": str(seed)}
    drawn, own = [rows(side) for side in sides], scene.picture.own
    placed = [*(row for some in drawn for row in some[:-1]), [column for some in drawn for column in some[-1]]]
    metas = {name: offered.metas[name] for side in sides for name in (side.alike if near else [side.checkpoint])}
    offer(Seen(TITLE, QUESTION, placed, facts, metas, HOW, own, ahead=ahead.whole(near, boards)))


def page() -> None:
    from ui.panels.background import carrier

    row = room("choosers", ROW).container(horizontal=True, vertical_alignment="bottom")
    offered = offer_checkpoints(key="checkpoint", row=row, width=340)
    if offered is None:
        return
    board = room("board", SCREEN)
    st.page_link("pages/five_methods.py", label="These features under all five methods", icon=":material/view_in_ar:")
    with st.expander("How it is computed", icon=":material/function:"):
        st.markdown(HOW)
    with board:  # after what stands below, which then moves no more
        lab(offered, row)
    carrier()


heading(TITLE, QUESTION)
carry_over("mask_lab")
page()
