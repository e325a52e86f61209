"""Columns and cells of our tables: what runs must have in common to stand in one, and their errors over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camdrop.analysis.seeds import Paired, paired_by_seed, spread
from camdrop.checkpoints.metadata import Meta
from camdrop.data import short_name
from camdrop.data.text import markdown_text
from camdrop.figures.numbers import percent
from camdrop.masks import CamDrop, Method
from camdrop.runs.records import SIGNS, Result
from camdrop.training.config import Contender, Recipe


@dataclass(frozen=True)
class Variant:
    """How CamDrop is read in a column: the class that guides, the reading, the share of positions.

    `label` None is a contender that no class guides; `reading` None is a method, or a table, to which it is all one.
    """

    label: str | None = None
    reading: str | None = None
    position_fraction: float | None = None

    @property
    def of_the_paper(self) -> bool:
        return self.label in (None, "true") and self.reading in (None, "paper") and self.position_fraction is None

    def takes(self, other: Variant) -> bool:
        """Whether a contender of the other variant belongs into a column of this one."""
        same = (self.reading, self.position_fraction) == (other.reading, other.position_fraction)
        return other.label in (None, self.label) and (other.reading is None or same)

    def __str__(self) -> str:
        parts = [f"{self.label} class"] if self.label else []
        parts += [self.reading] if self.reading else []
        parts += [] if self.position_fraction is None else [f"{self.position_fraction:.3g} of positions"]
        return ", ".join(parts)


def who_guides(method: Method | None) -> str | None:
    """The class that guides the masks, `nobody` where none does; None for a method that nothing guides."""
    if not isinstance(method, CamDrop):
        return None
    return method.label if method.guided_by_class else "nobody"


def variant_of(contender: Contender, readings: bool) -> Variant:
    """The variant of a contender; without `readings` the class alone."""
    method = contender.method
    if not isinstance(method, CamDrop):
        return Variant()
    label = method.label if method.guided_by_class else None
    return Variant(label, method.reading, method.position_fraction) if readings else Variant(label)


@dataclass(frozen=True)
class Setting:
    """What runs have in common that may stand in one column: data set, network and recipe, but not the seed.

    `variant` is that of CamDrop, None where it is the paper's and the setting has no other.
    """

    data: str
    recipe: Recipe  # with seed 0
    variant: Variant | None = None

    @property
    def title(self) -> str:
        """What it is in a few words, for the head of a column."""
        return self._said(short_name(self.data))

    @property
    def words(self) -> str:
        """Its title in Markdown."""
        return self._said(markdown_text(short_name(self.data)))

    def _said(self, data: str) -> str:
        r = self.recipe
        parts = [r.model.replace("resnet", "ResNet-"), data]
        parts += [f"{r.images:,} images"] if r.images else []
        parts += [f"{percent(r.label_noise, 'g')} label noise"] if r.label_noise else []
        parts += [f"{r.minutes:g} min" if not r.epochs else "1 epoch" if r.epochs == 1 else f"{r.epochs} epochs"]
        parts += ["the last tested"] if r.selection == "last" else []
        return ", ".join([*parts, str(self.variant)] if self.variant else parts)

    def __str__(self) -> str:
        return f"{self.words}, {self.recipe.lr_schedule}, lr {self.recipe.learning_rate:g}"


def setting_of(meta: Meta) -> Setting | None:
    """The setting in which a checkpoint was trained, as its header says; None where it does not say enough."""
    recipe = {name: meta.recipe[name] for name in meta.recipe if name in Recipe.__dataclass_fields__}
    try:
        return Setting(meta.recipe["data"], Recipe(**recipe | {"seed": 0}))
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Cell:
    """Errors of one contender over the seeds of a setting, in percent; its γ and r, and what it was trained on."""

    errors: tuple[float, ...]
    also: tuple[float, ...]  # what the table calls so
    rates: str
    devices: tuple[str, ...]
    numbers: tuple[int, ...] = ()  # the seeds of the errors
    method: Method | None = None

    @property
    def mean(self) -> float:
        return sum(self.errors) / len(self.errors)

    @property
    def seeds(self) -> int:
        return len(self.errors)

    @property
    def by_seed(self) -> dict[int, float]:
        return dict(zip(self.numbers, self.errors, strict=True)) if self.numbers else {}

    def minus(self, other: Cell) -> Paired | None:
        """The difference to another contender of the setting, paired by the seed; None for fewer than two pairs."""
        return paired_by_seed(self.by_seed, other.by_seed)

    def __str__(self) -> str:
        return spread(self.errors).words()


def cell(seeds: dict[int, tuple[Result, str]], also: str = "") -> Cell:
    """A cell of results with their devices by seed; `also` names the other error that the table reports."""
    rows: Sequence[tuple[int, Result]] = [(seed, seeds[seed][0]) for seed in sorted(seeds)]
    method = rows[0][1].contender.method
    others = [row.top5_error if also == "top-5" else row.train_error for _, row in rows]
    return Cell(
        tuple(row.test_error for _, row in rows if row.test_error is not None),
        tuple(error for error in others if error is not None),
        " ".join(f"{sign} {getattr(method, k):g}" for k, sign in SIGNS.items() if hasattr(method, k)),
        tuple(dict.fromkeys(device for _, device in seeds.values() if device)),
        tuple(seed for seed, row in rows if row.test_error is not None),
        method,
    )
