"""Data sets by name: the bundled sample, torchvision's, folders of images; galleries without a download."""

import importlib.resources
import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from camdrop.data import torchvision_sets
from camdrop.data.folders import Folder, Progress, decode, scan
from camdrop.data.imagenet_classes import IMAGENET_CLASSES, imagenet_labels
from camdrop.data.images import DataError, fit_image, open_image
from camdrop.data.streaming import SIZE, FileSplit, PictureFiles
from camdrop.data.text import plain_text
from camdrop.data.walker import left_out_sentence


@dataclass(frozen=True)
class Split:
    """Images, uint8 (N, C, H, W), and their labels, int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, index: Tensor) -> "Split":
        """Some of the images."""
        return Split(self.images[index], self.labels[index])

    def with_labels(self, labels: Tensor) -> "Split":
        """The same images with other labels (N,)."""
        return Split(self.images, labels)

    def to(self, device: torch.device) -> "Split":
        return Split(self.images.to(device), self.labels.to(device))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images with their labels, in order, `size` at once."""
        return zip(self.images.split(size), self.labels.split(size), strict=True)


AnySplit = Split | FileSplit


@dataclass(frozen=True)
class DataInfo:
    """A data set's classes in the order of the labels, the shape of its images, and the mean and standard deviation of
    its training pixels, per channel, on the scale [0, 1]."""

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int
    size: int


@dataclass(frozen=True)
class Dataset:
    """A data set, in memory unless its images are large. A split that was not requested is empty."""

    info: DataInfo
    train: AnySplit
    test: AnySplit
    left_out: tuple[str, ...] = ()  # files of a folder or an archive that are no images of a split
    notes: tuple[str, ...] = ()  # sentences on what a person should know of it, such as what was left out


_FASHION = DataInfo(
    name="fashion-mnist",
    classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    mean=(0.2860,),
    std=(0.3530,),
    channels=1,
    size=28,
)
INFO: dict[str, DataInfo] = {
    "fashion-sample": _FASHION,
    "fashion-mnist": _FASHION,
    "mnist": DataInfo("mnist", tuple("0123456789"), mean=(0.1307,), std=(0.3081,), channels=1, size=28),
    "cifar10": DataInfo(
        name="cifar10",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        channels=3,
        size=32,
    ),
    "imagenet": DataInfo(
        "imagenet", IMAGENET_CLASSES, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), channels=3, size=224
    ),
}
SPECS = ("fashion-sample", "fashion-mnist", "mnist", "cifar10", "folder:DIR", "imagenet:DIR")

_STATISTICS_IMAGES = 2000


class DataWarning(UserWarning):
    """What a person should know of data that were read, such as which files were left out."""


