"""Five methods: the same features under each of them, as the paper's Figure 1 draws them."""

from __future__ import annotations

import streamlit as st

from ui.choosers.scene import FIRST_DRAW, Scene, carry_over, cells, choose_rates, choose_scene, draw_again
from ui.components.pictures import pictures
from ui.entry import through_app

HOW = """
Each block is the features of one image at one drop site: slices are channels (the eight with the largest α), each of
H×W cells, and dropped cells stand out in orange. Drag a block, or press the arrow keys on it, to turn all of them.

All five are one general form, X̃ = M ⊙ X · scale with M = 𝓕(φ(ψ, 𝒯(X, y)), r) and ψ ~ Ber(γ) (Eq. 2–4). They differ in
what one coin decides: a unit, a channel, a branch, or a block of r×r units; and CamDrop alone asks the features and the
label (𝒯) where the coins may fall. Press ƒ for each method's rule with its numbers.

All share γ, r and the seed. What they drop differs all the same: *dropped* counts all channels of the site, not only
those drawn, and DropBlock alone sets its rate so that about 1 − γ is dropped.
"""


@st.fragment
def blocks(scene: Scene, reading: str, seed: int) -> None:
    """What follows the hand: γ, r and all blocks."""
    from camdrop.analysis.mask_steps import dissect, remarks
    from camdrop.masks import METHODS
    from camdrop.training.config import make_method
    from ui.panels.figure_1 import figure_1

    gamma, r = choose_rates()
    options = {"keep_prob": gamma, "block_size": r, "reading": reading}
    methods = [method for name in METHODS if (method := make_method(name, {}, options))]
    draws = [dissect(scene.activation, method, scene.label, seed) for method in methods]
    said = [scene.remark, *(f"CamDrop: {remark}" for remark in remarks(draws[-1]))]
    st.caption(" ".join(said).strip() or "&nbsp;")
    drawn = [(d, cells(d, seed)) for d in draws]
    pictures(figure_1(scene, drawn), key="blocks", columns=3, min_width=220, max_width=440)


@st.fragment
def page() -> None:
    from camdrop.masks import READINGS

    with st.container(horizontal=True, vertical_alignment="bottom"):
        scene = choose_scene()
        if scene is None:
            return
        st.button("Draw again", icon=":material/casino:", on_click=draw_again, help="The next seed")
        with st.popover("More", icon=":material/tune:", help="The seed, and CamDrop's reading of the paper"):
            seed = st.number_input("Seed of the draw", 0, 2**31, FIRST_DRAW, key="seed", bind="query-params")
            reading = st.segmented_control(
                "Reading of the paper",
                READINGS,
                default=READINGS[0],
                required=True,
                key="reading",
                bind="query-params",
                help="How likely a candidate becomes a seed in CamDrop.",
            )
    blocks(scene, reading, seed)
    st.page_link("pages/mask_lab.py", label="One of these masks, step by step", icon=":material/layers:")
    with st.expander("How it is computed"):
        st.markdown(HOW)


through_app()
st.title("Five methods")
st.caption("What does each kind of dropout take away from the same features?")
carry_over("five_methods")
page()
