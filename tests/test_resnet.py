import pytest
import torch
import torchvision
from torch import nn

from camdrop.masks import DropBlock
from camdrop.resnet import ARCHITECTURES, build
from camdrop.sampling import SampleMasks


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    "name, millions",
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), ("resnet110", 1.73)],
)
def test_cifar_parameter_counts_are_the_published_ones(name, millions):
    assert round(parameters(build(name)) / 1e6, 2) == millions


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_imagenet_family_is_torchvisions(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    for m in theirs.modules():  # statistics and scales that tell one layer from another
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1), m.running_var.uniform_(0.5, 1.5), m.weight.data.uniform_(0.5, 1)
    ours = build(name, num_classes=1000).eval()
    assert parameters(ours) == parameters(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_resnet20_equals_a_plain_reading_of_he_et_al():
    """The network written out with functional calls on the state dict: 3 × 3 blocks, option A shortcuts."""
    torch.manual_seed(0)
    model = build("resnet20").eval()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(std=0.1), m.running_var.uniform_(0.5, 1.5)
    p = model.state_dict()

    def conv_bn(x, conv, bn, stride=1):
        x = torch.conv2d(x, p[f"{conv}.weight"], stride=stride, padding=1)
        mean, var, w, b = (p[f"{bn}.{k}"][:, None, None] for k in ("running_mean", "running_var", "weight", "bias"))
        return (x - mean) / (var + 1e-5).sqrt() * w + b

    x = h = torch.randn(2, 3, 32, 32)
    h = conv_bn(h, "conv1", "bn1").relu()
    for stage in (1, 2, 3):
        for j in range(3):
            stride = 2 if stage > 1 and j == 0 else 1
            name = f"layer{stage}.{j}"
            f = conv_bn(h, f"{name}.conv1", f"{name}.bn1", stride).relu()
            f = conv_bn(f, f"{name}.conv2", f"{name}.bn2")
            if stride == 2:
                pad = torch.zeros(2, h.shape[1] // 2, *f.shape[2:])
                h = torch.cat([pad, h[:, :, ::2, ::2], pad], 1)
            h = (f + h).relu()
    with torch.no_grad():
        torch.testing.assert_close(model(x), h.mean((2, 3)) @ p["fc.weight"].T + p["fc.bias"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "resnet18", "resnet50"])
def test_every_site_is_called_once_in_order_and_with_its_channels(name):
    model = build(name).eval()
    seen = []

    def drop(site, features):
        assert features.shape[1] == site.channels
        seen.append(site)
        return features

    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x, drop), model(x))
    assert tuple(seen) == model.drop_sites
    convs = 3 if name == "resnet50" else 2
    assert len(seen) == sum(ARCHITECTURES[name].blocks) * (convs + 1)
    assert [s.kind for s in seen[: convs + 1]] == ["conv"] * (convs - 1) + ["branch", "skip"]
    assert len({s.name for s in seen}) == len(seen)


def test_stages_and_going_on_from_any_point_give_the_same_scores():
    torch.manual_seed(0)
    model = build("resnet20", in_channels=1).eval()
    x = torch.randn(2, 1, 28, 28)
    drop = SampleMasks(DropBlock(keep_prob=0.5), model.fc.weight, torch.tensor([0, 1]), {"layer3.2.conv1"})
    with torch.no_grad():
        scores, stages = model(x), model.stages(x)
        for point in ("stem", "layer1", "layer1.1", "layer2", "layer3.0", "layer3"):
            features = model.forward_to(point, x)
            torch.testing.assert_close(model.forward_from(point, features), scores)
            if point in stages:
                torch.testing.assert_close(features, stages[point])
        drop.generator = torch.Generator().manual_seed(1)
        masked = model(x, drop)
        drop.generator = torch.Generator().manual_seed(1)
        torch.testing.assert_close(model.forward_from("layer2", stages["layer2"], drop), masked)
        assert not torch.allclose(masked, scores)


def test_wrong_names_say_what_is_allowed():
    with pytest.raises(ValueError, match=r"resnet8.*resnet110.*'resnet9'"):
        build("resnet9")
    with pytest.raises(ValueError, match=r"pad or conv"):
        build("resnet8", shortcut="none")
    with pytest.raises(ValueError, match=r"num_classes"):
        build("resnet8", num_classes=0)
    with pytest.raises(ValueError, match=r"stem, a stage.*layer9"):
        build("resnet8").forward_to("layer9", torch.randn(1, 3, 32, 32))
