"""The bounds of section 3.4 against autograd, one score and one image at a time; the chain against numbers by hand."""

import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from camdrop import cli
from camdrop.analysis import gradient_bounds
from camdrop.analysis.bound_summary import RATIOS, summarise
from camdrop.masks import CamDrop, DropBlock, Dropout
from camdrop.sampling import SampleMasks
from tests.support.checkpoint_files import META, images, network

T, C = DropBlock(keep_prob=0.7, block_size=3), CamDrop(keep_prob=0.5, block_size=3, reading="matched")
LABELS = torch.tensor([3, 8])


@pytest.fixture(scope="module")
def model():
    return network().requires_grad_(False)


@pytest.fixture(scope="module")
def comparisons(model):
    return list(gradient_bounds.measure(model, images(), LABELS, traditional=T, guided=C, seed=5))


def test_every_gradient_is_under_its_bound(comparisons):
    """Eq. 15, for every image, parameter, layer and mask."""
    assert len(comparisons) == 2 * 6
    for comparison in comparisons:
        for norms in (comparison.none, comparison.traditional, comparison.guided):
            for name in gradient_bounds.PARAMETERS:
                bound, gradient = norms.bound[name], norms.gradient[name]
                assert bound.shape == gradient.shape and bool((bound >= 0).all()) and float(gradient.max()) > 0
                assert bool((gradient <= bound * (1 + 1e-5) + 1e-9).all())


@pytest.mark.parametrize("layer", ["layer1.0.conv1", "layer2.0.conv1", "layer2.0.conv2", "layer3.0.conv2"])
@pytest.mark.parametrize("method", [None, T, C])
def test_both_sides_are_those_of_autograd(comparisons, layer, method):
    """The network's own parameters and forward pass, with the mask that training would draw."""
    free = network()
    parameters = {
        "weight": free.get_submodule(layer).weight,
        "bias": free.get_submodule(layer.replace("conv", "bn")).bias,
    }
    generator = torch.Generator().manual_seed(5)
    drop = method and SampleMasks(method, free.fc.weight, LABELS, {layer}, generator)
    scores = free(images(), drop)
    found = next(c for c in comparisons if c.layer == layer and c.rescaled)
    norms = {None: found.none, T: found.traditional, C: found.guided}[method]
    for n in range(2):
        loss = F.cross_entropy(scores[n : n + 1], LABELS[n : n + 1])
        for name, parameter in parameters.items():
            (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True)
            each = [torch.autograd.grad(scores[n, k], parameter, retain_graph=True)[0].abs() for k in range(10)]
            torch.testing.assert_close(norms.gradient[name][n], gradient.abs().flatten(), rtol=1e-3, atol=1e-6)
            torch.testing.assert_close(norms.bound[name][n], torch.stack(each).sum(0).flatten(), rtol=1e-4, atol=1e-6)


def test_tension_is_the_mean_of_what_autograd_gives():
    free, ends = network(), [f"layer{i}.0.conv2" for i in (1, 2, 3)]
    free.train()
    found = gradient_bounds.tension(free, images(), LABELS, C, ends[1:], torch.Generator().manual_seed(7))
    assert free.training
    free.eval()
    generator = torch.Generator().manual_seed(7)

    def bound(layer: str, drop: SampleMasks | None) -> float:
        scores, bias = free(images(), drop), free.get_submodule(layer.replace("conv", "bn")).bias
        each = [
            torch.autograd.grad(scores[n, k], bias, retain_graph=True)[0].abs() for n in range(2) for k in range(10)
        ]
        return float(torch.stack(each).view(2, 10, -1).sum(1).mean())

    unmasked = [bound(layer, None) for layer in ends]
    masked = [bound(layer, SampleMasks(C, free.fc.weight, LABELS, {layer}, generator)) for layer in ends[1:]]
    assert found.unmasked_bound == pytest.approx(np.mean(unmasked), rel=1e-4)
    assert found.gradient_bound == pytest.approx(np.mean([unmasked[0], *masked]), rel=1e-4)
    assert found.gradient_bound != found.unmasked_bound
    zeros = [float((features == 0).float().mean()) for features in free.stages(images()).values()]
    assert found.saturated == pytest.approx(np.mean(zeros)) and 0 < found.saturated < 1


