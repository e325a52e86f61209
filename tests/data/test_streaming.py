"""Large images stay files: what evaluation and training read of them, again and again the same; the ImageNet preset."""

import dataclasses
import itertools
import json
from pathlib import Path

import foolbox
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision.models import ResNet18_Weights

from camdrop import runs
from camdrop.checkpoints import load
from camdrop.cli import main
from camdrop.data import INFO, DataError, load_dataset, normalise, streaming
from camdrop.data.folders import ImageFile
from camdrop.data.imagenet_classes import IMAGENET_CLASSES, IMAGENET_WNIDS
from camdrop.data.streaming import FileSplit, PictureFiles, Reader, worker_count
from camdrop.masks import CamDrop
from camdrop.schedules import learning_rate_at
from camdrop.training import Race, evaluate
from camdrop.training.batches import make_batches
from camdrop.training.config import Contender, Recipe, make_recipe
from camdrop.training.distributed import ALONE, Team
from tests.support.command import train

CPU = torch.device("cpu")
PICTURES = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*.jpg"))[:4]  # imagenet_00_243.jpg: class 243
LABELS = sorted(int(path.stem[-3:]) for path in PICTURES)
RECIPE = Recipe("resnet18", epochs=2, batch_size=4, learning_rate=0.01, validation=0.25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes of ImageNet, in each four parts of a photograph to train on and one to test: 230 to 512 pixels."""
    root = tmp_path_factory.mktemp("imagenet")
    boxes = ((0, 0, 300, 230), (100, 0, 512, 512), (0, 200, 400, 512), (50, 50, 350, 500), (30, 40, 480, 500))
    for path, (i, box) in itertools.product(PICTURES, enumerate(boxes)):
        place = root / ("val" if i == 4 else "train") / IMAGENET_WNIDS[int(path.stem[-3:])]
        place.mkdir(parents=True, exist_ok=True)
        Image.open(path).crop(box).save(place / f"{i}.jpg", quality=95)
    return root


@pytest.fixture(scope="module")
def data(folder):
    return load_dataset(f"imagenet:{folder}")


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setenv("CAMDROP_WORKERS", "0")


def test_wordnet_numbers_are_those_of_the_1000_classes():
    own = (Path(timm.__file__).parent / "data/_info/imagenet_synsets.txt").read_text().split()
    assert list(IMAGENET_WNIDS) == own and len(IMAGENET_CLASSES) == 1000
    assert IMAGENET_WNIDS[0] == "n01440764" and IMAGENET_CLASSES[0] == "tench"  # as in ILSVRC's own table
    assert IMAGENET_WNIDS[999] == "n15075141" and IMAGENET_CLASSES[999] == "toilet tissue"


def test_a_part_of_imagenet_has_its_labels_and_names(data):
    assert data.info == INFO["imagenet"] and data.info.size == 224
    assert data.train.labels.tolist() == [label for label in LABELS for _ in range(4)]
    assert data.test.labels.tolist() == LABELS and data.test.images.shape == (4, 3, 224, 224)


def test_other_large_folders_keep_their_names_and_stay_files_too(folder, tmp_path, in_process):
    plain = load_dataset(f"folder:{folder}")
    assert isinstance(plain.train, FileSplit) and plain.train.labels.tolist() == [k for k in range(4) for _ in range(4)]
    assert plain.info.classes == tuple(IMAGENET_WNIDS[label] for label in LABELS) and plain.info.name == folder.name
    assert plain.info.mean == INFO["imagenet"].mean
    for split, name in itertools.product(("train", "test"), ("cat", "dog")):
        (tmp_path / split / name).mkdir(parents=True)
        Image.new("L", (100, 300), 50 if name == "cat" else 70).save(tmp_path / split / name / "0.png")
    small, forced = load_dataset(f"folder:{tmp_path}"), load_dataset(f"imagenet:{tmp_path}")
    assert not isinstance(small.train, FileSplit) and small.train.images.shape == (2, 1, 100, 100)
    assert isinstance(forced.train, FileSplit) and forced.info.classes == ("cat", "dog")
    assert forced.test.images[torch.tensor([1, 0])].float().mean((1, 2, 3)).tolist() == [70, 50]
    assert not isinstance(load_dataset(f"folder:{folder}", size=32, splits=("test",)).test, FileSplit)


def test_evaluation_sees_what_torchvision_prepares_for_its_weights(folder, data, in_process):
    files = [folder / "val" / IMAGENET_WNIDS[label] / "4.jpg" for label in LABELS]
    theirs = torch.stack([ResNet18_Weights.IMAGENET1K_V1.transforms()(Image.open(file)) for file in files])
    ours = normalise(data.test.images[:], data.info.mean, data.info.std)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def steps(data, first, count, team=ALONE, recipe=RECIPE):
    batches = make_batches(data.train, 4 * team.size, recipe, data.info, CPU, team)
    return [batches.at(step) for step in range(first, first + count)]


def same(some, others):
    return all(torch.equal(a, b) for x, y in zip(some, others, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.slow
def test_what_is_read_follows_from_the_seed_whoever_reads_it_and_from_where_on(data, monkeypatch):
    monkeypatch.setenv("CAMDROP_WORKERS", "0")
    state = torch.get_rng_state()
    alone = steps(data, 0, 8)  # two epochs
    assert torch.equal(torch.get_rng_state(), state)
    assert same(steps(data, 3, 3), alone[3:6])
    members = [steps(data, 0, 2, Team(rank, 2), dataclasses.replace(RECIPE, batch_size=2)) for rank in range(2)]
    whole = make_batches(data.train, 8, RECIPE, data.info, CPU, ALONE)
    for step in range(2):
        parts = zip(*(member[step] for member in members), strict=True)
        assert same([whole.at(step)], [tuple(torch.cat(part) for part in parts)])
    monkeypatch.setenv("CAMDROP_WORKERS", "2")
    assert same(steps(data, 0, 6), alone[:6])
    first, second = (torch.cat([y for _, y in alone[i : i + 4]]) for i in (0, 4))
    assert first.sort().values.tolist() == second.sort().values.tolist() == data.train.labels.tolist()
    assert first.tolist() != second.tolist()
    means = torch.cat([x for x, _ in alone]).mean((1, 2, 3)).tolist()
    assert len(set(means)) == 32  # another crop in every epoch
    assert not same(steps(data, 0, 1, recipe=dataclasses.replace(RECIPE, seed=1)), alone[:1])


def test_training_crops_and_mirrors_as_the_recipe_says(tmp_path):
    ramp = np.broadcast_to(np.arange(300, dtype=np.float32) / 300 * 255, (260, 300)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    requests = [(ImageFile("ramp", 7, tmp_path / "ramp.png"), seed) for seed in range(60)]
    rising = {}
    for how in ("crop", "mirror"):
        images, labels = Reader(how).__getitems__(requests)
        assert images.shape == (60, 3, 224, 224) and images.dtype == torch.uint8 and set(labels.tolist()) == {7}
        edges = images[:, 0, 100, 223].float() - images[:, 0, 100, 0].float()
        rising[how] = (edges > 0).float().mean().item()
        widths = edges.abs() / 255  # of the crop, as a share of the picture's
    assert rising["crop"] == 1 and 0.3 < rising["mirror"] < 0.7
    assert widths.min() < 0.5 and widths.max() > 0.8


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_damaged_file_is_named_in_one_sentence(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("CAMDROP_WORKERS", workers)
    (tmp_path / "bad.jpg").write_bytes(PICTURES[0].read_bytes()[:2000])
    broken = FileSplit(PictureFiles([ImageFile("bad.jpg", 0, tmp_path / "bad.jpg")]), torch.zeros(1).long())
    with pytest.raises(DataError) as error:
        list(broken.batches(10))
    assert str(error.value) == "bad.jpg is damaged or cut short: choose another file."


@pytest.mark.slow
def test_a_race_on_files_goes_on_bit_for_bit(data, in_process, monkeypatch):
    monkeypatch.setattr(streaming, "SIZE", 64)  # seconds, not minutes

    def begin():
        return Race(data, RECIPE, [Contender("a"), Contender("b", CamDrop(block_size=2))], CPU)

    whole, first, again = begin(), begin(), begin()
    assert len(whole.held) == 4 and whole.total == 6
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    again.restore(first.state())
    for _ in range(2):
        again.step()
    for a, b in zip(whole.runners, again.runners, strict=True):
        weights = zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True)
        assert all(torch.equal(x, y) for x, y in weights)
    model = whole.runners[0].model
    in_memory = normalise(whole.held.images[:], data.info.mean, data.info.std)
    with torch.no_grad():
        wrong = (model(in_memory).argmax(1) != whole.held.labels).float().mean().item()
    assert evaluate(model, whole.held, data.info)["top1_error"] == pytest.approx(100 * wrong)


def test_workers_share_the_cores_with_those_of_torchrun(monkeypatch):
    monkeypatch.delenv("CAMDROP_WORKERS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(16), raising=False)
    assert worker_count() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert worker_count() == 4
    monkeypatch.setenv("CAMDROP_WORKERS", "3")
    assert worker_count() == 3


def test_the_preset_is_the_papers_recipe():
    recipe = make_recipe("imagenet", {})
    assert (recipe.model, recipe.batch_size, recipe.epochs, recipe.weight_decay) == ("resnet50", 256, 105, 1e-4)
    rates = [learning_rate_at(e / 105, recipe.learning_rate, recipe.lr_schedule) for e in (0, 49, 50, 79, 80, 99, 100)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001])


@pytest.mark.slow
def test_two_processes_train_the_preset_and_the_result_can_be_evaluated(folder, tmp_path, monkeypatch, capsys):
    records = train(
        tmp_path / "run", 2, "--preset", "imagenet", "--model", "resnet18", "--data", f"imagenet:{folder}",
        "--epochs", "1", "--batch-size", "2", "--validation", "0.25", "--method", "camdrop", "--lr", "0.01",
        "--device", "cpu", "--threads", "1",
    )  # fmt: skip
    assert [record["step"] for record in records] == [1, 2, 3, 3] and records[-1]["kind"] == "result"
    assert all(0 < record["loss"] < 20 and record["dropped"] > 0 for record in records[:-1])
    run = runs.load_run(tmp_path / "run")
    method = run.config.contenders[0].method
    assert (run.state, method.block_size, method.keep_prob) == ("finished", 7, 0.9)
    checkpoint = tmp_path / "run" / "camdrop" / "best.safetensors"
    meta = load(checkpoint).meta
    assert (meta.dataset, meta.num_classes, meta.image_size, meta.test_images) == ("imagenet", 1000, 224, 4)
    assert len(list((tmp_path / "run" / "film").glob("*.npz"))) == 1
    monkeypatch.setattr("sys.argv", ["camdrop", "evaluate", str(checkpoint), "--data", f"imagenet:{folder}", "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 4 and result["top1_error"] == pytest.approx(meta.test_error)
