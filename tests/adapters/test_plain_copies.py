"""Copies of a network that are made while masks are attached are plain networks."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from camdrop import attach
from camdrop.adapters import plain_copies
from camdrop.resnet import build
from tests.support.other_networks import METHOD, batch, foreign, restored, tiny


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def chain():
    """A network whose every step is a module of its own."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 7))


COPIES = {
    "deepcopy": copy.deepcopy,
    "torch.save": saved,
    "pickle": pickled,
    "average": lambda model: AveragedModel(model).module,
    "of a copy": lambda model: copy.deepcopy(saved(model)),
}
NETWORKS = {
    "ours": lambda: build("resnet8", 7),
    "theirs": tiny,
    "densenet": lambda: foreign("torchvision/densenet121"),
    "traced": lambda: torch.fx.symbolic_trace(chain()),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_is_plain_within_the_block_and_after_it(name, how):
    model = NETWORKS[name]().train()
    x, y = batch(size=32)
    expected = copy.deepcopy(model)(x)
    with attach(model, METHOD) as guide:
        twin = COPIES[how](model)
        assert restored(twin) and twin.training
        torch.testing.assert_close(copy.deepcopy(twin)(x), expected)
        with guide.targets(y):
            model(x)
        assert any(mask.dropped.any() for mask in guide.masks.values())
    twin.train()(x).sum().backward()
    assert restored(twin) and restored(model)
    assert all(parameter.grad is not None for parameter in twin.parameters())


def test_a_part_of_the_network_is_copied_alike():
    model = tiny().train()
    with attach(model, METHOD):
        stage, block = copy.deepcopy(model.layer4), saved(model.layer3[0])
    assert restored(stage) and restored(block)
    assert stage(torch.randn(2, 32, 4, 4)).shape == (2, 64, 2, 2)


def test_hooks_of_others_are_copied_as_ever():
    model, seen = tiny().train(), []
    model.layer4[0].conv2.register_forward_hook(Remember(seen))
    with attach(model, METHOD):
        model.fc.register_forward_hook(Remember(seen))
        twin = copy.deepcopy(model)
    twin(batch(size=32)[0])
    assert [len(m._forward_hooks) for m in (twin, twin.layer4[0].conv2, twin.layer4[0].bn2, twin.fc)] == [0, 1, 0, 1]
    assert [len(m._forward_hooks) for m in (model, model.layer4[0].conv2, model.layer4[0].bn2, model.fc)] == [
        0,
        1,
        0,
        1,
    ]


class Remember:
    def __init__(self, seen: list) -> None:
        self.seen = seen

    def __call__(self, module: nn.Module, args: tuple, out: torch.Tensor) -> None:
        self.seen.append(module)


def test_one_block_in_another():
    model = tiny().train()
    with attach(model, METHOD, sites="layer3.*"):
        with attach(model, METHOD, sites="layer4.*"):
            assert restored(copy.deepcopy(model))
        assert restored(copy.deepcopy(model)) and not restored(model)
    assert restored(model) and not {"__reduce_ex__", "__deepcopy__"} & set(vars(model))


def test_where_pytorch_has_other_tables_copies_are_as_before(monkeypatch):
    monkeypatch.setattr(plain_copies, "_TABLES", ("_hooks_of_tomorrow",))
    model = tiny().train()
    with attach(model, METHOD):
        twin = copy.deepcopy(model)
    assert not restored(twin) and restored(model)
