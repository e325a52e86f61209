import pytest
import torch

from camdrop.data import DataInfo, Dataset, Split, load_dataset, normalise
from camdrop.masks import CamDrop, DropBlock, DropPath
from camdrop.resnet import build
from camdrop.training import Contender, Recipe, augment, evaluate, make_method, pick_device, race, split_validation

CPU = torch.device("cpu")


def stripes(n=240, seed=0):
    """Two classes that a small network can tell apart: horizontal and vertical stripes, with noise."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    wave = ((torch.arange(12) // 2) % 2 * 150).float()
    rows, cols = wave[:, None].expand(12, 12), wave[None, :].expand(12, 12)
    images = torch.where(labels[:, None, None] == 0, rows, cols) + torch.randint(0, 100, (n, 12, 12), generator=g)
    split = Split(images.clamp(0, 255).to(torch.uint8)[:, None], labels)
    info = DataInfo("stripes", ("rows", "columns"), (0.5,), (0.3,), 1, 12)
    half = n // 4 * 3
    return Dataset(info, Split(split.images[:half], labels[:half]), Split(split.images[half:], labels[half:]))


RECIPE = Recipe("resnet8", epochs=2, batch_size=30, learning_rate=0.05, crop=1, flip=False, validation=0.2)


def test_contenders_without_dropout_end_with_identical_weights_and_masks_make_the_difference():
    contenders = [
        Contender("a"),
        Contender("b"),
        Contender("γ = 1", CamDrop(keep_prob=1.0)),
        Contender("c", DropBlock()),
    ]
    last = {record.contender: (record, model) for record, model in race(stripes(), RECIPE, contenders, CPU)}
    a, b, one, c = (last[k.name][1].state_dict() for k in contenders)
    assert all(torch.equal(a[k], b[k]) and torch.equal(a[k], one[k]) for k in a)
    assert not torch.equal(a["fc.weight"], c["fc.weight"])
    assert last["a"][0].keep_prob is None and last["a"][0].dropped == last["γ = 1"][0].dropped == 0
    assert 0.02 < last["c"][0].dropped < 0.2


def test_a_race_learns_and_repeats_exactly():
    recipe = Recipe("resnet8", epochs=4, batch_size=30, learning_rate=0.1, crop=1, flip=False, validation=0.2)
    first, again = (list(race(stripes(), recipe, [Contender("camdrop", CamDrop(block_size=3))], CPU)) for _ in range(2))
    assert [r.epoch for r, _ in first] == [1, 2, 3, 4]
    assert first[-1][0].validation_error < 10 and first[-1][0].loss < first[0][0].loss
    assert [r.loss for r, _ in first] == [r.loss for r, _ in again]
    assert evaluate(first[-1][1], stripes().test, stripes().info)["top1_error"] < 10


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
    train, held = split_validation(split, Recipe("resnet8", 1, validation=0.15))
    assert len(held) == 15 and sorted([*train.labels.tolist(), *held.labels.tolist()]) == list(range(100))
    assert torch.equal(train.images.flatten().long(), train.labels)


def test_sites_of_a_contender():
    model = build("resnet8")
    assert len(Contender("x", CamDrop()).sites(model)) == 9
    assert Contender("x", DropPath()).sites(model) == {"layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"}
    assert Contender("x", CamDrop(), stages=("layer3",), kinds=("skip",)).sites(model) == {"layer3.0.skip"}
    large = Contender("x", CamDrop()).sites(build("resnet18"))
    assert {name.split(".")[0] for name in large} == {"layer3", "layer4"}
    with pytest.raises(ValueError, match=r"stages.*layer1.*layer4"):
        Contender("x", stages=("layer4",)).sites(model)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Recipe("resnet9", 1), "model.*resnet8.*resnet9"),
        (lambda: Recipe("resnet8", 0), "epochs.*at least 1.*0"),
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


def test_make_method_takes_what_the_method_knows():
    options = {"keep_prob": 0.8, "block_size": 5, "reading": "matched", "position_fraction": None}
    assert make_method("camdrop", options) == CamDrop(keep_prob=0.8, block_size=5, reading="matched")
    assert make_method("dropblock", options) == DropBlock(keep_prob=0.8, block_size=5)
    assert make_method("baseline", options) is None
