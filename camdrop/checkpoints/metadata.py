"""The header of a checkpoint: the architecture, the data set, the training, and the errors."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import reprlib
import types
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from camdrop.data.text import plain_text
from camdrop.resnet import ARCHITECTURES, STEMS

LIMIT = 1 << 30  # bytes of a checkpoint; ResNet-50 with its optimiser's state is 0.2 GB
MAX_SIDE = 4096  # pixels of an image
STDS = 1e-4, 1e4  # of pixels on the scale [0, 1]
_LARGEST_MEAN = 1e3
_NAME, _NOTES = 200, 1000  # characters
_DEPTH = 6  # of containers in containers
TORCHVISION = "torchvision:"  # of an architecture: one of torchvision's classifiers follows
ALL_SAID = "class names and normalisation are the file's"
NO_HEADER = "no header: "  # so begin the `notes` of other people's files, which tell what was assumed


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the message is one line, whatever names the file has."""

    def __init__(self, message: str) -> None:
        line = plain_text(message[:2000])
        super().__init__(line if len(line) <= 600 else line[:599] + "…")


@dataclass(frozen=True)
class Meta:
    """The header of a checkpoint.

    `shortcut` and `stem` "" are the family's default; `mean` and `std` are of pixels in [0, 1], one a channel, by
    default 0 and 1; `classes` are by default "0", "1" …; errors are in percent. `method` "" is unknown,
    `method_options` are the fields of its dataclass; `knobs` are those turned while it trained, with their last values.
    CheckpointError for a field of the wrong type, length or range.
    """

    architecture: str
    num_classes: int
    in_channels: int
    shortcut: str = ""
    stem: str = ""
    dataset: str = ""
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    image_size: int | None = None
    method: str = ""
    method_options: dict[str, Any] = field(default_factory=dict)
    knobs: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    seed: int | None = None
    train_error: float | None = None
    validation_error: float | None = None
    test_error: float | None = None
    test_images: int | None = None
    device: str = ""
    versions: dict[str, Any] = field(default_factory=dict)
    created: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(Meta).items():
            if not _fits(getattr(self, name), hint):
                kind = Meta.__annotations__[name]
                raise CheckpointError(f"{name} must be of type {kind}, got {reprlib.repr(getattr(self, name))}")
            if name == "classes" or hint is str or get_origin(hint) is dict:
                object.__setattr__(self, name, _cleaned(getattr(self, name), _NOTES if name == "notes" else _NAME))
        ours = ARCHITECTURES.get(self.architecture)
        if ours is None and not re.fullmatch(rf"{TORCHVISION}\w+", self.architecture):
            known = f"one of {', '.join(ARCHITECTURES)}, or {TORCHVISION}NAME"
            raise CheckpointError(f"architecture must be {known}, got {self.architecture!r}")
        for name in ("num_classes", "in_channels"):
            if not 1 <= getattr(self, name) <= 100_000:
                raise CheckpointError(f"{name} must be at least 1 and at most 100,000, got {getattr(self, name)}")
        defaults = {
            "shortcut": "pad" if ours and ours.family == "cifar" else "conv",
            "classes": tuple(str(k) for k in range(self.num_classes)),
            "mean": (0.0,) * self.in_channels,
            "std": (1.0,) * self.in_channels,
        }
        for name, default in defaults.items():
            object.__setattr__(self, name, getattr(self, name) or default)
            if name != "shortcut" and len(getattr(self, name)) != len(default):
                raise CheckpointError(f"{name} must have {len(default)} entries, got {len(getattr(self, name))}")
        if self.shortcut not in ("pad", "conv"):
            raise CheckpointError(f"shortcut must be pad or conv, got {self.shortcut!r}")
        if self.stem not in ("", *STEMS) or (self.stem and ours and ours.family == "cifar"):
            raise CheckpointError(
                f"stem must be '', or one of {', '.join(STEMS)} of a network for large images, got {self.stem!r}"
            )
        for name, low, high in (("mean", -_LARGEST_MEAN, _LARGEST_MEAN), ("std", *STDS)):
            if not all(low <= value <= high for value in getattr(self, name)):
                raise CheckpointError(
                    f"{name} must be from {low:g} to {high:g}, got {reprlib.repr(getattr(self, name))}"
                )
        if self.image_size is not None and not 1 <= self.image_size <= MAX_SIDE:
            raise CheckpointError(f"image_size must be at least 1 and at most {MAX_SIDE}, got {self.image_size}")

    @property
    def assumed(self) -> str:
        """What was assumed as the file was read; "" where it says all, or a person has said it."""
        said = self.notes.removeprefix(NO_HEADER)
        return said if self.notes.startswith(NO_HEADER) and said != ALL_SAID else ""

    def to_json(self) -> str:
        """The header as text."""
        try:
            return json.dumps(dataclasses.asdict(self), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"the header must hold only what JSON can hold: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> Meta:
        """Read the header from its text; unknown fields, as of a newer version, are ignored."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise CheckpointError("its JSON is broken") from None
        if not isinstance(values, dict):
            raise CheckpointError("its JSON is no object")
        for name in ("architecture", "num_classes", "in_channels"):
            if name not in values:
                raise CheckpointError(f"{name} is missing")
        known = [f.name for f in dataclasses.fields(cls) if f.name in values]
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v := values[k], list) else v for k in known}
        return cls(**fields)


def _cleaned(value: Any, longest: int, depth: int = _DEPTH) -> Any:
    """A value whose texts, at any depth, are lines of a bounded length."""
    if isinstance(value, str):
        line = plain_text(value[: 4 * longest])
        return line if len(line) <= longest else line[: longest - 1] + "…"
    if isinstance(value, dict | list | tuple) and depth == 0:
        raise CheckpointError("its header is nested too deeply")
    if isinstance(value, dict):
        return {_cleaned(k, longest): _cleaned(v, longest, depth - 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(v, longest, depth - 1) for v in value)
    return value


def _fits(value: object, hint: Any) -> bool:
    """Whether a value has the type that `Meta` declares; True is no number, and a float is finite."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return any(_fits(value, kind) for kind in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, inner[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict) and all(isinstance(k, str) for k in value)
    if hint is float:
        return _fits(value, int) or (type(value) is float and math.isfinite(value))
    return type(value) is hint and (hint is not int or abs(value) < 1 << 63)  # type: ignore[arg-type]
