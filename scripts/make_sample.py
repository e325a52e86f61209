"""Make camdrop/data/sample/ from the originals of Fashion-MNIST, idx files of Debian's dataset-fashion-mnist:

    apt-get install dataset-fashion-mnist
    python scripts/make_sample.py [DIR with the *-ubyte.gz files]

The first images of each class, 600 for training and 100 for test, become one lossless contact sheet a split. Read row
by row the classes run 0, 1, …, 9, 0, 1, …, so a column shows one class and the sheet needs no labels beside it.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLE = Path(__file__).parent.parent / "camdrop" / "data" / "sample"


def make_sheet(source: Path, original: str, per_class: int, columns: int, target: Path) -> None:
    images = np.frombuffer(
        gzip.decompress((source / f"{original}-images-idx3-ubyte.gz").read_bytes()), np.uint8, -1, 16
    )
    labels = np.frombuffer(gzip.decompress((source / f"{original}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, -1, 8)
    chosen = np.stack([np.flatnonzero(labels == k)[:per_class] for k in range(10)], axis=1).reshape(-1)
    cells = images.reshape(-1, 28, 28)[chosen].reshape(-1, columns, 28, 28)
    sheet = cells.swapaxes(1, 2).reshape(-1, columns * 28)
    Image.fromarray(sheet).save(target, optimize=True)
    print(f"{target.name}: {len(chosen)} images, {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    source = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
    make_sheet(source, "train", per_class=600, columns=100, target=SAMPLE / "fashion-mnist-train.png")
    make_sheet(source, "t10k", per_class=100, columns=50, target=SAMPLE / "fashion-mnist-test.png")
