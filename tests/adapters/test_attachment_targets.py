"""The targets of attached masks: every integer type alike, every other and every value that is no class refused."""

import pytest
import torch
from torch import nn

from camdrop import attach
from camdrop.adapters import late_check
from camdrop.adapters.late_check import LateCheck
from camdrop.analysis import gradient_bounds
from camdrop.cam import class_activation_map, class_rows
from camdrop.masks import CamDrop, DropBlock
from camdrop.resnet import build
from camdrop.sampling import training_masks
from tests.support.other_networks import METHOD, batch, same_masks, seeded, tiny

INTEGERS = [
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint16, torch.uint32, torch.uint64),
]


def masks(model: nn.Module, y: torch.Tensor, method: CamDrop | DropBlock = METHOD):
    with attach(model.train(), method, generator=seeded()) as guide, guide.targets(y):
        model(batch(n=len(y), size=32)[0])
    return guide.masks


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("make", [tiny, lambda: build("resnet8", 7)], ids=["theirs", "ours"])
def test_all_integer_types_give_the_same_masks(make, dtype):
    """Also where the classes are 0 and 1 only, which looks like a mask most of all."""
    for y in (torch.tensor([5, 0, 6, 3]), torch.tensor([1, 0, 1, 1])):
        torch.manual_seed(0)
        expected = masks(make(), y)
        torch.manual_seed(0)
        assert same_masks(masks(make(), y.to(dtype)), expected) and any(m.dropped.any() for m in expected.values())


@pytest.mark.parametrize("dtype", INTEGERS)
def test_maps_bounds_and_our_own_training_take_them_too(dtype):
    torch.manual_seed(0)
    model, x, y = build("resnet8", 7).eval(), torch.randn(4, 3, 32, 32), torch.tensor([1, 0, 6, 1])
    features = model.stages(x)["layer3"]
    expected = class_activation_map(features, model.fc.weight, y)
    assert torch.equal(class_activation_map(features, model.fc.weight, y.to(dtype)), expected)
    records: list[dict] = [{}, {}]
    sites = {site.name for site in model.drop_sites}
    for targets, record in zip((y, y.to(dtype)), records, strict=True):
        model(x, training_masks(METHOD, model, x, targets, sites, seeded(), record))
    assert same_masks(*records)
    bounds = [
        gradient_bounds.norms(gradient_bounds.capture(model, x, labels, "layer3.0.conv1"), parameters=("bias",))
        for labels in (y, y.to(dtype))
    ]
    assert torch.equal(bounds[0].gradient["bias"], bounds[1].gradient["bias"])


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (torch.tensor([True, False]), "torch.bool"),
        (torch.tensor([0.0, 1.0]), "torch.float32"),
        (torch.tensor([0, 1]).half(), "torch.float16"),
        (torch.tensor([0, 1j]), "torch.complex64"),
        ([0, 1], "list"),
        (torch.tensor(1), r"torch.int64 of \(\)"),
    ],
)
def test_other_types_are_one_sentence(y, kind):
    with (
        attach(tiny().train(), METHOD) as guide,
        pytest.raises(ValueError, match=rf"^targets must be class numbers .*{kind}"),
        guide.targets(y),
    ):
        pass
    with pytest.raises(ValueError, match=kind):
        class_rows(torch.ones(3, 4), y)


@pytest.mark.parametrize("bad", [-1, -100, 7, 255, -(2**40)])
@pytest.mark.parametrize("make", [tiny, lambda: build("resnet8", 7)], ids=["theirs", "ours"])
def test_values_that_are_no_class_are_named(make, bad):
    low, high = min(bad, 2), max(bad, 2)
    with pytest.raises(ValueError, match=rf"in 0–6, got {low} to {high}: leave images to ignore out of the batch"):
        masks(make(), torch.tensor([2, bad]))
    model = build("resnet8", 7).train()
    x = torch.randn(2, 3, 32, 32)
    with pytest.raises(ValueError, match=f"got {low} to {high}"):
        model(x, training_masks(METHOD, model, x, torch.tensor([2, bad]), {"layer3.0.conv1"}))


def test_values_do_not_matter_where_the_true_class_guides_nothing():
    for method in (DropBlock(block_size=3), CamDrop(label="predicted"), CamDrop(guide="mean", channels="all")):
        assert masks(tiny(), torch.tensor([2, -100]), method)


class Event:
    """A CUDA event that happens when `now` is set."""

    now = False

    def record(self, stream: object) -> None:
        pass

    def query(self) -> bool:
        return Event.now

    def synchronize(self) -> None:
        Event.now = True


def test_a_gpu_is_asked_when_it_is_ready(monkeypatch):
    monkeypatch.setattr(late_check.torch.cuda, "Event", Event)
    monkeypatch.setattr(late_check.torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(Event, "now", False)
    check, good = LateCheck(torch.tensor([0, -100, 3]), 7), LateCheck(torch.tensor([0, 6]), 7)
    assert not check.done() and not good.done()
    with pytest.raises(ValueError, match="targets must lie in 0–6, got -100 to 3"):
        check.done(wait=True)
    assert good.done()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    model, (x, y) = tiny().cuda().train(), (part.cuda() for part in batch(size=32))
    with pytest.raises(ValueError, match="in 0–6, got -100 to"), attach(model, METHOD) as guide:
        for wrong in (y, y.index_fill(0, torch.tensor([0], device="cuda"), -100), y):
            with guide.targets(wrong):
                model(x).sum().backward()
    assert model(x).isfinite().all()  # the GPU goes on
