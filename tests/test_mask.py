"""A mask applied: gradients, transforms, precision, and what the network really got."""

import threading

import pytest
import torch
from torch.func import grad, vmap

from camdrop.masks import METHODS, CamDrop, DropBlock, Dropout, Mask
from camdrop.resnet import build
from camdrop.sampling import SampleMasks
from tests.support.features import generator, random_features


def test_gradient_flows_through_the_features_only():
    x, alpha = random_features()
    x.requires_grad_(), alpha.requires_grad_()
    mask = CamDrop(keep_prob=0.0, block_size=3).sample(x, alpha=alpha)
    weights = torch.randn(x.shape, generator=generator(1))
    (mask.apply(x) * weights).sum().backward()
    torch.testing.assert_close(x.grad, weights * mask.keep * mask.scale)
    assert alpha.grad is None and not mask.cam.requires_grad
    small = torch.randn(1, 4, 3, 3, dtype=torch.double, requires_grad=True)
    for method in (
        CamDrop(block_size=2, keep_prob=0.0),
        Dropout(keep_prob=0.5),
        DropBlock(block_size=2, keep_prob=0.5),
    ):
        drawn = method.sample(small, alpha=torch.rand(1, 4), generator=generator())
        assert torch.autograd.gradcheck(drawn.apply, small) and torch.autograd.gradgradcheck(drawn.apply, small)


def test_apply_works_under_func_transforms_and_in_channels_last():
    x, alpha = random_features()
    mask = CamDrop(keep_prob=0.0, block_size=3).sample(x, alpha=alpha)
    expected = (mask.keep * mask.scale).expand_as(x)
    torch.testing.assert_close(grad(lambda z: mask.apply(z).sum())(x), expected)
    many = torch.randn(5, *x.shape)
    torch.testing.assert_close(vmap(mask.apply)(many), many * expected)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(mask.apply(last), x * expected)
    assert mask.apply(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_half_precision_in_half_precision_out(name, dtype):
    x, alpha = random_features()
    mask = METHODS[name](keep_prob=0.5).sample(x.to(dtype), alpha=alpha, generator=generator())
    out = mask.apply(x.to(dtype))
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), x * mask.keep * mask.scale, rtol=0.02, atol=0.02)


def test_a_mask_that_drops_everything_stays_finite():
    x = torch.full((2, 3, 4, 4), 5.0)
    alpha = torch.ones(2, 3)
    for name, cls in METHODS.items():
        blocks = {"block_size": 4} if name in ("dropblock", "camdrop") else {}
        extra = {"channel_fraction": 1.0, "position_fraction": 1.0} if name == "camdrop" else {}
        mask = cls(keep_prob=0.0, **blocks, **extra).sample(x, alpha=alpha)
        assert mask.dropped.tolist() == [1, 1] and torch.isfinite(mask.scale).all()
        assert mask.apply(x).abs().sum() == 0


def test_two_threads_with_different_masks_share_one_model():
    model = build("resnet8", num_classes=10, in_channels=1).eval()
    x, y = torch.randn(4, 1, 28, 28, generator=generator()), torch.tensor([0, 3, 5, 7])
    sites = {s.name for s in model.drop_sites}

    def run(seed):
        methods = (CamDrop(keep_prob=0.0, block_size=3), DropBlock(keep_prob=0.5, block_size=3))
        with torch.no_grad():
            return model(x, SampleMasks(methods[seed % 2], model.fc.weight, y, sites, generator(seed)))

    alone = [run(seed) for seed in range(8)]
    assert not torch.allclose(alone[0], alone[1])
    together: dict[int, list[torch.Tensor]] = {}
    threads = [threading.Thread(target=lambda s=s: together.update({s: [run(s) for _ in range(5)]})) for s in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seed, expected in enumerate(alone):
        for got in together[seed]:
            torch.testing.assert_close(got, expected)


def test_mask_reports_what_the_network_really_got():
    model = build("resnet8", in_channels=1).eval()
    record: dict[str, Mask] = {}
    seen = {}
    sampler = SampleMasks(CamDrop(block_size=4, keep_prob=0.2), model.fc.weight, torch.tensor([1, 2]),
                          {"layer2.0.conv1", "layer3.0.skip"}, generator(), record)  # fmt: skip

    def spy(site, features):
        seen[site.name] = (features, sampler(site, features))
        return seen[site.name][1]

    with torch.no_grad():
        model(torch.randn(2, 1, 28, 28, generator=generator()), spy)
    assert set(record) == {"layer2.0.conv1", "layer3.0.skip"} and len(seen) == len(model.drop_sites) == 9
    for name, (before, after) in seen.items():
        expected = before * record[name].keep * record[name].scale if name in record else before
        torch.testing.assert_close(after, expected)
