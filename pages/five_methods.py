"""Five methods: the same features under each of them, as the paper's Figure 1 draws them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.checkpoint import Offered, alike, choose_checkpoint, offer_checkpoints, open_checkpoint
from ui.choosers.scene import FIRST_DRAW, carry_over, choose_rates, choose_scene, make_scene, scene_facts
from ui.choosers.select import segments, whole_number
from ui.components.pictures import pictures
from ui.entry import through_app
from ui.fragments import fragment
from ui.rooms import ROW, SCREEN, room
from ui.saved.button import Seen, heading, offer

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from camdrop.masks import Method
    from ui.components.pictures import Board, State

through_app()

TITLE, QUESTION = "Five methods", "What does each kind of dropout take away from the same features?"
HOW = """
Each block is the features of one image at one drop site: slices are channels (the eight with the largest α), each of
H×W cells, and dropped cells stand out in orange. Drag a block, or press the arrow keys on it, to turn all of them.

All five are one general form, X̃ = M ⊙ X · scale with M = 𝓕(φ(ψ, 𝒯(X, y)), r) and ψ ~ Ber(γ) (Eq. 2–4). They differ in
what one coin decides: a unit, a channel, a branch, or a block of r×r units; and CamDrop alone asks the features and the
label (𝒯) where the coins may fall. Press ƒ for each method's rule with its numbers.

All share γ, r and the seed. What they drop differs all the same: *dropped* counts all channels of the site, not only
those drawn, and DropBlock alone sets its rate so that about 1 − γ is dropped.
"""


@fragment
def blocks(offered: Offered, row: DeltaGenerator) -> None:
    """What follows the hand. The choosers are in `row`, and in the place that was offered."""
    from camdrop.analysis.mask_steps import dissect
    from camdrop.masks import METHODS, READINGS
    from camdrop.training.config import make_method
    from ui.panels import ahead
    from ui.panels.figure_1 import figure_1

    chosen = choose_checkpoint("Checkpoint", offered)
    if chosen is None:
        return
    networks = alike(chosen[0], offered.metas)
    with row:
        scene = choose_scene(chosen[1])
        if scene is None:
            return
        with st.popover("More", icon=":material/tune:", help="The seed, and CamDrop's reading of the paper"):
            seed = whole_number("Seed of the draw", 0, 2**31, FIRST_DRAW, key="seed")
            why = "How likely a candidate becomes a seed in CamDrop."
            reading = segments("Reading of the paper", READINGS, key="reading", help=why)
    gamma, r = choose_rates()

    def methods(r: int) -> list[Method]:
        options = {"keep_prob": gamma, "block_size": r, "reading": reading}
        return [method for kind in METHODS if (method := make_method(kind, {}, options))]

    def boards(near: State) -> list[Board]:
        network = open_checkpoint(str(near.at["checkpoint"]))
        there = make_scene(network, scene.picture, str(near.at["label"]), str(near.at["site"]))
        r, seed = int(near.at["r"]), int(near.at["seed"])
        shown = [ahead.show_whole(there.activation, m, there.label, seed, answers=False) for m in methods(r)]
        return [figure_1(there, shown, near)]

    draws = [dissect(scene.activation, m, scene.label, seed) for m in methods(r)]
    drawn = [ahead.show(d, seed, answers=False) for d in draws]
    at: dict[str, int | str] = {"r": r, "seed": seed, "checkpoint": chosen[0], "label": scene.choice}
    at["site"] = scene.activation.site.name
    state = ahead.state_of(networks, scene, at, reading)
    near = []
    if ahead.can_fill(scene.activation):
        others = {"checkpoint": list(networks), "label": ahead.labels_of(scene), "site": ahead.sites_of(scene)}
        near = list(ahead.neighbours(state, range(1, 17), others=others))
    planned = ahead.fill(near, boards)
    pictures(**vars(dataclasses.replace(figure_1(scene, drawn, state), planned=planned)))
    facts = scene_facts(chosen[0], scene) | {"Reading of the paper": reading, "Seed of the draw": str(seed)}
    metas, own = {name: offered.metas[name] for name in (networks if near else [chosen[0]])}, scene.picture.own
    offer(Seen(TITLE, QUESTION, [[["blocks"]]], facts, metas, HOW, own, ahead=ahead.whole(near, boards)))


def page() -> None:
    from ui.panels.background import carrier

    row = room("choosers", ROW).container(horizontal=True, vertical_alignment="bottom")
    offered = offer_checkpoints(key="checkpoint", row=row, width=340)
    if offered is None:
        return
    board = room("board", SCREEN)
    st.page_link("pages/mask_lab.py", label="One of these masks, step by step", icon=":material/layers:")
    with st.expander("How it is computed", icon=":material/function:"):
        st.markdown(HOW)
    with board:  # after what stands below, which then moves no more
        blocks(offered, row)
    carrier()


heading(TITLE, QUESTION)
carry_over("five_methods")
page()
