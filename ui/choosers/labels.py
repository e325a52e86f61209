"""What a network is, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from camdrop.figures.numbers import in_percent
from ui.choosers.image import TITLES

if TYPE_CHECKING:
    from camdrop.checkpoints.metadata import Meta


def method_label(meta: Meta) -> str:
    """How a network was trained, such as `CamDrop γ 0.9 r 7 predicted class`, with the knobs that were turned."""
    from camdrop.masks import LABELS, METHODS
    from camdrop.runs.records import SIGNS, knob_words

    if not meta.method:
        return "Method unknown"
    options = meta.method_options
    parts = [METHODS[meta.method].__name__ if meta.method in METHODS else meta.method.capitalize()]
    parts += [f"{sign} {options[name]:g}" for name, sign in SIGNS.items() if isinstance(options.get(name), int | float)]
    if meta.method == "camdrop" and options:
        guided = (options.get("guide"), options.get("channels")) != ("mean", "all")
        named = options.get("label", "true")  # older headers have none
        parts += [f"{named} class"] if guided and named in LABELS else [] if guided else ["no class"]
    knobs = {name: value for name, value in meta.knobs.items() if isinstance(value, int | float)}
    return " ".join([*parts, *([knob_words(knobs)] if knobs else [])])


def network_label(meta: Meta) -> str:
    """What a network is, such as `CamDrop γ 0.9 r 7 true class · ResNet-8 · Fashion-MNIST · error 7.4 %`."""
    from camdrop.checkpoints.metadata import TORCHVISION

    parts = [method_label(meta), re.sub(r"^resnet", "ResNet-", meta.architecture.removeprefix(TORCHVISION))]
    if meta.dataset:
        parts.append(TITLES.get(meta.dataset, meta.dataset))
    if meta.test_error is not None:
        parts.append(f"error {in_percent(meta.test_error)}")
    return " · ".join(parts)
