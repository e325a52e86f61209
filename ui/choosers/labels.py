"""What a network is, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ui.choosers.image import TITLES

if TYPE_CHECKING:
    from camdrop.checkpoints.metadata import Meta


def method_label(meta: Meta) -> str:
    """How a network was trained, such as `CamDrop γ 0.9 r 7`."""
    from camdrop.masks import METHODS

    if not meta.method:
        return "Method unknown"
    if meta.method not in METHODS:
        return meta.method.capitalize()
    options = meta.method_options
    signs = {"keep_prob": "γ", "block_size": "r"}
    parts = [f"{sign} {options[name]:g}" for name, sign in signs.items() if isinstance(options.get(name), int | float)]
    return " ".join([METHODS[meta.method].__name__, *parts])


def network_label(meta: Meta) -> str:
    """What a network is, such as `CamDrop γ 0.9 r 7 · ResNet-8 · Fashion-MNIST · error 7.4 %`."""
    from camdrop.checkpoints.metadata import TORCHVISION

    parts = [method_label(meta), re.sub(r"^resnet", "ResNet-", meta.architecture.removeprefix(TORCHVISION))]
    if meta.dataset:
        parts.append(TITLES.get(meta.dataset, meta.dataset))
    if meta.test_error is not None:
        parts.append(f"error {meta.test_error:.1f} %")
    return " · ".join(parts)
