"""CamDrop in other people's networks and loops."""

import copy
import dataclasses
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
import torchvision
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock

from camdrop import attach, drop_sites
from camdrop.masks import CamDrop, DropBlock, DropPath
from camdrop.resnet import SampleMasks, build
from tests.adapters.test_inspection import foreign

METHOD = CamDrop(keep_prob=0.5, block_size=2)
LATE = ("layer3.*", "layer4.*")


def batch(n=4, size=64, classes=7):
    draw = torch.Generator().manual_seed(3)
    return torch.randn(n, 3, size, size, generator=draw), torch.randint(classes, (n,), generator=draw)


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def same_masks(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k].keep, b[k].keep) for k in a)


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters()}


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


def restored(model):
    tables = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")
    return not any(
        getattr(m, table) or m._forward_hooks_always_called for m in model.modules() for table in tables
    ) and not any("forward" in vars(m) for m in model.modules())


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


def stagewise(model, reentrant):
    """Gradient checkpointing of each stage, as torchvision's users write it."""
    for i in (1, 2, 3, 4):
        stage = getattr(model, f"layer{i}")
        stage.forward = lambda x, run=stage.forward: checkpoint(run, x, use_reentrant=reentrant)


def whole(model, reentrant):
    """All of the network as one region; `whole(model)` stands for the call in a loop."""
    return lambda x: checkpoint(model, x.requires_grad_(), use_reentrant=reentrant)


@pytest.mark.parametrize("reentrant", [False, True], ids=["non-reentrant", "reentrant"])
@pytest.mark.parametrize("region", ["stages", "blocks", "network"])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_gradient_checkpointing_computes_the_same_gradients(region, reentrant):
    """With two forward passes before one backward pass, and other random numbers drawn in between."""
    model = foreign("torchvision/resnet18").train()
    again = copy.deepcopy(model)
    if region == "stages":
        stagewise(again, reentrant)
    elif region == "blocks":
        for stage in (again.layer3, again.layer4):
            for block in stage:
                block.forward = lambda x, run=block.forward: checkpoint(run, x, use_reentrant=reentrant)
    passes = 1 if region == "network" and reentrant else 2  # of which PyTorch gives no sign that tells two apart
    found = []
    for network, call in ((model, model), (again, whole(again, reentrant) if region == "network" else again)):
        with attach(network, METHOD, sites="*", generator=seeded()) as guide:
            loss = 0.0
            for i in range(passes):
                x, y = (part.roll(i, 0) for part in batch())
                with guide.targets(y):
                    loss = loss + F.cross_entropy(call(x), y)
            torch.rand(1)
            loss.backward()
        found.append((gradients(network), guide.masks))
    assert same_masks(found[0][1], found[1][1]) and any(m.dropped.any() for m in found[0][1].values())
    torch.testing.assert_close(*(grads for grads, _ in found))


def test_timms_gradient_checkpointing():
    model = foreign("timm/efficientnet_b0").train()
    again = copy.deepcopy(model)
    again.set_grad_checkpointing()
    x, y = batch()
    for network in (model, again):
        with attach(network, METHOD, generator=seeded()) as guide:
            with guide.targets(y):
                loss = F.cross_entropy(network(x), y)
            loss.backward()
    torch.testing.assert_close(gradients(model), gradients(again))


def test_autocast():
    model = foreign("torchvision/resnet18").train()
    x, y = batch()
    with attach(model, METHOD, generator=seeded()) as guide:
        with guide.targets(y), torch.autocast("cpu", torch.bfloat16):
            scores = model(x)
        F.cross_entropy(scores.float(), y).backward()
    assert scores.dtype == torch.bfloat16 and guide.masks["layer4.1.conv2"].cam.dtype == torch.bfloat16
    assert any(mask.dropped.any() for mask in guide.masks.values()) and model.fc.weight.grad.any()


@pytest.fixture
def alone():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("make", [lambda: foreign("torchvision/resnet18"), lambda: build("resnet8", 7)])
def test_distributed_data_parallel(alone, make):
    model = make().train()
    wrapped = DistributedDataParallel(copy.deepcopy(model))
    x, y = batch()
    found = []
    for network in (model, wrapped):
        with attach(network, METHOD, generator=seeded()) as guide, guide.targets(y):
            F.cross_entropy(network(x), y).backward()
        found.append(guide.masks)
    assert same_masks(*found) and drop_sites(wrapped) == drop_sites(model) and restored(wrapped.module)
    torch.testing.assert_close(gradients(wrapped.module), gradients(model))


@pytest.mark.parametrize(("how", "backend"), [("wrapped", "aot_eager"), ("in place", "eager")])
def test_compiled_networks(backend, how):
    """Compiled and run before attaching: what is compiled must not outlive the hooks, nor go without them."""
    torch.manual_seed(0)
    model = torchvision.models.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=7).train()
    again = copy.deepcopy(model)
    compiled = torch.compile(again, backend=backend) if how == "wrapped" else again
    if how == "in place":
        again.compile(backend=backend)
    x, y = batch()
    plain = copy.deepcopy(model)(x)
    torch.testing.assert_close(compiled(x), plain)
    found = []
    for network in (model, compiled):
        with attach(network, METHOD, sites="layer4.*", generator=seeded()) as guide:
            with guide.targets(y):
                scores = network(x)
            F.cross_entropy(scores, y).backward()
        found.append((scores, guide.masks))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert same_masks(found[0][1], found[1][1]) and not torch.equal(found[1][0], plain)
    torch.testing.assert_close(gradients(again), gradients(model))
    torch.testing.assert_close(compiled(x), plain)
    assert restored(again)
    torch.compiler.reset()


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


def test_importing_camdrop_stays_light():
    code = "import sys, camdrop; assert 'torch' not in sys.modules; from camdrop import attach; assert callable(attach)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError):
        from camdrop import detach  # noqa: F401
