"""The switch *mask every site, as in training*: with it, the page begins with the method of the checkpoint's header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.scene import PREDICTED, TRUE
from ui.fragments import callback

if TYPE_CHECKING:
    from camdrop.checkpoints.metadata import Meta
    from camdrop.masks import Method
    from camdrop.resnet import Network
    from camdrop.training.config import Contender

_OF = "training.of"  # whose header the controls were last set from
_SLIDERS = {"keep_prob": "gamma", "block_size": "r", "channel_fraction": "channel_fraction"}
_CHOICES = ("reading", "guide", "channels")


def choose_training(name: str, meta: Meta) -> bool:
    """The switch, `training` in the link; call it before the controls of method, γ, r and label.

    Switched on, or with another checkpoint, it sets them to what this one was trained with. What a link says stays.
    """
    on = st.toggle(
        "Mask every site, as in training",
        key="training",
        bind="query-params",
        on_change=_begin,
        help="One forward pass with masks at all sites where training draws them. The controls begin with the method "
        "that this checkpoint was trained with.",
    )
    if on and st.session_state.get(_OF) != name:
        opened = _OF not in st.session_state
        st.session_state[_OF] = name
        for key, value in _controls(meta).items():
            if not (opened and key.removeprefix("live.") in st.query_params):
                st.session_state[key] = value
    return on


def training_sites(model: Network, meta: Meta, method: Method) -> frozenset[str]:
    """Where training masks: at the header's sites if it is of the same method, else at the method's usual ones."""
    from camdrop.training.config import Contender

    own = _trained(meta)
    if own is not None and type(own.method) is type(method):
        return own.sites(model)
    return Contender("lab", method).sites(model)


@callback
def _begin() -> None:
    st.session_state[_OF] = ""


def _trained(meta: Meta) -> Contender | None:
    from camdrop.training.config import contender_of

    try:
        return contender_of(meta.method, meta.method_options)
    except ValueError:  # a header of another version
        return None


def _controls(meta: Meta) -> dict[str, object]:
    """What the page's controls are set to, by their keys in the session; nothing for a network without masks."""
    own = _trained(meta)
    method = None if own is None else own.method
    if method is None:
        return {}
    options = vars(method)
    found: dict[str, object] = {"live.method": type(method).__name__}
    found |= {f"live.{key}": options[name] for name, key in _SLIDERS.items() if name in options}
    found |= {key: options[key] for key in _CHOICES if key in options}
    if "position_fraction" in options:
        fraction = options["position_fraction"]
        found["auto"] = fraction is None
        if fraction is not None:
            found["live.position_fraction"] = fraction
    if options.get("label") in ("true", "predicted") and st.session_state.get("live.label", TRUE) in (TRUE, PREDICTED):
        found["live.label"] = PREDICTED if options["label"] == "predicted" else TRUE
    return found
