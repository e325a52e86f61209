"""Gradients: do masks tighten the bound of the gradients, as section 3.4 of the paper says?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from camdrop.figures.numbers import PERCENT
from ui.choosers.checkpoint import choose_checkpoint, offer_checkpoints
from ui.choosers.select import segments, select, whole_number
from ui.components.slider import live_slider
from ui.entry import through_app
from ui.words import literal

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from camdrop.checkpoints import Checkpoint
    from camdrop.checkpoints.metadata import Meta

through_app()

HOW = r"""
**The bound.** A parameter $b$ moves the loss through the $K$ scores (Eq. 13), and no $\partial L/\partial S_k$ of the
cross-entropy is larger than 1. So (Eq. 15)

$$
\left|\frac{\partial L}{\partial b}\right| \;\le\; \left\|\frac{\partial S}{\partial b}\right\|_1
  = \sum_{k=1}^{K}\left|\frac{\partial S_k}{\partial b}\right|
$$

That is sure, and every dot of the lower right plot lies under the diagonal. The paper goes on (Eq. 16): with a mask
the bound is smaller, and with CamDrop's (c) smaller than with a traditional dropout's (t),
$\|\cdot\|^{(c)} \le \|\cdot\|^{(t)} \le \|\cdot\|$. That is measured here, for each image and parameter.

**Why it need not hold.** A dropped unit has no gradient. But its neighbours live on: what is kept is *scaled up*, by
$1/\gamma$ or Eq. 10, and the ReLUs behind see other inputs, so that some open which were closed. Only behind the last
convolution, *without* the rescaling, nothing can grow: there t ≤ none holds always. And c ≤ t asks CamDrop to
drop where DropBlock does; with the same γ it drops far less (see *dropped*), so that most pairs have c = none.

**How.** The mask acts behind the one layer whose bounds are shown, so all three see the same features; both methods
draw by the same seed; batch norm is in evaluation mode. One backward pass takes the gradients of all $K$ scores
(`torch.func.vjp` under `vmap`). *bias*: what batch norm adds, one a channel. *unit*: a bias of each unit, as the paper
writes its layers. *weight*: those of the convolution. A pair counts if its bound is not 0 without a mask.
"""


def choose_methods(meta: Meta, names: tuple[str, ...], sliders: DeltaGenerator) -> tuple[Any, Any, int, int, list[str]]:
    """The controls: the two methods, with γ and r in `sliders`, the number of images, the seed, and the layers."""
    from camdrop.masks import METHODS, READINGS
    from camdrop.training.config import make_method
    from ui.panels.gradients import at_first

    few, some = at_first(meta, names)
    if (before := st.session_state.get("gradients.few", few)) != few and st.session_state.get("images") == before:
        st.session_state["images"] = few  # nobody chose that many of images of this size
    st.session_state["gradients.few"] = few
    kinds = {METHODS[name].__name__: name for name in ("dropblock", "dropout", "spatialdropout")}
    count = whole_number("Images", 1, 128, few, key="images", width=110)
    with st.popover("More", icon=":material/tune:", help="CamDrop's reading, the other method, layers, seed"):
        why = "How likely a candidate becomes a seed in CamDrop."
        reading = segments("Reading of the paper", READINGS, key="reading", help=why)
        kind = segments("Traditional dropout (t)", list(kinds), key="t")
        if [name for name in st.session_state.get("layers", ()) if name not in names]:
            st.session_state["layers"] = list(some)  # of another network
        usual = None if "layers" in st.session_state else some
        wanted = st.multiselect("Layers", names, usual, key="layers", bind="query-params")
        seed = whole_number("Seed of images and masks", 0, 2**31, 0, key="seed")
    with sliders:
        gamma = live_slider("Keep rate γ", key="gamma", min=0.0, max=1.0, step=0.01, default=0.9, local=True)
        r = live_slider("Block size r", key="r", min=1, max=16, step=1, default=4, local=True)
    options = {"keep_prob": gamma, "block_size": int(r), "reading": reading}
    return make_method(kinds[kind], {}, options), make_method("camdrop", options), count, seed, wanted


def page() -> None:
    with st.spinner("Loading PyTorch …"):
        from camdrop.analysis.gradient_bounds import PARAMETERS, layers
        from ui.panels import gradients as panels

    row = st.container(horizontal=True, vertical_alignment="bottom")
    sliders = st.container(horizontal=True)
    with row:
        offered = offer_checkpoints(key="checkpoint", row=row, width=340)
        chosen = None if offered is None else choose_checkpoint("Checkpoint", offered)
        if chosen is None:
            return
        checkpoint: Checkpoint = chosen[1]
        try:
            names = layers(checkpoint.model)
        except ValueError as error:
            st.info(literal(error), icon=":material/arrow_upward:")
            return
        t, c, count, seed, wanted = choose_methods(checkpoint.meta, names, sliders)
        if not wanted:
            st.info("Choose at least one layer, under More.", icon=":material/arrow_upward:")
            return
        why = " · ".join(f"{name}: {what}" for name, what in PARAMETERS.items())
        name = segments("Parameter b", list(PARAMETERS), default="bias", key="parameter", help=why)
        layer = select("Layer below", wanted, key="layer", width=190)
        scaled = st.toggle("Rescaled", True, key="rescaled", bind="query-params", help="What is kept times 1/γ, Eq. 10")
    bar = st.progress(0.0)
    try:
        pairs = panels.chains(checkpoint, wanted, name, count, t, c, seed, bar.progress)
    except ValueError as error:
        st.error(literal(error), icon=":material/image_not_supported:")
        return
    finally:
        bar.empty()
    st.markdown(panels.verdict(pairs, t))
    shown = [pair[0 if scaled else 1] for pair in pairs]
    st.caption("**The bounds at each layer**: median, middle half, and 5 to 95 % of the pairs; 0 is at the foot")
    st.plotly_chart(panels.boxes(shown, t), key="boxes")
    left, right = st.columns(2)
    detail = shown[wanted.index(layer)]
    with left:
        st.caption(f"**What masks do to the bounds at {literal(layer)}**: left of 1 is tighter")
        st.plotly_chart(panels.ratios(detail, t), key="ratios")
    with right:
        st.caption(f"**Gradients at {literal(layer)} under their bounds** (Eq. 15: none above the line)")
        st.plotly_chart(panels.scatter(detail, t), key="scatter")
    columns = panels.table(pairs)
    numbers = {key: st.column_config.NumberColumn(format="%.3f" if "÷" in key else PERCENT) for key in columns}
    st.dataframe(columns, hide_index=True, column_config=numbers)


st.title("Gradients")
st.caption("Does a mask tighten what a gradient can be at most, and CamDrop's more than DropBlock's?")
page()
with st.expander("How it is computed", icon=":material/function:"):
    st.markdown(HOW)
