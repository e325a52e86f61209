"""Image files of every kind, and what is none."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from camdrop.data import DataError, fit_image, fit_pixels, gallery, read_image
from tests.support.image_folders import image_bytes, noise_image


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
    path.write_bytes(image_bytes(lying, exif=exif))
    file = io.BytesIO(path.read_bytes())
    file.seek(0, io.SEEK_END)  # as an upload that has been read before
    for source in (path, str(path), path.read_bytes(), file):
        image = read_image(source)
        assert image.size == (2, 4) and image.getpixel((1, 0)) == (255, 255, 255)


def test_broken_exif_does_no_harm():
    assert _pixel(image_bytes(Image.new("RGB", (8, 8), "red"), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk")) == (
        255,
        0,
        0,
    )


def test_palette():
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert _pixel(image_bytes(image)) == (10, 200, 30)
    assert _pixel(image_bytes(image, transparency=1)) == (255, 255, 255)
    assert _pixel(image_bytes(image, "GIF", transparency=1)) == (255, 255, 255)


def test_alpha_is_laid_on_white():
    assert _pixel(image_bytes(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))) == (255, 255, 255)
    assert _pixel(image_bytes(Image.new("RGBA", (2, 2), (100, 0, 0, 51)))) == (224, 204, 204)  # 0.2·colour + 0.8·255
    assert _pixel(image_bytes(Image.new("LA", (2, 2), (0, 51)))) == (204, 204, 204)
    assert _pixel(image_bytes(Image.new("RGB", (2, 2), (9, 9, 9)), transparency=(9, 9, 9))) == (255, 255, 255)


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (256, 1), (32768, 128), (51400, 200), (65535, 255)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind, value, grey):
    assert _pixel(image_bytes(Image.fromarray(np.full((2, 2), value, np.uint16)), kind)) == (grey,) * 3


def test_other_grey_depths():
    assert _pixel(image_bytes(Image.new("1", (2, 2), 1))) == (255, 255, 255)
    assert _pixel(image_bytes(Image.fromarray(np.full((2, 2), 0.5, np.float32)), "TIFF")) == (128, 128, 128)
    wide = read_image(image_bytes(Image.fromarray(np.array([[-100, 0, 100]], np.int32)), "TIFF"))
    assert [wide.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]
    flat = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    assert _pixel(image_bytes(flat, "TIFF")) == (0, 0, 0)


def test_cmyk_and_animation():
    assert _pixel(image_bytes(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")) == (255, 0, 0)
    red, green, blue = _pixel(image_bytes(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert red > 245 and green < 10 and blue < 10
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("blue", "red", "lime")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        lossless = {"lossless": True} if kind == "WEBP" else {}
        assert _pixel(image_bytes(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)) == (0, 0, 255)


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


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_a_file_cut_short_gets_a_sentence(kind):
    whole = image_bytes(noise_image(), kind)
    read_image(whole)
    with pytest.raises(DataError, match=r"^The image is damaged or cut short: choose another file"):
        read_image(whole[: len(whole) // 2])


def test_random_damage_is_read_or_refused_with_a_sentence():
    rng = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF"):
        whole = np.frombuffer(image_bytes(noise_image(), kind), np.uint8)
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


def test_fit_image_cuts_the_centre_and_keeps_what_fits():
    wide = Image.new("RGB", (30, 10), "red")
    wide.paste((0, 0, 255), (10, 0, 20, 10))
    assert (fit_image(wide, 3, 4) == torch.tensor([0, 0, 255], dtype=torch.uint8).view(3, 1, 1)).all()
    noise = noise_image()
    assert torch.equal(fit_image(noise, 3, 32), torch.from_numpy(np.array(noise)).permute(2, 0, 1))
    assert fit_image(Image.new("RGB", (9, 9), (255, 0, 0)), 1, 5).flatten().unique().tolist() == [76]  # 0.299·255
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    assert abs(fit_image(stripes, 1, 8).float() - 127.5).max() < 16  # antialiased: no stripe survives
    with pytest.raises(ValueError, match="channels=2"):
        fit_image(noise, 2, 8)


def test_pixels_are_fitted_to_channels_and_size():
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 8)
    grey = fit_pixels(red, 1, 28)
    assert grey.shape == (1, 28, 28) and grey.unique().tolist() == [76]  # 0.299 · 255
    colour = fit_pixels(grey, 3, 32)
    assert colour.shape == (3, 32, 32) and colour.unique().tolist() == [76] and colour.dtype == torch.uint8
    batch = gallery("cifar10")[0].images
    assert torch.equal(fit_pixels(batch, 3, 32), batch) and torch.equal(fit_pixels(batch, 3, None), batch)
