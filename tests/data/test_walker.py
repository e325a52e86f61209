"""Which files are images: one answer for data sets and export, and no file is left out in silence."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from camdrop.analysis.heatmap_export import export, open_viewer
from camdrop.data import DataError, DataWarning, load_dataset, read_image
from camdrop.data.walker import left_out_sentence, walk
from tests.support.command import run
from tests.support.image_folders import error_of, image_bytes, image_tree, write_folder, write_tar, write_zip

CHECKPOINT = "checkpoints/fashion-resnet8-camdrop.safetensors"
GREY = Image.new("L", (28, 28), 40)
JPEG, PNG, WEBP, BMP, GIF, TIFF = (image_bytes(GREY, kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"))

READ = {  # by suffix, or by content
    "a.jfif": JPEG,
    "b.JPE": JPEG,
    "c.JPEG": JPEG,
    "d.apng": PNG,
    "e.dib": image_bytes(GREY, "DIB"),
    "f.pnm": image_bytes(GREY, "PPM"),
    "g": JPEG,
    "h.jpg_large": JPEG,
    "i.png.bak": PNG,
    "j.download": WEBP,
    "k.1": GIF,
    "l.bitmap": BMP,
    "m.tiff": TIFF,
    "no suffix, but a point.": PNG,
}
if features.check("avif"):
    READ |= {"n.avif": image_bytes(GREY, "AVIF"), "o": image_bytes(GREY, "AVIF"), "p.AVIF": image_bytes(GREY, "AVIF")}
HEIC = b"\0\0\0\x18ftypheic" + bytes(100)
LEFT_OUT = {
    "labels.csv": b"a,b\n",
    "BMW.txt": b"BM is how it begins",
    "notes": b"",
    "photo.heic": HEIC,
    "picture": HEIC,
    "drawing.svg": b"<svg/>",
    "._a.png": b"mac",
    ".ipynb_checkpoints/a-checkpoint.png": PNG,
    ".hidden.jpg": JPEG,
    "@eaDir/a.jpg": JPEG,
    "Thumbs.db": JPEG,
}


def tree():
    places = [f"{split}/{c}" for split in ("train", "test") for c in ("cat", "dog")]
    wanted = {f"{place}/{name}": data for place in places for name, data in READ.items()}
    return wanted, {f"train/dog/{name}": data for name, data in LEFT_OUT.items()} | {"test/lost.png": PNG}


@pytest.mark.parametrize("pack", ["folder", "tar", "zip"])
def test_a_data_set_has_all_images_and_names_the_rest(tmp_path, pack):
    wanted, rest = tree()
    write = {"folder": write_folder, "tar": write_tar, "zip": write_zip}[pack]
    spec = write(tmp_path / ("pets" if pack == "folder" else f"pets.{pack}"), rest | wanted)
    words = f"pets.*: {len(rest)} files were left out, being no images, .*: test/lost.png, "
    with pytest.warns(DataWarning, match=words) as heard:
        data = load_dataset(spec)
    assert (len(data.train), len(data.test)) == (2 * len(READ), 2 * len(READ))
    assert data.left_out == tuple(sorted(rest)) and len(heard) == 1
    assert (data.train.images[:, 0].float().mean((1, 2)) - 40).abs().max() <= 3  # lossy ones too


def test_nothing_is_said_where_nothing_is_left_out(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_dataset(write_folder(tmp_path, image_tree() | {"README.md": b"#"})).left_out == ()


def test_splits_and_folders_that_are_not_read_are_named(tmp_path):
    more = image_tree(held_out="val") | {"extra/cat/0.png": PNG, "cover.png": PNG, "train/cat/deep/1.png": PNG}
    with pytest.warns(DataWarning, match="9 files were left out"):
        data = load_dataset(write_folder(tmp_path, image_tree() | more))
    assert set(data.left_out) == {
        *("extra/", "cover.png", "train/cat/deep/1.png"),
        *(f"val/{c}/{i}.png" for c in ("cat", "dog") for i in range(3)),
    }


def test_export_reads_the_same_files(tmp_path, capsys, monkeypatch):
    folder, out = tmp_path / "images", tmp_path / "out"
    write_folder(folder, {f"deep/{name}": data for name, data in (READ | LEFT_OUT).items()})
    exported = export(open_viewer(CHECKPOINT), folder, out)
    assert exported.done == len(READ) and exported.failed == []
    assert sorted(exported.left_out) == sorted(f"deep/{name}" for name in LEFT_OUT)
    made = {str(p.relative_to(out / "deep")) for p in out.rglob("*.png")}
    assert made == {f"{name}.png" for name in READ}
    images, left_out = walk(folder)
    assert ([p.name for p in images], left_out) == (sorted(READ), exported.left_out)
    assert run(monkeypatch, "export", CHECKPOINT, folder, "--out", out, "--device", "cpu") == 0
    said = capsys.readouterr()
    assert f"{len(LEFT_OUT)} files were left out" in said.err and "deep/._a.png" in said.err
    assert said.out.startswith(f"{out}: 0 heatmaps, {len(READ)} were there")


def test_the_command_line_says_it_in_a_line(tmp_path, capsys, monkeypatch):
    tree = image_tree(size=28, mode="L", classes=tuple("0123456789"), n=1) | {"test/3/note.txt": b"?"}
    spec = write_folder(tmp_path / "digits", tree)
    assert run(monkeypatch, "evaluate", CHECKPOINT, "--data", spec, "--device", "cpu") == 0
    words = "1 file was left out, being no images, or in no place for them: test/3/note.txt\n"
    assert f"camdrop: digits: {words}" in capsys.readouterr().err


def test_links_are_followed_once(tmp_path):
    write_folder(tmp_path / "store", {"0.png": PNG})
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "data" / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / split / name).symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "store" / "again").symlink_to(tmp_path / "store", target_is_directory=True)
    data = load_dataset(f"folder:{tmp_path / 'data'}")
    assert (len(data.train), len(data.test)) == (2, 2)
    assert [p.name for p in walk(tmp_path / "store")[0]] == ["0.png"]


def test_out_is_skipped_however_it_is_written(tmp_path, monkeypatch):
    write_folder(tmp_path / "in", {"a.png": PNG, "heat/b.png": PNG})
    monkeypatch.chdir(tmp_path)
    for out in ("in/heat", "in/../in/heat", str(tmp_path / "in" / "heat")):
        assert [p.name for p in walk(Path("in"), skip=Path(out))[0]] == ["a.png"]


def test_images_that_are_none_stay_an_error(tmp_path):
    """A name that says image is believed: what is damaged must not vanish."""
    tree = image_tree() | {"train/cat/x.jfif": b"<html>"}
    assert "x.jfif is not an image" in error_of(write_folder(tmp_path, tree))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_an_image_like_others():
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    image = read_image(image_bytes(Image.fromarray(pixels).resize((64, 64)), "AVIF", quality=100))
    assert (image.mode, image.size) == ("RGB", (64, 64))
    with pytest.raises(DataError, match=r"damaged or cut short|not an image"):
        read_image(image_bytes(Image.fromarray(pixels), "AVIF")[:200])


def test_the_sentence():
    assert left_out_sentence("x", []) == ""
    assert left_out_sentence("x", ["a", "b"]).startswith("x: 2 files were left out, being no images, or in no place")
    assert left_out_sentence("x", list("abcde")).endswith(": a, b, c and 2 more")
    assert left_out_sentence("x", [os.fsdecode(b"caf\xe9\n.txt")]).endswith(": caf\\xe9 .txt")
