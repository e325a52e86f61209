"""Training: what is trained and how, contenders in lockstep on the same batches, on one process or several."""

from camdrop.training.config import PRESETS, Contender, Recipe, make_method, make_recipe, method_name
from camdrop.training.devices import pick_device
from camdrop.training.race import KNOBS, OVERHEAD, Race, Runner, evaluate

__all__ = [
    "KNOBS",
    "OVERHEAD",
    "PRESETS",
    "Contender",
    "Race",
    "Recipe",
    "Runner",
    "evaluate",
    "make_method",
    "make_recipe",
    "method_name",
    "pick_device",
]
