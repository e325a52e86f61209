"""Training: recipes, contenders, and the race that trains contenders in lockstep, in one process or several."""

from camdrop.training.config import PRESETS, Contender, Recipe, make_method, make_recipe, method_name
from camdrop.training.devices import pick_device
from camdrop.training.race import KNOBS, OVERHEAD, Race, Runner, evaluate, evaluated

__all__ = [
    "KNOBS",
    "OVERHEAD",
    "PRESETS",
    "Contender",
    "Race",
    "Recipe",
    "Runner",
    "evaluate",
    "evaluated",
    "make_method",
    "make_recipe",
    "method_name",
    "pick_device",
]
