"""Which masks act is decided where they act: a site whose own module is in training mode."""

import pytest
import torch
from torch import nn

from camdrop import attach
from camdrop.resnet import build
from tests.support.other_networks import METHOD, batch, foreign, seeded, tiny


def drawn(model, **options):
    x, y = batch(size=32)
    with attach(model, METHOD, generator=seeded(), **options) as guide, guide.targets(y):
        model(x)
    return set(guide.masks)


def test_a_stage_that_is_fine_tuned_in_a_frozen_network():
    model = tiny().eval()
    model.layer4.train()
    assert drawn(model) == {"layer4.0.conv1", "layer4.0.conv2", "layer4.0.downsample.0"}
    assert drawn(model, sites="layer4.0.conv2") == {"layer4.0.conv2"}


def test_frozen_stages_of_a_network_in_training():
    model = tiny().train()
    model.layer3.eval()
    assert {name.split(".")[0] for name in drawn(model, sites="layer*")} == {"layer1", "layer2", "layer4"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part"), [("torchvision/densenet121", "features.denseblock4"), ("timm/efficientnet_b0", "blocks.6")]
)
def test_parts_of_other_families(name, part):
    model = foreign(name).eval()
    model.get_submodule(part).train()
    names = drawn(model)
    assert names and all(site.startswith(part) for site in names)


def test_our_own_networks():
    model = build("resnet8", 7).eval()
    model.layer2.train()
    assert drawn(model) == {"layer2.0.conv1", "layer2.0.conv2", "layer2.0.skip"}


def test_frozen_statistics_do_not_end_the_masks():
    """Batch norms in evaluation mode, as in fine-tuning with small batches, in a network that trains."""
    model = tiny().train()
    every = drawn(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert drawn(model) == every


@pytest.mark.parametrize("part", ["fc", "layer1"])
def test_targets_without_a_site_in_training_are_told(part):
    model = tiny().eval()
    model.get_submodule(part).train()
    with pytest.raises(ValueError, match=r"no drop site \(layer3\.0\.conv1 …\) is; call train\(\) on them"):
        drawn(model)
    x, _ = batch(size=32)
    with attach(model, METHOD) as guide:
        model(x)  # without targets, nothing was asked for
    assert guide.masks == {}


def test_evaluation_with_targets_says_nothing():
    assert drawn(tiny().eval()) == set()


def test_predicting_in_a_frozen_network_keeps_its_modes():
    model = tiny().eval()
    model.layer4.train()
    modes = [module.training for module in model.modules()]
    x, _ = batch(size=32)
    torch.manual_seed(0)
    with attach(model, type(METHOD)(keep_prob=0.5, block_size=2, label="predicted")) as guide:
        model(x)
    assert guide.masks and modes == [module.training for module in model.modules()]
