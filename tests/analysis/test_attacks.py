"""The attack: against foolbox, against arithmetic by hand, and its command line."""

import copy
import json
import math
import sys

import pytest
import torch

from camdrop import cli
from camdrop.analysis.attacks import PGD, Rate, Tally, attack_dataset, fgsm, random_targets
from camdrop.checkpoints import Checkpoint, load
from camdrop.data import Split, gallery, normalise
from tests.support import ROOT

SHIPPED = ROOT / "checkpoints"


@pytest.fixture(scope="module")
def camdrop() -> Checkpoint:
    return load(SHIPPED / "fashion-resnet8-camdrop.safetensors")


@pytest.fixture(scope="module")
def split() -> Split:
    images, _ = gallery("fashion-mnist")
    return Split(images.images[:60], images.labels[:60])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    [PGD(), PGD(2.5, 1.0, 4), PGD(8.0, 2.0, 10), PGD(targeted=False), PGD(4.0, 3.0, 3, targeted=False), fgsm(3.0)],
    ids=str,
)
def test_equals_foolbox(camdrop: Checkpoint, split: Split, attack: PGD) -> None:
    foolbox = pytest.importorskip("foolbox")
    meta = camdrop.meta
    scale = {"mean": list(meta.mean), "std": list(meta.std), "axis": -3}
    peer = foolbox.PyTorchModel(camdrop.model, bounds=(0, 1), preprocessing=scale, device="cpu")
    targets = random_targets(split.labels, 10, generator())
    criterion = foolbox.criteria.TargetedMisclassification(targets)
    if not attack.targeted:
        criterion = foolbox.criteria.Misclassification(split.labels)
    theirs = foolbox.attacks.LinfPGD(abs_stepsize=attack.step / 255, steps=attack.iterations, random_start=False)
    expected = theirs.run(peer, split.images.float() / 255, criterion, epsilon=attack.epsilon / 255)
    classes = targets if attack.targeted else split.labels
    ours = attack.run(camdrop.model, split.images, classes, meta.mean, meta.std)
    difference = (ours - expected).abs()
    assert (difference < 1e-6).float().mean() > 0.9999  # the sign of a gradient that is all but 0 may differ
    assert (ours - split.images / 255).abs().max() > 0.99 * min(attack.epsilon, attack.step * attack.iterations) / 255


@pytest.mark.parametrize("targeted", [True, False])
def test_one_step_by_hand(targeted: bool) -> None:
    """Scores (x, −x) of one pixel: towards class 1 is down, away from it is up; the ends of the range are kept."""

    def model(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, -x], 1).mean((2, 3))

    images = torch.tensor([0, 2, 128, 254], dtype=torch.uint8).view(4, 1, 1, 1)
    attack = PGD(epsilon=5, step=3, iterations=2, targeted=targeted)
    found = 255 * attack.run(model, images, torch.ones(4, dtype=torch.long), (0.5,), (0.5,))
    expected = [0, 0, 123, 249] if targeted else [5, 7, 133, 255]
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-4)


def test_random_start_is_in_the_ball_and_of_the_generator(camdrop: Checkpoint, split: Split) -> None:
    meta, attack = camdrop.meta, PGD(epsilon=6, step=0.001, iterations=1, random_start=True)
    x0 = split.images.float() / 255

    def run(seed: int) -> torch.Tensor:
        return attack.run(camdrop.model, split.images, split.labels, meta.mean, meta.std, generator(seed))

    assert torch.equal(run(1), run(1)) and not torch.equal(run(1), run(2))
    moved = 255 * (run(1) - x0)[(x0 > 0.1) & (x0 < 0.9)]
    assert moved.abs().max() <= 6 + 1e-4 and moved.abs().mean() == pytest.approx(3, abs=0.1)
    assert run(1).min() >= 0 and run(1).max() <= 1


def test_the_model_is_left_alone(camdrop: Checkpoint, split: Split) -> None:
    model = copy.deepcopy(camdrop.model)
    before = copy.deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.requires_grad_()
    with torch.no_grad():
        PGD().run(model, split.images[:4], split.labels[:4], (0.286,), (0.353,))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items()) and not model.training


