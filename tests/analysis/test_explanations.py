"""Explanations against independent results; what is computed on demand, once, and kept within bounds."""

import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from camdrop.analysis.explanations import disagreements, errors, explain, predict, predicted_classes, scores
from camdrop.checkpoints import Checkpoint, Meta
from camdrop.data import gallery, normalise
from tests.support.checkpoint_files import META, fashion, network


@pytest.mark.parametrize("stage", ["layer1", "layer2", "layer3"])
def test_heatmap_is_the_sum_over_channels_resized(stage: str) -> None:
    checkpoint, image = fashion(0), gallery("fashion-mnist")[0].images[7]
    explanation = explain("a", checkpoint, image, "Coat", stage)
    model, x = checkpoint.model, normalise(image[None], META.mean, META.std)
    with torch.no_grad():
        features = model.forward_to(stage, x)[0].numpy()
        probabilities = model(x).softmax(1)[0].numpy()
    weights = model.fc.weight[META.classes.index("Coat")].detach().numpy().reshape(len(features), -1).sum(1)
    cam = np.einsum("c,chw->hw", weights, features)
    prediction = explanation.prediction
    assert explanation.target_name == "Coat" and prediction.stages[stage].shape[2:] == cam.shape
    assert explanation.heatmap == pytest.approx(cv2.resize(cam, (28, 28), interpolation=cv2.INTER_LINEAR), abs=2e-4)
    assert prediction.probabilities == pytest.approx(probabilities, abs=1e-6)
    assert [k for k, _ in prediction.top()] == np.argsort(-probabilities)[:5].tolist()
    np.testing.assert_array_equal(prediction.picture, image.expand(3, -1, -1).permute(1, 2, 0))


def test_stage_that_a_network_lacks_is_its_last() -> None:
    image = gallery("fashion-mnist")[0].images[0]
    assert explain("a", fashion(0), image, None, "layer4").stage == "layer3"


def test_pixels_and_their_shares_of_255_are_predicted_alike() -> None:
    checkpoint, images = fashion(0), gallery("fashion-mnist")[0].images[5:6]
    a, b = predict(checkpoint, images), predict(checkpoint, images.float() / 255)
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    assert torch.equal(a.image, b.image) and a.predicted == a.top(1)[0][0]
    np.testing.assert_array_equal(a.heatmap(3), a.heatmap(3, "layer3"))


def test_scores_are_computed_on_demand_only() -> None:
    checkpoint, image = fashion(5), gallery("fashion-mnist")[0].images[0]
    explanation = explain("a", checkpoint, image, None, "layer3")
    assert scores(explanation) is None
    computed = scores(explanation, compute=True)
    assert computed is not None and 0 <= computed.deletion_auc <= 1
    again = explain("a", checkpoint, image, None, "layer3")
    assert scores(again) is computed
    assert scores(explain("a", checkpoint, image, None, "layer1")) is None


def test_networks_of_other_classes_disagree_by_names() -> None:
    """A network with the same weights, whose classes have other names but one, agrees on the images of that class."""
    split, info = gallery("fashion-mnist")
    names = tuple(name if name == "Bag" else f"{name}?" for name in META.classes)
    ours, theirs = fashion(0), Checkpoint(network(seed=0), Meta(**{**vars(META), "classes": names, "dataset": ""}))
    calls: list[tuple[str, float]] = []
    bag = predicted_classes(ours, split, info) == META.classes.index("Bag")
    pair = [("a", ours), ("b", theirs)]
    assert torch.equal(disagreements(pair, split, info, lambda name, share: calls.append((name, share))), ~bag)
    assert calls == [("b", i / 10) for i in range(10)]  # those of the first are known
    assert torch.equal(errors("b", theirs, split, info), ~bag | (split.labels != META.classes.index("Bag")))


def resident() -> int:
    """Bytes of memory that this process holds; where the system does not say, the most that it ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_images() -> None:
    checkpoint, images = fashion(0), gallery("fashion-mnist")[0].images
    held = []
    for place, image in enumerate(images):
        explain("a", checkpoint, image, None, "layer3")
        if place in (99, 999):
            held.append(resident())
    assert held[1] - held[0] < 16e6  # all their features would take 88 MB
