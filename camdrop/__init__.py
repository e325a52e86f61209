"""CamDrop Lab: structured dropout inside convolutional networks, under one general form."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camdrop.adapters.attachment import attach
    from camdrop.adapters.inspection import drop_sites

__all__ = ["__version__", "attach", "drop_sites"]

__version__ = "0.1.0"  # read by pyproject.toml

_HOMES = {"attach": "adapters.attachment", "drop_sites": "adapters.inspection"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:  # so that `import camdrop` does not import PyTorch
        raise AttributeError(f"module 'camdrop' has no attribute {name!r}")
    return getattr(import_module(f"camdrop.{_HOMES[name]}"), name)
