"""Class activation maps against hand-worked numbers, torchcam, pytorch-grad-cam, OpenCV and SciPy."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from torch import Tensor

from camdrop.cam import (
    class_activation_map,
    compress_weights,
    deletion_insertion,
    heatmap,
    statistics,
    upsample,
    weighted_map,
)
from camdrop.resnet import ResNet, build


@pytest.fixture
def model() -> ResNet:
    torch.manual_seed(0)
    model = build("resnet8", num_classes=7).eval()
    torch.nn.init.normal_(model.fc.weight)
    return model


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([3, 0, 6, 6, 2])


def test_weights_are_summed_in_contiguous_groups_and_the_rest_is_unused():
    alpha = torch.tensor([[1.0, 2, 3, 4, 5, 6, 100], [1, -1, 2, -2, 3, -3, 100]])
    assert compress_weights(alpha, 3).tolist() == [[3, 7, 11], [0, 0, 0]]
    assert compress_weights(alpha, 2).tolist() == [[6, 15], [2, -2]]
    assert compress_weights(alpha, 4).tolist() == [[1, 2, 3, 4], [1, -1, 2, -2]]
    assert compress_weights(alpha, 1).tolist() == [[121], [100]]
    assert compress_weights(alpha, 7).equal(alpha)


@pytest.mark.parametrize("channels", [8, 0, -1])
def test_weights_cannot_grow_or_vanish(channels: int):
    with pytest.raises(ValueError, match=rf"channels must be 1–7.* got {channels}$"):
        compress_weights(torch.ones(2, 7), channels)


def test_map_by_hand():
    features = torch.tensor([[[[1.0, 0], [2, 1]], [[0, 3], [1, 0]]], [[[1, 1], [0, 0]], [[5, 0], [0, 1]]]])
    weight = torch.tensor([[1.0, 1], [2, -1], [0, 10]])
    maps = class_activation_map(features, weight, torch.tensor([1, 2]))
    assert maps.tolist() == [[[2, -3], [3, 2]], [[50, 0], [0, 10]]]


def test_map_of_a_shallow_stage_by_hand():
    features = torch.tensor([[[[1.0, 2]], [[3, 4]]]])  # two channels; five weights, so groups of two and one unused
    weight = torch.tensor([[0.0, 0, 0, 0, 0], [1, 2, -1, 5, 1000]])
    assert class_activation_map(features, weight, torch.tensor([1])).tolist() == [[[15, 22]]]


def test_mean_of_the_map_is_the_score(model: ResNet, images: Tensor):
    """Eq. 1 and 5: the map is the score before pooling."""
    features, scores = model.stages(images)["layer3"], model(images)
    for k in range(7):
        maps = class_activation_map(features, model.fc.weight, torch.full((5,), k))
        torch.testing.assert_close(maps.mean((1, 2)) + model.fc.bias[k], scores[:, k], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stage", ["layer1", "layer2", "layer3"])
def test_every_stage_and_memory_layout(model: ResNet, images: Tensor, stage: str):
    features = model.stages(images)[stage]
    alpha = model.fc.weight[TARGETS].unflatten(1, (features.shape[1], -1)).sum(2)
    expected = (alpha[:, :, None, None] * features).sum(1)
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = class_activation_map(features.contiguous(memory_format=layout), model.fc.weight, TARGETS)
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


def test_no_gradient_flows_through_the_guidance(model: ResNet, images: Tensor):
    features = model.stages(images)["layer2"]
    assert features.requires_grad
    assert not class_activation_map(features, model.fc.weight, TARGETS).requires_grad
    assert not weighted_map(features, model.fc.weight[TARGETS, :32]).requires_grad
    assert not any(compress_weights(model.fc.weight, c).requires_grad for c in (16, 64))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-2), (torch.bfloat16, 1e-1)])
def test_half_precision_features_with_full_precision_weights(dtype: torch.dtype, tolerance: float):
    torch.manual_seed(0)
    features, weight, targets = torch.randn(3, 8, 4, 5), torch.randn(6, 19), torch.tensor([0, 5, 2])
    maps = class_activation_map(features.to(dtype), weight, targets)
    assert maps.dtype == dtype and maps.shape == (3, 4, 5)
    expected = class_activation_map(features, weight, targets)
    torch.testing.assert_close(maps.float(), expected, rtol=tolerance, atol=tolerance)
    assert upsample(maps, (9, 9)).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_targets_of_any_integer_type(dtype: torch.dtype):
    features, weight = torch.ones(2, 1, 1, 1), torch.tensor([[1.0], [2], [3]])
    assert class_activation_map(features, weight, torch.tensor([2, 0], dtype=dtype)).flatten().tolist() == [3, 1]


def test_empty_batch():
    maps = class_activation_map(torch.ones(0, 4, 3, 2), torch.ones(5, 4), torch.ones(0, dtype=torch.long))
    assert maps.shape == (0, 3, 2)


@pytest.mark.parametrize(
    ("features", "weight", "targets", "message"),
    [
        (torch.ones(2, 4, 3), torch.ones(5, 4), torch.tensor([0, 1]), r"features .* \(2, 4, 3\)"),
        (torch.ones(2, 4, 3, 3), torch.ones(5), torch.tensor([0, 1]), r"weight .* \(5,\)"),
        (torch.ones(2, 4, 3, 3), torch.ones(5, 4), torch.tensor([0]), r"targets must be 2 integers.* \(1,\)"),
        (torch.ones(1, 4, 3, 3), torch.ones(5, 4), torch.tensor(0), r"targets must be 1 integers.* \(\)"),
        (torch.ones(2, 4, 3, 3), torch.ones(5, 4), torch.tensor([0.0, 1]), "torch.float32"),
        (torch.ones(2, 4, 3, 3), torch.ones(5, 4), torch.tensor([True, False]), "torch.bool"),
        (torch.ones(2, 4, 3, 3), torch.ones(5, 4), torch.tensor([0, 5]), "targets must lie in 0–4, got 0 to 5"),
        (torch.ones(2, 4, 3, 3), torch.ones(5, 4), torch.tensor([-1, 1]), "targets must lie in 0–4, got -1 to 1"),
        (torch.ones(2, 6, 3, 3), torch.ones(5, 4), torch.tensor([0, 1]), "channels must be 1–4.* got 6"),
    ],
)
def test_wrong_arguments_are_named(features: Tensor, weight: Tensor, targets: Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        class_activation_map(features, weight, targets)


@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_values_are_those_of_torchcam(name: str):
    from torchcam.methods import CAM

    torch.manual_seed(2)
    model = build(name, num_classes=7).eval()
    images = torch.randn(5, 3, 64, 64)
    stage = model.stage_names[-1]
    with CAM(model, getattr(model, stage)[-1], model.fc) as extractor, torch.no_grad():
        model(images)
        (theirs,) = extractor(TARGETS.tolist(), normalized=False)
        ours = class_activation_map(model.stages(images)[stage], model.fc.weight, TARGETS)
    assert theirs.std() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_values_are_those_of_grad_cam_at_the_last_stage(name: str):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.manual_seed(3)
    model = build(name, num_classes=7).eval()
    images = torch.randn(5, 3, 64, 64)
    stage = model.stage_names[-1]
    with GradCAM(model, [getattr(model, stage)[-1]]) as extractor:
        theirs = extractor(images, [ClassifierOutputTarget(int(k)) for k in TARGETS])
    ours = class_activation_map(model.stages(images)[stage], model.fc.weight, TARGETS).relu()
    ours = ours - ours.amin((1, 2), keepdim=True)  # its scaling: 0 to 1 before and after it is resized
    ours = upsample(ours / (1e-7 + ours.amax((1, 2), keepdim=True)), (64, 64))
    ours = ours - ours.amin((1, 2), keepdim=True)
    ours = ours / (1e-7 + ours.amax((1, 2), keepdim=True))
    assert theirs.std() > 0.1
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)


def test_upsampling_is_that_of_opencv():
    maps = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    large = upsample(maps, (24, 31))
    assert large.shape == (2, 24, 31)
    for ours, small in zip(large, maps, strict=True):
        expected = cv2.resize(small.numpy(), (31, 24), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_upsampling_to_the_same_size_changes_nothing():
    maps = torch.randn(2, 7, 5)
    assert upsample(maps, (7, 5)).equal(maps)


@pytest.mark.parametrize("stage", ["layer1", "layer2", "layer3"])
def test_heatmap_is_the_weighted_sum_resized(model: ResNet, images: Tensor, stage: str):
    features = model.stages(images)[stage]
    alpha = model.fc.weight[TARGETS].unflatten(1, (features.shape[1], -1)).sum(2)
    expected = torch.einsum("nc,nchw->nhw", alpha, features)[:, None]
    expected = torch.nn.functional.interpolate(expected, (48, 40), mode="bilinear", align_corners=False)[:, 0]
    large = heatmap(features, model.fc.weight, TARGETS, (48, 40))
    assert large.shape == (5, 48, 40) and not large.requires_grad
    torch.testing.assert_close(large, expected, rtol=1e-4, atol=1e-4)


def test_statistics_by_hand():
    heatmap = np.array(
        [
            [4.0, 3.0, 0.0, 0.0],
            [0.0, 0.0, 2.1, 0.0],  # touches the 3 at a corner: the same region
            [0.0, -9.0, 0.0, 0.0],
            [4.0, 2.0, 0.0, 0.0],  # 2 is half of the maximum, not above it
        ]
    )
    found = statistics(heatmap)
    assert found.coverage == 4 / 16
    assert found.regions == 2
    shares = np.array([4, 3, 2.1, 4, 2]) / 15.1
    assert found.entropy == pytest.approx(-(shares * np.log(shares)).sum() / math.log(16))
    assert statistics(torch.from_numpy(heatmap)) == found


@pytest.mark.parametrize(
    ("heatmap", "coverage", "regions", "entropy"),
    [
        (np.zeros((3, 4)), 0, 0, 0),
        (-np.ones((3, 4)), 0, 0, 0),
        (np.full((3, 4), 1e-300), 1, 1, 1),
        (np.eye(3)[:1], 1 / 3, 1, 0),
        (np.ones((1, 1)), 1, 1, 0),
    ],
)
def test_statistics_of_flat_maps(heatmap: np.ndarray, coverage: float, regions: int, entropy: float):
    found = statistics(heatmap)
    assert (found.coverage, found.regions) == (coverage, regions)
    assert found.entropy == pytest.approx(entropy)


def test_statistics_of_a_half_precision_tensor_with_gradient():
    assert statistics(torch.ones(2, 2, dtype=torch.float16, requires_grad=True)).coverage == 1


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((0, 3)), np.array([[1, np.nan]]), np.array([[np.inf, 1]])])
def test_statistics_refuse_what_is_no_heatmap(bad: np.ndarray):
    with pytest.raises(ValueError, match="heatmap"):
        statistics(bad)


HEATMAPS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-4, 9))


@settings(max_examples=80, deadline=None)
@given(HEATMAPS, st.sampled_from([0.25, 8.0, 1024.0]))
def test_statistics_have_their_range_and_ignore_the_scale(heatmap: np.ndarray, scale: float):
    found = statistics(heatmap)
    assert 0 <= found.coverage <= 1 and 0 <= found.entropy <= 1
    assert found == statistics(heatmap * scale)
    above = (heatmap > heatmap.max() / 2) & (heatmap.max() > 0)
    assert found.coverage == above.mean()
    assert found.regions == ndimage.label(above, np.ones((3, 3)))[1]


class Adder:
    """A classifier of two classes whose score for class 1 is the sum of the image; it counts its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        score = x.sum((1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], 1)


