"""Export: a heatmap of every image in a folder, by a checkpoint or a network of torchvision or timm."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision import models

from camdrop import checkpoints, figures
from camdrop.adapters.inspection import Inspection, features_and_weights, inspect
from camdrop.cam import class_activation_map, upsample
from camdrop.checkpoints.state_dicts import unpickle
from camdrop.checkpoints.torchvision_models import conventions
from camdrop.data import INFO, normalise
from camdrop.data.images import DataError, fit_image, read_image
from camdrop.data.walker import suffixes, walk

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, eq=False)
class Viewer:
    """A network in evaluation mode, with its image size, normalisation and classes; `key` identifies its weights,
    and `assumed` says what the file did not."""

    model: nn.Module
    inspection: Inspection
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    key: str
    assumed: str = ""


@dataclass(frozen=True)
class Look:
    """Which heatmap is drawn, and how; `target` None is the predicted class."""

    target: int | None = None
    colormap: str = "viridis"
    opacity: float = 0.5

    def __post_init__(self) -> None:
        figures.lut(self.colormap)  # ValueError for an unknown name


class Exported(NamedTuple):
    """How many heatmaps were written now and before, a sentence for each image that could not be read, and the names of
    the files that are no images."""

    done: int
    before: int
    failed: list[str]
    left_out: list[str]


def open_viewer(source: str, weights: Path | None = None) -> Viewer:
    """Open a checkpoint by its path, or `torchvision:NAME`, `timm:NAME`, pretrained or with a state dictionary.

    Pretrained weights are downloaded on first use. ValueError, one sentence, for a name that the library does not have,
    weights that do not fit, and networks without class activation maps.
    """
    library, _, name = source.partition(":")
    if library not in LIBRARIES:
        loaded = checkpoints.load(source)
        meta, key = loaded.meta, hashlib.sha256(Path(source).read_bytes()).hexdigest()
        inspection, size = inspect(loaded.model), meta.image_size or 32
        return Viewer(loaded.model, inspection, size, meta.mean, meta.std, meta.classes, key, meta.assumed)
    if weights is None:
        model, key = _build(library, name, pretrained=True), "pretrained"
    else:
        try:
            data = weights.read_bytes()
        except OSError as error:
            raise ValueError(f"{weights} cannot be read ({error.strerror}); check the path") from None
        state = safetensors.torch.load(data) if data[8:9] == b"{" else unpickle(data, str(weights)).weights
        model, key = _build(library, name), hashlib.sha256(data).hexdigest()
        head = state.get(f"{inspect(model).classifier}.weight")
        if head is not None and len(head) != 1000:
            model = _build(library, name, classes=len(head))
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{weights} does not fit {source}: {str(error).splitlines()[-1].strip()}") from None
    inspection, imagenet = inspect(model), INFO["imagenet"]
    if library == "torchvision":
        mean, std, size = conventions(name)
    else:
        config = getattr(model, "pretrained_cfg", {})
        mean, std = (tuple(config.get(part, getattr(imagenet, part))) for part in ("mean", "std"))
        size = config.get("input_size", (3, 224, 224))[1]
    count = len(model.get_parameter(f"{inspection.classifier}.weight"))
    classes = imagenet.classes if count == len(imagenet.classes) else tuple(map(str, range(count)))
    return Viewer(model.eval().requires_grad_(False), inspection, size, mean, std, classes, key)


def _build(library: str, name: str, classes: int = 1000, pretrained: bool = False) -> nn.Module:
    if library == "timm":
        try:
            import timm
        except ImportError:
            raise ValueError("timm is not installed: pip install timm") from None
        known = timm.is_model(name.split(".")[0])
    else:
        known = name in models.list_models(module=models)
    if not known:
        raise ValueError(f"{library} has no classifier {name!r}; {library}.list_models() has their names")
    try:
        if library == "timm":
            return timm.create_model(name, pretrained=pretrained, num_classes=classes)
        return models.get_model(name, weights="DEFAULT" if pretrained else None, num_classes=classes)
    except Exception as error:  # each library raises errors of other types where a download fails
        if not pretrained:
            raise
        reason = next(iter(str(getattr(error, "reason", error)).splitlines()), type(error).__name__)
        raise ValueError(
            f"the weights of {library}:{name} cannot be had ({reason}); try again with a network, or give --weights"
        ) from None


@torch.no_grad()
def export(
    viewer: Viewer,
    folder: Path,
    out: Path,
    look: Look | None = None,
    *,
    batch_size: int = 32,
    device: torch.device | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Exported:
    """Write `out/PATH.png` (heatmap over image) and `out/PATH.npz` for each image `folder/PATH`, however deep.

    The NPZ holds `heatmap` (h, w), J of Eq. 5 at the last feature map, and `target`, its class, `predicted` and the
    `probabilities` (K,). Images that have both files are skipped, so that an export can be continued. ValueError for
    a folder without images, and where `out` was made with other settings.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; check the path")
    try:
        files, left_out = walk(folder, skip=out)
    except OSError as error:
        raise ValueError(f"{error.filename} cannot be read ({error.strerror}); check its permissions") from None
    if not files:
        raise ValueError(f"{folder} has no images ({', '.join(suffixes())}); check the path")
    look = look or Look()
    _same_settings(out, {"network": viewer.key} | asdict(look))
    waiting = [file for file in files if not _target(out, folder, file, ".npz").exists()]
    device = device or torch.device("cpu")
    viewer.model.to(device)
    done, failed = 0, list[str]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(waiting), batch_size):
            part = waiting[start : start + batch_size]
            read: list[tuple[Path, Tensor]] = []
            for file, pixels in zip(part, pool.map(lambda f: _read(viewer, f), part), strict=True):
                if isinstance(pixels, Tensor):
                    read.append((file, pixels))
                else:
                    failed.append(pixels)
            if read:
                names = [_target(out, folder, file, "") for file, _ in read]
                _batch(viewer, torch.stack([pixels for _, pixels in read]), names, look, device)
            done += len(read)
            if progress:
                progress(f"{len(waiting):,} heatmaps", min(1.0, (start + batch_size) / len(waiting)))
    return Exported(done, len(files) - len(waiting), failed, left_out)


