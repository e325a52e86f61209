"""The live pictures of the guided tour: fixed scenes of the checkpoints that ship, drawn as the pages draw them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from camdrop.analysis.attack_outcome import attack_image
from camdrop.analysis.attacks import PGD
from camdrop.analysis.explanations import Explanation, explain
from camdrop.analysis.gradient_bounds import capture as capture_batch
from camdrop.analysis.gradient_bounds import compare
from camdrop.analysis.mask_steps import MaskedPass, answers, capture, dissect, many_draws, masked_pass, shares
from camdrop.data import fit_pixels, gallery, normalise
from camdrop.figures import NEUTRAL, css, method_css, ratio_histogram
from camdrop.figures.numbers import number, percent
from camdrop.masks import METHODS, CamDrop
from camdrop.shipped import shipped
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
    from camdrop.analysis.mask_steps import Dissection
    from camdrop.checkpoints import Checkpoint
    from camdrop.figures.plots import Figure

IMAGE, SEED = 19, 3  # those of the links, and of what the answers say
EDGES = np.linspace(0.795, 1.305, 52)  # of lesson 6; 1 is in the middle of a bin
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
    """Lesson 1: the baseline's map of a class, with its mean."""
    image, panel = _heatmaps(NETWORKS[:1], IMAGE, wanted)
    (heat,) = (explanation.heatmap for explanation in _explanations(NETWORKS[:1], IMAGE, wanted))
    lines = [panel.lines[0], f"Mean: {number(float(heat.mean()), '.2f')}", *panel.lines[1:]]
    return [image, dataclasses.replace(panel, lines=lines)]


def heatmaps(image: int) -> list[Panel]:
    """Lesson 7: the maps of three networks for the true class of an image."""
    return _heatmaps(NETWORKS, image, TRUE)


def _explanations(names: Sequence[str], image: int, wanted: str) -> list[Explanation]:
    opened = [open_checkpoint(name) for name in names]
    picture = _picture(opened[0], image)
    target = class_of(wanted, opened[0].meta.classes[picture.label or 0])
    return [explain(n, c, picture.pixels, target, "layer3") for n, c in zip(names, opened, strict=True)]


def _heatmaps(names: Sequence[str], image: int, wanted: str) -> list[Panel]:
    explanations, picture = _explanations(names, image, wanted), _picture(open_checkpoint(names[0]), image)
    truth = explanations[0].checkpoint.meta.classes[picture.label or 0]
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
    """Lesson 8: an image, what the attack made of it for three networks, and their answers to that."""
    opened = [(name, open_checkpoint(name)) for name in NETWORKS]
    picture = _picture(opened[0][1], int(str(LESSONS[7].state["image"])))
    truth = opened[0][1].meta.classes[picture.label or 0]
    pgd = PGD(16, 1, iterations)
    outcomes = [attack_image(name, c, picture.pixels, truth, pgd) for name, c in opened]
    shown = [attack.image_panel(picture, outcomes[0], truth)]
    for outcome, title in zip(outcomes, attack.titles(opened), strict=True):
        _, under, _, made = attack.panels(outcome, title, TRUE, 0.6)
        shown.append(dataclasses.replace(made, title=title, id=outcome.name, subtitle=under.subtitle, rows=under.rows))
    return shown


def bounds(rescaled: bool) -> Figure:
    """Lesson 6: how masks change the bounds of the last layer, near 1 in bins of 1 %; it takes no gradients."""
    figure = ratio_histogram(EDGES, _counts(rescaled))
    figure["layout"]["xaxis"] |= {"type": "linear", "range": [EDGES[0], EDGES[-1]], "dtick": 0.1}
    return figure


def bars(rescaled: str) -> list[Panel]:
    """Lesson 6 where there is no Plotly: a bar for each ratio, and how many are above 1."""
    shown, centres = [], (EDGES[1:] + EDGES[:-1]) / 2
    for name, counts in _counts(rescaled == "true").items():
        shares, title = counts / counts.sum(), METHODS[name].__name__
        larger = float(shares[centres > 1.001].sum())
        shown.append(
            Panel(
                title,
                f"{title}: how often each bound is so many times what it is without a mask",
                [Bars(shares, centres.round(3) == 1, css(NEUTRAL), method_css(name))],
                id=name,
                subtitle="bound ÷ bound without a mask, × 0.8 and less to × 1.3; grey is about × 1",
                labels=[f"× {ratio:.2f}: {percent(share)}" for ratio, share in zip(centres, shares, strict=True)],
                lines=["Point at a bar, or press the arrow keys on it."],
                rows=[
                    Row("larger than without a mask", percent(larger), share=larger),
                    Row("as large, or smaller", percent(1 - larger), share=1 - larger),
                ],
            )
        )
    return shown


def _counts(rescaled: bool) -> dict[str, npt.NDArray[np.int64]]:
    counts = json.loads((shipped("results") / "tour" / "bounds.json").read_text())["rescaled" if rescaled else "plain"]
    return {name: np.array(count) for name, count in counts.items()}


def measure_bounds() -> dict[str, dict[str, list[int]]]:
    """What `bounds` draws, measured: how many pairs of an image and a bias have each ratio to no mask."""
    t, c = (make_method(name, {"keep_prob": 0.9, "block_size": 4}) for name in ("dropblock", "camdrop"))
    network = open_checkpoint(GUIDED)
    activation = capture_batch(network.model, *gradients.batch(network, 32, 0), "layer3.0.conv2")
    counts: dict[str, dict[str, list[int]]] = {}
    for name, comparison in zip(("rescaled", "plain"), compare(activation, t, c, 0, ["bias"]), strict=True):
        none, *masked = (norms.bound["bias"] for norms in (comparison.none, comparison.traditional, comparison.guided))
        ratios = [(bound[none > 0] / none[none > 0]).clamp(EDGES[0], EDGES[-1]).numpy() for bound in masked]
        counts[name] = {
            method: np.histogram(ratio, EDGES)[0].tolist()
            for method, ratio in zip(("dropblock", "camdrop"), ratios, strict=True)
        }
    return counts


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
