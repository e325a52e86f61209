"""Images too many or too large to hold: DataLoader workers read them from their files, batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from camdrop.data.folders import ImageFile
from camdrop.data.images import DataError, open_image

SIZE = 224  # side of what is read, in pixels
_SHORT_SIDE = 256  # to which evaluation resizes before it cuts the centre out
_BATCH = 64  # images at once, where nobody asks for a number

Request = tuple[ImageFile, int]  # an image, and the seed of its augmentation


@dataclass(frozen=True)
class PictureFiles:
    """Images as files, where others have a tensor (N, 3, 224, 224).

    `images[index]`, a slice or a tensor of numbers, reads those into a uint8 tensor, as evaluation sees them: the
    shorter side resized to 256 pixels, the centre of 224 cut out. DataError for a file that is no image.
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
        """All images as evaluation sees them, uint8 (n, 3, 224, 224), with their labels (n,); at most 64 at once."""
        size = min(size, _BATCH)
        requests = ([(file, 0) for file in self.files[i : i + size]] for i in range(0, len(self), size))
        return read(requests, Reader("fit"), workers=min(worker_count(), -(-len(self) // size)))


@dataclass(frozen=True)
class FileSplit:
    """Images that stay files, and their labels, int64 (N,); what `camdrop.data.Split` is for those in memory."""

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
        """All images, read as evaluation sees them, with their labels, in order; at most 64 at once."""
        return self.images.batches(size)


class Reader(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """What a worker does: reads the files of a batch to uint8 images (n, 3, 224, 224) and labels (n,).

    `fit` is evaluation's resize and centre crop; `crop` cuts a random part of 8 to 100 % of the area at an aspect ratio
    from 3/4 to 4/3 (Szegedy et al. 2015), resized to 224, and `mirror` flips half of those. What is random follows from
    the seed of the request alone.
    """

    def __init__(self, how: Literal["fit", "crop", "mirror"]) -> None:
        from torchvision.transforms import v2  # here: it takes long to import, and few need it

        cut = {"fit": [v2.Resize(_SHORT_SIDE), v2.CenterCrop(SIZE)], "crop": [v2.RandomResizedCrop(SIZE)]}
        cut["mirror"] = [*cut["crop"], v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*cut[how], v2.PILToTensor()])

    def __getitems__(self, requests: list[Request]) -> tuple[Tensor, Tensor] | str:
        try:
            images = torch.stack([self._read(file, seed) for file, seed in requests])
        except DataError as error:
            return str(error)  # raised here, it would reach the person with a worker's traceback in it
        return images, torch.tensor([file.label for file, _ in requests])

    def _read(self, file: ImageFile, seed: int) -> Tensor:
        image = open_image(file.source, file.name).convert("RGB")
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms know no other generator
            torch.default_generator.manual_seed(seed)
            return self.transform(image)


def read(
    requests: Iterable[list[Request]], reader: Reader, *, workers: int, pin: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in the order of the requests, which may be without end; with `workers` 0 in this process.

    The workers get what to read with each request: they hold nothing of the data set.

    Raises:
        DataError: a file that is no image or a damaged one, by name.
    """
    own = torch.Generator()  # or the loader would draw from the global one
    loader = DataLoader(
        reader, batch_sampler=requests, collate_fn=_as_it_is, num_workers=workers, pin_memory=pin, generator=own
    )
    for batch in loader:
        if isinstance(batch, str):
            raise DataError(batch)
        yield batch


def worker_count() -> int:
    """Processes that read for this one: $CAMDROP_WORKERS, else its share of the cores among those of torchrun here."""
    asked = os.environ.get("CAMDROP_WORKERS", "")
    if asked.isdigit():
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _as_it_is(batch: Any) -> Any:
    return batch
