"""torchvision's pretrained weights: downloaded once, checked, and opened like any other checkpoint."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torchvision import models

from camdrop.checkpoints.format import Checkpoint, load
from camdrop.checkpoints.metadata import CheckpointError
from camdrop.checkpoints.torchvision_models import conventions, names
from camdrop.data.download import download_checked


def fetch(name: str, progress: Callable[[float], object] | None = None) -> Checkpoint:
    """A network of `names()` with torchvision's weights for ImageNet, from torchvision's cache or downloaded into it.

    `progress` is called with the share downloaded. CheckpointError for an unknown name, or where the download fails.
    """
    if name not in names():
        raise CheckpointError(f"torchvision has no network {name!r} with class activation maps: choose one of its list")
    weights = models.get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[1]
    if not path.exists():
        _download(name, weights.url, path, progress)
    checkpoint = load(path, name=path.name)
    mean, std, size = conventions(name)
    error = round(100 - weights.meta["_metrics"]["ImageNet-1K"]["acc@1"], 3)
    meta = dataclasses.replace(
        checkpoint.meta, mean=mean, std=std, image_size=size, test_error=error, notes=f"torchvision's {weights}"
    )
    return dataclasses.replace(checkpoint, meta=meta)


def _download(name: str, url: str, path: Path, progress: Callable[[float], object] | None) -> None:
    checksum = path.stem.rsplit("-", 1)[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            if reason := download_checked([url], Path(scratch) / path.name, ("sha256", checksum), progress):
                raise CheckpointError(
                    f"The weights of {name} cannot be downloaded ({reason}): try again with a network, or copy "
                    f"{path.name} into {path.parent}."
                )
            os.replace(Path(scratch) / path.name, path)
    except OSError as error:
        raise CheckpointError(
            f"{path.parent} cannot be written ({error.strerror}): set TORCH_HOME to a folder"
        ) from None
