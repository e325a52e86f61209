"""The live pictures of the guided tour: fixed scenes of the checkpoints that ship, drawn as the pages draw them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from camdrop.analysis.attack_outcome import attack_image
from camdrop.analysis.attacks import PGD
from camdrop.analysis.bound_summary import RATIOS
from camdrop.analysis.explanations import explain
from camdrop.analysis.mask_steps import MaskedPass, answers, capture, dissect, many_draws, masked_pass, shares
from camdrop.data import fit_pixels, gallery, normalise
from camdrop.figures import NEUTRAL, css, method_css
from camdrop.figures.numbers import percent
from camdrop.masks import METHODS, CamDrop
from camdrop.training.config import contender_of, make_method
from ui.choosers.checkpoint import open_checkpoint
from ui.choosers.image import TITLES, ChosenImage
from ui.choosers.scene import Scene
from ui.components.pictures import Bars, Panel, Row
from ui.panels import attack, explore, gradients, mask_draws, mask_lab, mask_message
from ui.panels.ahead import show_whole
from ui.panels.figure_1 import figure_1
from ui.panels.lessons import GUIDED, LEAK_FREE, LEAKY, LESSONS, NETWORKS
from ui.panels.shown import still
from ui.panels.views import TRUE, Style, arrange, class_of

if TYPE_CHECKING:
    from camdrop.analysis.bound_summary import Chain
    from camdrop.analysis.mask_steps import Dissection
    from camdrop.checkpoints import Checkpoint
    from camdrop.figures.plots import Figure
    from camdrop.masks import Method

IMAGE, SEED = 19, 3  # those of the links, and of what the answers say
STYLE = Style("viridis", False, False, 0.6, 0.0, 1.0)


def _picture(checkpoint: Checkpoint, number: int) -> ChosenImage:
    meta = checkpoint.meta
    split, info = gallery(meta.dataset)
    original, label = split.images[number - 1], int(split.labels[number - 1])
    name = f"{TITLES[info.name]} {number} · {info.classes[label]}"
    return ChosenImage(fit_pixels(original, meta.in_channels, meta.image_size), label, name, original, number)


@functools.lru_cache(maxsize=16)
def _scene(checkpoint: Checkpoint, site: str, label: str) -> Scene:
    """The tour's image at a drop site; the same object for the same scene, on which `cells` counts."""
    meta, picture = checkpoint.meta, _picture(checkpoint, IMAGE)
    image = normalise(picture.pixels[None], meta.mean, meta.std)
    return Scene(meta, picture, image, capture(checkpoint.model, image, site), meta.classes.index(label))


def _draw(scene: Scene, name: str, gamma: float, r: int, reading: str = "paper") -> Dissection:
    method = make_method(name, {}, {"keep_prob": gamma, "block_size": r, "reading": reading})
    assert method is not None
    return dissect(scene.activation, method, scene.label, SEED)


def heatmap(wanted: str) -> list[Panel]:
    """Lesson 1: the baseline's map of a class."""
    return _heatmaps(NETWORKS[:1], IMAGE, wanted)


def heatmaps(number: int) -> list[Panel]:
    """Lesson 7: the maps of three networks for the true class of an image."""
    return _heatmaps(NETWORKS, number, TRUE)


def _heatmaps(names: Sequence[str], number: int, wanted: str) -> list[Panel]:
    opened = [open_checkpoint(name) for name in names]
    picture = _picture(opened[0], number)
    truth = opened[0].meta.classes[picture.label or 0]
    target = class_of(wanted, truth)
    explanations = [explain(n, c, picture.pixels, target, "layer3") for n, c in zip(names, opened, strict=True)]
    panels = explore.network_panels(arrange(explanations, STYLE), STYLE, truth)
    return [explore.image_panel(picture, explanations[0], truth), *panels]


def five(gamma: float) -> list[Panel]:
    """Lesson 2: the features under each method."""
    scene = _scene(open_checkpoint(GUIDED), "layer2.0.conv2", "Bag")
    methods = [_draw(scene, name, gamma, 4).method for name in METHODS]
    draws = [show_whole(scene.activation, method, scene.label, SEED, "tour_gamma") for method in methods]
    return list(figure_1(scene, draws).panels)


def blocks(r: int) -> list[Panel]:
    """Lesson 3: one channel and all channels under DropBlock, and the numbers."""
    scene = _scene(open_checkpoint(GUIDED), "layer1.0.conv2", "Bag")
    shown = still(_draw(scene, "dropblock", 0.9, r), "")
    numbers = mask_lab.numbers(scene, shown)
    numbers = dataclasses.replace(
        numbers, rows=[row for row in numbers.rows if row.label in ("Share dropped", "1 − γ")]
    )
    drawn = many_draws(scene.activation, shown.d.method, scene.label, SEED)
    mean = mask_draws.mean(drawn, int(shown.d.order[0]))
    return [mask_lab.enlarged(shown, 0), mean, mask_lab.channels(shown, 0), numbers]


def guidance(label: str) -> list[Panel]:
    """Lesson 4: the steps of one mask of a training step, and what its network and one without the leak answer."""
    seed = int(str(LESSONS[3].state["seed"]))
    leaky, leak_free = (_scene(open_checkpoint(name), "layer1.0.conv2", label) for name in (LEAKY, LEAK_FREE))
    passed, panels = _train(leaky, LEAKY, seed)
    assert passed.here is not None  # all sites are masked
    _, (_, free) = _train(leak_free, LEAK_FREE, seed)
    free = dataclasses.replace(free, title="Trained without the leak", id="leak-free")
    return [*mask_lab.strip(leaky, still(passed.here, "", answer=False), 0), *panels, free]


