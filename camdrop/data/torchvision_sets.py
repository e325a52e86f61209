"""Fashion-MNIST, MNIST and CIFAR-10 through torchvision: its readers, addresses and checksums."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camdrop.data.download import download_checked
from camdrop.data.folders import Progress
from camdrop.data.images import DataError


def read(spec: str, root: Path, splits: Sequence[str], progress: Progress | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Read images, uint8 (N, C, H, W), and labels, int64 (N,), of each split; download them to `root` if missing.

    Raises:
        DataError: the download fails, the files cannot be stored, or they are damaged.
    """
    from torchvision import datasets  # here: importing it takes a second, and few data sets need it

    reader: Any = {"fashion-mnist": datasets.FashionMNIST, "mnist": datasets.MNIST, "cifar10": datasets.CIFAR10}[spec]

    def load() -> dict[str, tuple[Tensor, Tensor]]:
        loaded = {split: reader(root, train=split == "train") for split in splits}
        if spec == "cifar10":
            return {
                split: (torch.from_numpy(d.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(d.targets))
                for split, d in loaded.items()
            }
        return {split: (d.data.unsqueeze(1), d.targets) for split, d in loaded.items()}

    try:
        try:
            return load()
        except RuntimeError:  # torchvision raises it where the files are missing
            _download(spec, reader, root, progress)
            return load()
    except DataError:
        raise
    except Exception:  # torchvision's readers check little: a truncated file fails anywhere
        raise DataError(f"The files of {spec} in {root} are damaged: delete them and try again.") from None


def _download(spec: str, reader: Any, root: Path, progress: Progress | None) -> None:
    """Download and unpack the files of a torchvision reader, whose `download` has no time limit and no callback."""
    from torchvision.datasets.utils import extract_archive

    if spec == "cifar10":
        target, files = root, [([reader.url], reader.filename, reader.tgz_md5)]
    else:
        target = root / reader.__name__ / "raw"
        files = [([mirror + name for mirror in reader.mirrors], name, md5) for name, md5 in reader.resources]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            for i, (addresses, name, md5) in enumerate(files):

                def report(share: float, done: int = i) -> None:
                    if progress:
                        progress(f"Downloading {spec}", (done + share) / len(files))

                path = Path(scratch) / name
                if reason := download_checked(addresses, path, ("md5", md5), report):
                    raise DataError(
                        f"{spec} is not in {root} and cannot be downloaded ({reason}):"
                        " use fashion-sample, which is bundled, or folder:DIR with images of your own."
                    )
                target.mkdir(parents=True, exist_ok=True)
                extract_archive(path, target)
    except OSError as error:
        raise DataError(
            f"{spec} cannot be stored in {root} ({error.strerror}): set CAMDROP_DATA to a folder."
        ) from None
