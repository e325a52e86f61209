import streamlit as st, numpy as np
from ui.live import live_slider
from ui.pictures import *

st.set_page_config(layout="wide")
q = st.query_params.get("v", "")
if "n" in q:
    pass
if "b" in q:
    for i in range(20):
        st.button(f"b{i}")
if "k" in q:
    st.markdown(r"hello $$x=\sum_i y_i$$ " * 12)
if "e" in q:
    with st.expander("x"):
        st.markdown(r"hello $$x=\sum_i y_i$$ " * 12)
if "M" in q:
    st.multiselect("m", ["aaa", "bbb", "ccc"], ["aaa", "bbb", "ccc"])


@st.fragment
def outer():
    if "o" in q:
        for i in range(20):
            st.button(f"o{i}")
    body()


@st.fragment
def body():
    v = live_slider("Value", key="value", min=0, max=1000, step=1, default=500)
    st.text(v)
    if "w" in q:
        with st.container(horizontal=True):
            st.selectbox("s", ["a", "b", "c"], key="s", bind="query-params")
            st.segmented_control("g", ["a", "b", "c"], key="g", bind="query-params")
            st.pagination(21, key="p", max_visible_pages=5)
    n = 1 if "1" in q else 5 if "5" in q else 0
    if n:
        h = np.random.rand(28, 28)
        pictures(
            [
                Panel(
                    "T",
                    "t",
                    [Raster((h * 255).astype(np.uint8)), Heat(h, np.zeros((256, 3), np.uint8) + 100, 0.0, 1.0, 0.6)],
                    id=f"{i}",
                    lines=["a" * 20, "b" * 20, f"{v} c"],
                    rows=[Row("Bag", f"{v / 10}%", v / 1000)] * 5,
                )
                for i in range(n)
            ],
            key="board",
            columns=6,
        )


outer() if "o" in q else body()
