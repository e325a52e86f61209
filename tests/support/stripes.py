"""A data set in memory for tests: two classes that a small network soon tells apart."""

import torch

from camdrop.data import DataInfo, Dataset, Split


def stripes(n=240, seed=0):
    """Two classes that a small network can tell apart: horizontal and vertical stripes, with noise."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    wave = ((torch.arange(12) // 2) % 2 * 150).float()
    rows, cols = wave[:, None].expand(12, 12), wave[None, :].expand(12, 12)
    images = torch.where(labels[:, None, None] == 0, rows, cols) + torch.randint(0, 100, (n, 12, 12), generator=g)
    split = Split(images.clamp(0, 255).to(torch.uint8)[:, None], labels)
    info = DataInfo("stripes", ("rows", "columns"), (0.5,), (0.3,), 1, 12)
    half = n // 4 * 3
    return Dataset(info, Split(split.images[:half], labels[:half]), Split(split.images[half:], labels[half:]))