def test_a_unit_that_is_dropped_or_closed_has_no_gradient(model):
    activation = gradient_bounds.capture(model, images(), LABELS, "layer2.0.conv1")
    mask = T.sample(activation.features, generator=torch.Generator().manual_seed(5))
    unit = gradient_bounds.norms(activation, mask).bound["unit"].view_as(mask.keep)
    closed = activation.features == 0
    assert bool((unit[~mask.keep | closed] == 0).all()) and float((unit[mask.keep & ~closed] > 0).float().mean()) > 0.99
    assert 0.1 < float(mask.dropped.mean()) < 0.9


def test_what_must_hold(model, comparisons):
    """Behind the last convolution nothing can grow without the rescaling; with γ = 1 all three are one."""
    last = next(c for c in comparisons if c.layer == "layer3.0.conv2" and not c.rescaled)
    for name in gradient_bounds.PARAMETERS:
        chain = summarise(last, name)
        assert chain.guided_below_none == chain.traditional_below_none == 1
    activation = gradient_bounds.capture(model, images(), LABELS, "layer1.0.conv2")
    for comparison in gradient_bounds.compare(activation, DropBlock(keep_prob=1.0), CamDrop(keep_prob=1.0)):
        chain = summarise(comparison, "bias")
        assert chain.holds == chain.holds_in_mean == 1 and chain.ratio == {"traditional": 1, "guided": 1}


def test_the_same_seed_meets_the_same_features(model, comparisons):
    again = list(gradient_bounds.measure(model, images(), LABELS, ["layer2.0.conv1"], traditional=T, guided=C, seed=5))
    first = [c for c in comparisons if c.layer == "layer2.0.conv1"]
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one.guided.bound["bias"], other.guided.bound["bias"])
        assert torch.equal(one.none.bound["bias"], first[0].none.bound["bias"])
    assert not torch.equal(first[0].traditional.bound["bias"], first[1].traditional.bound["bias"])  # the rescaling


def test_chunks_change_nothing_and_nothing_changes_the_model(model, monkeypatch):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    activation = gradient_bounds.capture(model, images(), LABELS, "layer3.0.conv1")
    whole = gradient_bounds.norms(activation)
    monkeypatch.setattr(gradient_bounds, "_ELEMENTS", activation.features[0].numel() * 3)  # an image, three classes
    parts = gradient_bounds.norms(activation)
    for name in gradient_bounds.PARAMETERS:
        torch.testing.assert_close(whole.bound[name], parts.bound[name])
        torch.testing.assert_close(whole.gradient[name], parts.gradient[name], rtol=1e-4, atol=1e-6)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training and all(p.grad is None for p in model.parameters())


@pytest.mark.slow
def test_bottlenecks_and_strides():
    """The ImageNet family: 1×1 convolutions, and a stride in the middle of a block."""
    model = network("resnet50", 3, 3).requires_grad_(False)
    names = gradient_bounds.layers(model)
    assert len(names) == 48 and names[:3] == ("layer1.0.conv1", "layer1.0.conv2", "layer1.0.conv3")
    calls = []
    wanted = ["layer2.0.conv2", "layer4.2.conv3"]
    some = gradient_bounds.measure(
        model, images(3, 32), torch.tensor([0, 2]), wanted, traditional=Dropout(), progress=lambda *a: calls.append(a)
    )
    for comparison in some:
        for name in gradient_bounds.PARAMETERS:
            chain = summarise(comparison, name)
            assert chain.gradient_below_bound == 1 and chain.pairs > 0
    shares = [share for _, share in calls]
    assert shares == sorted(shares) and shares[-1] == 1 and 0.5 in shares


