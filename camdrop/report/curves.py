"""What races recorded → Plotly traces: a line a contender over the epochs, with marks where something happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from camdrop.data.text import plotly_text
from camdrop.figures import METHOD_COLOURS, method_css
from camdrop.figures.numbers import NBSP
from camdrop.figures.plots import Figure
from camdrop.runs import Run, RunConfig
from camdrop.runs.records import KNOB_SIGNS, Record, label, turned
from camdrop.training.config import method_name

MEASURES = {  # title → name in the records, unit
    "Training error": ("train_error", "%"),
    "Validation error": ("validation_error", "%"),
    "Loss": ("loss", ""),
    "Gradient norm": ("gradient_norm", ""),
    "Share dropped": ("dropped", "%"),
    "Keep rate γ": ("keep_prob", ""),
    "Learning rate": ("learning_rate", ""),
    "Images a second": ("images_per_second", ""),
}
UNMASKED = {"Training error without masks": ("unmasked_train_error", "%")}  # of races since it is recorded
OBEYS = {"Obeys its masks": ("obeys", "%")}  # of races that measure it
BOUNDS = {  # of races that measure them
    "Gradient bound": ("gradient_bound", ""),
    "Bound without its mask": ("unmasked_bound", ""),
    "Saturated units": ("saturated", "%"),
}
# What tells methods apart besides their colours, and contenders of one method.
_SYMBOLS = dict(
    zip(METHOD_COLOURS, ("circle", "cross", "triangle-up", "square", "triangle-down", "diamond"), strict=True)
)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_ROOM = 0.2  # of a plot's width for the words at a mark
_MOST_POINTS = 400  # of one curve; neighbours are averaged


@dataclass(frozen=True)
class Curve:
    """What was recorded of one contender: `records` as of `camdrop.runs.records`, those of kind point, knob and end."""

    name: str
    method: str
    records: Sequence[Record] = field(repr=False)


def curves_of(run: Run, records: Sequence[Record], prefix: str = "") -> list[Curve]:
    """The curves of a run's contenders, named as people know them."""
    own: dict[str, list[Record]] = {}
    for record in records:
        own.setdefault(record["contender"], []).append(record)
    knobs = turned(records)
    return [
        Curve(plotly_text(prefix + label(c, knobs.get(c.name))), method_name(c.method), own.get(c.name, []))
        for c in run.config.contenders
    ]


def panels(chosen: Sequence[Curve], measures: Sequence[str]) -> list[dict[str, Any]]:
    """A plot for each of `measures` (titles that `offered` may name): its title, unit and Plotly traces."""
    known = MEASURES | UNMASKED | OBEYS | BOUNDS
    return [
        {"title": title, "unit": unit, "traces": _traces(chosen, name, first=i == 0)}
        for i, (title, (name, unit)) in enumerate((title, known[title]) for title in measures)
    ]


def offered(config: RunConfig, records: Sequence[Record]) -> list[str]:
    """Titles of the measures that a run records, or will have recorded at the end of its first epoch."""
    epoch_ended = any(record["epoch"] >= 1 for record in records)
    unmasked = not epoch_ended or any("unmasked_train_error" in record for record in records)
    return [
        *MEASURES, *(UNMASKED if unmasked else ()), *(OBEYS if config.leakage else ()),
        *(BOUNDS if config.bounds else ()),
    ]  # fmt: skip