def _train(scene: Scene, name: str, seed: int) -> tuple[MaskedPass, list[Panel]]:
    """A pass with the masks that a checkpoint was trained with, but for the scene's label, and the answers."""
    meta, model = open_checkpoint(name).meta, scene.activation.model
    own = contender_of(meta.method, meta.method_options)
    assert isinstance(own.method, CamDrop)
    method, sites = dataclasses.replace(own.method, label="true"), own.sites(model)
    passed = masked_pass(scene.activation, scene.image, method, scene.label, seed, sites)
    drawn = answers(model, scene.image, method, scene.label, seed, sites, mask_message.DRAWS)
    return passed, mask_message.answers(scene, method, passed, drawn)


def amounts(reading: str) -> list[Panel]:
    """Lesson 5: where one mask of CamDrop cuts, and the shares dropped in each stage, DropBlock's beside them."""
    scene = _scene(open_checkpoint(GUIDED), "layer2.0.conv2", "Bag")
    d = _draw(scene, "camdrop", 0.9, 4, reading)
    found = [mask_lab.channels(still(d, "", answer=False), 0)]
    for name, title in (("camdrop", f"CamDrop, {reading}"), ("dropblock", "DropBlock")):
        method, draws = _draw(scene, name, 0.9, 4, reading).method, 4
        dropped = shares(scene.activation.model, scene.image, method, scene.label, SEED, draws)
        stages = mask_draws.sites(scene, dropped, 0.1, draws)[1]
        found.append(dataclasses.replace(stages, title=title, id=name, subtitle="share dropped with r = 4, by stage"))
    return found


def attacked(iterations: int) -> list[Panel]:
    """Lesson 8: an image, and three networks' answers to what the attack made of it."""
    opened = [(name, open_checkpoint(name)) for name in NETWORKS]
    picture = _picture(opened[0][1], int(str(LESSONS[7].state["image"])))
    truth = opened[0][1].meta.classes[picture.label or 0]
    pgd = PGD(16, 1, iterations)
    outcomes = [attack_image(name, c, picture.pixels, truth, pgd) for name, c in opened]
    shown = [attack.image_panel(picture, outcomes[0], truth)]
    for outcome, title in zip(outcomes, attack.titles(opened), strict=True):
        under = attack.panels(outcome, title, TRUE, 0.6)[1]
        shown.append(dataclasses.replace(under, title=title, id=outcome.name))
    return shown


def bounds(rescaled: bool) -> Figure:
    """Lesson 6: how masks change the bounds of the last layer."""
    chain, method = _bounds(rescaled)
    return gradients.ratios(chain, method)


def bars(rescaled: str) -> list[Panel]:
    """Lesson 6 where there is no Plotly: a bar for each ratio, and how many are above 1."""
    chain, method = _bounds(rescaled == "true")
    shown = []
    for name, title, below in (
        ("traditional", type(method).__name__, chain.traditional_below_none),
        ("guided", "CamDrop", chain.guided_below_none),
    ):
        shares = chain.histogram[name] / max(1, chain.histogram[name].sum())
        centres = np.sqrt(RATIOS[1:] * RATIOS[:-1])
        shown.append(
            Panel(
                title,
                f"{title}: how often each bound is so many times what it is without a mask",
                [Bars(shares, centres.round(3) == 1, css(NEUTRAL), method_css(title.lower()))],
                id=name,
                subtitle="bound ÷ bound without a mask, × 0.01 to × 100; grey is about × 1",
                labels=[f"× {ratio:.2f}: {percent(share)}" for ratio, share in zip(centres, shares, strict=True)],
                lines=["Point at a bar, or press the arrow keys on it."],
                rows=[
                    Row("larger than without a mask", percent(1 - below), share=1 - below),
                    Row("as large, or smaller", percent(below), share=below),
                ],
            )
        )
    return shown


def _bounds(rescaled: bool) -> tuple[Chain, Method]:
    t, c = (make_method(name, {"keep_prob": 0.9, "block_size": 4}) for name in ("dropblock", "camdrop"))
    assert t is not None and c is not None
    network, nothing = open_checkpoint(GUIDED), lambda *_: None
    (found,) = gradients.chains(network, ["layer3.0.conv2"], "bias", 32, t, c, 0, nothing)
    return found[0 if rescaled else 1], t


def panels(number: int, value: float | str) -> list[Panel]:
    """The pictures of a lesson with its control at a value; of lesson 6 those without Plotly."""
    if isinstance(value, str):
        return {1: heatmap, 4: guidance, 5: amounts, 6: bars}[number](value)
    if number == 2:
        return five(value)
    return {3: blocks, 7: heatmaps, 8: attacked}[number](int(value))


def simple(panel: Panel) -> Panel:
    """A panel without its buttons, so that the Tab key goes from one control to the next."""
    subtitle = panel.subtitle.removesuffix("; click one to enlarge it")
    return dataclasses.replace(panel, subtitle=subtitle, download="", equation="", pickable=False, selected=None)
