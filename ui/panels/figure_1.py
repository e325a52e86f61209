"""The panels of the paper's Figure 1: one image's features under each method, dropped cells in colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from camdrop.analysis.mask_steps import Dissection
from camdrop.figures import DROPPED, css, limits, overlay
from ui.choosers.scene import Cells, Scene
from ui.components.pictures import Panel, Raster, Row, Voxels
from ui.panels import equations
from ui.panels.mask_lab import meaning, number, percent, pixels, share_row

SLICES = 8  # channels in a block of Figure 1

DEFINITIONS = {
    "Dropout": "drops single units",
    "SpatialDropout": "drops whole channels",
    "DropBlock": "drops r×r blocks anywhere",
    "DropPath": "drops everything, or nothing",
    "CamDrop": "drops r×r blocks on the evidence",
}


def figure_1(scene: Scene, draws: Sequence[tuple[Dissection, Cells]]) -> list[Panel]:
    """The image, and under each method the channels with the largest α, as the paper's Figure 1 draws them."""
    return [_image(scene, draws[-1][0]), *(_block(d, cells) for d, cells in draws)]


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
        subtitle=f"at {scene.activation.site.name}, summed to J: {meaning(scene, d)}",
        rows=[Row("highest J", number(high)), Row("lowest J", number(low))],
        equation=equations.activation_map(d, scene.label_name),
    )


def _block(d: Dissection, cells: Cells) -> Panel:
    name, goal = type(d.method).__name__, 1 - d.method.keep_prob
    return Panel(
        name,
        f"{name}: {percent(d.share)} of the units are dropped; a block of {SLICES} channels in perspective",
        [Voxels(cells.dropped[d.order[:SLICES].numpy()], css(DROPPED), cells.gamma)],
        id=name,
        subtitle=DEFINITIONS[name],
        rows=[
            share_row("dropped", d.share),
            Row("1 − γ", percent(goal), share=goal),
        ],
        equation=equations.seeds(d),
        download=f"{name.lower()}.png",
    )
