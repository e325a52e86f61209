"""Data sets by their names: the bundled sample, the galleries, normalisation."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.data import INFO, DataError, gallery, images, load_dataset, normalise
from tests.support.image_folders import error_of

SAMPLE_ROW = [0, 0, 0, 0, 0, 0, 2, 4, 1, 0, 0, 0, 98, 136, 110, 109, 110, 162, 135, 144, 149, 159, 167, 144, 158, 169, 119, 0]  # fmt: skip # noqa: E501


# The bundled sample: every number here was read from the original idx files.


def test_sample_is_balanced_and_its_pixels_are_the_originals():
    data = load_dataset("fashion-sample")
    assert data.info is INFO["fashion-mnist"] and data.info.name == "fashion-mnist" and len(data.info.classes) == 10
    assert data.train.images.shape == (6000, 1, 28, 28) and data.train.images.dtype == torch.uint8
    assert data.test.images.shape == (1000, 1, 28, 28) and data.test.labels.dtype == torch.int64
    assert data.train.labels.bincount().tolist() == [600] * 10
    assert data.test.labels.bincount().tolist() == [100] * 10
    assert data.train.images.sum(dtype=torch.int64) == 344_160_204
    assert data.test.images.sum(dtype=torch.int64) == 56_973_981
    first = [84598, 52118, 84165, 46649, 31795, 19892, 88005, 32526, 78179, 76247]  # of each class in the originals
    assert data.train.images[:10].sum(dim=(1, 2, 3)).tolist() == first
    assert data.test.labels[:10].tolist() == list(range(10))
    assert data.test.images[9, 0, 14].tolist() == SAMPLE_ROW  # the first ankle boot of the test set


def test_sample_holds_the_first_test_images_bit_for_bit():
    split, _ = gallery("fashion-sample")
    for path in _foolbox("fashionMNIST"):  # the first twenty of the test set, from another source
        same = (split.images == torch.from_numpy(np.array(Image.open(path)))).all(dim=(1, 2, 3))
        assert split.labels[same].tolist() == [int(path.stem.split("_")[-1])]


def test_sample_is_small_and_licensed():
    folder = Path(images.__file__).parent / "sample"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 4_000_000
    assert "MIT License" in (folder / "LICENSE").read_text() and "Zalando SE" in (folder / "LICENSE").read_text()


def test_a_split_alone_leaves_the_other_empty():
    data = load_dataset("fashion-sample", splits=("test",))
    assert len(data.test) == 1000 and len(data.train) == 0
    assert data.train.images.shape == (0, 1, 28, 28) and data.train.images.dtype == torch.uint8
    with pytest.raises(ValueError, match="splits"):
        load_dataset("fashion-sample", splits=("validation",))


# Galleries


def _foolbox(name: str) -> list[Path]:
    spec = importlib.util.find_spec("foolbox")
    assert spec and spec.origin, "the app's packages include foolbox"
    return sorted((Path(spec.origin).parent / "data").glob(f"{name}_*"))


@pytest.mark.parametrize(
    ("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32)), ("imagenet", (3, 224, 224))]
)
def test_gallery_has_twenty_labelled_images(name, shape):
    split, info = gallery(name)
    assert info is INFO[name] and split.images.shape == (20, *shape) and split.images.dtype == torch.uint8
    assert (info.channels, info.size, info.size) == shape and len(info.mean) == len(info.std) == info.channels
    assert [int(p.stem.split("_")[-1]) for p in _foolbox(name)] == split.labels.tolist()


def test_gallery_pixels_and_names():
    split, info = gallery("cifar10")
    assert [info.classes[k] for k in split.labels[:4]] == ["cat", "ship", "ship", "airplane"]  # CIFAR-10's test set
    assert torch.equal(split.images[3].permute(1, 2, 0), torch.from_numpy(np.array(Image.open(_foolbox("cifar10")[3]))))
    assert INFO["imagenet"].classes[243] == "bull mastiff" and len(set(INFO["imagenet"].classes)) == 1000


def test_gallery_without_foolbox_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install '\.\[app\]'"):
        gallery("cifar10")
    assert len(gallery("fashion-mnist")[0]) == 1000
    with pytest.raises(DataError, match="choose one of fashion-sample"):
        gallery("svhn")


def test_imagenet_names_are_torchvisions():
    from torchvision.models import ResNet50_Weights

    assert list(INFO["imagenet"].classes) == ResNet50_Weights.DEFAULT.meta["categories"]


# Normalisation


def test_normalise():
    x = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1)
    assert normalise(x, (0.2,), (0.4,)).flatten().tolist() == pytest.approx([-0.5, 0.0, 2.0], abs=1e-6)
    y = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    z = normalise(y, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    assert z.dtype == torch.float64 and torch.allclose(z[:, 2], (y[:, 2] - 0.3) / 4)
    with pytest.raises(ValueError, match="need 3 values"):
        normalise(y, (0.1,), (0.2,))


def test_normalised_sample_has_mean_0_and_deviation_1():
    data = load_dataset("fashion-sample", splits=("train",))
    z = normalise(data.train.images, data.info.mean, data.info.std)
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01


def test_unknown_data_set_lists_the_known():
    assert error_of("cifar100").endswith(
        "choose one of fashion-sample, fashion-mnist, mnist, cifar10, folder:DIR, imagenet:DIR."
    )


def test_the_deviations_of_cifar10_are_of_pixels_not_of_pixels_within_an_image():
    split, info = gallery("cifar10")
    pixels = split.images.double().div(255).transpose(0, 1).flatten(1)
    assert info.std == (0.2470, 0.2435, 0.2616)  # of the 50,000 training images; 20 others come near
    assert pixels.std(1).tolist() == pytest.approx(info.std, abs=0.01)
    assert pixels.mean(1).tolist() == pytest.approx(info.mean, abs=0.02)
