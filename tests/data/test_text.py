"""Names from outside become one line that pages, headers and terminals take."""

import json
import os

import pytest
from PIL import Image

from camdrop.checkpoints import CheckpointError, Meta, load, save
from camdrop.checkpoints.overrides import read_class_names
from camdrop.data import DataError, load_dataset
from camdrop.data.text import plain_text
from tests.support.checkpoint_files import network
from tests.support.image_folders import image_tree, write_tar, write_zip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("Äpfel 👩‍🚀 猫", "Äpfel 👩‍🚀 猫"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        (os.fsdecode(b"\xff\xfe"), r"\xff\xfe"),
        (os.fsdecode("é".encode() + b"\xe9"), r"é\xe9"),
        ("broken \ud83d json", "broken ? json"),
        ("two\nlines\tand\x00more\x1b[31m", "two lines and more [31m"),
        ("right\u202eleft", "right left"),
        ("  ", ""),
    ],
)
def test_texts(text, shown):
    assert plain_text(text) == shown
    assert plain_text(shown) == shown
    plain_text(text).encode()


def test_names_of_other_bytes_stay_apart():
    assert len({plain_text(os.fsdecode(bytes([97, k]))) for k in range(128, 256)}) == 128


def folder_of_bytes(root, classes):
    for split in (b"train", b"test"):
        for name in classes:
            os.makedirs(os.fsencode(root) + b"/" + split + b"/" + name)
            Image.new("RGB", (8, 8)).save(os.fsdecode(os.fsencode(root) + b"/" + split + b"/" + name + b"/\xe9.png"))


@pytest.mark.parametrize("classes", [(b"caf\xe9", b"dog"), (b"\x93quoted\x94", b"a\x80"), (b"a\nb", "猫".encode())])
def test_classes_of_a_folder_reach_headers_as_text(tmp_path, classes):
    folder_of_bytes(tmp_path / "data", classes)
    data = load_dataset(f"folder:{tmp_path / 'data'}")
    assert sorted(data.info.classes) == sorted(plain_text(os.fsdecode(name)) for name in classes)
    "".join(data.info.classes).encode()
    save(tmp_path / "a.safetensors", network("resnet8", 2, 3), Meta("resnet8", 2, 3, classes=data.info.classes))
    assert load(tmp_path / "a.safetensors").meta.classes == data.info.classes


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_classes_of_an_archive(tmp_path, write):
    odd = "caf\udce9" if write is write_tar else "caf\u202eé"
    path = tmp_path / ("a.tar" if write is write_tar else "a.zip")
    data = load_dataset(write(path, image_tree(classes=(odd, "dog"))))
    assert data.info.classes == (plain_text(odd), "dog")


def test_a_header_from_outside_is_text():
    fields = {"architecture": "resnet8", "num_classes": 2, "in_channels": 3, "dataset": "a\ud800b", "notes": "x\ny\x1b"}
    meta = Meta.from_json(json.dumps(fields | {"classes": ["caf\udce9", "two\nlines"]}))
    assert (meta.classes, meta.dataset, meta.notes) == ((r"caf\xe9", "two lines"), "a?b", "x y")
    meta.to_json().encode()


def test_errors_and_class_files_are_text(tmp_path):
    for error in (DataError("a\udce9\nb"), CheckpointError("a\udce9\nb")):
        assert str(error) == r"a\xe9 b"
    with pytest.raises(CheckpointError, match=r"caf\\xe9\.pth cannot be read"):
        load(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pth"))
    assert read_class_names(json.dumps(["a\udce9", "b\u202e"]).encode(), "x.json") == (r"a\xe9", "b")