def test_random_targets_are_uniform_over_the_other_classes() -> None:
    labels = torch.arange(10).repeat(1000)
    targets = random_targets(labels, 10, generator(4))
    counts = torch.zeros(10, 10).index_put_((labels, targets), torch.ones(()), accumulate=True)
    assert counts.diagonal().sum() == 0 and (counts + torch.eye(10) * 111).min() > 70 and counts.max() < 160
    with pytest.raises(ValueError, match="at least 2 classes"):
        random_targets(labels, 1)


@pytest.mark.parametrize(("count", "n"), [(0, 20), (1, 20), (309, 1000), (7, 7), (8221, 10_000)])
def test_wilson_interval(count: int, n: int) -> None:
    from scipy.stats import binomtest  # takes a second

    expected = binomtest(count, n).proportion_ci(0.95, "wilson")
    assert Rate(count, n).interval == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-4)
    assert Rate(count, n).percent == 100 * count / n


def test_nothing_counted_yet() -> None:
    assert str(Tally(5).error) == "–" and math.isnan(Tally(5).error.percent)
    assert str(Rate(1, 4)) == "25.00 (4.6–69.9)"


@pytest.mark.slow
@pytest.mark.parametrize("targeted", [True, False])
def test_totals_over_a_data_set(camdrop: Checkpoint, split: Split, targeted: bool) -> None:
    meta, attack = camdrop.meta, PGD(epsilon=8, step=2, iterations=5, targeted=targeted)
    *_, before_last, last = attack_dataset(camdrop.model, split, attack, meta.mean, meta.std, seed=3, batch_size=25)
    assert (before_last.n, last.n, last.total) == (50, 60, 60)
    targets = random_targets(split.labels, 10, generator(3))
    classes = targets if targeted else split.labels
    adversarial = attack.run(camdrop.model, split.images, classes, meta.mean, meta.std)
    with torch.no_grad():
        answers = camdrop.model(normalise(adversarial, meta.mean, meta.std)).argmax(1)
        clean = camdrop.model(normalise(split.images, meta.mean, meta.std)).argmax(1)
    right = clean == split.labels
    assert last.clean_errors == int((~right).sum()) and last.errors == int((answers != split.labels).sum())
    won = answers == targets if targeted else right & (answers != split.labels)
    assert (last.successes, last.chances) == (int(won.sum()), 60 if targeted else int(right.sum()))
    assert last.successes > 0 and last.errors > last.clean_errors


def test_a_limit_draws_images_from_all_of_them(camdrop: Checkpoint, split: Split) -> None:
    class Seen:
        num_classes = 10

        def __init__(self) -> None:
            self.images: list[torch.Tensor] = []

        def parameters(self):
            return camdrop.model.parameters()

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            self.images.append(x.detach())
            return camdrop.model(x)

    drawn = []
    for seed in (0, 0, 1):
        seen = Seen()
        *_, tally = attack_dataset(seen, split, PGD(), (0.0,), (1.0,), limit=7, seed=seed)  # type: ignore[arg-type]
        assert tally.n == tally.total == 7
        drawn.append(seen.images[0])
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


