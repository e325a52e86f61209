"""The lab takes masks apart by the calls that training makes, and explains settings that make no sense."""

import dataclasses

import pytest
import torch

from camdrop.analysis.mask_steps import answers, capture, dissect, masked_pass, remarks, shares
from camdrop.cam import class_activation_map
from camdrop.masks import METHODS, CamDrop, DropBlock, Dropout, DropPath, SpatialDropout
from camdrop.resnet import ResNet, build
from camdrop.sampling import SampleMasks, training_masks

SITES = ("layer1.0.conv1", "layer1.0.conv2", "layer1.0.skip", "layer2.0.conv2", "layer2.0.skip", "layer3.0.conv1")
BLIND = {"keep_prob": 0.7}


@pytest.fixture(scope="module")
def model() -> ResNet:
    torch.manual_seed(0)
    model = build("resnet8", 10, 1).eval().requires_grad_(False)
    for module in model.modules():  # untrained statistics would leave all features alike
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.weight.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", METHODS)
def test_the_mask_and_what_follows_are_those_of_training(model, image, site, name):
    method = METHODS[name](**({"keep_prob": 0.6, "block_size": 3} if name in ("dropblock", "camdrop") else BLIND))
    label, seed = 4, 11
    activation = capture(model, image, site)
    d = dissect(activation, method, label, seed)
    record = {}
    drop = SampleMasks(method, model.fc.weight, torch.tensor([label]), {site}, generator(seed), record)
    logits = model(image, drop)
    mask = record[site]
    assert torch.equal(d.dropped, ~mask.keep[0])
    assert torch.equal(d.seeds, mask.seeds[0])
    assert d.scale == float(mask.scale)
    assert d.share == float(mask.dropped)
    assert torch.equal(d.masked, activation.features[0] * mask.keep[0] * mask.scale[0])
    torch.testing.assert_close(d.after(), logits.softmax(1)[0])
    torch.testing.assert_close(activation.before, model(image).softmax(1)[0])


