"""Images that do not fit into memory: DataLoader workers read them from their files, batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from camdrop.data.folders import ImageFile
from camdrop.data.images import DataError, open_image

SIZE = 224  # side of the images that are read, in pixels
_SHORT_SIDE = 256  # evaluation resizes to this before it crops the centre
_LONGEST = 4  # times the shorter side: what is beyond is cut off before the resize, which would need memory for it
_BATCH = 64  # images at once, at most and by default

Request = tuple[ImageFile, int]  # an image, and the seed of its augmentation


@dataclass(frozen=True)
class PictureFiles:
    """Images as files, in place of a tensor (N, 3, 224, 224).

    `images[index]`, with a slice or a tensor of numbers, reads those into a uint8 tensor with the preprocessing of
    evaluation: the shorter side resized to 256 pixels, the centre of 224 cropped. DataError for a file that is not an
    image.
    """

    files: Sequence[ImageFile]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self), 3, SIZE, SIZE))

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        read = [images for images, _ in self.pick(index).batches(_BATCH)]
        return torch.cat(read) if read else torch.empty((0, *self.shape[1:]), dtype=torch.uint8)

    def pick(self, index: slice | Tensor) -> PictureFiles:
        """Some of the images, which stay files."""
        return PictureFiles([self.files[i] for i in torch.arange(len(self))[index].tolist()])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of all images, preprocessed for evaluation, uint8 (n ≤ 64, 3, 224, 224), with their labels (n,)."""
        size = min(size, _BATCH)
        requests = ([(file, 0) for file in self.files[i : i + size]] for i in range(0, len(self), size))
        return read(requests, Reader("fit"), workers=min(worker_count(), -(-len(self) // size)))


@dataclass(frozen=True)
class FileSplit:
    """Images that stay files, and their labels, int64 (N,); the counterpart of `camdrop.data.Split` for files."""

    images: PictureFiles
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, index: Tensor) -> FileSplit:
        """Some of the images, unread."""
        return FileSplit(self.images.pick(index), self.labels[index])

    def with_labels(self, labels: Tensor) -> FileSplit:
        """The same images with other labels (N,)."""
        files = [replace(file, label=label) for file, label in zip(self.images.files, labels.tolist(), strict=True)]
        return FileSplit(PictureFiles(files), labels)

    def to(self, device: torch.device) -> FileSplit:
        return FileSplit(self.images, self.labels.to(device))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of all images in order, preprocessed for evaluation, with their labels; at most 64 at once."""
        return self.images.batches(size)


class Reader(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """The data set of a worker: reads the files of a batch to uint8 images (n, 3, 224, 224) and labels (n,).

    `fit` is evaluation's resize and centre crop; `crop` cuts out a random part of 8 to 100 % of the area at an aspect
    ratio from 3/4 to 4/3 (Szegedy et al. 2015), resized to 224; `mirror` also flips half of these. The seed of a
    request alone determines its augmentation.
    """

    def __init__(self, how: Literal["fit", "crop", "mirror"]) -> None:
        from torchvision.transforms import v2  # here: importing it takes long, and few need it

        self.how = how
        cut = {"fit": [v2.Resize(_SHORT_SIDE), v2.CenterCrop(SIZE)], "crop": [v2.RandomResizedCrop(SIZE)]}
        cut["mirror"] = [*cut["crop"], v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*cut[how], v2.PILToTensor()])

    def __getitems__(self, requests: list[Request]) -> tuple[Tensor, Tensor] | str:
        try:
            images = torch.stack([self._read(file, seed) for file, seed in requests])
        except DataError as error:
            return str(error)  # an error raised here would carry the worker's traceback in its message
        return images, torch.tensor([file.label for file, _ in requests])

    def _read(self, file: ImageFile, seed: int) -> Tensor:
        image = open_image(file.source, file.name).convert("RGB")
        if self.how == "fit":  # the random crop takes parts of bounded shape
            image = _centre(image)
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms take no other generator
            torch.default_generator.manual_seed(seed)
            return self.transform(image)


def _centre(image: Image.Image) -> Image.Image:
    """An image without the ends of its longer side, where this is longer than four times the shorter one."""
    longest = _LONGEST * min(image.size)
    if max(image.size) <= longest:
        return image
    width, height = (min(side, longest) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def read(
    requests: Iterable[list[Request]], reader: Reader, *, workers: int, pin: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in the order of the requests, which may be endless; `workers` 0 reads in this process.

    Each request names the files to read: the workers hold nothing of the data set.

    Raises:
        DataError: a file that is not an image, or is damaged; the message names it.
    """
    generator = torch.Generator()  # without it the loader draws from the global one
    loader = DataLoader(
        reader, batch_sampler=requests, collate_fn=_as_it_is, num_workers=workers, pin_memory=pin, generator=generator
    )
    for batch in loader:
        if isinstance(batch, str):
            raise DataError(batch)
        yield batch


def worker_count() -> int:
    """Reading processes for this one: $CAMDROP_WORKERS, else its share of the cores among torchrun's processes here."""
    asked = os.environ.get("CAMDROP_WORKERS", "")
    if asked.isdigit():
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _as_it_is(batch: Any) -> Any:
    return batch
