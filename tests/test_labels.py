"""The class that guides CamDrop: the true one, the one that the network predicts, or a random one."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from camdrop import attach
from camdrop.analysis import gradient_bounds
from camdrop.masks import CamDrop, DropBlock
from camdrop.resnet import build, evaluation_mode
from camdrop.sampling import training_masks

LEAK_FREE = ["predicted", "random"]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build("resnet8", num_classes=10, in_channels=1)
    for module in model.modules():  # statistics that are not those of the batch
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    with torch.no_grad():
        model.fc.bias -= model.eval()(images()).mean(0)  # so that it does not answer one class for all
    return model


def images(n: int = 12) -> torch.Tensor:
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def method(label: str, **options: object) -> CamDrop:
    return CamDrop(keep_prob=0.5, block_size=3, position_fraction=0.5, label=label, **options)


def drawn(label: str, targets: torch.Tensor, seed: int = 3, **options: object) -> dict[str, torch.Tensor]:
    """What a training step drops at each site."""
    model, record = network().train(), {}
    sites = {site.name for site in model.drop_sites}
    generator = torch.Generator().manual_seed(seed)
    model(images(), training_masks(method(label, **options), model, images(), targets, sites, generator, record))
    return {name: mask.keep for name, mask in record.items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("label", LEAK_FREE)
def test_a_mask_that_the_true_class_does_not_guide_is_the_same_for_all_targets(label):
    a, b = torch.arange(12) % 10, (torch.arange(12) + 1) % 10
    assert same(drawn(label, a), drawn(label, b))
    assert not same(drawn("true", a), drawn("true", b))


def test_predicted_is_what_the_network_answers_in_evaluation_mode():
    with torch.no_grad():
        answers = network().eval()(images()).argmax(1)
    assert answers.unique().numel() > 1
    assert same(drawn("predicted", torch.zeros(12, dtype=torch.long)), drawn("true", answers))


def test_random_is_uniform_and_drawn_anew():
    first, again, other = (drawn("random", torch.zeros(12, dtype=torch.long), seed) for seed in (3, 3, 4))
    assert same(first, again) and not same(first, other)
    record, model = {}, network().train()
    x = images(1).expand(4000, -1, -1, -1)
    drop = training_masks(method("random"), model, x, torch.zeros(4000, dtype=torch.long), (), None, record)
    counts = torch.bincount(drop.classes, minlength=10)
    assert counts.sum() == 4000 and ((counts - 400).abs() < 5 * (4000 * 0.09) ** 0.5).all()


def test_no_class_is_drawn_or_predicted_where_none_guides():
    model, state = network().train(), torch.Generator().manual_seed(0)
    before = state.get_state()
    for unguided in (method("random", guide="mean", channels="all"), DropBlock()):
        drop = training_masks(unguided, model, images(), torch.arange(12) % 10, (), state)
        assert torch.equal(drop.classes, torch.arange(12) % 10)
    assert torch.equal(state.get_state(), before)


def test_predicting_changes_nothing_of_the_network():
    model = network().train()
    model.layer1[0].eval()  # a frozen part stays frozen
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training_masks(method("predicted"), model, images(), torch.zeros(12, dtype=torch.long), ())
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_modes_come_back_after_an_error():
    model = network().train()
    with pytest.raises(RuntimeError), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("label", LEAK_FREE)
def test_attach_needs_no_targets(label):
    model = network().train()
    with attach(model, method(label), generator=torch.Generator().manual_seed(5)) as guide:
        loss = F.cross_entropy(model(images()), torch.zeros(12, dtype=torch.long))
        loss.backward()
        free = {name: mask.keep for name, mask in guide.masks.items()}
    assert len(free) == 9 and not all(bool(keep.all()) for keep in free.values())
    for y in (torch.zeros(12, dtype=torch.long), torch.arange(12) % 10):
        model = network().train()
        with attach(model, method(label), generator=torch.Generator().manual_seed(5)) as guide, guide.targets(y):
            model(images())
            assert same(free, {name: mask.keep for name, mask in guide.masks.items()})


def test_attach_predicts_what_the_network_answers():
    answers = network().eval()(images()).argmax(1)
    found = []
    for label, y in (("predicted", None), ("true", answers)):
        model = network().train()
        with attach(model, method(label), generator=torch.Generator().manual_seed(5)) as guide:
            if y is None:
                model(images())
            else:
                with guide.targets(y):
                    model(images())
            found.append({name: mask.keep for name, mask in guide.masks.items()})
    assert same(*found)


def test_attach_asks_for_targets_only_where_the_true_class_guides():
    with attach(network().train(), DropBlock(block_size=3)) as guide:
        guide._model(images())
        assert guide.masks
    with pytest.raises(ValueError, match="no targets"), attach(network().train(), method("true")) as guide:
        guide._model(images())


@pytest.mark.parametrize("label", LEAK_FREE)
def test_gradient_bounds_are_drawn_without_the_true_class(label):
    model, x = network().eval(), images(4)
    found = [
        gradient_bounds.compare(
            gradient_bounds.capture(model, x, labels, "layer2.0.conv1"), guided=method(label), parameters=("unit",)
        )[0].guided.bound["unit"]
        for labels in (torch.arange(4), torch.arange(4) + 5)
    ]
    assert torch.equal(found[0] == 0, found[1] == 0)
