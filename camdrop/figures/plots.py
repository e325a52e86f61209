"""Arrays → Plotly figures of the studies, as plain dictionaries; their colours are those of colours.py."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camdrop.figures.colours import NEUTRAL, css, method_css
from camdrop.figures.numbers import NBSP

Array = npt.NDArray[Any]
Figure = dict[str, Any]

_LAYOUT: Figure = {
    "margin": {"l": 60, "r": 10, "t": 60, "b": 44},  # above the legend is room for Plotly's tools
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    "height": 320,
}


def plotly_js() -> Path | None:
    """Where plotly.js is, inside the Python package; None where that is not installed."""
    spec = importlib.util.find_spec("plotly")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return path if path and path.exists() else None


def _log_axis(title: str, low: float, high: float) -> Figure:
    """A logarithmic axis with a tick a decade; where it has no two of them, at 1, 2 and 5 of each."""
    few = not 0 < 100 * low < high
    return {"type": "log", "title": {"text": title}, "dtick": "D2" if few else 1, "exponentformat": "power"}


def bound_boxes(layers: Sequence[str], quantiles: Mapping[str, Sequence[Sequence[float]]], unit: str) -> Figure:
    """Distributions of a bound, a box a layer and method: its five quantiles (5, 25, 50, 75, 95 %) at each layer.

    What is 0 is drawn at the foot.
    """
    traces = []
    every = np.array([row for rows in quantiles.values() for row in rows])
    floor = every[every > 0].min(initial=1.0) / 2  # a logarithmic axis has no 0
    for method, rows in quantiles.items():
        low, q1, median, q3, high = np.maximum(np.array(rows), floor).T.tolist()
        traces.append({
            "type": "box", "name": _name(method), "x": list(layers), "lowerfence": low, "q1": q1, "median": median,
            "q3": q3, "upperfence": high, "marker": {"color": method_css(method)}, "line": {"width": 1.5},
        })  # fmt: skip
    axes: Figure = {"yaxis": _log_axis(unit, max(floor, every.min()), every.max()), "boxmode": "group"}
    return {"data": traces, "layout": _LAYOUT | axes}


def ratio_histogram(edges: Array, counts: Mapping[str, Array]) -> Figure:
    """How often each method makes the bound so many times what it is without a mask; bins of logarithmic edges."""
    centres = np.sqrt(edges[1:] * edges[:-1])
    traces = [
        {
            "type": "scatter", "mode": "lines", "line": {"shape": "hvh", "color": method_css(method), "width": 2},
            "name": _name(method), "x": centres.tolist(), "y": (100 * count / max(1, count.sum())).tolist(),
            "hovertemplate": f"× %{{x:.2f}}: %{{y:.1f}}{NBSP}%",
        }
        for method, count in counts.items()
    ]  # fmt: skip
    one = {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1.5,
           "color": method_css("baseline")}}  # fmt: skip
    axes: Figure = {
        "xaxis": _log_axis("bound ÷ bound without a mask", 0.01, 10) | {"range": [-2, 1]},
        "yaxis": {"title": {"text": "% of pairs"}, "rangemode": "tozero"},
        "shapes": [one],
    }
    return {"data": traces, "layout": _LAYOUT | axes}


def under_the_bound(points: Mapping[str, Array]) -> Figure:
    """The gradient against its bound, (2, n) points a method; Eq. 15 says that none lies above the diagonal."""
    shown = {method: found[:, (found > 1e-6).all(0)] for method, found in points.items()}
    traces: list[Figure] = [
        {
            "type": "scattergl", "mode": "markers", "name": _name(method), "x": bound.tolist(), "y": gradient.tolist(),
            "marker": {"size": 4, "opacity": 0.7, "color": method_css(method)},
        }
        for method, (bound, gradient) in shown.items()
    ]  # fmt: skip
    every = np.concatenate(list(shown.values()), axis=1)
    (low, lowest), (high, highest) = every.min(1, initial=1.0).tolist(), every.max(1, initial=1e-6).tolist()
    ends = [low, high]
    line = {"color": method_css("baseline"), "dash": "dot", "width": 1.5}
    traces.append(
        {"type": "scatter", "mode": "lines", "name": "equal", "x": ends, "y": ends, "line": line, "hoverinfo": "skip"}
    )
    axes: Figure = {
        "xaxis": _log_axis("bound ‖∂S/∂b‖₁", *ends),
        "yaxis": _log_axis("gradient |∂L/∂b|", lowest, highest),
    }
    return {"data": traces, "layout": _LAYOUT | axes}


def _name(method: str) -> str:
    names = {"baseline": "no mask", "dropblock": "DropBlock", "camdrop": "CamDrop", "spatialdropout": "SpatialDropout"}
    return names.get(method, method.capitalize())


def sweep_surface(rates: Sequence[float], keeps: Sequence[float], errors: Array, *, front: str, keep: str) -> Figure:
    """A 3-D view of the errors in percent (rates, keeps), NaN where there is none yet, as the paper's Figure 4.

    The better, the higher. `front` is the axis in front: "rate" (Figure 4a) or "keep" (4b). Where a person has turned
    it lasts as long as `keep` is the same.
    """
    eye = {"x": 0.55, "y": -2.1, "z": 0.9} if front == "rate" else {"x": 2.1, "y": -0.55, "z": 0.9}
    surface = {
        "type": "surface", "x": list(rates), "y": list(keeps), "z": _holes(errors.T), "connectgaps": True,
        "colorscale": "Viridis", "reversescale": True, "showscale": False, "cmin": 0, "cmax": 100, "hoverinfo": "skip",
        "contours": {axis: {"show": True, "color": "rgba(128,128,128,0.5)", "width": 1} for axis in "xy"},
    }  # fmt: skip
    row, column = np.nonzero(~np.isnan(errors))
    cells = {
        "type": "scatter3d", "mode": "markers",
        "x": np.array(rates)[row].tolist(), "y": np.array(keeps)[column].tolist(), "z": errors[row, column].tolist(),
        "marker": {"size": 2, "color": css(NEUTRAL)},
        "hovertemplate": f"lr %{{x}}<br>γ %{{y}}<br>error %{{z:.1f}}{NBSP}%<extra></extra>",
    }  # fmt: skip
    grid = {"gridcolor": css(NEUTRAL), "gridwidth": 1}
    x = {"type": "log", "title": {"text": "lr"}, "tickvals": list(rates)[::2], "range": _span(np.log10(rates))}
    y = {"title": {"text": "γ"}, "range": _span(keeps)}
    z = {"title": {"text": "error (%)"}, "range": [100, 0], "tickvals": [0, 20, 40, 60, 80]}  # 100 meets another axis
    axes = {f"{name}axis": axis | grid for name, axis in (("x", x), ("y", y), ("z", z))}
    scene = axes | {
        "camera": {"eye": eye, "center": {"x": -0.1 if front == "rate" else 0, "y": 0, "z": -0.15}},
        "aspectmode": "cube",
    }
    layout = {"scene": scene, "margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "height": 380, "uirevision": keep}
    return {"data": [surface, cells], "layout": layout | {"showlegend": False}}


def sweep_heatmap(rates: Sequence[float], keeps: Sequence[float], errors: Array, marks: Array) -> Figure:
    """The same errors to read values from; `marks` (rates, keeps) are words beside them, such as × for diverged."""
    words = [
        [f"{mark}" if np.isnan(e) else f"{e:.1f} {mark}".strip() for e, mark in zip(*row, strict=True)]
        for row in zip(errors, marks, strict=True)
    ]
    heat = {
        "type": "heatmap", "x": [f"{keep:g}" for keep in keeps], "y": [f"{rate:g}" for rate in rates],
        "z": _holes(errors), "zmin": 0, "zmax": 100, "text": words, "texttemplate": "%{text}", "xgap": 2, "ygap": 2,
        "colorscale": "Viridis", "reversescale": True, "colorbar": {"title": {"text": "error (%)"}, "thickness": 12},
        "hovertemplate": "lr %{y}<br>γ %{x}<br>%{text}<extra></extra>", "hoverongaps": False,
    }  # fmt: skip
    axes = {
        "xaxis": {"type": "category", "showgrid": False, "title": {"text": "retaining rate γ"}},
        "yaxis": {"type": "category", "showgrid": False, "title": {"text": "learning rate"}},
    }
    return {"data": [heat], "layout": _LAYOUT | axes | {"height": 400, "margin": {"l": 60, "r": 10, "t": 10, "b": 44}}}


def _holes(values: Array) -> list[list[float | None]]:
    """As lists, with None where there is nothing to draw."""
    return [[None if np.isnan(v) else float(v) for v in row] for row in values]


def _span(values: Array | Sequence[float]) -> list[float]:
    """The range of an axis, which is never empty."""
    low, high = float(np.min(values)), float(np.max(values))
    return [low, high] if low < high else [low - 0.5, high + 0.5]
