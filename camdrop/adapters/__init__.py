"""Adapters to other people's networks: inspect their parts, attach masks to them, wrap them for the app."""

from camdrop.adapters.attachment import Guide, attach
from camdrop.adapters.inspection import drop_sites

__all__ = ["Guide", "attach", "drop_sites"]
