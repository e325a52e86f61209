"""Attached masks under what trains large networks: gradient checkpointing, autocast, processes, compilation."""

import copy

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
import torchvision
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock

from camdrop import attach, drop_sites
from camdrop.resnet import build
from tests.support.other_networks import METHOD, batch, foreign, gradients, restored, same_masks, seeded

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize("how", ["wrapped", "in place", "a step"])
@pytest.mark.parametrize("make", [lambda: foreign("torchvision/resnet18"), lambda: build("resnet8", 7)])
def test_a_whole_graph_has_no_room_for_masks(make, how):
    """Said where the masks are attached, or else by the first step."""
    model, (x, y) = make().train(), batch(size=32)
    call = model
    if how == "in place":
        model.compile(backend="eager", fullgraph=True)
    elif how == "wrapped":
        call = torch.compile(model, backend="eager", fullgraph=True)
    else:
        call = torch.compile(lambda x: model(x).sum(), backend="eager", fullgraph=True)
    with (
        pytest.raises(ValueError, match=r"fullgraph=True\) leaves no room for masks.*without fullgraph$"),
        attach(call if how == "wrapped" else model, METHOD) as guide,
        guide.targets(y),
    ):
        call(x)
    assert restored(model)
    torch.compiler.reset()
