"""Folders and archives of images."""

import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.data import INFO, DataError, DataWarning, Split, archives, load_dataset
from camdrop.data.streaming import FileSplit
from tests.support.image_folders import (
    error_of,
    image_bytes,
    image_tree,
    noise_image,
    write_folder,
    write_tar,
    write_zip,
)


def test_folder(tmp_path):
    data = load_dataset(write_folder(tmp_path / "pets", image_tree()))
    assert data.info.name == "pets" and data.info.classes == ("cat", "dog")
    assert (data.info.channels, data.info.size) == (3, 8)
    assert data.train.images.shape == (6, 3, 8, 8) and data.train.images.dtype == torch.uint8
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.images[:, 1, 0, 0].tolist() == [1, 2, 3, 21, 22, 23]
    assert data.test.images[:, 2, 7, 7].tolist() == [101, 102, 103, 121, 122, 123]
    values = np.array([1, 2, 3, 21, 22, 23]) / 255  # of the training images only
    assert data.info.mean == pytest.approx([values.mean()] * 3) and data.info.std == pytest.approx([values.std()] * 3)


def test_grey_folder_has_one_channel_and_one_colour_image_makes_three(tmp_path):
    tree = image_tree(mode="L", held_out="val")
    data = load_dataset(write_folder(tmp_path / "grey", tree))
    assert data.info.channels == 1 and data.test.images.shape == (6, 1, 8, 8) and len(data.info.mean) == 1
    tree["val/dog/2.png"] = image_bytes(Image.new("RGB", (8, 8), (1, 2, 3)))
    data = load_dataset(write_folder(tmp_path / "mixed", tree))
    assert data.info.channels == 3 and data.train.images[5, :, 0, 0].tolist() == [23, 23, 23]
    assert data.test.images[5, :, 0, 0].tolist() == [1, 2, 3]


def test_folder_images_are_fitted_to_the_first_or_to_size(tmp_path):
    tree = image_tree() | {"train/dog/0.png": image_bytes(Image.new("RGB", (40, 20), (21, 21, 21)))}
    spec = write_folder(tmp_path, tree)
    data = load_dataset(spec)
    assert data.train.images.shape == (6, 3, 8, 8) and data.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 21, 22, 23]
    data = load_dataset(spec, size=12, splits=("test",))
    assert data.info.size == 12 and data.test.images.shape == (6, 3, 12, 12) and len(data.train) == 0
    assert data.info.mean == load_dataset(spec, size=12).info.mean  # of the training images, whatever is loaded
    with pytest.raises(ValueError, match="size=0"):
        load_dataset(spec, size=0)
    with pytest.raises(ValueError, match="size=32 is only for folder"):
        load_dataset("fashion-sample", size=32)


def test_folder_images_up_to_224_are_held_and_larger_ones_stay_files(tmp_path):
    held = load_dataset(write_folder(tmp_path / "held", image_tree(size=224, n=1)))
    assert held.info.size == 224 and held.train.images.shape == (2, 3, 224, 224) and isinstance(held.train, Split)
    data = load_dataset(write_folder(tmp_path / "files", image_tree(size=225, n=1)))
    assert data.info.size == 224 and data.train.images.shape == (2, 3, 224, 224) and isinstance(data.train, FileSplit)


