"""Mask lab: one mask taken apart, step by step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.checkpoint import choose_checkpoint
from ui.choosers.mask_options import choose_options
from ui.choosers.scene import carry_over, choose_rates, choose_scene, draw_again, scene_facts
from ui.choosers.select import select
from ui.choosers.training_switch import choose_training, training_sites
from ui.components.pictures import Picked, pictures
from ui.components.present import present_button
from ui.entry import through_app
from ui.fragments import callback, fragment
from ui.rooms import LINE, ROW, SCREEN, room
from ui.saved.button import Seen, heading, offer

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from camdrop.checkpoints import Checkpoint
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

**γ is not the share that survives.** Only candidates can become seeds, and there are few of them: compare *Share
dropped* with 1 − γ. The reading *matched* (under More) spends DropBlock's budget on the candidates instead.
"""


@callback
def enlarge(picked: Picked) -> None:
    st.session_state["rank"] = picked.index + 1


@fragment
def lab(chosen: tuple[str, Checkpoint], row: DeltaGenerator) -> None:
    """What follows the hand: all but the checkpoint. The choosers are in `row`."""
    from camdrop.analysis.mask_steps import dissect, many_draws, masked_pass, shares
    from camdrop.masks import METHODS
    from camdrop.training.config import make_method
    from ui.panels import ahead, mask_draws, mask_lab, mask_message
    from ui.panels.shown import still

    @callback
    def visit(picked: Picked) -> None:
        st.session_state["site"] = sites[picked.index].name

    model, meta, sites = chosen[1].model, chosen[1].meta, chosen[1].model.drop_sites
    names = {kind.__name__: name for name, kind in reversed(METHODS.items())}
    rates = room("rates", LINE).container(key="rates")
    switches = room("switches", LINE).container(horizontal=True, vertical_alignment="center")
    with switches:
        present_button(mask_lab.STEPS)
        training = choose_training(chosen[0], meta)
        guess = st.toggle("Guess the class from the mask", key="guess", bind="query-params", help=GUESS)
        means = st.toggle("Mean of draws", key="means", bind="query-params", help=MEANS)
    with row:
        scene = choose_scene(chosen[1])
        if scene is None:
            return
        name = names[select("Method", list(names), key="method", width=150)]
        draw_again()
        options, seed, rank = choose_options(name == "camdrop", scene.activation.site.channels)
    blocks = name in ("camdrop", "dropblock")
    with rates:
        gamma, r = choose_rates(blocks)
    method = make_method(name, {}, options | {"keep_prob": gamma, "block_size": r})
    assert method is not None  # as it is for the baseline, which is no choice here
    passed = None
    if training:
        masked = training_sites(model, meta, method)
        passed = masked_pass(scene.activation, scene.image, method, scene.label, seed, masked)
    d = passed.here if passed and passed.here else dissect(scene.activation, method, scene.label, seed)
    # The browser cannot follow: behind other masks every γ has features of its own, and a probe sees each mask.
    alone = not passed and not guess
    state = ahead.state_of(chosen[0], scene, method, r, seed, rank) if alone else None
    shown = ahead.show(d, seed) if alone else still(d, "", answer=not passed)
    remark = "Training masks other sites, so the mask of this one is drawn alone." if passed and not passed.here else ""
    strip, grid, numbers = mask_lab.boards(scene, shown, rank, state, remark)

    def boards(near: State) -> list[Board]:
        other = make_method(name, {}, options | {"keep_prob": gamma, "block_size": near.at["r"]})
        assert other is not None
        drawn = ahead.show_whole(scene.activation, other, scene.label, int(near.at["seed"]))
        return mask_lab.boards(scene, drawn, int(near.at["rank"]), near)

    sizes = range(1, 17) if blocks else ()
    can_fill = ahead.can_fill(scene.activation)
    near = list(ahead.neighbours(state, sizes, len(d.alpha))) if state and can_fill else []
    planned = ahead.fill(near, boards)
    rests = mask_message.hand_rests((chosen[0], training, guess, name), method)
    message, missing = mask_message.message(scene, d, passed, seed, guess)
    if message:
        pictures(message, key="message", columns=3)
    pictures(**vars(strip), on_pick=enlarge)
    left, right = st.columns(2)
    with left:
        pictures(**vars(grid), on_pick=enlarge)
        waits = {"gamma": gamma, "r": r, "seed": seed} if state else None
        if means:
            drawn = many_draws(d.activation, method, scene.label, seed)
            panel = mask_draws.mean(drawn, int(d.order[rank]))
            pictures([panel], key="mean", max_width=310, waits=waits and {**waits, "rank": rank})
    with right:
        pictures(**vars(dataclasses.replace(numbers, planned=planned)))
        # A whole pass with all masks at every move: too slow for large images to come unasked.
        if every := scene.image.shape[-1] <= LARGE or st.toggle(
            "Every drop site", key="every", bind="query-params", help="Mask all of them at each move: slower"
        ):
            draws = max(1, 36 // len(sites))
            found = shares(model, scene.image, method, scene.label, seed, draws)
            panels = mask_draws.sites(scene, found, 1 - gamma, draws)
            pictures(panels, key="sites", columns=2, waits=waits, on_pick=visit)
    if missing:
        with switches:
            mask_message.ask(missing, meta, rests)
    rows = [[["strip"]], [["grid"], ["numbers", *(["mean"] if means else []), *(["sites"] if every else [])]]]
    rows = [[["message"]], *rows] if message else rows
    facts = scene_facts(chosen[0], scene) | {"Method": type(method).__name__, "Seed of the draw": str(seed)}
    offer(Seen(TITLE, QUESTION, rows, facts, [chosen], HOW, scene.picture.own, ahead=ahead.whole(near, boards)))


def page() -> None:
    from ui.panels.background import carrier

    row = room("choosers", ROW).container(horizontal=True, vertical_alignment="bottom")
    with row, st.container(width=400):
        chosen = choose_checkpoint("Checkpoint", key="checkpoint")
    if chosen is None:
        return
    board = room("board", SCREEN)
    st.page_link("pages/five_methods.py", label="These features under all five methods", icon=":material/view_in_ar:")
    with st.expander("How it is computed", icon=":material/function:"):
        st.markdown(HOW)
    with board:  # after what stands below, which then moves no more
        lab(chosen, row)
    carrier()


heading(TITLE, QUESTION)
carry_over("mask_lab")
page()
