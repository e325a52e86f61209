"""The report as one HTML page that stands by itself, with its curves, surfaces and heatmaps."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from camdrop import figures
from camdrop.analysis.heatmap_metrics import contact_sheet
from camdrop.checkpoints import Checkpoint, list_checkpoints, load
from camdrop.data import INFO, DataError, Split, gallery
from camdrop.figures import Picture
from camdrop.figures.plots import Figure, sweep_heatmap, sweep_surface
from camdrop.report import curves, markdown
from camdrop.report.finished import find
from camdrop.report.json_results import EXPLAINED
from camdrop.report.race_sections import bound_runs, race_runs
from camdrop.runs import Run
from camdrop.runs.records import Record, same_but_seed
from camdrop.shipped import shipped

_MOST_RACES = 4


def html_report(folders: Sequence[Path], checkpoints: Path | None = None) -> str:
    """The whole report; Figure 3 is drawn from the checkpoints in the folder, by default those that come along.

    Curves and surfaces need Plotly, which comes with the app; without it, the page says so in their place.
    """
    found, plotly = find(folders), _plotly()
    drawn = {
        "figure-2": _curves(race_runs(found), ("Training error", "Validation error")),
        "equation-16": _curves(bound_runs(found), ("Gradient bound", "Saturated units")),
        "figure-4": _sweeps(folders),
    }
    title = html.escape(markdown.TITLE)
    parts = [f"<h1>{title}</h1>"]
    parts += [_render(text) for text in (markdown.PROTOCOL, markdown.overview(folders, found), markdown.WHY)]
    for section in markdown.sections(folders, found):
        parts.append(f'<h2 id="{section.anchor}">{html.escape(section.title)}</h2>')
        if section.anchor == "figure-3":
            parts += _sheets(checkpoints or shipped("checkpoints"))
        elif plotly:
            parts += ['<div class="plots">', *(_div(*pair) for pair in drawn.get(section.anchor, ())), "</div>"]
        elif drawn.get(section.anchor):
            parts.append("<p>The picture needs Plotly: pip install 'camdrop[app]', then write the report again.</p>")
        parts.append(_render(section.body))
    scripts = f"<script>{plotly}</script><script>{_DRAW}</script>" if plotly else ""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>{_STYLE}'
    return f'<!doctype html><html lang="en">{head}{"".join(parts)}{scripts}</html>\n'


def fragment(text: str, name: str) -> str:
    """Markdown of the report as HTML for a page; its tables are regions that scroll by the keyboard too."""
    region = f'<div role="region" tabindex="0" aria-label="{html.escape(name)}"><table>'
    body = _render(text).replace("<table>", region).replace("</table>", "</table></div>")
    for head, what in EXPLAINED.items():
        body = body.replace(f">{head}</th>", f'><abbr title="{html.escape(what)}">{head}</abbr></th>')
    return f'<div class="report">{body}</div>'


def _render(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def sheet(chosen: Sequence[tuple[str, Checkpoint]], images: int = 10, tile: int = 140) -> tuple[Picture, list[str]]:
    """The contact sheet of those of the checkpoints that look at images like the first, and their names.

    Ten images of 140 pixels are as wide as Streamlit shows unshrunk. DataError where none of its images are at hand.
    """
    first = chosen[0][1].meta
    if first.dataset not in INFO:
        raise DataError("No images are at hand for the first checkpoint: Explore takes your own.")
    split, info = gallery(first.dataset)
    alike = [
        (name, c) for name, c in chosen
        if (c.meta.in_channels, c.meta.num_classes) == (first.in_channels, first.num_classes)
    ]  # fmt: skip
    models = [(c.model, dataclasses.replace(info, mean=c.meta.mean, std=c.meta.std)) for _, c in alike]
    return contact_sheet(models, Split(split.images[:images], split.labels[:images]), tile=tile), [n for n, _ in alike]


SHEET_WORDS = "From above: the images; {}. Heatmaps of the true class at the last stage, each in its own range."


def _sheets(folder: Path) -> Iterator[str]:
    """A contact sheet for each data set of the checkpoints."""
    paths = [path for path, _ in list_checkpoints(folder)[0]] if folder.is_dir() else []
    kinds: dict[str, list[tuple[str, Checkpoint]]] = {}
    for path in paths:
        checkpoint = load(path)
        kinds.setdefault(checkpoint.meta.dataset, []).append((path.stem, checkpoint))
    for chosen in kinds.values():
        try:
            picture, names = sheet(chosen)
        except (DataError, ImportError) as error:
            yield f"<p>{html.escape(str(error))}</p>"
            continue
        words = html.escape(SHEET_WORDS.format("; ".join(names)))
        yield f'<figure><img src="{figures.data_url(picture)}" alt=""><figcaption>{words}</figcaption></figure>'


def _curves(runs: Sequence[tuple[Run, Sequence[Record]]], measures: tuple[str, str]) -> list[tuple[str, Figure]]:
    """Two measures of some races, of those that differ only in their seeds the first."""
    chosen: list[tuple[Run, Sequence[Record]]] = []
    for run, records in runs:
        if not any(same_but_seed(run.config, other.config) for other, _ in chosen):
            chosen.append((run, records))
    drawn = []
    for run, records in chosen[:_MOST_RACES]:
        panels = curves.panels(curves.curves_of(run, records), measures)
        drawn.append((run.name, curves.side_by_side(panels)))
    return drawn


def _sweeps(folders: Sequence[Path]) -> list[tuple[str, Figure]]:
    drawn: list[tuple[str, Figure]] = []
    for found in markdown.find_sweeps(folders):
        axes, errors = (found.learning_rates, found.keep_probs), found.grid("validation_error")
        for front, letter in (("rate", "a"), ("keep", "b")):
            drawn.append((f"({letter}) {found}", sweep_surface(*axes, errors, front=front, keep="")))
        drawn.append((f"Validation error of every cell: {found}", sweep_heatmap(*axes, errors, found.marks())))
    return drawn


def _div(title: str, figure: Figure) -> str:
    data = json.dumps(figure).replace("</", "<\\/")
    half = ' class="half"' if "scene" in figure["layout"] else ""
    plot = f'<div class="plot"></div><script type="application/json">{data}</script>'
    return f"<figure{half}><figcaption>{html.escape(title)}</figcaption>{plot}</figure>"


def _plotly() -> str:
    """The text of plotly.js, "" where the package is not installed."""
    path = figures.plotly_js()
    return path.read_text(encoding="utf-8") if path else ""


_DRAW = """
const color = getComputedStyle(document.body).color;
for (const plot of document.querySelectorAll(".plot")) {
  const { data, layout } = JSON.parse(plot.nextElementSibling.textContent);
  const page = { font: { color }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true };
  Plotly.newPlot(plot, data, { ...layout, ...page }, { displaylogo: false, responsive: true });
}
"""
_STYLE = """<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; }
table { display: block; overflow-x: auto; margin: 1rem 0; border-collapse: collapse; }
td { font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
td a, td[style*="right"] { white-space: nowrap; }
td[style*="left"]:not(:first-child) { min-width: 12rem; vertical-align: top; }
code, figcaption { overflow-wrap: anywhere; }
figure { margin: 1.5rem 0; grid-column: 1 / -1; min-width: 0; }
.plots { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem; }
@media (min-width: 50rem) { .half { grid-column: auto; } }
figure img { width: 100%; }
figcaption { opacity: 0.75; font-size: 0.9rem; }
</style>"""
