"""Image files and pixels: upright, on white, in 8 bits, with the channels and size that a network takes."""

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from camdrop.data.text import plain_text
from camdrop.data.walker import optional_formats

Source = str | Path | bytes | BinaryIO

# A closed list: Pillow's other readers are seldom needed, and some of them pass the file to another program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
_LARGE = 12_500_000  # pixels from which an image is reduced while it is read, so that it takes little memory
_REDUCED = 4  # times in width and height: at 50 million pixels enough is left of it
_ROWS = 64  # of a large image at once
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation


class DataError(ValueError):
    """Data that cannot be used; the message is one line that says what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(plain_text(message))


def read_image(source: Source) -> Image.Image:
    """Read an image file into an upright 8-bit RGB image.

    EXIF rotation is applied, transparency becomes white, 16-bit and floating-point grey are scaled to 8 bits, CMYK and
    palettes become RGB, and an animation is reduced to its first frame. An image of more than 12.5 million pixels comes
    at a quarter of its width and height, which keeps its memory at some 200 MB.

    Args:
        source: a path, the bytes of a file, or a binary file object (read from its start).

    Raises:
        DataError: the file is missing, empty, damaged or not an image, or has more than 50 million pixels.
    """
    return open_image(source).convert("RGB")


def open_image(source: Source, name: str | None = None) -> Image.Image:
    """As `read_image`, but a grey image stays grey (mode L); messages call the file `name`."""
    if isinstance(source, str | Path):
        try:
            with open(source, "rb") as file:
                return open_image(file, name or str(source))
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}.") from None
    name = name or "The image"
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # about size and odd tags: serious problems raise below
            image: Image.Image = Image.open(stream, formats=(*FORMATS, *optional_formats()))
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{name} is too large ({image.width:,} × {image.height:,} pixels): make it smaller,"
                    f" the limit is {MAX_PIXELS // 1_000_000} million pixels."
                )
            if image.width * image.height > _LARGE:
                image.draft(image.mode, (image.width // _REDUCED, image.height // _REDUCED))  # as JPEG can
            image.load()
            if image.width * image.height > _LARGE:
                turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
                image = _reduced(image)
                return image if turn is None else image.transpose(turn)
            ImageOps.exif_transpose(image, in_place=True)
            return _to_8_bit(image)
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(
            f"{name} is too large: make it smaller, the limit is {MAX_PIXELS // 1_000_000} million pixels."
        ) from None
    except UnidentifiedImageError:
        stream.seek(0)
        what = "not an image that can be read" if stream.read(1) else "empty"
        raise DataError(f"{name} is {what}: choose a PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file.") from None
    except Exception:  # for a damaged file Pillow's readers raise almost any exception
        raise DataError(f"{name} is damaged or cut short: choose another file.") from None


def fit_image(image: Image.Image, channels: int, size: int) -> Tensor:
    """Cut the centre square out of an image and resize it, antialiased, to a uint8 tensor (channels, size, size).

    Args:
        image: any PIL image of mode L or RGB, such as from `read_image`.
        channels: 1 for grey, 3 for RGB.
        size: side of the result, in pixels.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels={channels} is not possible: 1 (grey) or 3 (RGB).")
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).reshape(size, size, channels).permute(2, 0, 1).contiguous()


def fit_pixels(pixels: Tensor, channels: int, size: int | None) -> Tensor:
    """Bring uint8 pixels (…, C, H, W) of grey or RGB images to `channels` (1 or 3) and a size, antialiased.

    None leaves them in their size. Nothing is cut off: an image that is not square is stretched.
    """
    images = pixels if pixels.ndim == 4 else pixels[None]
    if channels == 3:
        images = images.expand(-1, 3, -1, -1)
    elif images.shape[1] == 3:
        images = (images * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    size = size or images.shape[-1]
    if images.shape[-2:] != (size, size):
        images = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    if images.is_floating_point():
        images = images.round().clamp(0, 255).to(torch.uint8)
    return images if pixels.ndim == 4 else images[0]


def _reduced(image: Image.Image) -> Image.Image:
    """A loaded image in 8 bits at a quarter of its width and height, some rows at once."""
    small: Image.Image | None = None
    scale = _grey_range(image)
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        part = _to_8_bit(rows, scale).reduce(_REDUCED)
        small = small or Image.new(part.mode, (part.width, -(-image.height // _REDUCED)))
        small.paste(part, (0, top // _REDUCED))
    assert small is not None
    return small


def _to_8_bit(image: Image.Image, scale: tuple[float, float] | None = None) -> Image.Image:
    """The image in mode L or RGB; `scale` is the range of deeper grey, by default that of `_grey_range`."""
    if _is_deep_grey(image):
        low, high = scale or _grey_range(image) or (0.0, 1.0)
        return Image.fromarray(((_values(image) - low) * (255 / ((high - low) or 1.0)) + 0.5).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _values(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)


def _grey_range(image: Image.Image) -> tuple[float, float] | None:
    """The range of grey of more than 8 bits: that of its format, 16 bits, or [0, 1] if floating; else its own."""
    if not _is_deep_grey(image):
        return None
    tops = range(0, image.height, _ROWS)
    low, high = np.inf, -np.inf
    for top in tops:
        part = _values(image.crop((0, top, image.width, min(top + _ROWS, image.height))))
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    full = 1.0 if image.mode == "F" else 65535.0
    return (0.0, full) if low >= 0 and high <= full else (low, high)
