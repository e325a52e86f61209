"""Data: a name → tensors. Data sets, folders, streams from the disk, image files, pixels fitted to a network."""

from camdrop.data.datasets import (
    INFO,
    SPECS,
    AnySplit,
    DataInfo,
    Dataset,
    DataWarning,
    Split,
    gallery,
    load_dataset,
    normalise,
    short_name,
)
from camdrop.data.images import DataError, fit_image, fit_pixels, read_image

__all__ = [
    "INFO",
    "SPECS",
    "AnySplit",
    "DataError",
    "DataInfo",
    "DataWarning",
    "Dataset",
    "Split",
    "fit_image",
    "fit_pixels",
    "gallery",
    "load_dataset",
    "normalise",
    "read_image",
    "short_name",
]