def test_guidance_is_that_of_the_label(model, image):
    activation = capture(model, image, "layer2.0.conv2")
    for label in (0, 7):
        d = dissect(activation, CamDrop(block_size=4), label, 0)
        cam = class_activation_map(activation.features, model.fc.weight, torch.tensor([label]))[0]
        torch.testing.assert_close(d.cam, cam)
        weight = model.fc.weight[label].view(32, 2).sum(1)
        torch.testing.assert_close(d.alpha, weight)
        assert d.order.tolist() == sorted(range(32), key=lambda c: -float(weight[c]))
        top = cam.flatten().topk(14 * 14 // 16).indices
        positions = torch.zeros(14 * 14, dtype=torch.bool)
        positions[top] = True
        assert torch.equal(d.mask.positions[0], positions.view(14, 14))
        assert torch.equal(d.candidates, (d.mask.positions[0] & d.valid) & d.mask.channels[0][:, None, None])
        assert d.chances == int(d.candidates.sum())
        assert not (d.seeds & ~d.candidates).any()


def test_numbers_by_hand(model, image):
    activation = capture(model, image, "layer2.0.conv2")  # 32 × 14 × 14
    d = dissect(activation, DropBlock(keep_prob=0.9, block_size=4), 0, 0)
    assert (d.block_size, d.chances) == (4, 32 * 11 * 11)
    assert d.rate == pytest.approx(0.1 * 196 / (16 * 121))
    assert int(d.valid.sum()) == 121
    assert d.hits == int(d.seeds.sum())
    assert d.scale == pytest.approx(32 * 196 / int((~d.dropped).sum()))
    assert dissect(activation, Dropout(**BLIND), 0, 0).chances == 32 * 196
    assert dissect(activation, SpatialDropout(**BLIND), 0, 0).chances == 32
    assert dissect(activation, DropPath(**BLIND), 0, 0).chances == 1
    everything = dissect(activation, CamDrop(keep_prob=0.0, block_size=4), 0, 0)
    assert everything.hits == everything.chances
    matched = dissect(activation, CamDrop(keep_prob=0.99, block_size=4, position_fraction=0.9, reading="matched"), 0, 0)
    assert matched.rate == pytest.approx(0.01 * 32 * 196 / (16 * matched.chances))


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_coins_so_blocks_only_come_as_gamma_falls(model, image, name):
    activation = capture(model, image, "layer1.0.conv2")
    known = {f.name for f in dataclasses.fields(METHODS[name])}
    options = {k: v for k, v in {"block_size": 3, "position_fraction": 0.5}.items() if k in known}
    before = torch.zeros(16, 28, 28, dtype=torch.bool)
    for gamma in (1.0, 0.95, 0.8, 0.5, 0.3, 0.0):
        d = dissect(activation, METHODS[name](keep_prob=gamma, **options), 2, 5)
        assert not (before & ~d.dropped).any()
        before = d.dropped
    assert before.any()


def test_another_seed_is_another_draw(model, image):
    activation = capture(model, image, "layer1.0.conv2")
    first, second, again = (dissect(activation, DropBlock(block_size=3), 0, seed).dropped for seed in (0, 1, 0))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_shares_are_the_mean_of_passes_with_every_site_masked(model, image):
    method = DropBlock(keep_prob=0.8, block_size=3)
    found = shares(model, image, method, 3, 9, draws=5)
    record = {}
    sites = [site.name for site in model.drop_sites]
    images, labels = image.repeat(5, 1, 1, 1), torch.full((5,), 3)
    model(images, SampleMasks(method, model.fc.weight, labels, sites, generator(9), record))
    assert list(found) == sites
    for name, share in found.items():
        assert share == pytest.approx(float(record[name].dropped.mean()))
    assert sum(found.values()) / len(found) == pytest.approx(0.2, abs=0.04)


def test_a_masked_pass_is_that_of_a_training_step(model, image):
    method, sites = CamDrop(keep_prob=0.5, block_size=4, reading="matched"), {s.name for s in model.drop_sites}
    before = image.clone()
    for label in (1, 6):
        found = masked_pass(capture(model, image, "layer2.0.conv2"), image, method, label, 5, sites)
        record = {}
        drop = training_masks(method, model, image, torch.tensor([label]), sites, generator(5), record)
        reached = []

        def watch(site, features, drop=drop, reached=reached):
            if site.name == "layer2.0.conv2":
                reached.append(features.clone())
            return drop(site, features)

        torch.testing.assert_close(found.after, model(image, watch).softmax(1)[0])
        assert list(found.masks) == [s.name for s in model.drop_sites]
        assert all(torch.equal(found.masks[name].keep, mask.keep) for name, mask in record.items())
        assert torch.equal(found.here.activation.features, reached[0])
        assert not torch.equal(reached[0], capture(model, image, "layer2.0.conv2").features)  # masked before
        mask = record["layer2.0.conv2"]
        torch.testing.assert_close(found.here.masked, (reached[0] * mask.keep * mask.scale)[0])
        cam = class_activation_map(reached[0], model.fc.weight, torch.tensor([label]))
        torch.testing.assert_close(found.here.cam[None], cam)
    assert torch.equal(image, before)
    elsewhere = masked_pass(capture(model, image, "layer1.0.skip"), image, method, 1, 5, {"layer3.0.skip"})
    assert elsewhere.here is None and list(elsewhere.masks) == ["layer3.0.skip"]


def test_answers_are_those_of_as_many_draws(model, image):
    method, sites = DropBlock(keep_prob=0.3, block_size=5), {s.name for s in model.drop_sites}
    found = answers(model, image, method, 3, 8, sites, draws=12)
    drop = SampleMasks(method, model.fc.weight, torch.tensor([3] * 12), sites, generator(8))
    assert found.tolist() == model(image.expand(12, -1, -1, -1), drop).argmax(1).tolist()


def test_a_stop_keeps_no_mask_and_no_gradient(model, image):
    activation = capture(model, image, "layer3.0.skip")
    features = activation.features.clone()
    d = dissect(activation, CamDrop(keep_prob=0.0, block_size=1, position_fraction=1.0, channels="all"), 0, 0)
    d.after()
    assert torch.equal(activation.features, features)
    assert not d.masked.requires_grad
    assert d.share == 1.0
    assert d.after().isfinite().all()


def said(model, image, site, method, label=0):
    return " ".join(remarks(dissect(capture(model, image, site), method, label, 0)))


def test_remarks(model, image):
    inside = CamDrop(block_size=4, position_fraction=0.5)
    assert said(model, image, "layer2.0.conv2", inside) == ""
    large = said(model, image, "layer3.0.conv1", CamDrop(block_size=12))
    assert "r = 12 is larger than this 7×7 map: blocks are cut to 7×7" in large
    corner = torch.zeros(1, 1, 28, 28)
    corner[..., :4, :4] = 3
    activation = capture(model, corner, "layer3.0.conv1")
    off_centre = next(d for k in range(10) if (d := dissect(activation, CamDrop(block_size=7), k, 0)).chances == 0)
    assert "No candidate, so nothing can be dropped here" in " ".join(remarks(off_centre))
    assert "(of which there is 1)" in " ".join(remarks(off_centre))
    assert off_centre.share == 0
    assert "γ = 1 keeps everything" in said(model, image, "layer2.0.conv2", DropBlock(keep_prob=1.0))
    assert "This draw drops everything" in said(model, image, "layer2.0.conv2", DropPath(keep_prob=0.0))
    rare = CamDrop(keep_prob=0.9, block_size=4, reading="official", position_fraction=0.01)
    assert "About one draw in " in said(model, image, "layer2.0.conv2", rare)
    spent = CamDrop(keep_prob=0.5, block_size=4, reading="matched", position_fraction=0.05)
    assert "Every candidate is a seed already" in said(model, image, "layer2.0.conv2", spent)
    free = CamDrop(block_size=4, channels="all", guide="mean", position_fraction=0.5)
    assert "the label changes nothing" in said(model, image, "layer2.0.conv2", free)
    assert "SpatialDropout draws blindly" in said(model, image, "layer2.0.conv2", SpatialDropout(**BLIND))
    assert "only the end of a residual branch" in said(model, image, "layer2.0.skip", DropPath(**BLIND))
    assert "only the end" not in said(model, image, "layer2.0.conv2", DropPath(**BLIND))


def test_errors_name_what_is_allowed(model, image):
    with pytest.raises(ValueError, match=r"site must be one of .* got 'layer9'"):
        capture(model, image, "layer9")
    with pytest.raises(ValueError, match=r"image must have shape \(1, channels, H, W\)"):
        capture(model, image.repeat(2, 1, 1, 1), "layer1.0.conv1")
    with pytest.raises(ValueError, match="label must lie in 0–9, got 10"):
        dissect(capture(model, image, "layer1.0.conv1"), CamDrop(), 10, 0)
