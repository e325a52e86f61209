import gzip
import hashlib
import http.server
import importlib.util
import io
import socket
import struct
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.data import (
    INFO,
    DataError,
    Split,
    fit_image,
    fit_pixels,
    folders,
    gallery,
    images,
    load_dataset,
    normalise,
    read_image,
)
from camdrop.data.streaming import FileSplit

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


# Image files


def _file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _pixel(data: bytes) -> tuple[int, ...]:
    image = read_image(data)
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_exif_rotation_is_applied_and_path_bytes_and_file_agree(tmp_path):
    lying = Image.new("RGB", (4, 2), "black")
    lying.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    path = tmp_path / "turned.png"
    path.write_bytes(_file(lying, exif=exif))
    file = io.BytesIO(path.read_bytes())
    file.seek(0, io.SEEK_END)  # as an upload that has been read before
    for source in (path, str(path), path.read_bytes(), file):
        image = read_image(source)
        assert image.size == (2, 4) and image.getpixel((1, 0)) == (255, 255, 255)


def test_broken_exif_does_no_harm():
    assert _pixel(_file(Image.new("RGB", (8, 8), "red"), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk")) == (
        255,
        0,
        0,
    )


def test_palette():
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert _pixel(_file(image)) == (10, 200, 30)
    assert _pixel(_file(image, transparency=1)) == (255, 255, 255)
    assert _pixel(_file(image, "GIF", transparency=1)) == (255, 255, 255)


def test_alpha_is_laid_on_white():
    assert _pixel(_file(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))) == (255, 255, 255)
    assert _pixel(_file(Image.new("RGBA", (2, 2), (100, 0, 0, 51)))) == (224, 204, 204)  # 0.2·colour + 0.8·255
    assert _pixel(_file(Image.new("LA", (2, 2), (0, 51)))) == (204, 204, 204)
    assert _pixel(_file(Image.new("RGB", (2, 2), (9, 9, 9)), transparency=(9, 9, 9))) == (255, 255, 255)


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (256, 1), (32768, 128), (51400, 200), (65535, 255)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind, value, grey):
    assert _pixel(_file(Image.fromarray(np.full((2, 2), value, np.uint16)), kind)) == (grey,) * 3


def test_other_grey_depths():
    assert _pixel(_file(Image.new("1", (2, 2), 1))) == (255, 255, 255)
    assert _pixel(_file(Image.fromarray(np.full((2, 2), 0.5, np.float32)), "TIFF")) == (128, 128, 128)
    wide = read_image(_file(Image.fromarray(np.array([[-100, 0, 100]], np.int32)), "TIFF"))
    assert [wide.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]
    flat = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    assert _pixel(_file(flat, "TIFF")) == (0, 0, 0)


