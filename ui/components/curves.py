"""Curves that grow while they are looked at: one Plotly figure that keeps its zoom and hover (browser half: curves.js).

Streamlit's own Plotly chart is mounted anew with each update. This one calls `Plotly.react` on the figure it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import streamlit as st

from camdrop.figures import plotly_js
from camdrop.report.curves import Curve, panels
from ui.components.component import component

_curves = component("curves", isolate=False)  # Plotly puts its styles into the page


def curves(chosen: Sequence[Curve], measures: Sequence[str], *, key: str, log: bool = False, keep: str = "") -> None:
    """A plot for each of `measures` (titles in camdrop/report/curves.py), over epochs, side by side if there is room.

    Hover compares all contenders at one step. Zoom and hidden curves last as long as `keep` is the same.
    """
    shown = panels(chosen, measures)
    _curves(key=key, data={"key": key, "plotly": _plotly(), "panels": shown, "log": log, "keep": f"{keep} {log}"})


@cache
def _plotly() -> str:
    """Where the browser finds plotly.js: in the Python package, served once, not sent with every figure."""
    path = plotly_js()
    assert path is not None
    return f"component/{st.components.v1.declare_component('plotly', path=str(path.parent)).name}/{path.name}"