@pytest.mark.slow
@pytest.mark.parametrize("attack", [
    PGD(random_start=True), PGD(reach_epsilon=True), PGD(random_start=True, reach_epsilon=True),
    PGD(8, 1, 3, targeted=False, random_start=True, reach_epsilon=True),
], ids=str)  # fmt: skip
def test_the_options_of_the_published_code_equal_foolbox(camdrop: Checkpoint, split: Split, attack: PGD) -> None:
    """Foolbox with the step max(step, ε / iterations), from the very start that ours drew."""
    foolbox = pytest.importorskip("foolbox")
    meta, x0 = camdrop.meta, split.images.float() / 255
    noise = 2 * torch.rand(x0.shape, generator=generator(5)) - 1
    kind = foolbox.attacks.LinfPGD

    class FromOurStart(kind):  # type: ignore[misc, valid-type]
        def get_random_start(self, x0: torch.Tensor, epsilon: float) -> torch.Tensor:
            return x0 + epsilon * noise

    scale = {"mean": list(meta.mean), "std": list(meta.std), "axis": -3}
    peer = foolbox.PyTorchModel(camdrop.model, bounds=(0, 1), preprocessing=scale, device="cpu")
    targets = random_targets(split.labels, 10, generator())
    classes = targets if attack.targeted else split.labels
    criteria = foolbox.criteria.TargetedMisclassification, foolbox.criteria.Misclassification
    step = max(attack.step, attack.epsilon / attack.iterations) if attack.reach_epsilon else attack.step
    theirs = FromOurStart(abs_stepsize=step / 255, steps=attack.iterations, random_start=attack.random_start)
    expected = theirs.run(peer, x0, criteria[0 if attack.targeted else 1](classes), epsilon=attack.epsilon / 255)
    ours = attack.run(camdrop.model, split.images, classes, meta.mean, meta.std, generator(5))
    assert (
        (ours - expected).abs() < 1e-6
    ).float().mean() > 0.999  # the sign of a gradient that is all but 0 may differ


def test_a_step_can_reach_epsilon() -> None:
    assert PGD(5, 1, 2, reach_epsilon=True).step_length == 2.5 and PGD(5, 3, 2, reach_epsilon=True).step_length == 3
    assert PGD(5, 1, 2).step_length == 1 and PGD(5, 1, 2, reach_epsilon=True).reach == 5
    assert str(PGD(reach_epsilon=True)) == "Targeted PGD, ε = 5, step 2.5 (ε ÷ iterations), iterations 2"
    assert str(PGD(step=4, reach_epsilon=True)) == "Targeted PGD, ε = 5, step 4, iterations 2"


def test_reach() -> None:
    assert (PGD().reach, PGD(5, 1, 9).reach, PGD(5, 1, 2, random_start=True).reach) == (2, 5, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epsilon": -1}, "epsilon"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"step": 0}, "step"),
        ({"iterations": 0}, "it"),
    ],
)
def test_bad_options(options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PGD(**options)  # type: ignore[arg-type]


# The command.


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["camdrop", *map(str, args)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.mark.slow
def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], camdrop: Checkpoint) -> None:
    paths = [SHIPPED / f"fashion-resnet8-{name}.safetensors" for name in ("baseline", "camdrop")]
    options = ("--data", "fashion-sample", "--limit", 50, "--epsilon", 8, "--iterations", 5, "--seed", 2)
    assert run(monkeypatch, "attack", *paths, *options, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["attack"] == {
        "epsilon": 8.0, "step": 1.0, "iterations": 5, "targeted": True, "random_start": False, "reach_epsilon": False,
    }  # fmt: skip
    assert found["seed"] == 2
    images, _ = gallery("fashion-mnist")
    meta = camdrop.meta
    *_, tally = attack_dataset(camdrop.model, images, PGD(8, 1, 5), meta.mean, meta.std, limit=50, seed=2)
    row = found["results"][1]
    assert (row.pop("checkpoint"), row.pop("method")) == (str(paths[1]), "camdrop")
    assert row == pytest.approx(tally.numbers())

    assert run(monkeypatch, "attack", *paths, *options, "--untargeted") == 0
    shown = capsys.readouterr().out
    assert "fashion-resnet8-baseline" in shown and "success rate" in shown and "Untargeted" in shown


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("SHIPPED", "--data", "fashion-sample", "--epsilon", "-1"), "epsilon"),
        (("SHIPPED", "--data", "fashion-sample", "--limit", "0"), "limit"),
        (("nowhere.safetensors", "--data", "fashion-sample"), "nowhere"),
        (("--data", "fashion-sample"), "CHECKPOINT"),
    ],
)
def test_a_mistake_is_one_line(monkeypatch, capsys, args: tuple[str, ...], words: str) -> None:
    shipped = SHIPPED / "fashion-resnet8-camdrop.safetensors"
    assert run(monkeypatch, "attack", *(shipped if a == "SHIPPED" else a for a in args)) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
