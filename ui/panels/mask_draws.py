"""Beyond the one draw of the mask lab: many of them, and the masks of every drop site."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from camdrop.analysis.mask_steps import Draws
from camdrop.figures import DROPPED, css, lut
from camdrop.figures.numbers import NBSP, percent
from ui.choosers.scene import Scene
from ui.components.pictures import Bars, Heat, Panel, Reading, Row
from ui.panels.mask_lab import legend, share_row


def mean(drawn: Draws, channel: int) -> Panel:
    """How often each unit of a channel is dropped, and how much is, over many draws."""
    found, colours = drawn.probability[channel].numpy(), lut("viridis")
    spread = f"{percent(drawn.mean)} ± {percent(drawn.std)}"
    return Panel(
        f"Mean of {len(drawn.shares)} draws",
        f"How often each unit of channel {channel} is dropped in many draws: {percent(found.max())} at most",
        [Heat(found, colours, 0.0, max(float(found.max()), 1e-9), smooth=False)],
        id="mean",
        readings=[Reading(100 * found, "dropped in", f"{NBSP}%")],
        subtitle=f"how often a unit of channel {channel} is dropped",
        rows=[
            legend("most often", percent(found.max()), tuple(colours[-1].tolist())),
            legend("never" if found.min() == 0 else "least often", percent(found.min()), tuple(colours[0].tolist())),
            share_row("Share dropped, mean ± std", spread, drawn.mean),
        ],
        download=f"mean-channel-{channel}.png",
    )


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
            [Bars(values, np.ones(len(names), bool), css(DROPPED), line=goal)],
            id="sites",
            subtitle=how,
            lines=[f"{names[here]}: {percent(values[here])}; highest {percent(values.max())}; the line is 1 − γ"],
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
                *(share_row(name, percent(mean), float(mean)) for name, mean in stages.items()),
                Row("1 − γ", percent(goal), share=goal),
            ],
        ),
    ]