def test_cmyk_and_animation():
    assert _pixel(_file(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")) == (255, 0, 0)
    red, green, blue = _pixel(_file(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert red > 245 and green < 10 and blue < 10
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("blue", "red", "lime")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        lossless = {"lossless": True} if kind == "WEBP" else {}
        assert _pixel(_file(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)) == (0, 0, 255)


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims any size in a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [7_100, 10_000, 60_000])  # past our limit, past Pillow's warning, past Pillow's limit
def test_decompression_bomb(side, recwarn):
    with pytest.raises(DataError, match=r"too large.*50 million pixels"):
        read_image(_png_header(side, side))
    assert not recwarn.list


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_a_file_cut_short_gets_a_sentence(kind):
    whole = _file(_noise(), kind)
    read_image(whole)
    with pytest.raises(DataError, match=r"^The image is damaged or cut short: choose another file"):
        read_image(whole[: len(whole) // 2])


def test_random_damage_is_read_or_refused_with_a_sentence():
    rng = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF"):
        whole = np.frombuffer(_file(_noise(), kind), np.uint8)
        for _ in range(40):
            bad = whole.copy()
            bad[rng.integers(0, len(bad), 8)] = rng.integers(0, 256, 8)
            try:
                assert read_image(bad.tobytes()).mode == "RGB"
            except DataError as error:
                assert str(error).count("\n") == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"<html>not an image</html>", "is not an image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),  # would start Ghostscript
    ],
)
def test_what_is_no_image(content, sentence, tmp_path):
    with pytest.raises(DataError, match=sentence):
        read_image(content)
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"picture.png {sentence}"):
        read_image(path)


def test_a_missing_image_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png cannot be read: No such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_image(tmp_path)


def test_pixels_are_fitted_to_channels_and_size():
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 8)
    grey = fit_pixels(red, 1, 28)
    assert grey.shape == (1, 28, 28) and grey.unique().tolist() == [76]  # 0.299 · 255
    colour = fit_pixels(grey, 3, 32)
    assert colour.shape == (3, 32, 32) and colour.unique().tolist() == [76] and colour.dtype == torch.uint8
    batch = gallery("cifar10")[0].images
    assert torch.equal(fit_pixels(batch, 3, 32), batch) and torch.equal(fit_pixels(batch, 3, None), batch)


def test_fit_image_cuts_the_centre_and_keeps_what_fits():
    wide = Image.new("RGB", (30, 10), "red")
    wide.paste((0, 0, 255), (10, 0, 20, 10))
    assert (fit_image(wide, 3, 4) == torch.tensor([0, 0, 255], dtype=torch.uint8).view(3, 1, 1)).all()
    noise = _noise()
    assert torch.equal(fit_image(noise, 3, 32), torch.from_numpy(np.array(noise)).permute(2, 0, 1))
    assert fit_image(Image.new("RGB", (9, 9), (255, 0, 0)), 1, 5).flatten().unique().tolist() == [76]  # 0.299·255
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    assert abs(fit_image(stripes, 1, 8).float() - 127.5).max() < 16  # antialiased: no stripe survives
    with pytest.raises(ValueError, match="channels=2"):
        fit_image(noise, 2, 8)


# Folders and archives


def _tree(
    size: int = 8, mode: str = "RGB", classes: tuple[str, ...] = ("cat", "dog"), held_out: str = "test", n: int = 3
):
    """Paths and contents of a small data set; image i of class k is flat, of value 20 k + i + 1 (+ 100 if held out)."""
    return {
        f"{split}/{name}/{i}.png": _file(Image.new("L", (size, size), 20 * k + i + 1 + offset).convert(mode))
        for split, offset in (("train", 0), (held_out, 100))
        for k, name in enumerate(classes)
        for i in range(n)
    }


def _folder(root: Path, tree: dict[str, bytes]) -> str:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return f"folder:{root}"


def _tar(path: Path, tree: dict[str, bytes], mode: str = "w") -> str:
    with tarfile.open(path, mode) as archive:
        for name, content in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return f"folder:{path}"


def _zip(path: Path, tree: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return f"folder:{path}"


def test_folder(tmp_path):
    data = load_dataset(_folder(tmp_path / "pets", _tree()))
    assert data.info.name == "pets" and data.info.classes == ("cat", "dog")
    assert (data.info.channels, data.info.size) == (3, 8)
    assert data.train.images.shape == (6, 3, 8, 8) and data.train.images.dtype == torch.uint8
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.images[:, 1, 0, 0].tolist() == [1, 2, 3, 21, 22, 23]
    assert data.test.images[:, 2, 7, 7].tolist() == [101, 102, 103, 121, 122, 123]
    values = np.array([1, 2, 3, 21, 22, 23]) / 255  # of the training images only
    assert data.info.mean == pytest.approx([values.mean()] * 3) and data.info.std == pytest.approx([values.std()] * 3)


def test_grey_folder_has_one_channel_and_one_colour_image_makes_three(tmp_path):
    tree = _tree(mode="L", held_out="val")
    data = load_dataset(_folder(tmp_path / "grey", tree))
    assert data.info.channels == 1 and data.test.images.shape == (6, 1, 8, 8) and len(data.info.mean) == 1
    tree["val/dog/2.png"] = _file(Image.new("RGB", (8, 8), (1, 2, 3)))
    data = load_dataset(_folder(tmp_path / "mixed", tree))
    assert data.info.channels == 3 and data.train.images[5, :, 0, 0].tolist() == [23, 23, 23]
    assert data.test.images[5, :, 0, 0].tolist() == [1, 2, 3]


def test_folder_images_are_fitted_to_the_first_or_to_size(tmp_path):
    tree = _tree() | {"train/dog/0.png": _file(Image.new("RGB", (40, 20), (21, 21, 21)))}
    spec = _folder(tmp_path, tree)
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
    held = load_dataset(_folder(tmp_path / "held", _tree(size=224, n=1)))
    assert held.info.size == 224 and held.train.images.shape == (2, 3, 224, 224) and isinstance(held.train, Split)
    data = load_dataset(_folder(tmp_path / "files", _tree(size=225, n=1)))
    assert data.info.size == 224 and data.train.images.shape == (2, 3, 224, 224) and isinstance(data.train, FileSplit)


def test_known_data_sets_are_recognised(tmp_path):
    cifar = _tree(size=32, classes=INFO["cifar10"].classes, n=1)
    assert load_dataset(_folder(tmp_path / "a", cifar)).info == INFO["cifar10"]
    mnist = _tree(size=28, mode="L", classes=INFO["mnist"].classes, n=1)
    assert load_dataset(_folder(tmp_path / "b", mnist)).info == INFO["mnist"]
    assert (
        load_dataset(_folder(tmp_path / "c", _tree(size=32, mode="L", classes=INFO["mnist"].classes, n=1))).info.name
        == "c"
    )


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("top", ["", "./", "pets/", "some/where/"])
def test_archive_equals_folder_and_leaves_nothing_behind(tmp_path, suffix, top):
    tree = _tree() | {
        "train/cat/notes.txt": b"?",
        "README.md": b"#",
        "train/dog/._0.png": b"mac",
        "__MACOSX/train/cat/0.png": b"",
    }
    backwards = {top + name: content for name, content in reversed(tree.items())}
    path = tmp_path / "packed" / f"pets{suffix}"
    path.parent.mkdir()
    mode = {".tar": "w", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    spec = _zip(path, backwards) if suffix == ".zip" else _tar(path, backwards, mode)
    packed, plain = load_dataset(spec), load_dataset(_folder(tmp_path / "pets", tree))
    assert packed.info == plain.info
    for a, b in ((packed.train, plain.train), (packed.test, plain.test)):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    assert list(path.parent.iterdir()) == [path]


def test_hostile_paths_in_archives_only_name_classes(tmp_path):
    outside = tmp_path / "in" / "deep"
    outside.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for top in ("../../", "/", "/etc/"):
        tree = {top + name: content for name, content in _tree().items()}
        assert len(load_dataset(_tar(outside / "a.tar", tree)).train) == 6
        assert len(load_dataset(_zip(outside / "a.zip", tree)).train) == 6
        (outside / "a.tar").unlink(), (outside / "a.zip").unlink()
    assert sorted(tmp_path.rglob("*")) == before
    spec = _tar(outside / "a.tar", _tree() | {"train/../0.png": b"", "../x/train/cat/9.png": b""})
    with pytest.raises(DataError, match="more than one data set"):
        load_dataset(spec)


def test_links_in_archives_are_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(_file(Image.new("RGB", (8, 8), "white")))
    path = tmp_path / "a.tar"
    spec = _tar(path, _tree())
    with tarfile.open(path, "a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"train/cat/z{kind!r}.png")
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
    assert load_dataset(spec).train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 21, 22, 23]


def test_an_archive_that_unpacks_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_ARCHIVE_BYTES", 1 << 20)
    tree = _tree() | {"train/cat/bomb.png": bytes(1 << 20)}
    for spec in (_tar(tmp_path / "a.tar.gz", tree, "w:gz"), _zip(tmp_path / "a.zip", tree)):
        with pytest.raises(DataError, match="unpack it, and give the folder"):
            load_dataset(spec)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty", "flipped"])
def test_damaged_archives(tmp_path, suffix, damage):
    path = tmp_path / f"a{suffix}"
    noise = {f"{split}/a/{i}.png": _file(_noise()) for split in ("train", "test") for i in range(5)}
    mode = {".tar": "w", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    spec = _zip(path, noise) if suffix == ".zip" else _tar(path, noise, mode)
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


def _error(spec: str) -> str:
    with pytest.raises(DataError) as error:
        load_dataset(spec)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    return str(error.value)


def test_errors_of_folders_are_one_sentence(tmp_path):
    assert "has no images in train/<class>/" in _error(_folder(tmp_path / "empty", {"train/note.txt": b""}))
    test_only = {name: content for name, content in _tree().items() if name.startswith("test")}
    spec = _folder(tmp_path / "test-only", test_only)
    assert "has no images in train/<class>/" in _error(spec)
    assert len(load_dataset(spec, splits=("test",)).test) == 6
    train_only = {name: content for name, content in _tree().items() if name.startswith("train")}
    assert "has no images in test/<class>/ or val/<class>/" in _error(_folder(tmp_path / "train-only", train_only))
    differ = {name: content for name, content in _tree().items() if not name.startswith("test/dog")}
    assert "has no images in test/dog/: every split needs the same classes" in _error(
        _folder(tmp_path / "differ", differ)
    )
    corrupt = _tree() | {"train/dog/1.png": _file(_noise())[:300]}
    assert "corrupt/train/dog/1.png is damaged or cut short" in _error(_folder(tmp_path / "corrupt", corrupt))
    assert "pets.zip/test/cat/0.png is empty" in _error(_zip(tmp_path / "pets.zip", _tree() | {"test/cat/0.png": b""}))
    assert "There is no folder or archive" in _error(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "notes.txt").write_text("x")
    assert "is neither a folder nor an archive" in _error(f"folder:{tmp_path / 'notes.txt'}")


def test_unknown_data_set_lists_the_known():
    assert _error("cifar100").endswith(
        "choose one of fashion-sample, fashion-mnist, mnist, cifar10, folder:DIR, imagenet:DIR."
    )


def test_folder_progress_ends_at_one(tmp_path):
    seen: list[tuple[str, float]] = []
    load_dataset(_folder(tmp_path, _tree()), progress=lambda text, share: seen.append((text, share)))
    assert seen == [("Reading 6 images", 1.0), ("Reading 6 images", 1.0)]


# torchvision's data sets, against a server of our own


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mirror(monkeypatch) -> Iterator[dict[str, bytes]]:
    """Four tiny files of MNIST on a local server, which torchvision's reader is told to use after one that has none."""
    from torchvision.datasets import MNIST

    rng = np.random.default_rng(0)
    files = {}
    for split, n in (("train", 5), ("t10k", 3)):
        files[f"{split}-images-idx3-ubyte.gz"] = gzip.compress(_idx(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)))
        files[f"{split}-labels-idx1-ubyte.gz"] = gzip.compress(_idx(np.arange(n, dtype=np.uint8)))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path.removeprefix("/good/"))
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
    monkeypatch.setattr(MNIST, "mirrors", [f"{address}/bad/", f"{address}/good/"])
    monkeypatch.setattr(MNIST, "resources", sums)
    yield files
    server.shutdown()
    server.server_close()


def _no_network(monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_download_with_progress_then_without_network(mirror, tmp_path, monkeypatch, capfd):
    shares: list[float] = []
    data = load_dataset("mnist", root=tmp_path, progress=lambda text, share: shares.append(share))
    assert data.train.images.shape == (5, 1, 28, 28) and data.test.labels.tolist() == [0, 1, 2]
    assert data.train.images.dtype == torch.uint8 and data.train.labels.dtype == torch.int64
    expected = np.frombuffer(gzip.decompress(mirror["t10k-images-idx3-ubyte.gz"]), np.uint8, -1, 16)
    assert data.test.images.flatten().tolist() == expected.tolist()
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert capfd.readouterr() == ("", "")
    _no_network(monkeypatch)
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    assert torch.equal(load_dataset("mnist", splits=("test",)).test.images, data.test.images)


@pytest.mark.parametrize("spec", ["fashion-mnist", "mnist", "cifar10"])
def test_without_network_one_sentence_names_the_alternatives(spec, tmp_path, monkeypatch, capfd):
    _no_network(monkeypatch)
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    message = _error(spec)
    assert message.startswith(f"{spec} is not in {tmp_path} and cannot be downloaded (no network:")
    assert "fashion-sample" in message and "folder:DIR" in message
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")


def test_a_server_that_fails_or_sends_something_else(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    content = mirror["t10k-labels-idx1-ubyte.gz"]
    mirror["t10k-labels-idx1-ubyte.gz"] = content[:-1]
    assert "what the server sent is damaged" in _error("mnist")
    del mirror["t10k-labels-idx1-ubyte.gz"]
    assert "the server says 404 Not Found" in _error("mnist")
    mirror["t10k-labels-idx1-ubyte.gz"] = content
    assert len(load_dataset("mnist").train) == 5


def test_damaged_files_in_the_root(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    load_dataset("mnist")
    (tmp_path / "MNIST/raw/t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    assert f"The files of mnist in {tmp_path} are damaged" in _error("mnist")


def test_a_root_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path / "file"))
    assert "set CAMDROP_DATA to a folder" in _error("mnist")
