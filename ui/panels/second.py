"""The second of two settings that the mask lab compares: what of it is not as in the first."""

from __future__ import annotations

import dataclasses

import streamlit as st

from ui.choosers.checkpoint import at_hand, open_checkpoints, versions
from ui.choosers.scene import PREDICTED, TRUE, make_scene, rate_slider, size_slider
from ui.choosers.select import not_here, select
from ui.fragments import callback
from ui.panels.mask_side import BLOCKS, KINDS, Side

AS_A = "As A"
_CHOICES = ("b_checkpoint", "b_label", "b_method", "b_reading")


def choose_compare(guided: bool) -> bool:
    """The switch, `ab` in the link; switched on with nothing to compare, B takes another method."""

    @callback
    def begin() -> None:
        store = st.session_state
        if store["ab"] and not store.get("b_own") and all(store.get(key, AS_A) == AS_A for key in _CHOICES):
            store["b_method"] = st.query_params["b_method"] = "DropBlock" if guided else "CamDrop"

    why = "Two settings side by side, with the same coins: another label, method, checkpoint …"
    return st.toggle("A | B", key="ab", bind="query-params", on_change=begin, help=why)


def choose_second(a: Side) -> Side | None:
    """What B is, from choosers in a row; None if it cannot open."""
    from camdrop.masks import READINGS

    with st.container(horizontal=True, vertical_alignment="bottom", key="second"):
        st.markdown("**B**", width="content")
        names = [AS_A, *(name for name, meta in at_hand().items() if meta.in_channels in (1, 3))]
        absent = [name for name in st.query_params.get_all("b_checkpoint") if name and name not in names]
        network = select("Checkpoint of B", names, key="b_checkpoint", width=300)
        opened = [(a.checkpoint, a.network)] if network == AS_A else open_checkpoints([network])
        if not opened:
            return None
        name, checkpoint = opened[0]
        label = select("Label y of B", [AS_A, TRUE, PREDICTED, *checkpoint.meta.classes], key="b_label", width=150)
        method = select("Method of B", [AS_A, *KINDS], key="b_method", width=150)
        kind = a.kind if method == AS_A else KINDS[method]
        reading = select("Reading of B", [AS_A, *READINGS], key="b_reading", width=150)
        own = st.toggle("γ and r of its own", key="b_own", bind="query-params")
    if absent:
        st.warning(f"{not_here(absent)} B shows that of A.", icon=":material/link_off:")
    gamma, r, keys = a.gamma, a.r, a.keys
    if own:
        with st.container(horizontal=True):
            gamma = rate_slider("Keep rate γ of B", key="b_gamma")
            r = size_slider("Block size r of B", key="b_r", disabled=kind not in BLOCKS)
        keys = ("b_gamma", "b_r")
    guide = a.scene.choice if label == AS_A else label
    picture = a.scene.picture.seen_by(checkpoint.meta, a.network.meta)
    scene = make_scene(checkpoint, picture, guide, a.site)
    options = a.options if reading == AS_A else {**a.options, "reading": reading}
    choices = {"checkpoint": network, "label": label, "method": method}
    return dataclasses.replace(
        a, checkpoint=name, network=checkpoint, alike=a.alike if network == AS_A else versions([name]), scene=scene,
        kind=kind, options=options, gamma=gamma, r=r, keys=keys, mark="B",
        own={key for key, value in choices.items() if value != AS_A},
    )  # fmt: skip


def fixed(side: Side) -> tuple[object, ...]:
    """What no slider moves."""
    return side.checkpoint, side.scene.label, side.kind
