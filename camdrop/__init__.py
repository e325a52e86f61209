"""CamDrop Lab: structured dropout inside convolutional networks, under one general form."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camdrop.anatomy import drop_sites
    from camdrop.attachment import attach

__all__ = ["attach", "drop_sites"]

_HOMES = {"attach": "attachment", "drop_sites": "anatomy"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:  # so that `import camdrop` does not import PyTorch
        raise AttributeError(f"module 'camdrop' has no attribute {name!r}")
    return getattr(import_module(f"camdrop.{_HOMES[name]}"), name)
