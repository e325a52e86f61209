import copy
import dataclasses
import functools
import itertools
import math

import pytest
import torch

from camdrop.data import Split, load_dataset, normalise
from camdrop.masks import CamDrop, DropBlock, DropPath
from camdrop.resnet import build
from camdrop.training import OVERHEAD, Race, Runner, evaluate, pick_device
from camdrop.training.batches import augment, split_training
from camdrop.training.config import Contender, Recipe, contender, contender_of, make_method, make_recipe
from camdrop.training.distributed import Team
from tests.support.stripes import stripes

CPU = torch.device("cpu")


RECIPE = Recipe("resnet8", epochs=2, batch_size=30, learning_rate=0.05, crop=1, flip=False, validation=0.2)


def run(recipe, *contenders):
    race = Race(stripes(), recipe, list(contenders), CPU)
    while not race.finished:
        race.step()
    return race


@pytest.mark.slow
def test_contenders_without_dropout_end_with_identical_weights_and_masks_make_the_difference():
    race = run(
        RECIPE, Contender("a"), Contender("b"), Contender("γ=1", CamDrop(keep_prob=1.0)), Contender("c", DropBlock())
    )
    a, b, one, c = (runner.model.state_dict() for runner in race.runners)
    assert race.done == race.total == 2 * race.epoch_steps == 8
    assert all(torch.equal(a[k], b[k]) and torch.equal(a[k], one[k]) for k in a)
    assert not torch.equal(a["fc.weight"], c["fc.weight"])
    metrics = [runner.pop_metrics(1.0) for runner in race.runners]
    assert metrics[0]["keep_prob"] is None and metrics[0]["dropped"] == metrics[2]["dropped"] == 0
    assert 0.02 < metrics[3]["dropped"] < 0.2


@pytest.mark.slow
def test_a_race_learns_and_repeats_exactly():
    recipe = dataclasses.replace(RECIPE, epochs=5, learning_rate=0.1)
    first, again = (run(recipe, Contender("camdrop", CamDrop(block_size=3))) for _ in range(2))
    a, b = (race.runners[0].model for race in (first, again))
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert evaluate(a, stripes().test, stripes().info)["top1_error"] < 10


@pytest.mark.slow
def test_compiled_it_learns_the_same_with_the_same_masks(monkeypatch):
    traced = functools.partial(torch.compile, backend="aot_eager")  # without the compiler of C++: seconds, not minutes
    monkeypatch.setattr(torch, "compile", traced)
    contenders = [Contender("baseline"), Contender("camdrop", CamDrop(keep_prob=0.5, block_size=3), "linear")]
    races = [Race(stripes(), RECIPE, contenders, CPU, compiled=compiled) for compiled in (False, True)]
    for race in races:
        for _ in range(3):
            race.step()
    for plain, compiled in zip(*(race.runners for race in races), strict=True):
        metrics, same = plain.pop_metrics(0.5), compiled.pop_metrics(0.5)
        assert same["loss"] == pytest.approx(metrics["loss"], rel=1e-4) and same["dropped"] == metrics["dropped"]


def test_a_budget_in_minutes_leaves_out_an_epoch_that_would_hardly_begin(monkeypatch):
    race = Race(stripes(), dataclasses.replace(RECIPE, epochs=None, minutes=1.0), [Contender("a")], CPU)
    race.epoch_steps = 100
    # 60 s are 209.5 steps and two epochs' evaluations, and those take as long as two steps each, the test another two.
    step = 60 / (209.5 + 3 * 2 * OVERHEAD)
    race.done, race._began, race._times = 12, 0.0, [step] * 12
    race._plan(12 * step)
    assert race.total == 200


def test_a_budget_in_minutes_counts_what_an_epoch_takes_besides_its_steps():
    race = Race(stripes(), dataclasses.replace(RECIPE, epochs=None, minutes=1.0), [Contender("a")], CPU)
    race.epoch_steps, race._began = 24, 100.0
    race.done, race._times = 12, [0.1] * 12
    race._plan(101.2)
    assert race.total is None  # an epoch is short: it waits for its end …
    race.done, race._stepping = 24, 2.4
    race._plan(103.4)  # … which takes 1 s besides the steps
    # 56.6 s are left, of which the test takes one: 16 epochs of 3.4 s, and of the next one would be only two steps.
    assert race.total == 24 + 16 * 24
    race.done, race._stepping = 48, 30.0
    race._plan(140.0)  # other programs make it slow: 20 s an epoch, so that none fits into the 20 s besides the test
    assert race.total == 48 + int((20 - 5 - 5) / (30 / 48))


def first_batch(recipe):
    return Race(stripes(), recipe, [Contender("a")], CPU).batches.at(0)


