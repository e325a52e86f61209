"""What a checkpoint file says of its network beside the weights: class names, data set, normalisation, image size."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camdrop.checkpoints.harmless import plain
from camdrop.checkpoints.metadata import STDS
from camdrop.data.text import plain_text

_DEPTH = 6  # of containers in containers
_ENTRIES = 10_000  # of all containers together
_CLASSES = (
    *("classes", "class_names", "classnames", "class_to_idx", "idx_to_class", "id2label", "label2id", "labels"),
    *(
        "label_names",
        "class_labels",
        "categories",
        "target_names",
        "names",
        "label_map",
        "idx2label",
        "label_list",
        "vocab",
    ),
)
_MEANS = (("mean", "std"), ("image_mean", "image_std"), ("pixel_mean", "pixel_std"), ("norm_mean", "norm_std"))
_SIZES = ("image_size", "img_size", "input_size", "crop_size", "imgsz", "resolution", "size", "shortest_edge")
# What libraries can be told to compute otherwise with the very same weights, and its usual value.
_USUAL = {
    "hidden_act": "relu",
    "downsample_in_first_stage": False,
    "downsample_in_bottleneck": False,
    "act_layer": "relu",
    "output_stride": 32,
    "aa_layer": None,
}
_RESNETS = ("resnet", "resnext", "wide_resnet")
_DATASETS = ("dataset", "dataset_name", "data_name", "data_set", "datamodule")


@dataclass(frozen=True)
class Statements:
    """All names and values of a file's containers, the outermost first; `keys` are those of the outermost."""

    said: tuple[tuple[str, object], ...] = ()
    keys: frozenset[str] = frozenset()

    def classes(self, count: int) -> tuple[str, ...]:
        """As many class names as the network has classes, in their order; () where the file has none."""
        return next((names for names in self._names() if len(names) == count), ())

    def other_classes(self, count: int) -> int:
        """How many class names there are where it is another number than that of the classes, else 0."""
        return 0 if self.classes(count) else next((len(names) for names in self._names() if len(names) > 1), 0)

    def any_classes(self) -> tuple[str, ...]:
        """Class names, however many; () where there are none."""
        return next(self._names(), ())

    def _names(self) -> Iterator[tuple[str, ...]]:
        for wanted in _CLASSES:
            for name, value in self.said:
                if name == wanted and (names := class_names(value)):
                    yield names

    def normalisation(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation on the scale [0, 1]."""
        if ("do_normalize", False) in self.said:
            return (0.0,) * channels, (1.0,) * channels
        for first, second in _MEANS:
            means, stds = (
                [found for name, value in self.said if name == part and (found := _numbers(value, channels))]
                for part in (first, second)
            )
            if means and stds:
                scale = 255 if max(means[0]) > 1 else 1
                mean, std = (tuple(v / scale for v in part) for part in (means[0], stds[0]))
                if min(std) >= STDS[0]:
                    return mean, std
        return None

    def image_size(self) -> int | None:
        """The side of the images in pixels."""
        for name, value in self.said:
            sizes = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
            side = sizes[-1] if sizes else None
            if name in _SIZES and type(side) is int and 8 <= side <= 4096:
                return side
        return None

    def unusual(self) -> str:
        """What a ResNet of transformers or timm computes otherwise than its weights tell, as "name: value"; else ""."""
        said = dict(reversed(self.said))
        if not str(said.get("model_type", said.get("architecture", ""))).startswith(_RESNETS):
            return ""
        odd = ((name, said.get(name)) for name, usual in _USUAL.items() if said.get(name) not in (None, "", usual))
        return next((f"{name}: {json.dumps(value, default=str)}" for name, value in odd), "")

    def dataset(self) -> str:
        """The name of the data set, such as `cifar10`, or ""."""
        return next((v for n, v in self.said if n in _DATASETS and isinstance(v, str) and 0 < len(v) <= 60), "")


def read_statements(content: object, *beside: object) -> Statements:
    """Walk through all containers of a file but those of tensors, then those `beside` it; JSON in a text is one."""
    said: list[tuple[str, object]] = []
    level = [plain(content), *beside]
    seen: set[int] = set()
    outermost = frozenset(map(str, level[0])) if isinstance(level[0], Mapping) else frozenset()
    for _ in range(_DEPTH):
        inner: list[object] = []
        for container in level:
            if id(container) in seen or len(seen) > _ENTRIES:  # containers may hold others many times
                continue
            seen.add(id(container))
            pairs = container.items() if isinstance(container, Mapping) else ((None, v) for v in _listed(container))
            for name, raw in pairs:
                value = plain(_parsed(raw))
                if isinstance(name, str) and isinstance(value, Tensor):
                    plain_numbers = value.layout == torch.strided and value.device.type == "cpu" and not value.is_nested
                    if plain_numbers and value.numel() < 9:  # such as the mean of the pixels, in a buffer
                        said.append((name.rpartition(".")[2].lower(), value.flatten().tolist()))
                elif isinstance(name, str):
                    said.append((name.lower().replace("-", "_"), value))
                if len(said) > _ENTRIES:
                    return Statements(tuple(said), outermost)
                inner.append(value)
        level = [value for value in inner if isinstance(value, Mapping | list | tuple)]
    return Statements(tuple(said), outermost)


def class_names(value: object) -> tuple[str, ...]:
    """Class names in order, from a list, a dictionary by number or by name, or a text with commas; () from others."""
    value = plain(value)
    if isinstance(value, str):
        value = value.split(",") if "," in value else None
    if isinstance(value, Mapping):
        by_name = all(type(entry) is int for entry in value.values()) or not all(str(k).isdigit() for k in value)
        try:
            numbered = {int(v if by_name else k): (k if by_name else v) for k, v in value.items()}  # type: ignore[call-overload]
            value = [numbered[k] for k in range(len(value))]
        except (ValueError, TypeError, LookupError):
            return ()
    if not isinstance(value, list | tuple):
        return ()
    names = [entry.get("name") if isinstance(entry, Mapping) else entry for entry in value]  # as COCO has them
    names = [entry[-1] if isinstance(entry, list | tuple) and entry else entry for entry in names]
    lines = tuple(plain_text(name[:1000]) for name in names if isinstance(name, str))
    if len(lines) < len(names):
        return ()
    often = Counter(lines)  # ImageNet has two cranes
    return tuple(line if often[line] == 1 else f"{line} ({k})" for k, line in enumerate(lines)) if all(lines) else ()


def _listed(container: object) -> Sequence[object]:
    return container[:100] if isinstance(container, list | tuple) else ()


def _parsed(value: object) -> object:
    if isinstance(value, str) and len(value) < 1 << 20 and re.match(r"\s*[\[{]", value):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _numbers(value: object, channels: int) -> tuple[float, ...]:
    """A number a channel; () for anything else."""
    value = plain(value)
    values = [value] * channels if isinstance(value, int | float) and channels == 1 else value
    if not isinstance(values, list | tuple) or len(values) != channels:
        return ()
    good = all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 255 for v in values)
    return tuple(map(float, values)) if good else ()
