"""What Explore shows: the image, and for each network a panel with its heatmap, answers and statistics."""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import streamlit as st
import torch

from camdrop.analysis.explanations import (
    Explanation,
    Prediction,
    class_number,
    explanations,
    predictions,
    scores,
    stage_of,
)
from camdrop.checkpoints import Checkpoint
from camdrop.checkpoints.metadata import Meta
from camdrop.figures import COLORMAPS, DIFFERENCE, css, lut
from camdrop.figures.numbers import number, percent
from ui.choosers.checkpoint import MOST
from ui.choosers.image import ChosenImage
from ui.choosers.labels import method_label, network_label
from ui.components.choices import text_of
from ui.components.pictures import Board, Heat, Panel, Raster, Row, State
from ui.components.readings import of_map, of_pixels
from ui.components.slider import Live, live_slider
from ui.panels.background import FEW, in_groups, near_classes, scene_name
from ui.panels.views import PREDICTED, TRUE, ColouredHeatmap, Style, arrange, class_of

SHARED = "The same colour is the same evidence in all pictures; else each runs over its own range."
_SMALL, _BATCH = 64, 3  # up to so many pixels a side so many images go ahead at once
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
        readings=of_pixels(prediction.picture),
        id="image",
        subtitle=picture.name,
        lines=[f"True class: {truth or 'unknown'}", f"{width} × {height} pixels"],
        download="image.png",
    )


@dataclass(frozen=True, eq=False)
class View:
    """What the page shows of any image, class and stage: the networks by name, how heatmaps look, other panels.

    `scored` counts how often deletion and insertion were computed. The browser goes to other networks `among` these, by
    name (`alike` in checkpoint.py), if all are.
    """

    networks: Sequence[tuple[str, Checkpoint]]
    style: Style
    extra: Sequence[Panel] = ()
    scored: int = 0
    among: Collection[str] = ()

    @property
    def meta(self) -> Meta:
        """That of the first network, whose classes are those of the page."""
        return self.networks[0][1].meta

    def panels(self, picture: ChosenImage, explained: Sequence[Explanation]) -> list[Panel]:
        """Those of an image, and of each network's explanation of it."""
        truth = picture.truth(self.meta)
        networks = network_panels(arrange(explained, self.style), self.style, truth)
        return [image_panel(picture, explained[0], truth), *networks, *self.extra]

    def board(self, panels: Sequence[Panel], state: State) -> Board:
        """The panels in their row."""
        return Board("board", panels, columns=6, min_width=150, max_width=320, state=state)

    @functools.cached_property
    def scene(self) -> str:
        """A name for all this, but for what the browser follows by itself."""
        style = dataclasses.replace(self.style, opacity=0.0, start=0.0, end=1.0)
        names = {*self.among, *self.names}
        return scene_name(sorted(names), self.extra, style, self.scored)

    @property
    def names(self) -> list[str]:
        """Those of the networks."""
        return [name for name, _ in self.networks]

    def others(self) -> list[tuple[str, ...]]:
        """The choices of networks that are one less or one more than this."""
        names = self.names
        if not set(names) <= set(self.among):
            return []
        less = [tuple(name for name in names if name != out) for out in names]
        more = [(*names, name) for name in self.among if name not in names]
        return [some for some in [*less, *more] if 0 < len(some) <= MOST]

    def state(self, picture: ChosenImage, wanted: str, stage: str) -> State:
        """What the page shows, as the browser names it."""
        at = {**picture.state, "class": wanted, "stage": stage, "checkpoints": text_of(self.names)}
        return State(self.scene, at, ("opacity", "from", "to"))


@dataclass(frozen=True)
class Load:
    """What is computed as one batch and sent ahead: images by their states, with all classes and stages or with one.

    `networks` are the names of other ones than the page shows.
    """

    scene: str
    images: tuple[int, ...]
    own: str = ""
    classes: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