def sigmoid(values: list[float]) -> Any:
    return pytest.approx([1 / (1 + math.exp(-v)) for v in values], rel=1e-5)


def test_deletion_and_insertion_by_hand():
    image = torch.tensor([[[[1.0, 2.0], [-1.0, 0.5]]]])
    heatmap = torch.tensor([[3.0, 4.0], [1.0, 2.0]])  # so the order is 2, 1, 0.5, −1
    model = Adder()
    scores = deletion_insertion(model, image, heatmap, 1, steps=4)
    assert model.batches == [10]  # all steps in one batch
    assert scores.fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert scores.deletion.tolist() == sigmoid([2.5, 0.5, -0.5, -1, 0])
    d = scores.deletion.tolist()
    assert scores.deletion_auc == pytest.approx((d[0] / 2 + d[1] + d[2] + d[3] + d[4] / 2) / 4)
    blurred = cv2.GaussianBlur(image[0, 0].numpy(), (0, 0), 0.2).flatten().tolist()
    a, b, c, e = blurred
    sums = [a + b + c + e, a + 2 + c + e, 1 + 2 + c + e, 1 + 2 + c + 0.5, 2.5]
    assert scores.insertion.tolist() == sigmoid(sums)
    assert 0 < scores.insertion_auc < 1


