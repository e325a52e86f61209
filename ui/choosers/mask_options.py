"""The rare choices of the mask lab: options of the method, the seed, the channel that is shown large."""

from __future__ import annotations

import streamlit as st

from ui.choosers.scene import FIRST_DRAW
from ui.choosers.select import segments, whole_number
from ui.components.slider import live_slider


def choose_options(guided: bool, channels: int) -> tuple[dict[str, object], int, int]:
    """The rare controls, behind a button: options of the method, the seed, and the α rank of the enlarged channel."""
    from camdrop.masks import CHANNELS, GUIDES, READINGS

    options: dict[str, object] = {}
    with st.popover("More", icon=":material/tune:", help="The seed, options of CamDrop, the channel to enlarge"):
        seed = whole_number("Seed of the draw", 0, 2**31, FIRST_DRAW, key="seed")
        for label, key, choices, why in (
            ("Reading of the paper", "reading", READINGS, "How likely a candidate becomes a seed: ƒ of step 4 tells."),
            ("Guide", "guide", GUIDES, "J: the class activation map, or the mean of all channels (Table 2)."),
            ("Channels", "channels", CHANNELS, "Those with the largest α, or all of them (Table 3)."),
        ):
            options[key] = segments(label, choices, key=key, disabled=not guided, help=why)
        unused = not guided or options["channels"] == "all"
        options["channel_fraction"] = live_slider(
            "Channel fraction", key="channel_fraction", min=0.005, max=1.0, step=0.005, default=0.125, disabled=unused
        )
        auto = st.toggle("Position fraction 1/r²", True, key="auto", bind="query-params", disabled=not guided)
        unused = not guided or bool(auto)
        fraction = live_slider(
            "Position fraction", key="position_fraction", min=0.005, max=1.0, step=0.005, default=0.1, disabled=unused
        )
        options["position_fraction"] = None if auto else fraction
        rank = whole_number("Enlarged channel, by its α rank", 1, channels, 1, key="rank")
    return options, seed, rank - 1
