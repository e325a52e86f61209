"""One image under attack: what each network answers and where it looks, before and after, and the panels of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from camdrop.analysis.attacks import PGD, fgsm, random_targets
from camdrop.cam import class_activation_map, upsample
from camdrop.checkpoints import Checkpoint
from camdrop.data import normalise
from camdrop.figures import DIFFERENCE, limits, lut
from ui.choosers.image import ChosenImage
from ui.choosers.labels import method_label
from ui.components.pictures import Heat, Panel, Raster, Row
from ui.components.slider import Live, live_slider
from ui.panels.views import PREDICTED, TRUE

RANDOM, UNTARGETED, TARGET = "Random", "Any but the true one", "Target class"

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Choice:
    """An attack as a person chose it; `target` is a class, `RANDOM` or `UNTARGETED`, `seed` for what is random."""

    attack: PGD
    target: str = RANDOM
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a network makes of one image (1, C, H, W) in [0, 1]."""

    checkpoint: Checkpoint
    image: Tensor
    features: Tensor  # (1, C', h, w) of the last stage
    probabilities: Array  # (K,)

    @property
    def predicted(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """The image as (H, W, 3)."""
        rounded = (255 * self.image[0] + 0.5).byte()
        return rounded.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()

    def heat(self, target: int) -> Array:
        """The class activation map (H, W) of a class in the last stage, upsampled to the image (Eq. 5)."""
        weight = self.checkpoint.model.fc.weight
        cam = class_activation_map(self.features, weight, torch.tensor([target]))
        return upsample(cam, (self.image.shape[2], self.image.shape[3]))[0].numpy()


@dataclass(frozen=True, eq=False)
class Duel:
    """One network before and after the attack; `target` is None if there is none.

    `label` is the true class if that is `known`, else the network's own answer before.
    """

    name: str
    choice: Choice
    label: int
    known: bool
    target: int | None
    before: Answer
    after: Answer

    @property
    def classes(self) -> tuple[str, ...]:
        return self.before.checkpoint.meta.classes

    @property
    def verdict(self) -> str:
        """How it went, in a few words."""
        if self.after.predicted == self.label:
            return "Holds" if self.known else "Answers as before"
        return "Answers the target" if self.after.predicted == self.target else "Errs"


def attack(name: str, checkpoint: Checkpoint, pixels: Tensor, truth: str | None, choice: Choice) -> Duel:
    """Attack one image, uint8 (C, H, W) as the network takes it.

    The network's own prediction stands in for a true class that it does not know, a random target for a chosen one
    that it does not know or that is the true class.
    """
    classes = checkpoint.meta.classes
    before = _answer(checkpoint, pixels.numpy().tobytes(), (1, *pixels.shape), None)
    label = classes.index(truth) if truth in classes else before.predicted
    target = None
    if choice.attack.targeted:
        generator = torch.Generator().manual_seed(choice.seed)
        target = int(random_targets(torch.tensor([label]), len(classes), generator))
        if choice.target in classes and classes.index(choice.target) != label:
            target = classes.index(choice.target)
    aim = (choice.attack, label if target is None else target, choice.seed)
    after = _answer(checkpoint, pixels.numpy().tobytes(), (1, *pixels.shape), aim)
    return Duel(name, choice, label, truth in classes, target, before, after)


@functools.lru_cache(maxsize=64)
def _answer(checkpoint: Checkpoint, data: bytes, shape: tuple[int, ...], aim: tuple[PGD, int, int] | None) -> Answer:
    """The answer to uint8 pixels; with an `aim` (attack, class, seed), to the adversarial example made of them."""
    model, meta = checkpoint.model, checkpoint.meta
    image = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(shape).float() / 255
    if aim is not None:
        pgd, to, seed = aim
        generator = torch.Generator().manual_seed(seed)
        image = pgd.run(model, image, torch.tensor([to]), meta.mean, meta.std, generator)
    with torch.no_grad():
        features = model.forward_to(model.stage_names[-1], normalise(image, meta.mean, meta.std))
        scores = model.forward_from(model.stage_names[-1], features)
    return Answer(checkpoint, image, features, scores.softmax(1)[0].numpy())


def choose_attack(classes: Sequence[str], row: DeltaGenerator) -> tuple[Choice, str, float]:
    """The controls, the rarer ones in `row`: the attack, the class of the heatmaps, and their opacity."""
    with row:
        target = st.selectbox("Target", [RANDOM, UNTARGETED, *classes], key="target", bind="query-params", width=200)
        options = [TRUE, TARGET, PREDICTED]
        evidence = st.selectbox("Heatmap of", options, key="evidence", bind="query-params", width=180)
        with st.popover("More", icon=":material/tune:", help="FGSM, a random start, the seed, the heatmap's opacity"):
            single = st.toggle("FGSM: one step of ε", key="fgsm", bind="query-params")
            random = st.toggle("Random start", key="random", bind="query-params", disabled=single)
            help = "Of the random targets and starts"
            seed = st.number_input("Seed", 0, 2**31, 0, key="attack_seed", bind="query-params", help=help)
            opacity = live_slider("Opacity", key="opacity", min=0.0, max=1.0, step=0.01, default=0.6, local=True)
    with st.container(horizontal=True):
        epsilon = live_slider("Largest change ε", key="epsilon", min=0.0, max=32.0, step=0.5, default=5.0)
        step = live_slider("Step", key="step", min=0.5, max=8.0, step=0.5, default=1.0, disabled=single)
        iterations = live_slider("Iterations", key="iterations", min=1, max=20, step=1, default=2, disabled=single)
    targeted = target != UNTARGETED
    pgd = fgsm(epsilon, targeted=targeted) if single else PGD(epsilon, step, int(iterations), targeted, random)
    return Choice(pgd, target, seed), evidence, opacity


def image_panel(picture: ChosenImage, duel: Duel, truth: str | None) -> Panel:
    """The image as the first network takes it."""
    aim = "any other" if duel.target is None else duel.classes[duel.target]
    return Panel(
        "Image",
        f"The image: {picture.name}",
        [Raster(duel.before.picture)],
        id="image",
        subtitle=picture.name,
        lines=[f"True class: {truth or 'unknown'}", f"Target: {aim}"],
        download="image.png",
    )


def remarks(choice: Choice, truth: str | None) -> list[str]:
    """What a person would wonder about, a sentence each."""
    pgd, found = choice.attack, []
    if pgd.reach < pgd.epsilon:
        found.append(
            f"ε plays no part here: {pgd.iterations} steps of {pgd.step:g} change a pixel by {pgd.reach:g} at most."
        )
    if choice.target == truth:
        found.append(f"The target must be another class than the true one, {truth}: it is a random one.")
    if truth is None:
        found.append("This image has no true class here: each network's own prediction stands in.")
    return found


def titles(checkpoints: Sequence[tuple[str, Checkpoint]]) -> list[str]:
    """Networks by their methods, or by their names where two have the same."""
    found = [method_label(checkpoint.meta) if checkpoint.meta.method else name for name, checkpoint in checkpoints]
    return found if len(set(found)) == len(found) else [name for name, _ in checkpoints]


def panels(duel: Duel, title: str, evidence: str, opacity: float) -> list[Panel]:
    """Four panels of a network: heatmaps before and after on one scale, the perturbation, the attacked image."""
    shown = [_evidence_class(duel, answer, evidence) for answer in (duel.before, duel.after)]
    heats = [answer.heat(k) for answer, k in zip((duel.before, duel.after), shown, strict=True)]
    low, high = limits(heats)
    views = []
    for i, (answer, words) in enumerate(((duel.before, "before the attack"), (duel.after, "under attack"))):
        heat = Heat((heats[i] - low) / ((high - low) or 1), lut("viridis"), 0.0, 1.0, Live("opacity", opacity))
        views.append(
            Panel(
                title if i == 0 else "Under attack",
                f"{duel.name} {words}: where it looks for {duel.classes[shown[i]]}",
                [Raster(answer.picture), heat],
                id=words,
                subtitle="Before the attack" if i == 0 else duel.verdict,
                lines=[f"{duel.classes[shown[i]]}: {_range(heats[i])}"],
                rows=_rows(duel, answer),
                download=f"{duel.name} {words}.png",
            )
        )
    return [*views, _perturbation(duel), _attacked(duel)]


def _evidence_class(duel: Duel, answer: Answer, evidence: str) -> int:
    if evidence == PREDICTED:
        return answer.predicted
    return duel.target if evidence == TARGET and duel.target is not None else duel.label


def _rows(duel: Duel, answer: Answer) -> list[Row]:
    """The three most probable classes; the true one has a tick, the target is marked."""
    order = answer.probabilities.argsort(kind="stable")[::-1][:3]
    return [
        Row(
            duel.classes[k] + (" ✓" if duel.known and k == duel.label else ""),
            f"{100 * answer.probabilities[k]:.1f} %",
            float(answer.probabilities[k]),
            marked=bool(k == duel.target),
        )
        for k in order
    ]


def _perturbation(duel: Duel) -> Panel:
    change = 255 * (duel.after.image - duel.before.image)[0]
    reach = duel.choice.attack.reach or 1.0
    mean = change.mean(0).numpy()
    colours = "" if len(change) == 1 else ", mean of the colours"
    return Panel(
        "Perturbation",
        f"What the attack adds to the image for {duel.name}: red brighter, blue darker",
        [Raster(duel.before.picture), Heat(mean, lut(DIFFERENCE), -reach, reach, smooth=False)],
        id="perturbation",
        subtitle=f"Blue −{reach:g} to red +{reach:g}{colours}",
        lines=[f"{100 * (change.abs().amax(0) > 0.01).float().mean():.0f} % of the pixels changed"],
        download=f"{duel.name} perturbation.png",
    )


def _attacked(duel: Duel) -> Panel:
    change = 255 * (duel.after.image - duel.before.image).abs().max()
    return Panel(
        "Attacked image",
        f"The attacked image for {duel.name}",
        [Raster(duel.after.picture)],
        id="attacked",
        subtitle="What it was given",
        lines=[f"Largest change: {change:.3g} of 255"],
        download=f"{duel.name} attacked.png",
    )


def _range(heat: Array) -> str:
    return f"{heat.min():.1f} to {heat.max():.1f}".replace("-", "−")