def _target(out: Path, folder: Path, file: Path, suffix: str) -> Path:
    relative = file.relative_to(folder)
    return out / relative.with_name(relative.name + suffix)


def _same_settings(out: Path, settings: dict[str, object]) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose another --out")
    file = out / "export.json"
    if file.exists() and json.loads(file.read_text()) != settings:
        raise ValueError(f"{out} holds heatmaps of another network or with other settings; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings))


def _read(viewer: Viewer, file: Path) -> Tensor | str:
    """The pixels of an image, or why it cannot be read."""
    try:
        return fit_image(read_image(file), len(viewer.mean), viewer.size)
    except DataError as error:
        return str(error)


def _batch(viewer: Viewer, pixels: Tensor, names: Sequence[Path], look: Look, device: torch.device) -> None:
    x = normalise(pixels.to(device), viewer.mean, viewer.std)
    features, weight, scores = features_and_weights(viewer.model, x, viewer.inspection)
    predicted = scores.argmax(1)
    shown = predicted if look.target is None else torch.full_like(predicted, look.target)
    maps = class_activation_map(features, weight, shown)
    large = upsample(maps, (viewer.size, viewer.size)).cpu().numpy()
    columns = [t.cpu().numpy() for t in (maps, shown, predicted, scores.softmax(1))]
    pictures = pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    for name, picture, heat, *numbers in zip(names, pictures, large, *columns, strict=True):
        low, high = float(heat.min()), float(heat.max())
        painted = figures.overlay(picture, heat, colormap=look.colormap, opacity=look.opacity, low=low, high=high)
        name.parent.mkdir(parents=True, exist_ok=True)
        name.with_name(name.name + ".png").write_bytes(figures.png(painted, scale=max(1, 256 // viewer.size)))
        part = name.with_name(name.name + ".part")  # the NPZ is written last and atomically: it marks an image as done
        with part.open("wb") as file:
            np.savez_compressed(
                file, heatmap=numbers[0], target=numbers[1], predicted=numbers[2], probabilities=numbers[3]
            )
        part.replace(name.with_name(name.name + ".npz"))
