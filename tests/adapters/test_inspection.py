"""What a foreign network is made of: found by looking at one forward pass."""

import copy

import pytest
import torch
from torch import nn

import camdrop
from camdrop.adapters.inspection import features_and_weights, inspect
from camdrop.cam import class_activation_map
from camdrop.resnet import build
from tests.support.other_networks import foreign


class Functional(nn.Module):
    """As people write them: the activation, the pooling and the flattening are functions."""

    def __init__(self, pool):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.out, self.pool = nn.Linear(8, 3), pool

    def forward(self, x):
        x = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return self.out(self.pool(x))


SERVED = {  # classifier, last map, sites, of which in the last two stages: checked by reading their source
    "torchvision/resnet18": ("fc", "layer4", 20, 10),
    "torchvision/resnext50_32x4d": ("fc", "layer4", 53, 28),
    "torchvision/regnet_y_400mf": ("fc", "trunk_output", 53, 37),
    "torchvision/densenet121": ("classifier", "features", 120, 81),
    "torchvision/efficientnet_b0": ("classifier.1", "features", 49, 33),
    "timm/resnet18": ("fc", "layer4", 20, 10),
    "timm/regnety_002": ("head.fc", "final_conv", 44, 34),
    "timm/efficientnet_b0": ("classifier", "bn2", 49, 33),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_the_mean_of_a_class_activation_map_is_the_score_without_bias(name):
    """Eq. 1 and 5: S = mean J + b, whatever the network before."""
    model = foreign(name)
    classifier, last_map, sites, late = SERVED[name]
    inspection = inspect(model)
    assert (inspection.classifier, inspection.last_map) == (classifier, last_map)
    assert (len(inspection.places), sum(place.late for place in inspection.places)) == (sites, late)
    x = torch.randn(2, 3, 64, 64)
    features, weight, scores = features_and_weights(model, x, inspection)
    assert torch.equal(scores, model(x))
    bias = model.get_submodule(classifier).bias
    for k in range(7):
        mean = class_activation_map(features, weight, torch.tensor([k, k])).mean((1, 2))
        torch.testing.assert_close(mean + bias[k], scores[:, k], rtol=1e-3, atol=1e-4 * float(scores.abs().max()))


def test_our_own_networks_are_served_alike():
    model = build("resnet8").eval()
    x = torch.randn(2, 3, 32, 32)
    features, weight, scores = features_and_weights(model, x)
    assert torch.equal(features, model.stages(x)["layer3"]) and torch.equal(weight, model.fc.weight)
    assert torch.equal(scores, model(x))
    assert camdrop.drop_sites(model) == model.drop_sites


def test_torchvisions_sites_are_those_of_our_resnets_but_for_the_skip_connections():
    ours = {s.name: s.channels for s in build("resnet50").drop_sites if s.kind != "skip"}
    theirs = {s.name: s.channels for s in camdrop.drop_sites(foreign("torchvision/resnet50"))}
    shortcuts = {f"layer{i}.0.downsample.0": 128 * 2**i for i in (1, 2, 3, 4)}
    assert theirs == ours | shortcuts | {"conv1": 64}


def test_masks_act_after_norm_and_activation():
    places = {p.site.name: (p.module, p.rectify) for p in inspect(foreign("torchvision/resnet18")).places}
    assert places["layer3.1.conv1"] == ("layer3.1.bn1", True)  # the block calls its one ReLU twice
    assert places["layer3.1.conv2"] == ("layer3.1.bn2", False)  # the sum comes between norm and ReLU
    assert places["layer3.0.downsample.0"] == ("layer3.0.downsample.1", False)
    places = {p.site.name: (p.module, p.rectify) for p in inspect(foreign("timm/resnet18")).places}
    assert places["layer3.1.conv1"] == ("layer3.1.act1", False)
    places = {p.site.name: (p.module, p.rectify) for p in inspect(foreign("torchvision/densenet121")).places}
    assert places["features.denseblock1.denselayer1.conv1"] == ("features.denseblock1.denselayer1.relu2", False)
    assert places["features.denseblock1.denselayer1.conv2"] == ("features.denseblock1.denselayer1.conv2", False)
    (site,) = (p.site for p in inspect(foreign("timm/efficientnet_b0")).places if p.module == "bn2")
    assert (site.name, site.channels, site.stage) == ("conv_head", 1280, "stride 32")


def test_what_is_written_as_functions():
    inspection = inspect(Functional(lambda x: x.mean((2, 3))))
    assert (inspection.classifier, inspection.last_map, inspection.rectify) == ("out", "bn2", True)
    assert [(p.site.name, p.module, p.site.stage) for p in inspection.places] == [
        ("conv1", "bn1", "stride 2"),
        ("conv2", "bn2", "stride 4"),
    ]


def test_a_network_that_takes_one_size_only():
    model = Functional(lambda x: nn.functional.avg_pool2d(x, 8).flatten(1))
    assert inspect(model).last_map == "bn2"


MISSING = {
    "torchvision/vit_b_16": "VisionTransformer has no convolutional feature map before the pooling that heads.head",
    "torchvision/vgg11": r"VGG ends in 3 linear layers \(classifier\.0, classifier\.3, classifier\.6\)",
    "torchvision/mobilenet_v3_small": r"MobileNetV3 ends in 2 linear layers \(classifier\.0, classifier\.3\)",
    "torchvision/squeezenet1_1": "SqueezeNet ends in no linear layer",
    "timm/convnext_atto": r"something between its last feature map \(norm_pre, 320×2×2\) and head\.fc that is no",
    "timm/mixer_s32_224": "no convolutional feature map before the pooling that head reads",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MISSING)
def test_a_sentence_says_which_part_is_missing(name):
    with pytest.raises(ValueError, match=MISSING[name]) as error:
        inspect(foreign(name))
    assert str(error.value).endswith("need a CNN that ends in global average pooling and one linear layer")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            Functional(lambda x: x.amax((2, 3))),
            r"between its last feature map \(bn2, 8×16×16\) and out that is no aver",
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), "Sequential has no convolution"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(9, 2)), "does not run on images of .64, 224, 32"),
    ],
)
def test_more_that_cannot_be_served(model, words):
    with pytest.raises(ValueError, match=words):
        inspect(model)


def test_looking_changes_nothing():
    model = foreign("torchvision/resnet18").train()
    model.layer1.eval()  # as people freeze a stage
    before, state = copy.deepcopy(model), torch.get_rng_state()
    inspect(model)
    features_and_weights(copy.deepcopy(model).eval(), torch.randn(1, 3, 64, 64, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), before.state_dict().values(), strict=True)
    )
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