@pytest.mark.parametrize("smoothing, decay", [(0.0, 0.0), (0.2, 0.0), (0.0, 0.3), (0.2, 0.3)])
def test_a_step_follows_the_smoothed_loss_and_the_weight_decay_of_the_recipe(smoothing, decay):
    recipe = dataclasses.replace(RECIPE, label_smoothing=smoothing, weight_decay=decay, lr_schedule="step")
    race = Race(stripes(), recipe, [Contender("a")], CPU)
    model, (x, y) = race.runners[0].model, first_batch(recipe)
    expected_model = copy.deepcopy(model).train()
    logs = expected_model(x).log_softmax(1)
    loss = -((1 - smoothing) * logs[torch.arange(len(y)), y] + smoothing * logs.mean(1)).mean()
    loss.backward()
    race.step()
    assert race.runners[0].pop_metrics(0.0)["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for before, after in zip(expected_model.parameters(), model.parameters(), strict=True):
        expected = before - recipe.learning_rate * (before.grad + decay * before)
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)


def test_the_gradient_norm_is_that_of_the_gradients():
    race = Race(stripes(), RECIPE, [Contender("a")], CPU)
    race.step()
    parameters = list(race.runners[0].model.parameters())
    expected = sum(p.grad.square().sum().item() for p in parameters) ** 0.5
    assert race.runners[0].pop_metrics(0.0)["gradient_norm"] == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(sum(p.square().sum().item() for p in parameters) ** 0.5, rel=0.1)


def test_metrics_are_counted_from_zero_again_and_only_an_infinite_loss_ends_a_contender():
    race = Race(stripes(), RECIPE, [Contender("a")], CPU)
    (runner,) = race.runners
    race.step()
    metrics = runner.pop_metrics(race.progress)
    runner.end_if_diverged(metrics)
    assert runner.ended is None and runner.pop_metrics(race.progress)["loss"] == 0 < metrics["loss"]
    for loss in (math.nan, math.inf):
        runner.end_if_diverged(metrics | {"loss": loss})
        assert runner.ended == f"diverged: the loss is {loss} at learning rate {metrics['learning_rate']:.3g}; " + (
            "try a smaller one"
        )


def test_every_process_of_a_team_draws_masks_of_its_own():
    x, method = torch.rand(4, 16, 12, 12), DropBlock(block_size=3)
    drawn = []
    for rank in range(3):  # a size of 1 spares the process group; the masks depend on the rank alone
        runner = Runner(Contender("a", method), stripes().info, RECIPE, CPU, Team(rank, 1), False)
        first = method.sample(x, generator=runner.generator).keep
        runner.reseed(5)  # as at resuming
        drawn.append((first, method.sample(x, generator=runner.generator).keep))
    for a, b in itertools.combinations(drawn, 2):
        assert not torch.equal(a[0], b[0]) and not torch.equal(a[1], b[1])


def test_share_dropped_in_the_metrics_is_that_of_the_masks(monkeypatch):
    shares, sample = [], DropBlock.sample

    def spy(self, x, **options):
        mask = sample(self, x, **options)
        shares.append((~mask.keep).float().mean().item())
        return mask

    monkeypatch.setattr(DropBlock, "sample", spy)
    race = run(RECIPE, Contender("dropblock", DropBlock(block_size=3)))
    assert len(shares) == 8 * 9
    assert race.runners[0].pop_metrics(1.0)["dropped"] == pytest.approx(sum(shares) / len(shares), rel=1e-4)


def test_evaluate_counts_what_a_person_would_count():
    data = load_dataset("fashion-sample", splits=("test",))
    torch.manual_seed(0)
    model = build("resnet8", 10, 1).eval()
    few = Split(data.test.images[:60], data.test.labels[:60])
    with torch.no_grad():
        scores = model(normalise(few.images, data.info.mean, data.info.std))
    ranks = [sorted(row.tolist(), reverse=True).index(row[y].item()) for row, y in zip(scores, few.labels, strict=True)]
    expected = {"top1_error": 100 * sum(r > 0 for r in ranks) / 60, "top5_error": 100 * sum(r > 4 for r in ranks) / 60}
    assert evaluate(model, few, data.info, batch_size=25) == pytest.approx(expected | {"n": 60})


def test_augmentation_moves_and_mirrors_whole_images():
    recipe = Recipe("resnet8", 1, crop=2, flip=True)
    images = torch.arange(1, 3 * 5 * 4 + 1, dtype=torch.uint8).view(1, 3, 5, 4).repeat(60, 1, 1, 1)
    out = augment(images, recipe, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images[:1], (2,) * 4)
    views = [
        view
        for y in range(5)
        for x in range(5)
        for view in (padded[0, :, y : y + 5, x : x + 4], padded[0, :, y : y + 5, x : x + 4].flip(2))
    ]
    found = [next(i for i, v in enumerate(views) if torch.equal(v, o)) for o in out]
    assert len(set(found)) > 25 and {i % 2 for i in found} == {0, 1}
    still = augment(images, Recipe("resnet8", 1, crop=0, flip=False), torch.Generator())
    assert torch.equal(still, images)