def loads(view: View, picture: ChosenImage, near: Sequence[int], wanted: str, stage: str) -> list[Load]:
    """What is worth sending ahead of a picture and the images `near` it, the nearest first.

    Large differences, which are as large as the image, come for this class and stage alone. Of many classes those that
    a network has in its top five come, and the one that is `wanted`.
    """
    own = "" if picture.number else str(picture.state)
    here = () if picture.number is None else (picture.number,)
    instead = [Load(view.scene, here, own, (wanted,), (stage,), some) for some in view.others()]
    if picture.number is None:
        return [Load(view.scene, here, str(view.state(picture, "", "").at)), *instead]
    large = picture.pixels.shape[-1] > _SMALL
    groups = in_groups(near, picture.number, 1 if large else _BATCH)
    if large and view.style.difference:
        return [Load(view.scene, group, classes=(wanted,), stages=(stage,)) for group in groups]
    rare = len(view.meta.classes) > FEW and wanted not in (TRUE, PREDICTED)
    first = [Load(view.scene, group, classes=(wanted,)) for group in groups if rare]
    every = [Load(view.scene, group) for group in groups]
    return [*first, *every[:1], *instead, *every[1:]]


def lighter(some: Sequence[Load], picture: ChosenImage, wanted: str) -> list[Load]:
    """What a saved page takes along of loads: of other images than this one the classes that are asked for first."""
    usual = [PREDICTED] if picture.label is None else [TRUE, PREDICTED]
    classes = tuple(dict.fromkeys([*usual, wanted]))
    kept = []
    for load in some:
        if load.networks:
            continue
        here = tuple(n for n in load.images if n == picture.number)
        others = tuple(n for n in load.images if n != picture.number)
        if here or not load.images:
            kept.append(dataclasses.replace(load, images=here))
        if others:
            kept.append(dataclasses.replace(load, images=others, classes=load.classes or classes))
    return kept


def boards(view: View, load: Load, pictures: Sequence[ChosenImage], stages: Sequence[str]) -> Iterator[Board]:
    """The boards of a load: what `View` shows of each picture, class and stage. `stages` are all there are."""
    stages = load.stages or stages
    predicted = [predictions(c, torch.stack([p.fit(c.meta) for p in pictures])) for _, c in view.networks]
    named = [load.classes or _classes(view, picture, of) for picture, *of in zip(pictures, *predicted, strict=True)]
    explained = []
    for (name, checkpoint), of in zip(view.networks, predicted, strict=True):
        targets = [
            [class_number(p, class_of(wanted, picture.truth(view.meta))) for wanted in names]
            for picture, p, names in zip(pictures, of, named, strict=True)
        ]
        places = [stage_of(checkpoint, f"layer{stage}") for stage in stages]
        found = explanations(name, of, [list(dict.fromkeys(some)) for some in targets], list(dict.fromkeys(places)))
        explained.append((targets, places, found))
    for i, picture in enumerate(pictures):
        drawn: dict[tuple[Explanation, ...], list[Panel]] = {}  # the true class is one of the classes
        for j, wanted in enumerate(named[i]):
            for k, stage in enumerate(stages):
                seen = tuple(found[i][targets[i][j], places[k]] for targets, places, found in explained)
                panels = drawn.get(seen) or drawn.setdefault(seen, view.panels(picture, seen))
                yield view.board(panels, view.state(picture, wanted, stage))


def _classes(view: View, picture: ChosenImage, predicted: Sequence[Prediction]) -> list[str]:
    """The classes of a picture whose heatmaps come ahead, as the page offers them."""
    usual = [TRUE, PREDICTED] if picture.label is not None else [PREDICTED]
    best = (p.checkpoint.meta.classes[k] for p in predicted for k, _ in p.top())
    return [*usual, *near_classes(view.meta.classes, best)]


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
    size = None if heatmap.signed else values.shape
    heat = Heat(heatmap.drawn, lut(heatmap.colormap), start, end, Live("opacity", style.opacity), size=size)
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
        readings=of_map(explanation.cam, "J"),
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
