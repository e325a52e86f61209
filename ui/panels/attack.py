"""What Attack shows of one image: its controls, and for each network the panels before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from camdrop.analysis.attack_outcome import AttackOutcome
from camdrop.analysis.attacks import PGD, fgsm
from camdrop.analysis.explanations import Array, Prediction
from camdrop.checkpoints import Checkpoint
from camdrop.figures import DIFFERENCE, limits, lut
from camdrop.figures.numbers import number, percent
from camdrop.runs.records import shortest
from ui.choosers.image import ChosenImage
from ui.choosers.labels import method_label
from ui.choosers.select import select, whole_number
from ui.components.choice import live_choice
from ui.components.pictures import Heat, Panel, Raster, Row
from ui.components.readings import of_map, of_pixels
from ui.components.slider import Live, live_slider
from ui.panels.views import PREDICTED, TRUE
from ui.words import literal

RANDOM, UNTARGETED, TARGET = "Random", "Any but the true one", "Target class"
EVIDENCE = (TRUE, TARGET, PREDICTED)  # the class of the heatmaps
REACH = "A step is ε ÷ iterations at least, as in the code that the paper's authors published."


@dataclass(frozen=True)
class Choice:
    """An attack as a person chose it; `target` is a class, `RANDOM` or `UNTARGETED`, `seed` for what is random."""

    attack: PGD
    target: str = RANDOM
    seed: int = 0


def choose_attack(classes: Sequence[str], row: DeltaGenerator) -> tuple[Choice, str, float]:
    """The controls, the rarer ones in `row`: the attack, the class of the heatmaps, and their opacity."""
    with row:
        target = select("Target", [RANDOM, UNTARGETED, *classes], key="target", width=200)
        target_class = live_choice("Heatmap of", EVIDENCE, key="evidence", width=180)
        with st.popover(
            "More", icon=":material/tune:", help="FGSM, a random start, larger steps, the seed, the heatmap's opacity"
        ):
            single = st.toggle("FGSM: one step of ε", key="fgsm", bind="query-params")
            random = st.toggle("Random start", key="random", bind="query-params", disabled=single)
            reach = st.toggle("Steps reach ε", key="reach", bind="query-params", disabled=single, help=REACH)
            help = "Of the random targets and starts"
            seed = whole_number("Seed", 0, 2**31, 0, key="attack_seed", help=help)
            opacity = live_slider("Opacity", key="opacity", min=0.0, max=1.0, step=0.01, default=0.6, local=True)
    with st.container(horizontal=True):
        epsilon = live_slider("Largest change ε", key="epsilon", min=0.0, max=32.0, step=0.5, default=5.0)
        step = live_slider("Step", key="step", min=0.5, max=8.0, step=0.5, default=1.0, disabled=single)
        iterations = live_slider("Iterations", key="iterations", min=1, max=20, step=1, default=2, disabled=single)
    targeted = target != UNTARGETED
    pgd = fgsm(epsilon, targeted=targeted) if single else PGD(epsilon, step, int(iterations), targeted, random, reach)
    return Choice(pgd, target, seed), target_class, opacity


def image_panel(picture: ChosenImage, outcome: AttackOutcome, truth: str | None) -> Panel:
    """The image as the first network takes it."""
    aim = "any other" if outcome.target is None else outcome.classes[outcome.target]
    return Panel(
        "Image",
        f"The image: {picture.name}",
        [Raster(outcome.before.picture)],
        readings=of_pixels(outcome.before.picture),
        id="image",
        subtitle=picture.name,
        lines=[f"True class: {truth or 'unknown'}", f"Target: {aim}"],
        download="image.png",
    )


def remarks(choice: Choice, truth: str | None) -> list[str]:
    """What a person would wonder about, a sentence each."""
    pgd, sentences = choice.attack, []
    if pgd.reach < pgd.epsilon:
        sentences.append(
            f"ε plays no part here: {pgd.iterations} steps of {pgd.step:g} change a pixel by {pgd.reach:g} at most."
        )
    if choice.target == truth:
        sentences.append(f"The target must be another class than the true one, {literal(truth)}: it is a random one.")
    if truth is None:
        sentences.append("This image has no true class here: each network's own prediction stands in.")
    return sentences


def titles(checkpoints: Sequence[tuple[str, Checkpoint]]) -> list[str]:
    """Networks by their methods, or by their names where two have the same."""
    labels = [method_label(checkpoint.meta) if checkpoint.meta.method else name for name, checkpoint in checkpoints]
    return labels if len(set(labels)) == len(labels) else [name for name, _ in checkpoints]


def brief_titles(checkpoints: Sequence[tuple[str, Checkpoint]]) -> list[str]:
    """The same in a word where that tells them apart, for titles that stand side by side."""
    full = titles(checkpoints)
    return shortest([(title.partition(" ")[0], title) for title in full])


def panels(outcome: AttackOutcome, title: str, evidence: str, opacity: float) -> list[Panel]:
    """Four panels of a network: heatmaps before and after on one scale, the perturbation, the attacked image."""
    predictions = (outcome.before, outcome.after)
    shown = [_evidence_class(outcome, prediction, evidence) for prediction in predictions]
    heats = [prediction.heatmap(k) for prediction, k in zip(predictions, shown, strict=True)]
    low, high = limits(heats)
    looks = []
    for i, (prediction, words) in enumerate(zip(predictions, ("before the attack", "under attack"), strict=True)):
        heat = Heat((heats[i] - low) / ((high - low) or 1), lut("viridis"), 0.0, 1.0, Live("opacity", opacity))
        looks.append(
            Panel(
                title if i == 0 else "Under attack",
                f"{outcome.name} {words}: where it looks for {outcome.classes[shown[i]]}",
                [Raster(prediction.picture), heat],
                readings=of_map(heats[i], "J"),
                id=words,
                subtitle="Before the attack" if i == 0 else outcome.verdict,
                lines=[f"{outcome.classes[shown[i]]}: {_range(heats[i])}"],
                rows=_rows(outcome, prediction),
                download=f"{outcome.name} {words}.png",
            )
        )
    return [*looks, _perturbation(outcome), _attacked(outcome)]


def _evidence_class(outcome: AttackOutcome, prediction: Prediction, evidence: str) -> int:
    if evidence == PREDICTED:
        return prediction.predicted
    return outcome.target if evidence == TARGET and outcome.target is not None else outcome.label


def _rows(outcome: AttackOutcome, prediction: Prediction) -> list[Row]:
    """The three most probable classes; the true one has a tick, the target is marked."""
    return [
        Row(
            outcome.classes[k] + (" ✓" if outcome.known and k == outcome.label else ""),
            percent(p, ".1f"),
            p,
            marked=k == outcome.target,
        )
        for k, p in prediction.top(3)
    ]


def _perturbation(outcome: AttackOutcome) -> Panel:
    change = 255 * (outcome.after.image - outcome.before.image)[0]
    reach = outcome.attack.reach or 1.0
    mean = change.mean(0).numpy()
    colours = "" if len(change) == 1 else ", mean of the colours"
    return Panel(
        "Perturbation",
        f"What the attack adds to the image for {outcome.name}: red brighter, blue darker",
        [Raster(outcome.before.picture), Heat(mean, lut(DIFFERENCE), -reach, reach, smooth=False)],
        readings=of_map(mean, "change"),
        id="perturbation",
        subtitle=f"Blue −{reach:g} to red +{reach:g}{colours}",
        lines=[f"{percent((change.abs().amax(0) > 0.01).float().mean(), '.0f')} of the pixels changed"],
        download=f"{outcome.name} perturbation.png",
    )


def _attacked(outcome: AttackOutcome) -> Panel:
    change = 255 * (outcome.after.image - outcome.before.image).abs().max()
    return Panel(
        "Attacked image",
        f"The attacked image for {outcome.name}",
        [Raster(outcome.after.picture)],
        readings=of_pixels(outcome.after.picture),
        id="attacked",
        subtitle="What it was given",
        lines=[f"Largest change: {change:.3g} of 255"],
        download=f"{outcome.name} attacked.png",
    )


def _range(heat: Array) -> str:
    return f"{number(heat.min(), '.1f')} to {number(heat.max(), '.1f')}"
