"""Image files, and folders and archives of them, that the tests of data write."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camdrop.data import DataError, load_dataset


def image_bytes(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise_image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def image_tree(
    size: int = 8, mode: str = "RGB", classes: tuple[str, ...] = ("cat", "dog"), held_out: str = "test", n: int = 3
):
    """Paths and contents of a small data set; image i of class k is flat, of value 20 k + i + 1 (+ 100 if held out)."""
    return {
        f"{split}/{name}/{i}.png": image_bytes(Image.new("L", (size, size), 20 * k + i + 1 + offset).convert(mode))
        for split, offset in (("train", 0), (held_out, 100))
        for k, name in enumerate(classes)
        for i in range(n)
    }


def write_folder(root: Path, tree: dict[str, bytes]) -> str:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return f"folder:{root}"


def write_tar(path: Path, tree: dict[str, bytes], mode: str = "w") -> str:
    with tarfile.open(path, mode) as archive:
        for name, content in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return f"folder:{path}"


def write_zip(path: Path, tree: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return f"folder:{path}"


def error_of(spec: str) -> str:
    with pytest.raises(DataError) as error:
        load_dataset(spec)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    return str(error.value)