def test_validation_split_is_disjoint_and_whole():
    split = Split(torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1), torch.arange(100))
    train, held = split_training(split, Recipe("resnet8", 1, validation=0.15))
    assert len(held) == 15 and sorted([*train.labels.tolist(), *held.labels.tolist()]) == list(range(100))
    assert torch.equal(train.images.flatten().long(), train.labels)


def test_sites_of_a_contender():
    model = build("resnet8")
    assert len(Contender("x", CamDrop()).sites(model)) == 9
    assert Contender("x", DropPath()).sites(model) == {"layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"}
    assert Contender("x", CamDrop(), stages=("layer3",), kinds=("skip",)).sites(model) == {"layer3.0.skip"}
    last = Contender("x", CamDrop(), stages=("layer3.2",), kinds=("branch", "skip")).sites(build("resnet20"))
    assert last == {"layer3.2.conv2", "layer3.2.skip"}
    with pytest.raises(ValueError, match=r"a block up to layer3.0, got layer3.2"):
        Contender("x", stages=("layer3.2",)).sites(model)
    large = Contender("x", CamDrop()).sites(build("resnet18"))
    assert {name.split(".")[0] for name in large} == {"layer3", "layer4"}
    with pytest.raises(ValueError, match=r"stages.*layer1.*layer4"):
        Contender("x", stages=("layer4",)).sites(model)


def test_the_contender_of_a_header():
    options = {"block_size": 4, "label": "predicted", "schedule": "linear", "stages": ["layer3"], "kinds": ["skip"]}
    found = contender_of("camdrop", options)
    assert found == Contender("camdrop", CamDrop(block_size=4, label="predicted"), "linear", ("layer3",), ("skip",))
    assert contender_of("", {}).method is None and contender_of("baseline", {}).method is None
    with pytest.raises(ValueError, match="no option 'size'"):
        contender_of("camdrop", {"size": 3})


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Recipe("resnet9", 1), "model.*resnet8.*resnet9"),
        (lambda: Recipe("resnet8", 0), "epochs.*at least 1.*0"),
        (lambda: Recipe("resnet8"), "epochs or minutes"),
        (lambda: Recipe("resnet8", minutes=0), "minutes.*0"),
        (lambda: contender("camdrop:size=3", {}), "camdrop.*size.*block_size"),
        (lambda: make_recipe("svhn", {}), "preset.*cifar-resnet110.*svhn"),
        (lambda: Contender("../x"), "name.*x"),
        (lambda: Recipe("resnet8", 1, lr_schedule="cosine"), "lr_schedule.*onecycle.*cosine"),
        (lambda: Recipe("resnet8", 1, validation=1.0), "validation.*1.0"),
        (lambda: Contender("x", schedule="up"), "schedule.*inverse.*up"),
        (lambda: Contender("x", kinds=("pool",)), "kinds.*skip.*pool"),
        (lambda: make_method("cutout", {}), "method.*camdrop.*cutout"),
        (lambda: make_method("camdrop", {"reading": "none"}), "reading"),
        (lambda: pick_device("tpu"), "device 'tpu'"),
    ],
)
def test_errors_name_the_argument_the_value_and_what_is_allowed(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_make_method_takes_of_shared_options_what_the_method_knows():
    options = {"keep_prob": 0.8, "block_size": 5, "reading": "matched", "position_fraction": None}
    assert make_method("camdrop", options) == CamDrop(keep_prob=0.8, block_size=5, reading="matched")
    assert make_method("dropblock", {}, options) == DropBlock(keep_prob=0.8, block_size=5)
    assert make_method("dropblock", {"block_size": 3}, options) == DropBlock(keep_prob=0.8, block_size=3)
    assert make_method("baseline", {}, options) is None


def test_contenders_and_recipes_from_the_command_line():
    common = {"keep_prob": 0.9, "block_size": 7, "reading": "paper"}
    entry = contender("camdrop:reading=official:keep_prob=0.8:schedule=inverse", common)
    assert entry.method == CamDrop(keep_prob=0.8, block_size=7, reading="official") and entry.schedule == "inverse"
    assert contender("dropblock:block_size=3", common).method == DropBlock(keep_prob=0.9, block_size=3)
    assert contender("baseline", common) == Contender("baseline")
    here = contender("dropblock:stages=layer2+layer3:sites=skip", common, stages=("layer1",))
    assert (here.stages, here.kinds) == (("layer2", "layer3"), ("skip",))
    assert make_recipe("cifar-resnet110", {"epochs": 100}).lr_schedule == "step"
    assert make_recipe("fashion", {"minutes": 2.0}).epochs is None and make_recipe(None, {}).epochs == 10
