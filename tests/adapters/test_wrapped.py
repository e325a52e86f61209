"""Other people's CNNs answer as they did before, and take masks and give heatmaps as our ResNets do."""

import threading

import pytest
import torch
import torch.nn.functional as F
import torchvision

from camdrop import checkpoints
from camdrop.adapters.inspection import inspect
from camdrop.adapters.wrapped import Wrapped
from camdrop.analysis.attacks import PGD
from camdrop.analysis.gradient_bounds import layers
from camdrop.analysis.mask_steps import capture, dissect, shares
from camdrop.cam import class_activation_map
from camdrop.checkpoints import CheckpointError, Meta
from camdrop.masks import CamDrop, DropBlock
from camdrop.sampling import SampleMasks

pytestmark = pytest.mark.slow  # four large networks

# The module of the last feature map, whether a ReLU follows it, and of the third stage.
NETWORKS = {
    "densenet121": ("features.norm5", True, "features.denseblock3"),
    "efficientnet_b0": ("features.8", False, "features.5"),
    "resnext50_32x4d": ("layer4", False, "layer3"),
    "regnet_y_400mf": ("trunk_output.block4", False, "trunk_output.block3"),
}


@pytest.fixture(scope="module", params=NETWORKS)
def pair(request) -> tuple[torch.nn.Module, Wrapped]:
    """A network and a wrapped one with the same random weights."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        net = torchvision.models.get_model(request.param, weights=None, num_classes=7)
        for module in net.modules():  # statistics of images, or all features would be alike
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        net.train()(images(8))
        made.append(net.eval().requires_grad_(False))
    return made[0], Wrapped(f"torchvision:{request.param}", made[1]).eval()


def images(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def watched(net: torch.nn.Module, name: str, x: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    handle = net.get_submodule(name).register_forward_hook(lambda module, args, out: seen.append(out.clone()))
    net(x)
    handle.remove()
    return seen[0]


def test_scores_stages_and_heatmaps(pair):
    net, wrapped = pair
    last, rectify, third = NETWORKS[wrapped.architecture.removeprefix("torchvision:")]
    x = images()
    torch.testing.assert_close(wrapped(x), net(x), rtol=0, atol=1e-5)
    stages = wrapped.stages(x)
    features = watched(net, last, x).relu() if rectify else watched(net, last, x)
    assert list(stages) == list(wrapped.stage_names) == ["layer1", "layer2", "layer3", "layer4"]
    torch.testing.assert_close(stages["layer4"], features)
    torch.testing.assert_close(stages["layer3"], watched(net, third, x))
    torch.testing.assert_close(wrapped.forward_to("layer3", x), stages["layer3"])
    torch.testing.assert_close(wrapped.forward_from("layer4", features), net(x), rtol=1e-4, atol=1e-5)
    # Eq. 1 and 5: a heatmap's mean is the score less the bias.
    heat = class_activation_map(stages["layer4"], wrapped.fc.weight, torch.tensor([3, 5]))
    scores = (net(x) - wrapped.fc.bias)[[0, 1], [3, 5]]
    torch.testing.assert_close(heat.mean((1, 2)), scores, rtol=1e-4, atol=1e-5)


def test_a_mask_acts_where_a_hook_would_put_it(pair):
    net, wrapped = pair
    site = next(s for s in wrapped.drop_sites if s.stage == "layer3")
    x, record = images(), {}
    generator, targets = torch.Generator().manual_seed(3), torch.tensor([1, 2])
    masks = SampleMasks(
        DropBlock(keep_prob=0.7, block_size=2), wrapped.fc.weight, targets, {site.name}, generator, record
    )
    masked = wrapped(x, masks)
    place = next(p for p in inspect(net).places if p.site.name == site.name)

    def put(module: torch.nn.Module, args: tuple, out: torch.Tensor) -> torch.Tensor:
        out = F.relu(out) if place.rectify else out
        return out * record[site.name].keep * record[site.name].scale

    handle = net.get_submodule(place.module).register_forward_hook(put)
    expected = net(x)
    handle.remove()
    torch.testing.assert_close(masked, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(masked, net(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(wrapped(x), net(x), rtol=0, atol=1e-5)  # nothing stays behind


def test_the_lab(pair):
    _, wrapped = pair
    site = wrapped.drop_sites[-1]
    activation = capture(wrapped, images(1), site.name)
    assert activation.features.shape[1] == site.channels
    d = dissect(
        activation, CamDrop(keep_prob=0.5, block_size=1, channels="all", position_fraction=1.0), label=2, seed=0
    )
    assert 0 < d.share < 1
    torch.testing.assert_close(activation.before, wrapped(images(1)).softmax(1)[0])
    torch.testing.assert_close(
        d.after(),
        wrapped(images(1), lambda here, x: d.mask.apply(x) if here == site else x).softmax(1)[0],
    )
    found = shares(wrapped, images(1), DropBlock(keep_prob=0.5, block_size=1), 2, 0)
    assert list(found) == [s.name for s in wrapped.drop_sites] and 0.3 < found[wrapped.drop_sites[0].name] < 0.7


def test_an_attack_steps_against_the_gradient_of_its_target(pair):
    net, wrapped = pair
    scale, target = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), torch.tensor([4])
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    after = PGD(epsilon=5, step=2, iterations=1).run(wrapped, x, target, *scale)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in scale)
    pixels = x.clone().requires_grad_()
    with torch.enable_grad():
        F.cross_entropy(net((pixels - mean) / std), target).backward()
    moved = (after - x).mul(255).sign()
    assert (moved == -pixels.grad.sign()).float().mean() > 0.99
    assert float((after - x).abs().max()) == pytest.approx(2 / 255, rel=1e-4)


def test_threads_do_not_mix():
    torch.manual_seed(0)
    wrapped = Wrapped("torchvision:mnasnet0_5", torchvision.models.mnasnet0_5(weights=None, num_classes=5).eval())
    x, plain, wrong = images(), wrapped(images()).detach(), []
    inside = threading.Barrier(2, timeout=30)
    first = wrapped.drop_sites[0]

    def wait(here, features):
        if here == first:
            inside.wait()  # masked, with the other thread's pass under way
            inside.wait()
        return torch.zeros_like(features)

    other = threading.Thread(target=lambda: wrapped(x, wait))
    other.start()
    inside.wait()
    if not torch.equal(wrapped(x), plain):
        wrong.append("scores")
    if not torch.equal(
        wrapped.forward_from("layer4", wrapped.stages(x)["layer4"]),
        wrapped.fc(wrapped.stages(x)["layer4"].mean((2, 3))),
    ):
        wrong.append("stages")
    inside.wait()
    other.join()
    assert not wrong


def test_a_round_trip(pair, tmp_path):
    net, wrapped = pair
    meta = Meta(wrapped.architecture, 7, 3, classes=tuple("abcdefg"), image_size=64, method="camdrop")
    checkpoints.save(tmp_path / "net.safetensors", wrapped, meta)
    assert checkpoints.list_checkpoints(tmp_path).found == [(tmp_path / "net.safetensors", meta)]
    loaded = checkpoints.load(tmp_path / "net.safetensors")
    assert loaded.meta == meta
    torch.testing.assert_close(loaded.model(images()), net(images()), rtol=0, atol=1e-5)
    with pytest.raises(CheckpointError, match="num_classes 8, but the model has 7"):
        checkpoints.save(tmp_path / "other.safetensors", wrapped, Meta(wrapped.architecture, 8, 3))


def test_points_that_there_are_not(pair):
    _, wrapped = pair
    with pytest.raises(ValueError, match=r"point must be image or a stage .layer1, .*got 'layer9'"):
        wrapped.forward_to("layer9", images())
    with pytest.raises(ValueError, match="point must be image or layer4, got 'layer2'"):
        wrapped.forward_from("layer2", images())
    with pytest.raises(ValueError, match=r"Bounds are measured in the ResNets that we build, and [a-z0-9_]+ is none"):
        layers(wrapped)
