"""A small app of live sliders and pictures for the tests of components, in the browser and under AppTest."""

import numpy as np
import streamlit as st

from ui.components.pictures import Bars, Heat, Marks, Panel, Picked, Raster, Row, Tiles, Voxels, pictures
from ui.components.slider import Live, live_slider

LUT = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 40)], axis=1).astype(np.uint8)
IMAGE = np.full((4, 4, 3), (10, 120, 230), np.uint8)


def ramp(gamma: float) -> np.ndarray:
    """A 4×4 map that runs from 0 to gamma along its columns."""
    return np.tile(np.linspace(0, gamma, 4), (4, 1))


def choose(picked: Picked) -> None:
    st.session_state["chosen"] = picked.index
    st.session_state["live.gamma"] = 0.25
    st.session_state["seed"] = 7


@st.fragment
def body() -> None:
    gamma = live_slider("Gamma", key="gamma", min=0.0, max=1.0, step=0.01, default=0.9, help="the keep probability")
    size = live_slider("Block size", key="size", min=1, max=16, step=1, default=8)
    rate = live_slider("Rate", key="rate", min=0.001, max=10.0, step=0.001, default=0.1, log=True, format="%.3g")
    opacity = live_slider("Opacity", key="opacity", min=0.0, max=1.0, step=0.01, default=0.5, local=True)
    seed = st.number_input("Seed", 0, 99, key="seed", bind="query-params", persist_state="session")
    heat = Heat(ramp(gamma), LUT, low=0.0, high=1.0, opacity=Live("opacity", opacity), smooth=False)
    mosaic = np.arange(64, dtype=np.uint8).reshape(8, 8)
    below = np.zeros((3, 4, 4), np.uint8)
    below[1, :2, :2] = 60
    follows = Live("opacity", opacity)
    values = np.array([0.5, -1.0, 2.0])
    equation = f"<math><mi>γ</mi><mo>=</mo><mn>{gamma:.2f}</mn></math>"
    pictures(
        [
            Panel("Heat", "the heatmap", [Raster(IMAGE), heat], id="heat", equation=equation, download="heat.png"),
            Panel("Alpha", "the weights", [Bars(values, values > 1, "#d55e00")], labels=["a", "b", "c"]),
            Panel("Block", "a block", [Voxels(below, "#d55e00", follows)], lines=["a block"]),
            Panel("Rows", "", rows=[Row("Shirt", "90 %", 0.9, marked=True), Row("Coat", "10 %", 0.1)]),
        ],
        key="strip",
    )
    chosen = st.session_state.get("chosen")
    channels = Panel(
        "Channels",
        "the channels",
        [Raster(mosaic), Marks(np.pad(below[1], (0, 4)), "#d55e00", follows)],
        tiles=Tiles(4, 2, 4, 4),
        pickable=True,
        selected=chosen,
    )
    event = pictures([channels], key="grid", on_pick=choose, max_width=200)
    st.text(
        f"gamma={gamma!r} size={size!r} rate={rate!r} opacity={opacity!r} seed={seed} picked={event} chosen={chosen}"
    )


def home() -> None:
    st.title("Live")
    body()


def away() -> None:
    st.title("Elsewhere")


st.set_page_config(layout="wide")
st.navigation([st.Page(home, default=True), st.Page(away)], position="top").run()
