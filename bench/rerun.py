"""R, the unit of bench/app.py: a fragment that holds nothing but its slider and one line of text."""

import streamlit as st

from ui.components.slider import live_slider


@st.fragment
def body() -> None:
    st.text(live_slider("Value", key="value", min=0, max=1000, step=1, default=500))


body()