def test_mistakes_are_sentences(model):
    with pytest.raises(ValueError, match=r"layer must be one of layer1\.0\.conv1"):
        gradient_bounds.capture(model, images(), LABELS, "layer1.0.skip")
    with pytest.raises(ValueError, match="labels must be 2 numbers from 0 to 9"):
        gradient_bounds.capture(model, images(), torch.tensor([0, 10]), "layer1.0.conv1")


def test_a_chain_by_hand():
    """Two images, four parameters; the last has a bound of 0 without a mask in both."""

    def norms(*rows, dropped=0.0):
        values = torch.tensor(rows)
        return gradient_bounds.Norms({"bias": values}, {"bias": values / 2}, torch.full((2,), dropped))

    chain = summarise(
        gradient_bounds.Comparison(
            "layer", True,
            none=norms([4.0, 4.0, 4.0, 0.0], [2.0, 2.0, 2.0, 0.0]),
            traditional=norms([2.0, 5.0, 4.0, 0.0], [1.0, 2.0, 3.0, 0.0], dropped=0.1),
            guided=norms([1.0, 4.0, 4.0, 0.0], [2.0, 2.0, 1.0, 0.0], dropped=0.01),
        ),
        "bias",
    )  # fmt: skip
    assert chain.pairs == 6
    assert chain.holds == pytest.approx(3 / 6)  # (1,2,4), (4,4,4), (2,2,2)
    assert chain.guided_below_traditional == pytest.approx(5 / 6) and chain.traditional_below_none == pytest.approx(
        4 / 6
    )
    assert chain.guided_below_none == 1
    # means over the images: none 3 3 3, t 1.5 3.5 3.5, c 1.5 3 2.5
    assert chain.holds_in_mean == pytest.approx(1 / 3)
    assert chain.bound == pytest.approx({"none": 3, "traditional": 17 / 6, "guided": 14 / 6})
    assert chain.ratio == pytest.approx({"traditional": 17 / 18, "guided": 14 / 18})
    assert chain.dropped == pytest.approx({"traditional": 0.1, "guided": 0.01})
    assert chain.gradient_below_bound == 1 and chain.quantiles["none"][2] == 3
    assert chain.histogram["guided"].sum() == 6
    assert np.all(chain.points["none"][1] == chain.points["none"][0] / 2)
    assert "points" not in json.loads(json.dumps(chain.to_json()))


def run(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["camdrop", "bounds", *map(str, args)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_the_command(monkeypatch, tmp_path, capsys, model):
    from camdrop.checkpoints import save

    path = tmp_path / "one.safetensors"
    save(path, model, META)
    common = (path, "--data", "fashion-sample", "--images", 2)
    assert run(monkeypatch, *common, "--layers", "layer3.0.conv1,layer3.0.conv2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (
        found["images"] == 2
        and [c["layer"] for c in found["chains"]] == ["layer3.0.conv1"] * 2 + ["layer3.0.conv2"] * 2
    )
    assert all(c["gradient_below_bound"] == 1 and c["parameter"] == "bias" for c in found["chains"])
    assert run(monkeypatch, *common, "--layers", "layer3.0.conv2", "--parameter", "unit") == 0
    shown = capsys.readouterr().out
    assert "layer3.0.conv2" in shown and "Eq. 15" in shown
    for wrong, word in ((("--layers", "x"), "layer1.0.conv1"), (("--parameter", "y"), "weight"),
                        (("--traditional", "cutout"), "dropblock"), (("--keep-prob", 2), "keep_prob")):  # fmt: skip
        assert run(monkeypatch, *common, *wrong) == 2
        err = capsys.readouterr().err
        assert word in err and err.count("\n") == 1


def test_a_bound_that_is_as_it_was_is_in_the_middle_of_its_bin() -> None:
    (at,) = np.flatnonzero(np.histogram([1.0], RATIOS)[0])
    assert RATIOS[at] * RATIOS[at + 1] == pytest.approx(1)
