"""What is trained, and how: recipes, presets, contenders."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from camdrop.masks import METHODS, Method
from camdrop.resnet import ARCHITECTURES, KINDS, ResNet, default_sites
from camdrop.schedules import KEEP_SCHEDULES, LR_SCHEDULES


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: SGD with momentum and weight decay, pad-and-crop and flip, a learning-rate schedule.

    A run is bounded by `epochs`, or by `minutes`, which picks the number of steps from the speed measured at its start.
    `validation` is the share of the training set that is held out, `crop` the padding in pixels (large images get a
    resized crop instead, see camdrop/training/batches.py). Of what is not held out, `images` are trained on, as many of
    each class as can be (None: all), and the share `label_noise` of these gets a class drawn uniformly in place of the
    true one. Which, follows from the seed. ValueError for values out of range.
    """

    model: str
    epochs: int | None = None
    minutes: float | None = None
    batch_size: int = 128
    learning_rate: float = 0.1
    lr_schedule: str = "onecycle"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    crop: int = 4
    flip: bool = True
    validation: float = 0.05
    seed: int = 0
    images: int | None = None
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.model not in ARCHITECTURES:
            raise ValueError(f"model must be one of {', '.join(ARCHITECTURES)}, got {self.model!r}")
        if self.lr_schedule not in LR_SCHEDULES:
            raise ValueError(f"lr_schedule must be one of {', '.join(LR_SCHEDULES)}, got {self.lr_schedule!r}")
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError("give either epochs or minutes, not both and not neither")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes must be above 0, got {self.minutes}")
        for name, low in (("batch_size", 2), ("learning_rate", 0), ("crop", 0), ("weight_decay", 0)):
            if not getattr(self, name) >= low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("validation", "label_smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.label_noise <= 1:
            raise ValueError(f"label_noise must be in [0, 1], got {self.label_noise}")
        if self.images is not None and self.images < 2:
            raise ValueError(f"images must be at least 2, got {self.images}")


PRESETS: dict[str, dict[str, Any]] = {
    "mnist": {"model": "resnet8", "epochs": 5, "flip": False, "crop": 2},
    "fashion": {"model": "resnet8", "epochs": 20},
    # So few images, of which so many are wrong, that a network learns them by heart within a minute: dropout matters.
    "noise": {
        "model": "resnet8", "epochs": 30, "batch_size": 64, "crop": 0, "flip": False, "validation": 0.1,
        "images": 1000, "label_noise": 0.4,
    },
    "cifar-resnet20": {"model": "resnet20", "epochs": 400, "lr_schedule": "step"},
    "cifar-resnet56": {"model": "resnet56", "epochs": 400, "lr_schedule": "step"},
    "cifar-resnet110": {"model": "resnet110", "epochs": 400, "lr_schedule": "step"},
    # The paper's tables; camdrop/report/paper_tables.py has their contenders.
    **{f"table{n}": {"model": "resnet110", "epochs": 400, "lr_schedule": "step"} for n in (1, 2, 3, 4)},
    "table5": {"model": "resnet110", "epochs": 400, "lr_schedule": "step", "learning_rate": 2.0},
    "imagenet": {
        "model": "resnet50", "epochs": 105, "batch_size": 256, "lr_schedule": "imagenet-step", "weight_decay": 1e-4,
        "crop": 0, "validation": 0.01,
    },
}  # fmt: skip


def make_recipe(preset: str | None, given: dict[str, Any]) -> Recipe:
    """A recipe from a preset (paper: section 4.1 for CIFAR, 4.3 for ImageNet) and what is `given` over it; without one,
    10 epochs of ResNet-8."""
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    base = {"model": "resnet8", "epochs": 10} if preset is None else PRESETS[preset]
    if "minutes" in given:
        base = {k: v for k, v in base.items() if k != "epochs"}
    return Recipe(**(base | given))


def preset_block_size(preset: str | None) -> int:
    """r of a preset's methods (paper, sections 4.1 and 4.3), the side of the last features."""
    return 7 if preset == "imagenet" else 8


@dataclass(frozen=True)
class Contender:
    """One network of a race: a dropout method (None: baseline), its schedule, and the sites where it acts.

    `stages` and `kinds` None mean those of the paper, see `camdrop.resnet.default_sites`.
    """

    name: str
    method: Method | None = None
    schedule: str = "constant"
    stages: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w .,=:+-]{0,79}", self.name):
            raise ValueError(
                f"a contender's name is made of letters, digits, spaces and . , = : + -, got {self.name!r}"
            )
        if self.schedule not in KEEP_SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(KEEP_SCHEDULES)}, got {self.schedule!r}")
        if unknown := set(self.kinds or ()) - set(KINDS):
            raise ValueError(f"kinds must be of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")

    def sites(self, model: ResNet) -> frozenset[str]:
        """Names of the drop sites of `model` where this contender's masks act."""
        return default_sites(model, self.method, self.stages, self.kinds)


def make_method(name: str, options: dict[str, Any]) -> Method | None:
    """A method by name with those of `options` that it knows; `baseline` is None. ValueError for an unknown name."""
    if name == "baseline":
        return None
    if name not in METHODS:
        raise ValueError(f"method must be one of baseline, {', '.join(METHODS)}, got {name!r}")
    known = {f.name for f in dataclasses.fields(METHODS[name])}
    return METHODS[name](**{k: v for k, v in options.items() if k in known and v is not None})


def contender(
    text: str,
    options: dict[str, Any],
    schedule: str = "constant",
    stages: tuple[str, ...] | None = None,
    kinds: tuple[str, ...] | None = None,
) -> Contender:
    """A contender from a line such as `camdrop:reading=official:keep_prob=0.8:stages=layer2+layer3:sites=conv+skip`.

    What it does not say is as in `options`, `schedule`, `stages` and `kinds`, common to all. ValueError for an unknown
    method or option, or a value that is no number where one is needed.
    """
    name, *changes = text.strip().split(":")
    own: dict[str, Any] = {}
    for change in changes:
        key, _, value = change.partition("=")
        known = {"schedule", "stages", "sites"}
        known |= {f.name for f in dataclasses.fields(METHODS[name])} if name in METHODS else set()
        if key not in known:
            raise ValueError(f"{name} has no option {key!r}; it has {', '.join(sorted(known))}")
        number = re.fullmatch(r"[\d.]+", value)
        own[key] = value if not number else int(value) if value.isdigit() and key == "block_size" else float(value)
    schedule = own.pop("schedule", schedule)
    stages, kinds = (tuple(own.pop(k).split("+")) if k in own else v for k, v in (("stages", stages), ("sites", kinds)))
    return Contender(" ".join([name, *changes]), make_method(name, options | own), schedule, stages, kinds)


def method_name(method: Method | None) -> str:
    """The name that `make_method` knows a method by."""
    return "baseline" if method is None else next(name for name, cls in METHODS.items() if type(method) is cls)
