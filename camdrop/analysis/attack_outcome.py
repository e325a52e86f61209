"""One image under attack: what a network predicts before and after, and where it looks."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from camdrop.analysis.attacks import PGD, random_targets
from camdrop.analysis.explanations import Prediction, cached_prediction, predict
from camdrop.checkpoints import Checkpoint


@dataclass(frozen=True, eq=False)
class AttackOutcome:
    """What an attack on one image changes for one network; `name` is what the person calls the network."""

    name: str
    attack: PGD
    label: int  # the true class if `known`, else the one predicted before
    known: bool
    target: int | None  # None for an untargeted attack
    before: Prediction
    after: Prediction  # its `stages` has the last only

    @property
    def classes(self) -> tuple[str, ...]:
        return self.before.checkpoint.meta.classes

    @property
    def verdict(self) -> str:
        """How it ended, in a few words."""
        if self.after.predicted == self.label:
            return "Holds" if self.known else "Answers as before"
        return "Answers the target" if self.after.predicted == self.target else "Errs"


def attack_image(
    name: str,
    checkpoint: Checkpoint,
    pixels: Tensor,
    truth: str | None,
    attack: PGD,
    target: str | None = None,
    seed: int = 0,
) -> AttackOutcome:
    """Attack one image, uint8 (C, H, W) with the channels and size of the network.

    `truth` and `target` are names of classes. The predicted class stands in for a true class that the network does not
    know. A class drawn by the seed stands in for a target that it does not know, that is the true class, or that is
    None. The seed also gives the random start.
    """
    classes = checkpoint.meta.classes
    before = cached_prediction(checkpoint, pixels)
    label = classes.index(truth) if truth in classes else before.predicted
    index = None
    if attack.targeted:
        generator = torch.Generator().manual_seed(seed)
        index = int(random_targets(torch.tensor([label]), len(classes), generator))
        if target in classes and classes.index(target) != label:
            index = classes.index(target)
    aim = label if index is None else index
    after = _attacked(checkpoint, pixels.numpy().tobytes(), tuple(pixels.shape), attack, aim, seed)
    return AttackOutcome(name, attack, label, truth in classes, index, before, after)


@functools.lru_cache(maxsize=64)
def _attacked(
    checkpoint: Checkpoint, data: bytes, shape: tuple[int, ...], attack: PGD, aim: int, seed: int
) -> Prediction:
    """The prediction for the adversarial example; `aim` is the target class, or the true one if untargeted."""
    model, meta = checkpoint.model, checkpoint.meta
    image = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(1, *shape)
    generator = torch.Generator().manual_seed(seed)
    adversarial = attack.run(model, image, torch.tensor([aim]), meta.mean, meta.std, generator)
    prediction, last = predict(checkpoint, adversarial), model.stage_names[-1]
    return dataclasses.replace(prediction, stages={last: prediction.stages[last]})
