"""Checkpoints: a file ⇄ a network. Our format, other people's state dictionaries, torchvision's networks."""

from camdrop.checkpoints.format import SUFFIXES, Checkpoint, Listing, list_checkpoints, load, save
from camdrop.checkpoints.metadata import CheckpointError, Meta

__all__ = ["SUFFIXES", "Checkpoint", "CheckpointError", "Listing", "Meta", "list_checkpoints", "load", "save"]
