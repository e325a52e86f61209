"""The panels of the mask lab: the steps of one mask, its channels, its numbers, and every drop site."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from camdrop.analysis.mask_steps import Activation, Dissection
from camdrop.figures import (
    CANDIDATE,
    DOMINANT,
    DROPPED,
    NEUTRAL,
    SEED,
    VALID,
    ChannelGrid,
    Colour,
    Picture,
    blank,
    candidates_picture,
    channel_grid,
    css,
    greys,
    limits,
    lut,
    positions_picture,
)
from camdrop.figures.numbers import number, percent
from camdrop.masks import CamDrop
from ui.choosers.scene import Cells, Scene
from ui.components.pictures import Bars, Heat, Marks, Panel, Raster, Row, Tiles
from ui.panels import equations


def _legend(label: str, text: str, colour: Colour) -> Row:
    """A row whose bar is no more than a swatch before the label."""
    return Row(f"\u2003\u2002{label}", text, share=0.06, color=css(colour))


def share_row(label: str, share: float) -> Row:
    """A share of dropped units, with a bar through which the text stays legible."""
    return Row(label, percent(share), share=share, color=f"{css(DROPPED)}90")


def meaning(scene: Scene, d: Dissection) -> str:
    """What J says."""
    blind = isinstance(d.method, CamDrop) and d.method.guide == "mean"
    return "mean of the channels" if blind else f"evidence for {scene.label_name}"


def pixels(scene: Scene) -> Picture:
    """The image, uint8 (H, W, 3)."""
    return scene.picture.pixels.permute(1, 2, 0).expand(-1, -1, 3).numpy()


def strip(scene: Scene, d: Dissection, cells: Cells, rank: int) -> list[Panel]:
    """The way of a mask, left to right; the steps within one channel are those of the channel with that α rank."""
    channel = int(d.order[rank])
    cam, alpha = d.cam.numpy(), d.alpha[d.order].numpy()
    labels = [f"channel {c}: α {number(a)}" for c, a in zip(d.order.tolist(), alpha.tolist(), strict=True)]
    here = f"channel {channel}"
    dropped, seeds, candidates = (part[channel].numpy() for part in (d.dropped, d.seeds, d.candidates))
    (low, high), colours = limits([cam]), lut("viridis")
    guided = isinstance(d.method, CamDrop)
    unused = f"not used by {type(d.method).__name__}"
    units, (h, w) = dropped.size, dropped.shape
    positions = np.zeros((h, w), bool) if d.mask.positions is None else d.mask.positions[0].numpy()
    marked = np.zeros(len(alpha), bool) if d.mask.channels is None else d.mask.channels[0][d.order].numpy()
    sown = Marks(cells.seeds[channel], css(SEED), cells.gamma)
    return [
        Panel(
            "1 · Image with J",
            f"The image with the map J over it: {meaning(scene, d)}",
            [Raster(pixels(scene)), Heat(cam, colours, low, high, 0.6)],
            id="cam",
            subtitle=meaning(scene, d),
            rows=[
                _legend("highest J", number(high), tuple(colours[-1].tolist())),
                _legend("lowest J", number(low), tuple(colours[0].tolist())),
            ],
            equation=equations.activation_map(d, scene.label_name),
            download="1-image.png",
        ),
        Panel(
            "2 · Dominant positions",
            f"{positions.sum()} of {units} positions are dominant",
            [Raster(positions_picture(positions, cam))],
            id="positions",
            subtitle="where J is largest" if guided else unused,
            rows=[_legend("dominant", f"{positions.sum()} of {units}", DOMINANT)],
            equation=equations.positions(d),
            download="2-dominant-positions.png",
        ),
        Panel(
            "3 · Channel weights α",
            f"{marked.sum()} of {len(alpha)} channels are dominant",
            [Bars(alpha, marked, css(DOMINANT))],
            id="alpha",
            subtitle="largest first" if guided else unused,
            lines=[labels[rank]],
            rows=[_legend("dominant", f"{marked.sum()} of {len(alpha)}", DOMINANT)],
            aspect=(w, h),
            labels=labels,
            pickable=True,
            selected=rank,
            equation=equations.channels(d),
            download="3-channel-weights.png",
        ),
        Panel(
            "4 · Candidates, seeds",
            f"{candidates.sum()} candidates and {seeds.sum()} seeds in {here}",
            [Raster(candidates_picture(d.valid.numpy(), candidates)), sown],
            id="seeds",
            subtitle=here,
            rows=[
                _legend("valid centres", f"{int(d.valid.sum())}", VALID),
                _legend("candidates", f"{candidates.sum()}", CANDIDATE),
                _legend("seeds", f"{seeds.sum()}", SEED),
            ],
            equation=equations.seeds(d),
            download="4-candidates-and-seeds.png",
        ),
        Panel(
            "5 · Blocks",
            f"{dropped.sum()} of {units} units are dropped in {here}",
            [Raster(blank(dropped.shape)), Marks(cells.dropped[channel], css(DROPPED), cells.gamma), sown],
            id="blocks",
            subtitle=here,
            rows=[_legend("dropped", f"{dropped.sum()} of {units}", DROPPED)],
            equation=equations.blocks(d),
            download="5-blocks.png",
        ),
        _channel(d, cells, channel, "6 · Masked features", "masked", here),
    ]


def _channel(d: Dissection, cells: Cells, channel: int, title: str, name: str, subtitle: str) -> Panel:
    feature, dropped = d.activation.features[0, channel].numpy(), d.dropped[channel].numpy()
    return Panel(
        title,
        f"Channel {channel} in grey, its {dropped.sum()} dropped units in orange",
        [Raster(greys(feature)), Marks(cells.dropped[channel], css(DROPPED), cells.gamma)],
        id=name,
        subtitle=subtitle,
        rows=[
            _legend("dropped", percent(dropped.mean()), DROPPED),
            Row("kept units", f"× {d.scale:.4g}"),
        ],
        equation=equations.masked(d),
        download=f"{name}-channel-{channel}.png",
    )


def channel_labels(d: Dissection) -> list[str]:
    """A line on each channel, the one with the largest α first."""
    shares = d.dropped.float().mean((1, 2))[d.order].tolist()
    alphas = d.alpha[d.order].tolist()
    return [
        f"channel {c}: α {number(a)}, {percent(s)} dropped"
        for c, a, s in zip(d.order.tolist(), alphas, shares, strict=True)
    ]


def channels(d: Dissection, cells: Cells, rank: int) -> Panel:
    """All channels as tiles, twice as wide as high."""
    c, marked = len(d.alpha), d.mask.channels
    grid, picture = _tiles(d.activation, tuple(d.order.tolist()), None if marked is None else tuple(marked[0].tolist()))
    touched = int(d.dropped.flatten(1).any(1).sum())
    line = f"{touched} of {c} channels have dropped units, in orange"
    return Panel(
        "All channels",
        f"All {c} channels, the one with the largest α first; {touched} of them have dropped units",
        [
            Raster(picture),
            Marks(grid.place(cells.dropped), css(DROPPED), cells.gamma),
        ],
        id="channels",
        subtitle="largest α first; click one to enlarge it",
        tiles=Tiles(c, grid.columns, grid.width, grid.height, grid.gap),
        labels=channel_labels(d),
        lines=[line if marked is None else f"{line}; dominant channels are underlined"],
        pickable=True,
        selected=rank,
        download="channels.png",
    )


@functools.lru_cache(maxsize=8)  # γ and r change nothing in it
def _tiles(
    activation: Activation, order: tuple[int, ...], marked: tuple[bool, ...] | None
) -> tuple[ChannelGrid, Picture]:
    """The channels as grey tiles in that order, those marked underlined; and with clear gaps, (H, W, 4)."""
    grid = channel_grid(
        activation.features[0].numpy(),
        np.array(order),
        None if marked is None else np.array(marked),
        columns=math.ceil(math.sqrt(2 * len(order))),
    )
    gaps = (grid.pixels == NEUTRAL).all(2, keepdims=True)
    return grid, np.concatenate([grid.pixels, np.where(gaps, np.uint8(0), np.uint8(255))], 2)


def enlarged(d: Dissection, cells: Cells, rank: int) -> Panel:
    """One channel of them."""
    channel = int(d.order[rank])
    subtitle = f"α = {number(float(d.alpha[channel]))}, rank {rank + 1} of {len(d.alpha)}"
    return _channel(d, cells, channel, f"Channel {channel}", "channel", subtitle)


def numbers(scene: Scene, d: Dissection, after: Tensor | None) -> Panel:
    """What the mask amounts to, and what it does to the prediction (None: that is said elsewhere)."""
    goal = 1 - d.method.keep_prob
    units = {"Dropout": "Units", "SpatialDropout": "Channels", "DropPath": "Branches"}
    return Panel(
        "This mask in numbers",
        "",
        id="numbers",
        subtitle=f"at {scene.activation.site.name}, all channels",
        rows=[
            Row(units.get(type(d.method).__name__, "Candidates"), f"{d.chances:,}"),
            Row("Seeds of this draw", f"{d.hits:,}"),
            share_row("Share dropped", d.share),
            Row("1 − γ", percent(goal), share=goal),
            Row("Rescaling factor", f"× {d.scale:.4g}"),
            *([] if after is None else _probabilities(scene, after)),
        ],
    )


def _probabilities(scene: Scene, after: Tensor) -> list[Row]:
    before = scene.activation.before
    top = before.topk(min(5, len(before))).indices.tolist()
    shown = top if scene.label in top else [*top[:-1], scene.label]
    return [
        Row("Probability", "before → after"),
        *(
            Row(
                scene.meta.classes[k],
                f"{100 * float(before[k]):.1f} → {percent(float(after[k]), '.1f')}",
                share=float(after[k]),
                marked=k == scene.label,
            )
            for k in shown
        ),
    ]


def sites(scene: Scene, found: Mapping[str, float], goal: float, draws: int) -> list[Panel]:
    """The share dropped at every drop site when all of them are masked, and its mean in each stage."""
    names, values = list(found), np.array(list(found.values()))
    here = names.index(scene.activation.site.name)
    stage_of = {site.name: site.stage for site in scene.activation.model.drop_sites}
    stages = {s: values[[stage_of[n] == s for n in names]].mean() for s in dict.fromkeys(stage_of.values())}
    how = "all masked in one forward pass" if draws == 1 else f"all masked at once, mean of {draws} passes"
    return [
        Panel(
            "Every drop site",
            f"The share dropped at each of the {len(names)} drop sites, in the order of the forward pass",
            [Bars(values, np.ones(len(names), bool), css(DROPPED))],
            id="sites",
            subtitle=how,
            lines=[f"{names[here]}: {percent(values[here])}; highest {percent(values.max())}"],
            labels=[f"{name}: {percent(value)}" for name, value in found.items()],
            pickable=True,
            selected=here,
        ),
        Panel(
            "Mean of each stage",
            "",
            id="stages",
            subtitle="share dropped",
            rows=[
                *(share_row(name, float(mean)) for name, mean in stages.items()),
                Row("1 − γ", percent(goal), share=goal),
            ],
        ),
    ]
