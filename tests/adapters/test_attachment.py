"""CamDrop in other people's networks and loops."""

import copy
import dataclasses
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from camdrop import attach, drop_sites
from camdrop.masks import CamDrop, DropBlock, DropPath
from camdrop.resnet import build
from camdrop.sampling import SampleMasks
from tests.support.other_networks import METHOD, batch, foreign, gradients, restored, same_masks, seeded

LATE = ("layer3.*", "layer4.*")


@pytest.mark.parametrize("patterns", [None, "layer3.*", ("*.skip", "layer2.0.conv1")])
def test_our_own_network_gets_the_masks_that_training_gives_it(patterns):
    torch.manual_seed(0)
    model = build("resnet20", 7).train()
    x, y = batch(size=32)
    names = {s.name for s in model.drop_sites}
    if patterns == "layer3.*":
        names = {name for name in names if name.startswith("layer3")}
    elif patterns:
        names = {name for name in names if name.endswith(".skip")} | {"layer2.0.conv1"}
    record = {}
    expected = model(x, drop=SampleMasks(METHOD, model.fc.weight, y, names, seeded(), record))
    with attach(model, METHOD, sites=patterns, generator=seeded()) as guide, guide.targets(y):
        assert torch.equal(model(x), expected)
    assert guide.masks.keys() == names and same_masks(guide.masks, record)
    assert any(mask.dropped.sum() for mask in record.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18"])
def test_their_resnet18_gets_the_masks_of_ours(name):
    """The same weights in our network, whose forward pass takes masks as an argument, without a hook."""
    model, ours = foreign(name).train(), build("resnet18", 7).train()
    ours.load_state_dict(model.state_dict())
    x, y = batch()
    names = {s.name for s in ours.drop_sites if s.stage in ("layer3", "layer4") and s.kind != "skip"}
    record = {}
    expected = ours(x, drop=SampleMasks(METHOD, ours.fc.weight, y, names, seeded(), record))
    patterns = [f"layer{i}.?.conv?" for i in (3, 4)]
    with attach(model, METHOD, sites=patterns, generator=seeded()) as guide:
        with guide.targets(y):
            scores = model(x)
        F.cross_entropy(scores, y).backward()
    assert same_masks(guide.masks, record) and sum(float(m.dropped.sum()) for m in record.values()) > 0
    torch.testing.assert_close(scores, expected)
    F.cross_entropy(expected, y).backward()
    torch.testing.assert_close(gradients(model), gradients(ours))


@pytest.mark.parametrize("method", [CamDrop(keep_prob=1.0, block_size=2), DropBlock(keep_prob=1.0, block_size=2)])
def test_a_retaining_rate_of_one_changes_nothing(method):
    model = foreign("torchvision/resnet18").train()
    x, y = batch()
    expected = copy.deepcopy(model)(x)
    with attach(model, method, sites="*") as guide, guide.targets(y):
        assert torch.equal(model(x), expected)
    assert len(guide.masks) == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "torchvision/densenet121",
        "torchvision/efficientnet_b0",
        "torchvision/regnet_y_400mf",
        "torchvision/resnext50_32x4d",
        "torchvision/googlenet",
        "timm/resnet18",
        "timm/regnety_002",
        "timm/efficientnet_b0",
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight init")
def test_many_networks_train_and_are_restored(name):
    model = foreign(name).train()
    if name.endswith("googlenet"):
        model.aux_logits, model.aux1, model.aux2 = False, None, None
    state = copy.deepcopy(model.state_dict())
    x, y = batch()
    with attach(model, METHOD, generator=seeded()) as guide:
        with guide.targets(y):
            F.cross_entropy(model(x), y).backward()
        chosen, channels = guide.sites, {s.name: s.channels for s in drop_sites(model)}
    assert guide.masks.keys() == chosen and len(chosen) >= 8
    assert all(guide.masks[name].shape[1] == channels[name] for name in chosen)
    assert sum(float(mask.dropped.sum()) for mask in guide.masks.values()) > 0
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters() if p.ndim > 1)
    assert restored(model)
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, state[k])}
    assert all(k.rsplit(".", 1)[-1] in ("running_mean", "running_var", "num_batches_tracked") for k in changed)