def test_a_right_heatmap_scores_better_than_its_opposite():
    torch.manual_seed(0)
    image = torch.zeros(1, 3, 12, 10)
    image[:, :, 2:5, 3:6] = 1
    right = deletion_insertion(Adder(), image, image[0, 0], 1)
    wrong = deletion_insertion(Adder(), image, -image[0, 0], 1)
    assert right.deletion_auc < wrong.deletion_auc
    assert right.insertion_auc > wrong.insertion_auc
    assert right.deletion[0] == wrong.deletion[0] == right.insertion[-1]


def test_deletion_takes_a_network_a_small_heatmap_and_more_steps_than_pixels(model: ResNet, images: Tensor):
    cam = class_activation_map(model.stages(images[:1])["layer3"], model.fc.weight, TARGETS[:1])[0]
    scores = deletion_insertion(model, images[:1], cam, 3, steps=3)
    whole = model(images[:1]).softmax(1)[0, 3].item()
    assert scores.deletion[0].item() == pytest.approx(whole, rel=1e-4)
    assert scores.insertion[-1].item() == pytest.approx(whole, rel=1e-4)
    assert not scores.deletion.requires_grad
    tiny = deletion_insertion(Adder(), torch.ones(1, 1, 1, 2), torch.ones(1, 2), 0, steps=5)
    assert tiny.fractions.tolist() == [0, 0, 0, 0.5, 0.5, 1]


@pytest.mark.parametrize(
    ("shape", "heat", "target", "steps", "message"),
    [
        ((2, 1, 4, 4), (4, 4), 0, 4, r"image .* \(2, 1, 4, 4\)"),
        ((1, 1, 4, 4), (1, 4, 4), 0, 4, r"heatmap .* \(1, 4, 4\)"),
        ((1, 1, 4, 4), (4, 4), 2, 4, "target must lie in 0–1, got 2"),
        ((1, 1, 4, 4), (4, 4), 0, 0, "steps must be at least 1, got 0"),
    ],
)
def test_deletion_names_wrong_arguments(
    shape: tuple[int, ...], heat: tuple[int, ...], target: int, steps: int, message: str
):
    with pytest.raises(ValueError, match=message):
        deletion_insertion(Adder(), torch.ones(shape), torch.ones(heat), target, steps=steps)