def load_dataset(
    spec: str,
    *,
    root: Path | None = None,
    progress: Progress | None = None,
    splits: Sequence[str] = ("train", "test"),
    size: int | None = None,
) -> Dataset:
    """Load a data set by its name.

    `fashion-sample` is bundled. `fashion-mnist`, `mnist` and `cifar10` are torchvision's: read from `root`, after a
    download into it if they are missing. `folder:DIR` is a folder with train/<class>/* and test/<class>/* (or val/), or
    an archive of one (.tar, .tar.gz, .tar.bz2, .tar.xz, .zip); `camdrop.data.layout` says which other layouts are
    understood. What was understood so, and which files were left out, `notes` say, as a `DataWarning` each; `left_out`
    names all of these files. A folder of 32×32 images with the class names of CIFAR-10, or of
    28×28 grey ones in the classes 0 to 9, counts as CIFAR-10 or MNIST; others take their mean and standard deviation
    from up to 2,000 of their training images. Where the first image is larger than 224 pixels on both sides, all images
    stay files, which are read when needed, at 224×224 in RGB, with ImageNet's mean and standard deviation.
    `imagenet:DIR` is such a folder with images of any size; if its folders are called by WordNet numbers or names of
    ImageNet's classes, all or some of them, names and labels are those of the 1,000 classes.

    Args:
        spec: one of `SPECS`.
        root: the folder of downloads; by default $CAMDROP_DATA, else ./data.
        progress: called with a description of the work and the share done, in [0, 1].
        splits: which to load, of "train" and "test".
        size: for `folder:` only, the side in pixels to which its images are cut and resized, all in memory; by default
            the shorter side of the first image, up to 224.

    Raises:
        DataError: the data set is unknown, missing, damaged, or cannot be downloaded.
    """
    if not set(splits) <= {"train", "test"}:
        raise ValueError(f"splits={splits!r} is not possible: only 'train' and 'test' exist.")
    if spec.startswith("folder:"):
        if size is not None and size < 1:
            raise ValueError(f"size={size} is not possible: an image has at least one pixel a side.")
        return _said(_from_folder(Path(spec.removeprefix("folder:")).expanduser(), splits, size, progress))
    if spec.startswith("imagenet:") and size is None:
        folder = scan(Path(spec.removeprefix("imagenet:")).expanduser(), splits)
        return _said(_in_files(folder, splits, imagenet=True))
    if spec not in SPECS and not spec.startswith("imagenet:"):
        raise DataError(f"There is no data set {spec!r}: choose one of {', '.join(SPECS)}.")
    if size is not None:
        raise ValueError(f"size={size} is only for folder:DIR; the images of {spec} have a size of their own.")
    if spec == "fashion-sample":
        return _dataset(INFO[spec], {split: _bundled(split) for split in splits})
    root = root or Path(os.environ.get("CAMDROP_DATA") or "data")
    arrays = torchvision_sets.read(spec, root, splits, progress)
    return _dataset(INFO[spec], {split: Split(*arrays[split]) for split in splits})


def short_name(spec: str) -> str:
    """The name of a data set of `SPECS` in a table: the last part of its folder, or the spec itself."""
    return spec.rstrip("/").rpartition("/")[2].rpartition(":")[2] or spec


