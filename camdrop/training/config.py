"""Recipes, presets and contenders: how a race trains, and what."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from camdrop.masks import METHODS, Method
from camdrop.resnet import ARCHITECTURES, KINDS, Network, ResNet
from camdrop.sampling import default_sites
from camdrop.schedules import KEEP_SCHEDULES, LR_SCHEDULES

SELECTIONS = ("best", "last")


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: SGD with momentum and weight decay, pad-and-crop and flip, a learning-rate schedule.

    A run ends after `epochs`, or after about `minutes`: it measures its speed, and sets the number of steps by it.
    `validation` is the held-out share of the training set, `crop` the padding in pixels (large images get a resized
    crop instead, see camdrop/training/batches.py). A race trains on `images` of the others, as equally many of each
    class as possible (None: on all), and gives the share `label_noise` of these a class drawn uniformly in place of the
    true one; the seed determines which. `selection` says which checkpoint is tested: `best`, that of the least
    validation error, or `last`. ValueError for values out of range.
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
    selection: str = "best"

    def __post_init__(self) -> None:
        if self.model not in ARCHITECTURES:
            raise ValueError(f"model must be one of {', '.join(ARCHITECTURES)}, got {self.model!r}")
        if self.lr_schedule not in LR_SCHEDULES:
            raise ValueError(f"lr_schedule must be one of {', '.join(LR_SCHEDULES)}, got {self.lr_schedule!r}")
        if self.selection not in SELECTIONS:
            raise ValueError(f"selection must be one of {', '.join(SELECTIONS)}, got {self.selection!r}")
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
    # The last epoch counts: choosing another by images with true labels would stop before the wrong ones are learnt.
    "noise": {
        "model": "resnet8", "epochs": 30, "batch_size": 64, "crop": 0, "flip": False, "validation": 0.1,
        "images": 1000, "label_noise": 0.4, "selection": "last",
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

# The contenders of the preset `noise`: no dropout, two that tell no label, and CamDrop as in the paper.
NOISE_METHODS = ",".join((
    "baseline",
    "dropblock:block_size=4",
    "camdrop:block_size=4:label=predicted:reading=matched:channels=all:position_fraction=0.5",
    "camdrop:block_size=8",
))  # fmt: skip


def make_recipe(preset: str | None, changes: dict[str, Any]) -> Recipe:
    """The recipe of a preset (paper, sections 4.1 and 4.3) with `changes` to its fields.

    Without a preset, it is 10 epochs of ResNet-8. ValueError for an unknown preset or a value out of range.
    """
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    base = {"model": "resnet8", "epochs": 10} if preset is None else PRESETS[preset]
    if "minutes" in changes:
        base = {k: v for k, v in base.items() if k != "epochs"}
    return Recipe(**(base | changes))


def preset_block_size(preset: str | None) -> int:
    """The block size r of a preset (paper, sections 4.1 and 4.3): the side of the last feature map."""
    return 7 if preset == "imagenet" else 8


@dataclass(frozen=True)
class Contender:
    """One network of a race: a dropout method (None: baseline), its schedule, and the sites where it acts.

    `stages` and `kinds` None are those of the paper, see `camdrop.sampling.default_sites`. ValueError for wrong fields.
    """

    name: str
    method: Method | None = None
    schedule: str = "constant"
    stages: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w .,=:+-]{0,199}", self.name):
            raise ValueError(
                f"a contender's name is made of at most 200 letters, digits, spaces and . , = : + -, got {self.name!r}"
            )
        if self.schedule not in KEEP_SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(KEEP_SCHEDULES)}, got {self.schedule!r}")
        if unknown := set(self.kinds or ()) - set(KINDS):
            raise ValueError(f"sites must be of the kinds {', '.join(KINDS)}, got {', '.join(sorted(unknown))!r}")

    def sites(self, model: Network) -> frozenset[str]:
        """The names of the drop sites of `model` where the masks of this contender act: all of them in a network that
        is not one of ours."""
        if not isinstance(model, ResNet):
            return frozenset(site.name for site in model.drop_sites)
        return default_sites(model, self.method, self.stages, self.kinds)


_COMMON_OPTIONS = ("schedule", "stages", "sites")  # of a contender with any method, beside those of the method


def option_types(name: str) -> dict[str, Any]:
    """The options of a method by its name, each with its type; `baseline` has none. ValueError for an unknown name."""
    if name == "baseline":
        return {}
    if name not in METHODS:
        raise ValueError(f"method must be one of baseline, {', '.join(METHODS)}, got {name!r}")
    types = get_type_hints(METHODS[name])
    return {field.name: types[field.name] for field in dataclasses.fields(METHODS[name])}


def make_method(name: str, options: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> Method | None:
    """A method by name with its `options`, and with those of the options `shared` by several methods that it has.

    `baseline` is None. ValueError for an unknown name, for an option that the method lacks, and for a wrong value; for
    a shared option that no method has, or with a value that is wrong for any of those that have it.
    """
    _refuse_unknown(name, options, option_types(name))
    shared, types = shared or {}, {other: option_types(other) for other in METHODS}
    if unknown := set(shared).difference(*types.values()):
        raise ValueError(f"no method has the option {sorted(unknown)[0]!r}")
    every = {other: METHODS[other](**{k: v for k, v in shared.items() if k in types[other]}) for other in METHODS}
    return None if name == "baseline" else dataclasses.replace(every[name], **options)


def require_options(names: Collection[str], options: Mapping[str, Any]) -> None:
    """ValueError for an option, shared by the contenders of a race, that none of their methods, by these names, has."""
    has = {name: _contender_options(name) for name in (*names, *METHODS)}
    for key, value in options.items():
        if not any(key in has[name] for name in names):
            owners = ", ".join(name for name in METHODS if key in has[name])
            raise ValueError(
                f"{key}={value!r} is no option of {', '.join(dict.fromkeys(names))}; it is one of {owners}"
            )


def contender(
    text: str,
    shared: Mapping[str, Any],
    schedule: str = "constant",
    stages: tuple[str, ...] | None = None,
    kinds: tuple[str, ...] | None = None,
) -> Contender:
    """A contender from a line such as `camdrop:reading=official:keep_prob=0.8:stages=layer2+layer3.0:sites=conv+skip`.

    What the line leaves out is as in `shared`, `schedule`, `stages` and `kinds`, as far as the method has it.
    ValueError for an unknown method, an option that it lacks, or a wrong value.
    """
    name, *changes = text.strip().split(":")
    named = dict(change.partition("=")[::2] for change in changes)
    _refuse_unknown(name, named, _contender_options(name))
    where = {key: named.pop(key) for key in _COMMON_OPTIONS if key in named}
    types = option_types(name)
    method = make_method(name, {key: _parse(value, types[key]) for key, value in named.items()}, shared)
    title = " ".join([name, *changes])
    if method is None:
        return Contender(title)
    stages, kinds = (
        tuple(where[key].split("+")) if key in where else usual for key, usual in (("stages", stages), ("sites", kinds))
    )
    return Contender(title, method, where.get("schedule", schedule), stages, kinds)


def check_names(contenders: Sequence[Contender]) -> None:
    """ValueError for no contenders, or two of one name."""
    names = [contender.name for contender in contenders]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"contenders need different names, got {', '.join(names) or 'none'}")


def contender_of(name: str, options: Mapping[str, Any]) -> Contender:
    """The contender that a checkpoint's header describes by its `method` and `method_options`; "" is a baseline.

    ValueError for an unknown method, an option that it lacks, or a wrong value.
    """
    own = dict(options)
    stages, kinds = (tuple(found) if (found := own.pop(key, None)) else None for key in ("stages", "kinds"))
    schedule = own.pop("schedule", "constant")
    return Contender(name or "baseline", make_method(name or "baseline", own), schedule, stages, kinds)


def _contender_options(name: str) -> tuple[str, ...]:
    """The options that a contender's line can set; a baseline masks nothing and has none."""
    return () if name == "baseline" else (*option_types(name), *_COMMON_OPTIONS)


def _refuse_unknown(name: str, options: Collection[str], known: Collection[str]) -> None:
    for key in options:
        if key not in known:
            raise ValueError(f"{name} has no option {key!r}; it has {', '.join(known) or 'none'}")


def _parse(text: str, kind: Any) -> Any:
    """The value of type `kind` that `text` names; where it names none, `text` itself, which the method then refuses."""
    for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
        if one is NoneType and text.lower() == "none":
            return None
        if one in (int, float):
            with suppress(ValueError):
                return one(text)
    return text


def method_name(method: Method | None) -> str:
    """The name that `make_method` knows a method by."""
    return "baseline" if method is None else next(name for name, cls in METHODS.items() if type(method) is cls)
