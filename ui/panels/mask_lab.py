"""The panels of the mask lab: the steps of one mask, its channels, its numbers, and every drop site."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

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
from ui.choosers.scene import Scene
from ui.components.pictures import Along, Bars, Board, Heat, Marks, Panel, Raster, Reading, Row, State, Text, Tiles
from ui.components.readings import of_pixels
from ui.components.slider import Live
from ui.panels import equations
from ui.panels.shown import Shown

STEPS = 7  # panels of the strip


def legend(label: str, text: Text, colour: Colour) -> Row:
    """A row whose bar is no more than a swatch before the label."""
    return Row(f"\u2003\u2002{label}", text, share=0.06, color=css(colour))


def share_row(label: str, text: Text, share: float | Along) -> Row:
    """A share of dropped units, with a bar through which the text stays legible."""
    return Row(label, text, share=share, color=f"{css(DROPPED)}90")


def dropped_row(label: str, shown: Shown) -> Row:
    """The share of units that a draw drops."""
    return share_row(label, shown.numbers(lambda m: percent(m.share)), shown.numbers(lambda m: m.share))


def goal_row(shown: Shown) -> Row:
    """1 − γ, to compare the share with."""
    goal = shown.numbers(lambda m: percent(1 - m.keep_prob))
    return Row("1 − γ", goal, share=shown.numbers(lambda m: 1 - m.keep_prob))


def meaning(scene: Scene, d: Dissection) -> str:
    """What J says."""
    blind = isinstance(d.method, CamDrop) and d.method.guide == "mean"
    return "mean of the channels" if blind else f"evidence for {scene.label_name}"


def pixels(scene: Scene) -> Picture:
    """The image, uint8 (H, W, 3)."""
    return scene.picture.pixels.permute(1, 2, 0).expand(-1, -1, 3).numpy()


def boards(scene: Scene, shown: Shown, rank: int, state: State | None, remark: str = "", name: str = "") -> list[Board]:
    """The pictures of one mask, by their keys: the steps of one of its channels, all channels, and the numbers.

    `name` is what tells it from another mask on the page.
    """
    every = None  # of the channels: the grid itself follows the one that is picked
    if state:
        along = (shown.gamma.key,) if shown.table.whole else ()
        state = dataclasses.replace(state, along=along)
        at = {key: value for key, value in state.at.items() if key != "rank"}
        every = dataclasses.replace(state, at=at, along=(*along, "rank"), clicks=("seed",))
    note = shown.numbers(lambda m: " ".join([name, scene.remark, *m.remarks, remark]).strip())
    return [
        Board("strip", strip(scene, shown, rank), STEPS, min_width=140, note=note, state=state, presented="all"),
        Board("grid", [channels(shown, rank)], columns=1, max_width=760, state=every),
        Board("numbers", [enlarged(shown, rank), numbers(scene, shown)], columns=2, state=state),
    ]


def strip(scene: Scene, shown: Shown, rank: int) -> list[Panel]:
    """The way of a mask, left to right; the steps within one channel are those of the channel with that α rank."""
    d = shown.d
    channel = int(d.order[rank])
    cam, alpha = d.cam.numpy(), d.alpha[d.order].numpy()
    labels = [f"channel {c}: α {number(a)}" for c, a in zip(d.order.tolist(), alpha.tolist(), strict=True)]
    here = f"channel {channel}"
    dropped, seeds, candidates = shown.dropped[channel], shown.seeds[channel], d.candidates[channel].numpy()
    (low, high), colours = limits([cam]), lut("viridis")
    guided = isinstance(d.method, CamDrop)
    unused = f"not used by {type(d.method).__name__}"
    units, (h, w) = dropped.size, dropped.shape
    positions = np.zeros((h, w), bool) if d.mask.positions is None else d.mask.positions[0].numpy()
    marked = np.zeros(len(alpha), bool) if d.mask.channels is None else d.mask.channels[0][d.order].numpy()
    sown = Marks(seeds, css(SEED), shown.gamma)
    evidence = Reading(cam, "J")
    is_seed = Reading(seeds, words=("", "seed"), gamma=shown.gamma)
    is_dropped = Reading(dropped, words=("kept", "dropped"), gamma=shown.gamma)
    centres = d.valid.numpy().astype(np.uint8) + candidates
    sown_count, lost_count = shown.count(seeds, str), shown.count(dropped, str)
    return [
        _untouched(scene),
        Panel(
            "1 · Image with J",
            f"The image with the map J over it: {meaning(scene, d)}",
            [Raster(pixels(scene)), Heat(cam, colours, low, high, 0.6)],
            id="cam",
            subtitle=meaning(scene, d),
            rows=[
                legend("highest J", number(high), tuple(colours[-1].tolist())),
                legend("lowest J", number(low), tuple(colours[0].tolist())),
            ],
            readings=[evidence],
            equation=equations.activation_map(d, scene.label_name),
            download="1-image.png",
        ),
        Panel(
            "2 · Dominant positions",
            f"{positions.sum()} of {units} positions are dominant",
            [Raster(positions_picture(positions, cam))],
            id="positions",
            subtitle="where J is largest" if guided else unused,
            rows=[legend("dominant", f"{positions.sum()} of {units}", DOMINANT)],
            readings=[evidence, Reading(positions, words=("", "dominant"))],
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
            rows=[legend("dominant", f"{marked.sum()} of {len(alpha)}", DOMINANT)],
            aspect=(w, h),
            labels=labels,
            pickable=True,
            selected=rank,
            sets="rank",
            equation=equations.channels(d),
            download="3-channel-weights.png",
        ),
        Panel(
            "4 · Candidates, seeds",
            (f"{candidates.sum()} candidates and ", sown_count, f" seeds in {here}"),
            [Raster(candidates_picture(d.valid.numpy(), candidates)), sown],
            id="seeds",
            subtitle=here,
            rows=[
                legend("valid centres", f"{int(d.valid.sum())}", VALID),
                legend("candidates", f"{candidates.sum()}", CANDIDATE),
                legend("seeds", sown_count, SEED),
            ],
            readings=[Reading(centres, words=("no valid centre", "valid centre", "candidate")), is_seed],
            equation=equations.seeds(shown),
            download="4-candidates-and-seeds.png",
        ),
        Panel(
            "5 · Blocks",
            (lost_count, f" of {units} units are dropped in {here}"),
            [Raster(blank(dropped.shape)), Marks(dropped, css(DROPPED), shown.gamma), sown],
            id="blocks",
            subtitle=here,
            rows=[legend("dropped", (lost_count, f" of {units}"), DROPPED)],
            readings=[is_dropped, is_seed],
            equation=equations.blocks(d),
            download="5-blocks.png",
        ),
        _channel(shown, channel, "6 · Masked features", "masked", here),
    ]


def _untouched(scene: Scene) -> Panel:
    """The image as it is, and what the network says of it without a mask."""
    answer = int(scene.activation.before.argmax())
    return Panel(
        "0 · Image",
        f"The image as it is: {scene.picture.name}",
        [Raster(pixels(scene))],
        readings=of_pixels(pixels(scene)),
        id="image",
        subtitle=scene.picture.name,
        rows=[Row(scene.meta.classes[answer], percent(float(scene.activation.before[answer]), ".0f"))],
        download="0-image.png",
    )


def _channel(shown: Shown, channel: int, title: str, name: str, subtitle: str) -> Panel:
    feature, dropped = shown.d.activation.features[0, channel].numpy(), shown.dropped[channel]
    return Panel(
        title,
        (f"Channel {channel} in grey, its ", shown.count(dropped, str), " dropped units in orange"),
        [Raster(greys(feature)), Marks(dropped, css(DROPPED), shown.gamma)],
        id=name,
        subtitle=subtitle,
        rows=[
            legend("dropped", shown.count(dropped, lambda n: percent(n / dropped.size)), DROPPED),
            Row("kept units", shown.numbers(lambda m: f"× {m.scale:.4g}")),
        ],
        readings=[Reading(feature, "X"), Reading(dropped, words=("kept", "dropped"), gamma=shown.gamma)],
        equation=equations.masked(shown),
        download=f"{name}-channel-{channel}.png",
    )


def channel_labels(shown: Shown) -> list[Text]:
    """A line on each channel, the one with the largest α first."""
    alphas, units = shown.d.alpha.tolist(), shown.dropped[0].size
    return [
        (
            f"channel {c}: α {number(alphas[c])}, ",
            shown.count(shown.dropped[c], lambda n: percent(n / units)),
            " dropped",
        )
        for c in shown.d.order.tolist()
    ]


def channels(shown: Shown, rank: int) -> Panel:
    """All channels as tiles, twice as wide as high."""
    d = shown.d
    c, marked = len(d.alpha), d.mask.channels
    grid, picture = _tiles(d.activation, tuple(d.order.tolist()), None if marked is None else tuple(marked[0].tolist()))
    touched = shown.count(shown.dropped.max((1, 2)), str)  # a channel is, as long as one of its units is dropped
    line = f" of {c} channels have dropped units, in orange"
    return Panel(
        "All channels",
        (f"All {c} channels, the one with the largest α first; ", touched, " of them have dropped units"),
        [
            Raster(picture),
            Marks(grid.place(shown.dropped), css(DROPPED), shown.gamma),
        ],
        id="channels",
        subtitle="largest α first; click one to enlarge it",
        tiles=Tiles(c, grid.columns, grid.width, grid.height, grid.gap),
        labels=channel_labels(shown),
        lines=[(touched, line if marked is None else f"{line}; dominant channels are underlined")],
        pickable=True,
        selected=Live("rank", rank),
        sets="rank",
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


def enlarged(shown: Shown, rank: int) -> Panel:
    """One channel of them."""
    alpha, channel = shown.d.alpha, int(shown.d.order[rank])
    subtitle = f"α = {number(float(alpha[channel]))}, rank {rank + 1} of {len(alpha)}"
    return _channel(shown, channel, f"Channel {channel}", "channel", subtitle)


def numbers(scene: Scene, shown: Shown) -> Panel:
    """What the mask amounts to, and what it does to the prediction, unless that is said elsewhere."""
    units = {"Dropout": "Units", "SpatialDropout": "Channels", "DropPath": "Branches"}
    return Panel(
        "This mask in numbers",
        "",
        id="numbers",
        subtitle=f"at {scene.activation.site.name}, all channels",
        rows=[
            Row(units.get(type(shown.d.method).__name__, "Candidates"), f"{shown.d.chances:,}"),
            Row("Seeds of this draw", shown.numbers(lambda m: f"{m.hits:,}")),
            dropped_row("Share dropped", shown),
            goal_row(shown),
            Row("Rescaling factor", shown.numbers(lambda m: f"× {m.scale:.4g}")),
            *([] if shown.table.after is None else _probabilities(scene, shown)),
        ],
    )


def _probabilities(scene: Scene, shown: Shown) -> list[Row]:
    before = scene.activation.before
    top = before.topk(min(5, len(before))).indices.tolist()
    classes = top if scene.label in top else [*top[:-1], scene.label]
    return [
        Row("Probability", "before → after"),
        *(
            Row(
                scene.meta.classes[k],
                (f"{number(100 * float(before[k]), '.1f')} → ", shown.after(k, lambda p: percent(p, ".1f"))),
                share=shown.after(k, lambda p: round(p, 4)),
                marked=k == scene.label,
            )
            for k in classes
        ),
    ]