def gallery(name: str) -> tuple[Split, DataInfo]:
    """Labelled images that need no download: the 1,000 test images of the bundled sample for Fashion-MNIST, the 20
    images inside the foolbox package for `mnist`, `cifar10` and `imagenet`.

    Raises:
        DataError: an unknown name, or foolbox is not installed.
    """
    if name not in INFO:
        raise DataError(f"There is no gallery {name!r}: choose one of {', '.join(INFO)}.")
    info = INFO[name]
    if info is _FASHION:
        return _bundled("test"), info
    foolbox = importlib.util.find_spec("foolbox")  # importing it takes seconds; only its folder is needed
    if foolbox is None or foolbox.origin is None:
        raise DataError(f"The images of {name} come with the app's packages: run pip install '.[app]'.")
    paths = sorted((Path(foolbox.origin).parent / "data").glob(f"{name}_*"))
    images = [fit_image(open_image(path), info.channels, info.size) for path in paths]
    labels = [int(path.stem.rpartition("_")[2]) for path in paths]  # cifar10_00_3.png shows class 3
    return Split(torch.stack(images), torch.tensor(labels)), info


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Scale images (N, C, H, W), uint8 or floating in [0, 1], to mean 0 and standard deviation 1 per channel."""
    if not len(mean) == len(std) == images.shape[1]:
        raise ValueError(f"mean and std need {images.shape[1]} values, one a channel: got {len(mean)} and {len(std)}.")
    scaled = images if images.is_floating_point() else images.float() / 255
    shape = (-1, 1, 1)
    return (scaled - scaled.new_tensor(mean).view(shape)) / scaled.new_tensor(std).view(shape)


def _said(data: Dataset) -> Dataset:
    """The data set, after warnings with its notes."""
    for note in data.notes:
        warnings.warn(note, DataWarning, stacklevel=3)
    return data


def _dataset(
    info: DataInfo, splits: Mapping[str, AnySplit], left_out: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> Dataset:
    nothing = Split(
        torch.empty((0, info.channels, info.size, info.size), dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    )
    return Dataset(info, splits.get("train", nothing), splits.get("test", nothing), left_out, notes)


def _notes(folder: Folder, *more: str) -> tuple[str, ...]:
    """What was understood of a folder, and what was left out, each with its name."""
    sentences = [f"{folder.name}: {note}" for note in (*folder.notes, *more)]
    return tuple(map(plain_text, filter(None, (*sentences, left_out_sentence(folder.name, folder.left_out)))))


def _bundled(split: str) -> Split:
    """A split of the sample from its contact sheet (scripts/make_sample.py): 28×28 cells, labels 0 … 9, 0 … by row."""
    file = importlib.resources.files("camdrop.data") / "sample" / f"fashion-mnist-{split}.png"
    with file.open("rb") as stream:
        sheet = np.asarray(Image.open(stream))
    cells = sheet.reshape(sheet.shape[0] // 28, 28, sheet.shape[1] // 28, 28).swapaxes(1, 2).reshape(-1, 1, 28, 28)
    return Split(torch.from_numpy(cells), torch.arange(len(cells)) % 10)


def _from_folder(location: Path, splits: Sequence[str], size: int | None, progress: Progress | None) -> Dataset:
    folder = scan(location, splits)
    files = {"train": folder.train, "test": folder.test}
    reference = folder.train or folder.test
    native = min(open_image(reference[0].source, reference[0].name).size)
    if size is None and native > SIZE:
        return _in_files(folder, splits)
    size = size or native
    decoded = {split: decode(files[split], size, progress) for split in splits}

    step = -(-len(reference) // _STATISTICS_IMAGES)
    sample = decoded["train"][::step] if "train" in decoded else decode(reference[::step], size)
    channels = max(image.shape[0] for images in (sample, *decoded.values()) for image in images)
    known = (INFO["mnist"], INFO["cifar10"])
    info = next((i for i in known if (i.classes, i.size, i.channels) == (folder.classes, native, channels)), None)
    if info is None:
        mean, std = _statistics(_stack(sample, channels))
        info = DataInfo(folder.name, folder.classes, mean, std, channels, size)
    return _dataset(
        replace(info, size=size),
        {
            split: Split(_stack(images, channels), torch.tensor([file.label for file in files[split]]))
            for split, images in decoded.items()
        },
        folder.left_out,
        _notes(folder),
    )


def _in_files(folder: Folder, splits: Sequence[str], imagenet: bool = False) -> Dataset:
    """A data set whose images stay files; with `imagenet`, folders of its classes are mapped to the 1,000 labels."""
    files = {"train": folder.train, "test": folder.test}
    info, more = replace(INFO["imagenet"], name=folder.name, classes=folder.classes), []
    if imagenet:
        labels = imagenet_labels(folder.classes)
        known = [label for label in labels if label is not None]
        if len(known) == len(labels):
            info = INFO["imagenet"]
            files = {split: tuple(replace(f, label=known[f.label]) for f in part) for split, part in files.items()}
        elif known:
            other = folder.classes[labels.index(None)]
            more = [
                f"{len(known):,} of {len(labels):,} folders are called as classes of ImageNet, but {other} is not: the "
                "labels are those of the folders, in their order"
            ]
    file_splits = {s: FileSplit(PictureFiles(files[s]), torch.tensor([f.label for f in files[s]])) for s in splits}
    return _dataset(info, file_splits, folder.left_out, _notes(folder, *more))


def _stack(images: list[Tensor], channels: int) -> Tensor:
    return torch.stack([image.expand(channels, -1, -1) for image in images])


def _statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel on [0, 1], from a histogram of the 256 values: exact in little memory."""
    values = torch.linspace(0, 1, 256, dtype=torch.float64)
    mean, std = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean.append(float((share * values).sum()))
        spread = float((share * (values - mean[-1]) ** 2).sum().sqrt())
        std.append(max(spread, 1 / 255))  # images of one colour would lead to a division by 0
    return tuple(mean), tuple(std)