def _traces(chosen: Sequence[Curve], measure: str, *, first: bool) -> list[dict[str, Any]]:
    traces, seen = [], dict[str, int]()
    for curve in chosen:
        dash = seen[curve.method] = seen.get(curve.method, -1) + 1
        color, symbol = method_css(curve.method), _SYMBOLS[curve.method]
        points = [r for r in curve.records if r["kind"] == "point" and r.get(measure) is not None]
        scale = 100 if measure in ("dropped", "saturated") else 1
        x, y, steps = (
            _thin([p["epoch"] for p in points]),
            _thin([scale * p[measure] for p in points]),
            [p["step"] for p in points][_stride(len(points)) - 1 :: _stride(len(points))],
        )
        common = {"type": "scatter", "legendgroup": curve.name, "name": curve.name}
        traces.append(
            common
            | {
                "x": x, "y": y, "customdata": steps, "mode": "lines+markers", "showlegend": first,
                "line": {"color": color, "width": 2, "dash": _DASHES[dash % len(_DASHES)]},
                "marker": {"color": color, "symbol": symbol, "size": 7, "maxdisplayed": 16},
            }
        )  # fmt: skip
        traces += [common | {"showlegend": False} | mark for mark in _marks(curve, x, y, color)]
    return traces


def _marks(curve: Curve, x: list[float], y: list[float], color: str) -> list[dict[str, Any]]:
    """Where a knob was turned, and where a contender ended early."""
    marks = []
    for kind, symbol in (("knob", "star-triangle-down"), ("end", "x")):
        found = sorted((r for r in curve.records if r["kind"] == kind), key=lambda r: r["epoch"]) if x else []
        if found:
            texts = [plotly_text(r["reason"]) if kind == "end" else _knob_text(r) for r in found]
            words = [f"<b>{text if kind == 'knob' else 'ended'}</b>" for text in texts]
            apart = _ROOM * (x[-1] - x[0])
            for i in range(1, len(words)):  # those too near to the one before have theirs on hover
                shown = max(k for k in range(i) if words[k])
                words[i] = words[i] if found[i]["epoch"] - found[shown]["epoch"] >= apart else ""
            marks.append({
                "x": [r["epoch"] for r in found], "y": [_at(r["epoch"], x, y) for r in found],
                "text": words, "hovertext": texts, "hoverinfo": "text",
                "mode": "markers+text", "textposition": "top center", "textfont": {"color": color},
                "marker": {"color": color, "symbol": symbol, "size": 13, "line": {"color": "white", "width": 1}},
            })  # fmt: skip
    return marks


def _knob_text(record: dict[str, Any]) -> str:
    return ", ".join(f"{sign} {record[name]:g}" for name, sign in KNOB_SIGNS.items() if name in record)


def _at(epoch: float, x: list[float], y: list[float]) -> float:
    """The height of a curve at the first of its points from `epoch` on."""
    return next((b for a, b in zip(x, y, strict=True) if a >= epoch), y[-1])


def _stride(n: int) -> int:
    """A power of two, so that points move only when it doubles."""
    stride = 1
    while n > stride * _MOST_POINTS:
        stride *= 2
    return stride


def _thin(values: list[float]) -> list[float]:
    """Means of neighbours; the last ones wait until they are enough. Six digits are plenty for a screen."""
    stride = _stride(len(values))
    whole = range(0, len(values) - stride + 1, stride)
    return [float(f"{sum(values[i : i + stride]) / stride:.6g}") for i in whole]


def side_by_side(drawn: Sequence[dict[str, Any]]) -> Figure:
    """Two of `panels` beside each other as one Plotly figure."""
    traces: list[dict[str, Any]] = []
    layout: Figure = {"height": 420, "margin": {"l": 60, "r": 10, "t": 60, "b": 50}, "annotations": []}
    layout["legend"] = {"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0}
    for panel, suffix, left in zip(drawn, ("", "2"), (0.0, 0.55), strict=True):
        grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
        layout[f"xaxis{suffix}"] = {"domain": [left, left + 0.45], "title": {"text": "Epoch"}} | grid
        layout[f"yaxis{suffix}"] = {"anchor": f"x{suffix}", "ticksuffix": f"{NBSP}{panel['unit']}"} | grid
        layout["annotations"].append({
            "text": f"<b>{panel['title']}</b>", "xref": "paper", "yref": "paper", "x": left, "y": 1, "showarrow": False,
            "xanchor": "left", "yanchor": "bottom",
        })  # fmt: skip
        traces += [trace | {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"} for trace in panel["traces"]]
    return {"data": traces, "layout": layout}
