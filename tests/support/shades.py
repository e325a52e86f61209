"""A folder data set for tests: two classes of small grey images, bright and dark, that overlap as much as is asked."""

from pathlib import Path

import numpy as np
from PIL import Image


def shades(root: Path, *, train: int, test: int, low: int = 90, span: int = 160, size: int = 8) -> str:
    """Write it below `root`, so many images a class, grey from 0 (dark) or `low` (bright) over `span`; its spec."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for name, least in (("bright", low), ("dark", 0)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(least, least + span, (size, size), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return f"folder:{root}"
