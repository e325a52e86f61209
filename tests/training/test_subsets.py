"""Which images a recipe trains on, and with which labels."""

from pathlib import Path

import pytest
import torch

from camdrop.data import Split
from camdrop.data.folders import ImageFile
from camdrop.data.streaming import FileSplit, PictureFiles
from camdrop.training import Recipe, make_recipe
from camdrop.training.batches import split_training


def split(n: int = 600, classes: int = 6) -> Split:
    """Images whose single pixel is their number."""
    return Split(torch.arange(n).view(n, 1, 1, 1), torch.arange(n) % classes)


def numbers(part) -> list[int]:
    return part.images.flatten().tolist()


def recipe(**options) -> Recipe:
    return Recipe("resnet8", epochs=1, **options)


def test_without_a_subset_everything_that_is_not_held_out_is_trained_on():
    train, held = split_training(split(), recipe(validation=0.1))
    assert len(held) == 60 and sorted(numbers(train) + numbers(held)) == list(range(600))
    assert torch.equal(train.labels, torch.tensor(numbers(train)) % 6)


def test_a_subset_is_balanced_and_apart_from_what_is_held_out():
    train, held = split_training(split(), recipe(validation=0.2, images=100))
    counts = torch.bincount(train.labels)
    assert counts.sum() == 100 and set(counts.tolist()) == {16, 17}
    assert len(held) == 120 and not set(numbers(train)) & set(numbers(held))
    assert numbers(train) == sorted(set(numbers(train)))


def test_a_subset_of_uneven_classes_takes_all_of_the_small_ones():
    uneven = Split(torch.arange(120).view(-1, 1, 1, 1), torch.tensor([0] * 100 + [1] * 15 + [2] * 5))
    train, _ = split_training(uneven, recipe(validation=0.0, images=45))
    assert torch.bincount(train.labels).tolist() == [25, 15, 5]


def test_the_seed_decides_and_nothing_else():
    chosen = [numbers(split_training(split(), recipe(images=90, seed=seed))[0]) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    clean, noisy = (split_training(split(), recipe(images=90, label_noise=noise))[0] for noise in (0.0, 0.4))
    assert numbers(clean) == numbers(noisy)


@pytest.mark.parametrize("noise", [0.0, 0.4, 1.0])
def test_noise_draws_so_many_labels_anew_and_keeps_the_truth_of_what_is_held_out(noise):
    train, held = split_training(split(6000), recipe(validation=0.1, label_noise=noise))
    truth = torch.tensor(numbers(train)) % 6
    wrong = float((train.labels != truth).float().mean())
    assert abs(wrong - noise * 5 / 6) < 0.02  # one in six drawn anew is the true one
    assert torch.equal(held.labels, torch.tensor(numbers(held)) % 6)
    assert set(train.labels.tolist()) == set(range(6))


def test_images_that_stay_files_get_the_same_noise():
    in_memory = split(300)
    files = [ImageFile(str(i), int(label), Path("x")) for i, label in enumerate(in_memory.labels)]
    on_disk = FileSplit(PictureFiles(files), in_memory.labels)
    wanted = recipe(images=60, label_noise=0.5)
    a, b = split_training(in_memory, wanted)[0], split_training(on_disk, wanted)[0]
    assert [int(file.name) for file in b.images.files] == numbers(a)
    assert [file.label for file in b.images.files] == b.labels.tolist() == a.labels.tolist()


def test_wrong_values_are_a_sentence():
    with pytest.raises(ValueError, match="images must be at most 570"):
        split_training(split(), recipe(images=571))
    for options, word in (
        ({"images": 1}, "images"),
        ({"label_noise": 1.1}, "label_noise"),
        ({"label_noise": -1}, "lab"),
        ({"selection": "first"}, "selection must be one of best, last"),
    ):
        with pytest.raises(ValueError, match=word):
            recipe(**options)


def test_the_preset_of_the_default_race():
    noise = make_recipe("noise", {})
    assert (noise.images, noise.label_noise, noise.epochs, noise.batch_size) == (1000, 0.4, 30, 64)
    assert noise.selection == "last"
    assert (noise.crop, noise.flip, noise.lr_schedule, noise.learning_rate) == (0, False, "onecycle", 0.1)
