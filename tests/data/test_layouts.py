"""Layouts of folders of images: understood where there is one way to, and what was understood is said."""

import pytest
import torch
from PIL import Image

from camdrop.data import DataWarning, load_dataset
from camdrop.data.imagenet_classes import IMAGENET_CLASSES, IMAGENET_WNIDS, imagenet_labels
from tests.support.image_folders import error_of, image_bytes, image_tree, write_folder, write_tar, write_zip

PNG = image_bytes(Image.new("RGB", (8, 8)))
WRITE = {"folder": write_folder, "tar": write_tar, "zip": write_zip}


def renamed(*changes, held_out="test"):
    tree = {}
    for name, content in image_tree(held_out=held_out).items():
        for old, new in changes:
            name = name.replace(old, new)
        tree[name] = content
    return tree


USUAL = {
    "valid": renamed(held_out="valid"),
    "Validation": renamed(("train/", "Training/"), held_out="Validation"),
    "TESTING": renamed(("train/", "TRAIN/"), held_out="TESTING"),
    "deeper": renamed(("train/", "pets v2/images/train/"), ("test/", "pets v2/images/test/")),
    "in a folder that is called as a split": renamed(("train/", "x/train/"), ("test/", "x/test/"), ("x/", "test/")),
    "capitals of classes": renamed(("test/cat", "test/Cat")),
    "a class that is called as a split": renamed(("/dog", "/test")),
    "another data set within": renamed() | {"old/train/bird/0.png": PNG, "old/test/bird/0.png": PNG},
}
SAID = {
    "images in a folder of the class": (
        {n.replace("cat/", "cat/2020/").replace("dog/", "dog/2021/a/"): c for n, c in renamed().items()},
        "the images of a class are in folders in it, such as train/cat/2020/",
    ),
    "classes one deeper": (
        renamed(("train/", "train/images/"), ("test/", "test/images/")),
        "the classes of train/ are the folders in train/images/",
    ),
}


@pytest.mark.parametrize("pack", WRITE)
@pytest.mark.parametrize("layout", [*USUAL, *SAID])
def test_layouts(tmp_path, pack, layout):
    tree, said = SAID[layout] if layout in SAID else (USUAL[layout], "")
    spec = WRITE[pack](tmp_path / ("pets" if pack == "folder" else f"pets.{pack}"), tree | {"README.txt": b"?"})
    if said or layout.startswith("another"):
        with pytest.warns(DataWarning, match=said or "left out, .*: old/$"):
            data = load_dataset(spec)
    else:
        data = load_dataset(spec)
        assert data.notes == ()
    assert data.info.classes == (("cat", "test") if "a class that" in layout else ("cat", "dog"))
    assert data.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 21, 22, 23]
    assert data.test.images[:, 0, 0, 0].tolist() == [101, 102, 103, 121, 122, 123]
    assert data.left_out == (("old/",) if layout.startswith("another") else ())


@pytest.mark.parametrize("pack", WRITE)
@pytest.mark.parametrize("top", ["", "photos/"])
def test_without_splits_a_part_is_held_out_and_said(tmp_path, pack, top):
    tree = {
        f"{top}{c}/{i:02d}.png": image_bytes(Image.new("L", (8, 8), 20 * k + i))
        for k, c in enumerate(("a", "train", "c"))
        for i in range(10)
    }
    spec = WRITE[pack](tmp_path / ("pets" if pack == "folder" else f"pets.{pack}"), tree)
    with pytest.warns(DataWarning, match=r"3 classes \(a, c, train\); 6 of 30 images are held out .* by the seed 0"):
        data = load_dataset(spec)
    assert data.info.classes == ("a", "c", "train") and data.left_out == ()
    assert data.test.labels.tolist() == [0, 0, 1, 1, 2, 2] and len(data.train) == 24
    values = torch.cat([data.train.images, data.test.images])[:, 0, 0, 0].tolist()
    assert sorted(values) == [20 * k + i for k in range(3) for i in range(10)]  # each in one split
    assert torch.equal(load_dataset(spec, splits=("test",)).test.images, data.test.images)


REFUSED = {
    "flat splits": ({"train/0.png": PNG, "test/0.png": PNG}, "only test/, train/: put"),
    "splits in classes": ({f"{c}/{s}/0.png": PNG for c in "ab" for s in ("train", "test")}, "only a/test/, a/train/"),
    "images alone": ({"0.png": PNG, "1.png": PNG}, "only 0.png, 1.png: put"),
    "one folder": ({"cat/0.png": PNG, "cat/1.png": PNG}, "only cat/: put"),
    "nothing": ({"notes.txt": b"?"}, "only no image at all"),
    "two spellings": (renamed() | {"Train/cat/0.png": PNG}, "has both Train/ and train/"),
    "two data sets": (
        renamed(("train/", "a/train/"), ("test/", "a/test/")) | renamed(("train/", "b/train/"), ("test/", "b/test/")),
        "more than one data set ('a', 'b')",
    ),
    "too few": ({"cat/0.png": PNG, "cat/1.png": PNG, "dog/0.png": PNG}, "only one image in dog/"),
    "other classes": (renamed(("test/dog", "test/bird")), "no images in train/bird/: every split needs"),
    "unlabelled test": (renamed(("test/dog/", "test/"), ("test/cat/", "test/c")), "no images in test/<class>/ or val"),
}  # fmt: skip


@pytest.mark.parametrize("layout", REFUSED)
def test_what_is_not_understood_is_described(tmp_path, layout):
    tree, words = REFUSED[layout]
    for write, name in ((write_folder, "a"), (write_zip, "a.zip")):
        message = error_of(write(tmp_path / name, tree))
        assert (words in message and "<class>/" in message) or (
            words in message and words.startswith(("has both", "more", "no images in train/bird"))
        ), message


def test_imagenet_folders_by_number_name_or_both(tmp_path):
    names = [
        "n01440764 tench",
        "n01443537_goldfish",
        "great_white_shark",
        "Tiger Shark",
        "hammerhead, hammerhead shark",
    ]
    assert imagenet_labels(names) == [0, 1, 2, 3, 4]
    assert imagenet_labels(["cardigan", "Cardigan", "N02123045", "CARDIGAN", "n0144076"]) == [
        *(IMAGENET_CLASSES.index("cardigan"), IMAGENET_CLASSES.index("Cardigan")),
        *(IMAGENET_WNIDS.index("n02123045"), None, None),
    ]
    assert imagenet_labels([str(k) for k in sorted(map(str, range(1000)))])[:3] == [0, 1, 10]
    assert imagenet_labels([str(k) for k in range(10)]) == [None] * 10
    every = [label for label in imagenet_labels(IMAGENET_CLASSES) if label is not None]
    assert every == list(range(1000)) and imagenet_labels(IMAGENET_WNIDS) == every

    def tree(classes):
        return {f"{s}/{c}/0.png": PNG for s in ("train", "val") for c in classes}

    data = load_dataset("imagenet:" + write_folder(tmp_path / "a", tree(["snail", "n01440764 tench"]))[7:])
    assert data.info.classes == IMAGENET_CLASSES and sorted(data.train.labels.tolist()) == [0, 113]
    with pytest.warns(DataWarning, match="1 of 2 folders are called as classes of ImageNet, but my own is not"):
        data = load_dataset("imagenet:" + write_folder(tmp_path / "b", tree(["snail", "my own"]))[7:])
    assert data.info.classes == ("my own", "snail")
    assert load_dataset("imagenet:" + write_folder(tmp_path / "c", tree(["x", "y"]))[7:]).notes == ()