@pytest.mark.parametrize("make", [lambda: foreign("torchvision/resnet18"), lambda: build("resnet8", 7)])
def test_an_exception_restores_the_network_too(make):
    model = make().train()
    x, y = batch()
    with pytest.raises(RuntimeError), attach(model, METHOD) as guide, guide.targets(y):
        model(x[:, :1])
    assert restored(model)
    with pytest.raises(KeyError), attach(model, METHOD):
        raise KeyError
    assert restored(model) and model.training


def test_evaluation_is_not_masked_and_needs_no_targets():
    model = foreign("torchvision/resnet18")
    x, _ = batch()
    expected = model(x)
    with attach(model, METHOD) as guide:
        assert torch.equal(model(x), expected) and not guide.masks


def test_masks_differ_between_passes_follow_the_method_and_are_reproducible():
    model = foreign("torchvision/resnet18").train()
    x, y = batch()

    def draw():
        with attach(model, METHOD, sites=LATE, generator=seeded()) as guide:
            for method in (METHOD, METHOD, dataclasses.replace(METHOD, keep_prob=1.0)):
                guide.method = method
                with guide.targets(y):
                    model(x)
                yield guide.masks

    first, second, third = draw()
    assert not same_masks(first, second) and not any(mask.dropped.any() for mask in third.values())
    assert all(same_masks(a, b) for a, b in zip((first, second), draw(), strict=False))
    torch.manual_seed(5)  # without a generator it is PyTorch's own
    with attach(model, METHOD, sites=LATE) as guide, guide.targets(y):
        model(x)
    assert same_masks(guide.masks, first)


@pytest.mark.slow
def test_what_a_person_can_do_wrong():
    model = foreign("torchvision/resnet18").train()
    x, y = batch()
    with attach(model, METHOD) as guide:
        with pytest.raises(ValueError, match=r"use `with guide\.targets\(y\): model\(x\)`"):
            model(x)
        with (
            pytest.raises(
                ValueError, match=r"must be class numbers \(N,\), one an image, got torch\.float32 of \(4, 7\)"
            ),
            guide.targets(F.one_hot(y, 7).float()),
        ):
            model(x)
        with pytest.raises(ValueError, match="no mask was drawn"), guide.targets(y):
            model.layer1(model.maxpool(model.conv1(x)))
        with guide.targets(y):
            model(x)
    with pytest.raises(
        ValueError, match=r"ResNet has no drop site in blocks\.\*; those there are: conv1, layer1\.0\.conv1"
    ):
        attach(model, METHOD, sites="blocks.*").__enter__()
    with pytest.raises(ValueError, match=r"DropPath needs sites"):
        attach(model, DropPath()).__enter__()
    with attach(model, DropPath(keep_prob=0.5), sites="*.conv2") as guide, guide.targets(y):
        model(x)
    assert len(guide.masks) == 8
    ours = build("resnet8", 7)
    with (
        pytest.raises(ValueError, match=r"call model\(x\) without drop"),
        attach(ours, METHOD) as guide,
        guide.targets(y),
    ):
        ours(x, drop=lambda site, features: features)
    with pytest.raises(
        ValueError, match="SwinTransformer has no drop site in its last two stages; those there are: feat"
    ):
        attach(foreign("torchvision/swin_t"), METHOD).__enter__()


def test_a_copy_made_while_attached_is_free_of_masks_in_evaluation():
    """As averaged copies of the weights are."""
    model = foreign("torchvision/resnet18").train()
    x, y = batch()
    with attach(model, METHOD) as guide, guide.targets(y):
        model(x)
        average = copy.deepcopy(model).eval()
        expected = average(x)
    assert torch.equal(average(x), expected)


@pytest.mark.slow
def test_importing_camdrop_stays_light():
    code = "import sys, camdrop; assert 'torch' not in sys.modules; from camdrop import attach; assert callable(attach)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError):
        from camdrop import detach  # noqa: F401