def test_known_data_sets_are_recognised(tmp_path):
    cifar = image_tree(size=32, classes=INFO["cifar10"].classes, n=1)
    assert load_dataset(write_folder(tmp_path / "a", cifar)).info == INFO["cifar10"]
    mnist = image_tree(size=28, mode="L", classes=INFO["mnist"].classes, n=1)
    assert load_dataset(write_folder(tmp_path / "b", mnist)).info == INFO["mnist"]
    assert (
        load_dataset(
            write_folder(tmp_path / "c", image_tree(size=32, mode="L", classes=INFO["mnist"].classes, n=1))
        ).info.name
        == "c"
    )


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("top", ["", "./", "pets/", "some/where/"])
def test_archive_equals_folder_and_leaves_nothing_behind(tmp_path, suffix, top):
    tree = image_tree() | {
        "train/cat/notes.txt": b"?",
        "README.md": b"#",
        "train/dog/._0.png": b"mac",
        "__MACOSX/train/cat/0.png": b"",
    }
    backwards = {top + name: content for name, content in reversed(tree.items())}
    path = tmp_path / "packed" / f"pets{suffix}"
    path.parent.mkdir()
    mode = {".tar": "w", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    spec = write_zip(path, backwards) if suffix == ".zip" else write_tar(path, backwards, mode)
    packed, plain = load_dataset(spec), load_dataset(write_folder(tmp_path / "pets", tree))
    assert packed.info == plain.info
    for a, b in ((packed.train, plain.train), (packed.test, plain.test)):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    assert list(path.parent.iterdir()) == [path]


def test_hostile_paths_in_archives_only_name_classes(tmp_path):
    outside = tmp_path / "in" / "deep"
    outside.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for top in ("../../", "/", "/etc/"):
        tree = {top + name: content for name, content in image_tree().items()}
        assert len(load_dataset(write_tar(outside / "a.tar", tree)).train) == 6
        assert len(load_dataset(write_zip(outside / "a.zip", tree)).train) == 6
        (outside / "a.tar").unlink(), (outside / "a.zip").unlink()
    assert sorted(tmp_path.rglob("*")) == before
    spec = write_tar(outside / "a.tar", image_tree() | {"train/../0.png": b"", "../x/train/cat/9.png": b""})
    with pytest.warns(DataWarning, match=r"2 files were left out"):
        assert load_dataset(spec).left_out == ("../", "train/../0.png")


def test_links_in_archives_are_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(image_bytes(Image.new("RGB", (8, 8), "white")))
    path = tmp_path / "a.tar"
    spec = write_tar(path, image_tree())
    with tarfile.open(path, "a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"train/cat/z{kind!r}.png")
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
    assert load_dataset(spec).train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 21, 22, 23]


def test_an_archive_that_unpacks_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    tree = image_tree() | {"train/cat/bomb.png": bytes(1 << 20)}
    for spec in (write_tar(tmp_path / "a.tar.gz", tree, "w:gz"), write_zip(tmp_path / "a.zip", tree)):
        with pytest.raises(DataError, match="unpack it, and give the folder"):
            load_dataset(spec)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty", "flipped"])
def test_damaged_archives(tmp_path, suffix, damage):
    path = tmp_path / f"a{suffix}"
    noise = {f"{split}/a/{i}.png": image_bytes(noise_image()) for split in ("train", "test") for i in range(5)}
    mode = {".tar": "w", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    spec = write_zip(path, noise) if suffix == ".zip" else write_tar(path, noise, mode)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes({
        "cut": whole[: middle + 100],
        "text": b"hello",
        "empty": b"",
        "flipped": whole[:middle] + bytes(255 - b for b in whole[middle : middle + 64]) + whole[middle + 64 :],
    }[damage])  # fmt: skip
    with pytest.raises(DataError, match=r"cannot be read as an archive|damaged or cut short|has no images") as error:
        load_dataset(spec)
    assert "\n" not in str(error.value)


def test_errors_of_folders_are_one_sentence(tmp_path):
    assert "has no images in train/<class>/" in error_of(write_folder(tmp_path / "empty", {"train/note.txt": b""}))
    test_only = {name: content for name, content in image_tree().items() if name.startswith("test")}
    spec = write_folder(tmp_path / "test-only", test_only)
    assert "has no images in train/<class>/" in error_of(spec)
    assert len(load_dataset(spec, splits=("test",)).test) == 6
    train_only = {name: content for name, content in image_tree().items() if name.startswith("train")}
    assert "has no images in test/<class>/ or val/<class>/" in error_of(
        write_folder(tmp_path / "train-only", train_only)
    )
    differ = {name: content for name, content in image_tree().items() if not name.startswith("test/dog")}
    assert "has no images in test/dog/: every split needs the same classes" in error_of(
        write_folder(tmp_path / "differ", differ)
    )
    corrupt = image_tree() | {"train/dog/1.png": image_bytes(noise_image())[:300]}
    assert "corrupt/train/dog/1.png is damaged or cut short" in error_of(write_folder(tmp_path / "corrupt", corrupt))
    assert "pets.zip/test/cat/0.png is empty" in error_of(
        write_zip(tmp_path / "pets.zip", image_tree() | {"test/cat/0.png": b""})
    )
    assert "There is no folder or archive" in error_of(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "notes.txt").write_text("x")
    assert "is neither a folder nor an archive" in error_of(f"folder:{tmp_path / 'notes.txt'}")


def test_folder_progress_ends_at_one(tmp_path):
    seen: list[tuple[str, float]] = []
    load_dataset(write_folder(tmp_path, image_tree()), progress=lambda text, share: seen.append((text, share)))
    assert seen == [("Reading 6 images", 1.0), ("Reading 6 images", 1.0)]
