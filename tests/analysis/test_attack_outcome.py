"""One image under attack: what stands in for classes that a network does not know, and what is kept of the attack."""

import numpy as np
import pytest
import torch

from camdrop.analysis.attack_outcome import attack_image
from camdrop.analysis.attacks import PGD, random_targets
from camdrop.cam import class_activation_map, upsample
from camdrop.checkpoints import Checkpoint, load
from camdrop.data import INFO, gallery, normalise
from tests.support import ROOT

IMAGE = gallery("fashion-mnist")[0].images[18]
CLASSES = INFO["fashion-mnist"].classes
BAG, COAT = CLASSES.index("Bag"), CLASSES.index("Coat")


@pytest.fixture(scope="module")
def fashion() -> Checkpoint:
    return load(ROOT / "checkpoints" / "fashion-resnet8-camdrop.safetensors")


def test_predictions_before_and_after(fashion: Checkpoint) -> None:
    attack, meta = PGD(20, 8, 3), fashion.meta
    outcome = attack_image("a", fashion, IMAGE, "Bag", attack, "Coat")
    assert (outcome.label, outcome.known, outcome.target) == (BAG, True, COAT)
    x = attack.run(fashion.model, IMAGE[None], torch.tensor([COAT]), meta.mean, meta.std)
    assert torch.equal(outcome.before.image, IMAGE[None] / 255) and torch.equal(outcome.after.image, x)
    for prediction, image in ((outcome.before, IMAGE[None]), (outcome.after, x)):
        with torch.no_grad():
            features = fashion.model.forward_to("layer3", normalise(image, meta.mean, meta.std))
            probabilities = fashion.model.forward_from("layer3", features).softmax(1)[0]
        heat = upsample(class_activation_map(features, fashion.model.fc.weight, torch.tensor([COAT])), (28, 28))[0]
        np.testing.assert_allclose(prediction.probabilities, probabilities, atol=1e-6)
        np.testing.assert_allclose(prediction.heatmap(COAT), heat, atol=1e-4)
    assert outcome.after.probabilities[COAT] > outcome.before.probabilities[COAT]
    assert list(outcome.after.stages) == ["layer3"]  # of the many kept, the heatmaps need no more


@pytest.mark.parametrize("target", [None, "", "Cow", "Bag"])
def test_a_target_that_cannot_be_is_drawn_by_the_seed(fashion: Checkpoint, target: str | None) -> None:
    for seed in (0, 5):
        drawn = int(random_targets(torch.tensor([BAG]), 10, torch.Generator().manual_seed(seed)))
        assert attack_image("a", fashion, IMAGE, "Bag", PGD(), target, seed).target == drawn


def test_without_a_true_class_the_predicted_one_stands_in(fashion: Checkpoint) -> None:
    unknown = attack_image("a", fashion, IMAGE, "n02769748", PGD(0, 1, 1))
    assert not unknown.known and unknown.label == unknown.before.predicted and unknown.verdict == "Answers as before"
    true = CLASSES[unknown.label]
    assert attack_image("a", fashion, IMAGE, true, PGD(0, 1, 1)).verdict == "Holds"
    untargeted = attack_image("a", fashion, IMAGE, true, PGD(60, 3, 20, targeted=False), "Coat")
    assert untargeted.target is None and untargeted.verdict == "Errs"
    other = CLASSES[(unknown.label + 1) % 10]
    assert attack_image("a", fashion, IMAGE, true, PGD(60, 3, 20), other).verdict == "Answers the target"
