"""What Explore shows: the image, and for each network a panel with its heatmap, answers and statistics."""

from collections.abc import Sequence

import streamlit as st

from camdrop.analysis.explanations import Explanation, scores
from camdrop.figures import COLORMAPS, DIFFERENCE, css, lut
from camdrop.figures.numbers import number, percent
from ui.choosers.image import ChosenImage
from ui.choosers.labels import method_label, network_label
from ui.components.pictures import Heat, Panel, Raster, Row
from ui.components.slider import Live, live_slider
from ui.panels.views import ColouredHeatmap, Style

SHARED = "The same colour is the same evidence in all pictures; else each runs over its own range."
DIFFERENT = "What each network has more (red) or less (blue) than the first; see How it is computed."


def choose_style(opacity: float) -> Style:
    """The options of how heatmaps look."""
    colormap = st.selectbox("Colour map", list(COLORMAPS), key="colormap", bind="query-params")
    st.caption(COLORMAPS[colormap].capitalize() + ".")
    shared = st.toggle("One range for all", key="shared", bind="query-params", help=SHARED)
    difference = st.toggle("Difference to the first", key="difference", bind="query-params", help=DIFFERENT)
    start = live_slider("Range from", key="from", min=0.0, max=1.0, step=0.01, default=0.0, local=True)
    end = live_slider("Range to", key="to", min=0.0, max=1.0, step=0.01, default=1.0, local=True)
    return Style(colormap, shared, difference, opacity, start, end)


def image_panel(picture: ChosenImage, explanation: Explanation, truth: str | None) -> Panel:
    """The image as the first network takes it."""
    prediction = explanation.prediction
    height, width = prediction.image.shape[2:]
    return Panel(
        "Image",
        f"The image: {picture.name}",
        [Raster(prediction.picture)],
        id="image",
        subtitle=picture.name,
        lines=[f"True class: {truth or 'unknown'}", f"{width} × {height} pixels"],
        download="image.png",
    )


def network_panels(heatmaps: Sequence[ColouredHeatmap], style: Style, truth: str | None) -> list[Panel]:
    """A panel for each network, by its method, or by its name where two have the same."""
    metas = [heatmap.explanation.checkpoint.meta for heatmap in heatmaps]
    titles = [method_label(meta) if meta.method else heatmaps[i].explanation.name for i, meta in enumerate(metas)]
    if len(set(titles)) < len(titles):
        titles = [heatmap.explanation.name for heatmap in heatmaps]
    return [
        _network_panel(heatmap, f"{title} − {titles[0]}" if heatmap.signed else title, style, truth)
        for heatmap, title in zip(heatmaps, titles, strict=True)
    ]


def _network_panel(heatmap: ColouredHeatmap, title: str, style: Style, truth: str | None) -> Panel:
    """The heatmap of one network over the image, its five most probable classes, and the heatmap's statistics."""
    explanation, numbers = heatmap.explanation, heatmap.explanation.statistics
    meta, values = explanation.checkpoint.meta, explanation.heatmap
    start, end = (0.0, 1.0) if heatmap.signed else (Live("from", style.start), Live("to", style.end))
    heat = Heat(heatmap.share, lut(heatmap.colormap), start, end, Live("opacity", style.opacity))
    regions = "1 region" if numbers.regions == 1 else f"{numbers.regions} regions"
    lines = [
        f"{explanation.target_name}: {number(values.min(), '.1f')} to {number(values.max(), '.1f')}",
        f"{percent(numbers.coverage, '.0f')} above half of the maximum",
        f"{regions} · entropy {numbers.entropy:.2f}",
    ]
    known = scores(explanation)
    # A line is kept for them, so that nothing jumps.
    lines.append(
        f"Deletion {known.deletion_auc:.2f} · insertion {known.insertion_auc:.2f}" if known else "\N{NO-BREAK SPACE}"
    )
    rows = [
        Row(
            meta.classes[k] + (" ✓" if meta.classes[k] == truth else ""),
            percent(p, ".1f"),
            p,
            marked=k == explanation.target,
        )
        for k, p in explanation.prediction.top()
    ]
    return Panel(
        title,
        f"Where {explanation.name} looks for {explanation.target_name}",
        [Raster(explanation.prediction.picture), heat],
        id=f"network {explanation.name}",
        subtitle=network_label(meta).partition(" · ")[2],
        lines=lines,
        rows=rows,
        download=f"{explanation.name}.png",
    )


def legend(style: Style) -> str:
    """What the colours mean, as HTML."""
    bars = [(style.colormap, "least", "most evidence for the class")]
    if style.difference:
        bars.append((DIFFERENCE, "less", "more than the first"))
    return "".join(_bar(*bar) for bar in bars)


def _bar(colormap: str, low: str, high: str) -> str:
    stops = ", ".join(css((int(r), int(g), int(b))) for r, g, b in lut(colormap)[::15])
    bar = f"width:6rem;height:.7rem;border-radius:3px;background:linear-gradient(to right,{stops})"
    return (
        '<div style="display:flex;align-items:center;gap:.4rem;font-size:.8rem;line-height:1.5;white-space:nowrap">'
        f'{low}<span style="{bar}"></span>{high}</div>'
    )
