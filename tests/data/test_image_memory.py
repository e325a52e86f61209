"""What an image takes is bounded at every step, whatever its shape and its kind."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from camdrop.checkpoints import CheckpointError, Meta
from camdrop.data import fit_image, images, load_dataset, read_image
from camdrop.data.folders import ImageFile
from camdrop.data.streaming import Reader
from tests.support.image_folders import image_bytes, write_folder

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of a process")
STRIPS = [(60_000, 2), (2, 60_000), (400_000, 1), (1, 50_000), (30_000, 40)]

MEASURE = """
import re, sys, torch
from pathlib import Path
from camdrop.data.folders import ImageFile
from camdrop.data import read_image, fit_image
from camdrop.data.streaming import Reader
how, *paths = sys.argv[1:]
read = Reader("fit" if how == "app" else how)
small = Path(paths[0]).with_name("small.png")
def run(path):
    if how == "app":
        return fit_image(read_image(path), 3, 224)
    images = read.__getitems__([(ImageFile("x", 0, path), 0)])
    assert not isinstance(images, str), images
run(small)  # all that is imported
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
for path in paths:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts over from what is in use now
    before = peak()
    run(Path(path))
    print((peak() - before) / 1024)
"""


def megabytes(how, *paths):
    image = Image.new("RGB", (300, 300))
    image.save(paths[0].with_name("small.png"))
    done = subprocess.run([sys.executable, "-c", MEASURE, how, *paths], capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


@linux
@pytest.mark.slow
@pytest.mark.parametrize("how", ["fit", "crop", "app"])
def test_strips_take_little(tmp_path, how):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, size in zip(paths, STRIPS[:3], strict=True):
        Image.new("RGB", size, (9, 90, 200)).save(path)
    assert max(megabytes(how, *paths)) < 60


LARGE = {  # at nearly 50 million pixels
    "RGB": lambda path: Image.new("RGB", (7000, 7000), (9, 90, 200)).save(path / "a.png", compress_level=1),
    "transparent": lambda path: Image.new("RGBA", (7000, 7000), (9, 90, 200, 99)).save(
        path / "a.png", compress_level=1
    ),
    "deep grey": lambda path: Image.fromarray(np.full((7000, 7000), 300, np.uint16)).save(path / "a.png"),
    "floating": lambda path: Image.fromarray(np.full((7000, 7000), 0.5, np.float32)).save(path / "a.tiff"),
    "JPEG": lambda path: Image.new("RGB", (7000, 7000), (9, 90, 200)).save(path / "a.jpg"),
}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGE)
def test_the_largest_images_take_little_more_than_their_pixels(tmp_path, kind):
    LARGE[kind](tmp_path)
    (path,) = tmp_path.glob("a.*")
    assert megabytes("app", path)[0] < (40 if kind == "JPEG" else 210)  # Pillow keeps 4 bytes a pixel: 187


@pytest.mark.parametrize("how", ["fit", "crop", "mirror"])
@pytest.mark.parametrize("size", STRIPS)
def test_strips_are_read(size, how):
    data = image_bytes(Image.new("RGB", size, (9, 90, 200)))
    pictures, labels = Reader(how).__getitems__([(ImageFile("strip.png", 3, data), 7)])
    assert pictures.shape == (1, 3, 224, 224) and labels.tolist() == [3]
    assert (pictures == torch.tensor([9, 90, 200]).view(1, 3, 1, 1)).all()
    assert fit_image(read_image(data), 3, 224).shape == (3, 224, 224)


def test_the_centre_of_a_strip_is_what_counts():
    strip = np.zeros((40, 4000, 3), np.uint8)
    strip[:, 1900:2100] = 200
    pictures, _ = Reader("fit").__getitems__([(ImageFile("x", 0, image_bytes(Image.fromarray(strip))), 0)])
    assert (pictures == 200).all()
    usual = np.random.default_rng(0).integers(0, 255, (240, 900, 3), dtype=np.uint8)  # up to 4 : 1 all is as before
    whole, _ = Reader("fit").__getitems__([(ImageFile("x", 0, image_bytes(Image.fromarray(usual))), 0)])
    expected = v2.Compose([v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor()])(Image.fromarray(usual))
    assert torch.equal(whole[0], expected)


def test_a_data_set_of_strips(tmp_path):
    tree = {
        f"{split}/{c}/{i}.png": image_bytes(Image.new("RGB", size))
        for split in ("train", "test")
        for c in ("cat", "dog")
        for i, size in enumerate(((60_000, 3), (300, 300)))
    }
    assert load_dataset(write_folder(tmp_path, tree)).train.images.shape == (4, 3, 3, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "I;16", "F", "LA"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_large_image_is_the_small_one_at_a_quarter_of_its_size(monkeypatch, mode, orientation):
    values = np.random.default_rng(0).integers(0, 255, (602, 1000), dtype=np.uint8)
    if mode in ("I;16", "F"):
        image = Image.fromarray(values.astype(np.uint16) * 257 if mode == "I;16" else values.astype(np.float32) / 255)
    else:
        image = Image.fromarray(np.stack([values, values.T.reshape(602, 1000), 255 - values], -1)).convert(mode)
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.fromarray(values))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = image_bytes(image, "TIFF" if mode == "F" else "PNG", exif=exif)
    expected = read_image(data).reduce(4)
    monkeypatch.setattr(images, "_LARGE", 10_000)
    monkeypatch.setattr(images, "_ROWS", 64)
    quartered = read_image(data)
    assert quartered.size == expected.size
    inside = (slice(1, -1), slice(1, -1))  # the last row is half a pixel, on which side depends on the turn
    if orientation == 1:
        apart = np.asarray(quartered, int)[inside] - np.asarray(expected, int)[inside]
        assert np.abs(apart).max() <= 1


def test_the_size_of_a_header_is_bounded():
    for size in (0, 4097, 10**9):
        with pytest.raises(CheckpointError, match=f"image_size must be at least 1 and at most 4096, got {size}"):
            Meta("resnet8", 10, 3, image_size=size)
