"""The table of one draw at every γ is what the function of training says at each."""

import dataclasses
import random

import pytest
import torch

from camdrop.analysis.gamma_table import gamma_table, moment, still_table
from camdrop.analysis.mask_steps import capture, dissect
from camdrop.masks import CHANNELS, GUIDES, METHODS, READINGS, Method
from camdrop.resnet import build

SITES = ("layer1.0.conv1", "layer2.0.conv2", "layer2.0.skip", "layer3.0.conv1")


def setting(name: str, chance: random.Random) -> Method:
    """A method of that name with options at random."""
    options = {
        "block_size": chance.randint(1, 9),
        "reading": chance.choice(READINGS),
        "guide": chance.choice(GUIDES),
        "channels": chance.choice(CHANNELS),
        "position_fraction": chance.choice((None, chance.uniform(0.05, 0.6))),
    }
    return METHODS[name](**{k: v for k, v in options.items() if k in METHODS[name].__dataclass_fields__})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", METHODS)
def test_table_and_function_are_equal(name: str, seed: int) -> None:
    torch.manual_seed(0)
    model = build("resnet8", 10, 1).eval().requires_grad_(False)
    chance = random.Random(f"{name}{seed}")
    image = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(seed))
    activation = capture(model, image, chance.choice(SITES))
    method, label = setting(name, chance), chance.randrange(10)
    paused: list[None] = []
    table = gamma_table(activation, method, label, seed, lambda: paused.append(None))
    assert len(table.moments) == len(table.after) == len(paused) == 101 and table.whole
    for i in (0, 1, 100, *chance.sample(range(2, 100), 8)):
        d = dissect(activation, dataclasses.replace(method, keep_prob=i / 100), label, seed)
        assert torch.equal(i < table.dropped, d.dropped) and torch.equal(i < table.seeds, d.seeds)
        assert table.moments[i] == moment(d) and table.moments[i].share == float(d.mask.dropped)
        torch.testing.assert_close(table.after[i], d.after(), rtol=1e-4, atol=1e-6)
        still = still_table(d, d.after())
        assert torch.equal(still.dropped > 0, d.dropped) and torch.equal(still.seeds > 254, d.seeds)
        assert set(still.moments) == {moment(d)} and torch.equal(still.after[50], d.after()) and not still.whole


def test_without_answers_the_rest_is_the_same() -> None:
    torch.manual_seed(0)
    model = build("resnet8", 10, 1).eval().requires_grad_(False)
    activation = capture(model, torch.randn(1, 1, 20, 20), SITES[0])
    calls: list[object] = []
    model.fc.register_forward_hook(lambda *call: calls.append(call))
    method = METHODS["camdrop"](block_size=2)
    bare = gamma_table(activation, method, 3, 1, answers=False)
    assert bare.after is None and bare.whole and not calls
    full = gamma_table(activation, method, 3, 1)
    assert torch.equal(bare.dropped, full.dropped) and torch.equal(bare.seeds, full.seeds)
    assert bare.moments == full.moments and calls
