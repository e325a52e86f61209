"""Adapters to other people's networks: inspect what a network is made of, attach masks to it, wrap it for the app."""

from camdrop.adapters.attachment import Guide, attach
from camdrop.adapters.inspection import drop_sites

__all__ = ["Guide", "attach", "drop_sites"]
