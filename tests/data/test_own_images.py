"""A folder or an archive of one's own images: what becomes of its folders, its odd files, and its size."""

import io
import tarfile
import zipfile

import pytest
import torch
from PIL import Image

from camdrop.data import DataError
from camdrop.data.own_images import UNKNOWN, own_title, read_own_images

RED, BLUE = (250, 0, 0), (0, 0, 250)


def png(colour=RED, size=(20, 16), kind="PNG"):
    Image.new("RGB", size, colour).save(file := io.BytesIO(), kind)
    return file.getvalue()


def archive(files):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return buffer.getvalue()


LAYOUTS = {
    "two folders": (["cat/1.png", "dog/1.png", "dog/2.png"], ("cat", "dog"), [0, 1, 1]),
    "one deeper": (["photos/cat/1.png", "photos/dog/1.png"], ("cat", "dog"), [0, 1]),
    "splits": (["train/cat/1.png", "train/dog/1.png", "val/cat/1.png"], ("cat", "dog"), [0, 1, 0]),
    "none": (["a.png", "b.png"], (UNKNOWN,), [0, 0]),
    "one folder": (["photos/a.png", "photos/b.png"], (UNKNOWN,), [0, 0]),
    "some": (["a.png", "cat/1.png", "übung/1.png"], ("cat", "übung", UNKNOWN), [2, 0, 1]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_are_classes_where_there_are_any(tmp_path, layout):
    names, classes, labels = LAYOUTS[layout]
    files = {name: png(BLUE if "dog" in name else RED) for name in names} | {"notes.txt": b"x", "cat/bad.png": b"x"}
    for name, data in files.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_bytes(data)
    (tmp_path / "own.zip").write_bytes(archive(files))
    with tarfile.open(tmp_path / "own.tar.gz", "w:gz") as target:
        target.add(tmp_path / "own", "")
    sets = [read_own_images(tmp_path / name) for name in ("own", "own.zip", "own.tar.gz")]
    sets.append(read_own_images(tmp_path / "own.zip", (tmp_path / "own.zip").read_bytes()))
    for split, info, notes in sets:
        assert (info.classes, split.labels.tolist(), info.size) == (classes, labels, 16)
        assert torch.equal(split.images, sets[0].split.images) and split.images.shape[1:] == (3, 16, 16)
        assert len(notes) == 1 and "2 files were left out" in notes[0] and "notes.txt" in notes[0]
    assert [own_title(s.info) for s in sets] == ["own", "own.zip", "own.tar.gz", "own.zip"]


def test_many_images_are_thinned_out_evenly(monkeypatch):
    monkeypatch.setattr("camdrop.data.own_images._MOST", 5)
    files = {f"{'cat' if k < 10 else 'dog'}/{k:02}.png": png() for k in range(20)}
    split, info, notes = read_own_images(path("a.zip"), archive(files))
    assert split.labels.tolist() == [0, 0, 0, 1, 1] and notes == ("Of 20 images every 4th was taken.",)
    other = read_own_images(path("a.zip"), archive({"x/1.png": png(BLUE), "y/1.png": png()}))
    assert other.info.name != info.name  # so that what is kept of one is not taken for the other's


def path(name):
    from pathlib import Path

    return Path(name)


def test_what_cannot_be_read_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("camdrop.data.own_images._BYTES", 1000)
    (tmp_path / "empty").mkdir()
    for source, words in (
        ((tmp_path / "none",), "There is no folder or archive"),
        ((tmp_path / "empty",), "holds no images: choose a folder"),
        ((path("a.zip"), b"PK nonsense"), r"a\.zip cannot be read as an archive"),
        ((path("a.zip"), archive({"a.png": b"x"})), "none that can be read"),
        ((path("a.zip"), archive({"a.bmp": png(size=(99, 99), kind="BMP")})), "of images: unpack it"),
    ):
        with pytest.raises(DataError, match=words):
            read_own_images(*source)
