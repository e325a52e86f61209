"""Choosing a data set by its name."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from camdrop.policy import policy


def choose_data_set(names: Sequence[str], *, key: str, help: str, folder: str, index: int = 0) -> str:
    """One of the names, or, where paths are allowed, `folder:DIR` with what `folder` says is in it."""
    paths = policy().paths
    own = f" Your own: write folder:DIR, where DIR has {folder} with images." if paths else ""
    chosen = st.selectbox(
        "Data set", names, index, key=key, width=200, persist_state="session", accept_new_options=paths, help=help + own
    )
    return str(chosen) if chosen and policy().allows_data(chosen) else names[0]
