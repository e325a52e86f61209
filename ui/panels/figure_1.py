"""The panels of the paper's Figure 1: one image's features under each method, dropped cells in colour."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from camdrop.analysis.mask_steps import Dissection
from camdrop.figures import DROPPED, css, limits, overlay
from ui.choosers.scene import Scene
from ui.components.pictures import Board, Panel, Raster, Reading, Row, State, Voxels
from ui.panels import equations
from ui.panels.mask_lab import dropped_row, goal_row, meaning, number, percent, pixels
from ui.panels.shown import Shown

SLICES = 8  # channels in a block of Figure 1

DEFINITIONS = {
    "Dropout": "drops single units",
    "SpatialDropout": "drops whole channels",
    "DropBlock": "drops r×r blocks anywhere",
    "DropPath": "drops everything, or nothing",
    "CamDrop": "drops r×r blocks on the evidence",
}


def figure_1(scene: Scene, draws: Sequence[Shown], state: State | None = None) -> Board:
    """The image, and under each method the channels with the largest α, as the paper's Figure 1 draws them."""
    if state and all(shown.table.whole for shown in draws):
        state = dataclasses.replace(state, along=("gamma",))
    remarks = draws[-1].numbers(lambda m: " ".join(f"CamDrop: {remark}" for remark in m.remarks))
    panels = [_image(scene, draws[-1].d), *map(_block, draws)]
    note = (f"{scene.remark} " if scene.remark else "", remarks)
    return Board("blocks", panels, 3, 220, 440, note, state)


def _image(scene: Scene, d: Dissection) -> Panel:
    """The image with J over it, in the proportions of a block: 3 to 2, the rest transparent."""
    cam = d.cam.numpy()
    low, high = limits([cam])
    image = pixels(scene)
    scale = math.ceil(56 / image.shape[0])  # enough for the map to look smooth
    image = overlay(image.repeat(scale, 0).repeat(scale, 1), cam, opacity=0.6, low=low, high=high)
    side = len(image)
    canvas = np.zeros((side, 3 * side // 2, 4), np.uint8)
    canvas[:, :side] = np.dstack([image, np.full((side, side), 255, np.uint8)])
    return Panel(
        "The same features",
        f"The image with the map J over it: {meaning(scene, d)}",
        [Raster(canvas, smooth=True)],
        id="cam",
        readings=[Reading(cam, "J", across=2 / 3)],
        subtitle=f"at {scene.activation.site.name}, summed to J: {meaning(scene, d)}",
        rows=[Row("highest J", number(high)), Row("lowest J", number(low))],
        equation=equations.activation_map(d, scene.label_name),
    )


def _block(shown: Shown) -> Panel:
    name = type(shown.d.method).__name__
    drawn = shown.d.order[:SLICES]
    share = shown.numbers(lambda m: percent(m.share))
    return Panel(
        name,
        (f"{name}: ", share, f" of the units are dropped; a block of {SLICES} channels in perspective"),
        [Voxels(shown.dropped[drawn.numpy()], css(DROPPED), shown.gamma)],
        labels=[f"channel {c}" for c in drawn.tolist()],
        id=name,
        subtitle=DEFINITIONS[name],
        rows=[dropped_row("dropped", shown), goal_row(shown)],
        equation=equations.seeds(shown),
        download=f"{name.lower()}.png",
    )
