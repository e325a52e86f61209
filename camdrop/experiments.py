"""The paper's tables 1–6: what it reports, and what runs of ours say in the same places, by their configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from camdrop.recipe import PRESETS, Contender, Recipe, contender
from camdrop.resnet import ARCHITECTURES
from camdrop.results import SIGNS, Record, Result, Spread, label, results
from camdrop.runs import Run

_COMMON = {"keep_prob": 0.9, "block_size": 8}  # section 4.1
_RATES = ("keep_prob", "block_size")  # a run with others falls into the same row, and says so


@dataclass(frozen=True)
class Row:
    """A line of a table: the paper's words, its error in percent, and the contender as `race --methods` takes it."""

    title: str
    paper: float
    contender: str
    paper_also: float | None = None  # what the table calls `also`


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper."""

    number: int
    title: str
    rows: tuple[Row, ...]
    also: Literal["", "training", "top-5"] = ""  # the other error that it reports

    @property
    def preset(self) -> str:
        """Its recipe, by the name in `PRESETS`."""
        return "imagenet" if self.number == 6 else f"table{self.number}"

    @property
    def methods(self) -> str:
        """The contenders of all rows, for `race --methods`."""
        return ",".join(row.contender for row in self.rows)

    @property
    def command(self) -> str:
        """The command line that fills the table."""
        data = "imagenet:DIR" if self.number == 6 else "cifar10"
        return f"python -m camdrop race --preset {self.preset} --data {data} --run runs/{self.preset}"

    def takes(self, recipe: Recipe) -> bool:
        """Whether runs of this recipe belong into it.

        Table 6 has the ImageNet family of networks, Table 5 the others at its high learning rate, the rest those at
        lower ones.
        """
        if ARCHITECTURES[recipe.model].family == "imagenet":
            return self.number == 6
        high = recipe.learning_rate >= PRESETS["table5"]["learning_rate"]
        return self.number == 5 if high else self.number < 5


TABLES: dict[int, PaperTable] = {
    table.number: table
    for table in (
        PaperTable(1, "Structured dropout on CIFAR-10", (
            Row("ResNet-110", 5.58, "baseline"),
            Row("+ dropout", 5.47, "dropout"),
            Row("+ DropPath", 5.39, "droppath"),
            Row("+ SpatialDropout", 5.28, "spatialdropout"),
            Row("+ DropBlock", 5.23, "dropblock"),
            Row("+ CamDrop", 4.19, "camdrop"),
        )),
        PaperTable(2, "What guides the positions", (
            Row("Average guided", 5.07, "camdrop:guide=mean"),
            Row("CAM guided", 4.19, "camdrop"),
        )),
        PaperTable(3, "All channels or the dominant ones", (
            Row("All", 4.51, "camdrop:channels=all"),
            Row("Dominant", 4.19, "camdrop"),
        )),
        PaperTable(4, "How many channels are dominant", (
            Row("n′ = C/16", 4.39, "camdrop:channel_fraction=0.0625"),
            Row("n′ = C/8", 4.19, "camdrop"),
            Row("n′ = C/4", 4.75, "camdrop:channel_fraction=0.25"),
            Row("n′ = C/2", 4.78, "camdrop:channel_fraction=0.5"),
        )),
        PaperTable(5, "A learning rate 20 times as high", (
            Row("ResNet-110, lr 2.0", 7.16, "baseline", 2.22e-4),
            Row("with CamDrop", 5.94, "camdrop", 8.53e-2),
            Row("with CamDrop, inversely", 6.29, "camdrop:schedule=inverse", 1.66e-4),
        ), "training"),
        PaperTable(6, "Structured dropout on ImageNet", (
            Row("ResNet-50", 23.61, "baseline", 6.93),
            Row("+ dropout", 23.63, "dropout", 6.89),
            Row("+ DropPath", 23.57, "droppath", 6.85),
            Row("+ SpatialDropout", 23.51, "spatialdropout", 6.83),
            Row("+ DropBlock", 23.41, "dropblock", 6.82),
            Row("+ CamDrop", 22.93, "camdrop", 6.67),
        ), "top-5"),
    )
}  # fmt: skip


def preset_methods(preset: str | None) -> str | None:
    """The contenders of the presets `table1` … `table5` and `imagenet`, for `race --methods`; None for others."""
    return next((table.methods for table in TABLES.values() if table.preset == preset), None)


@dataclass(frozen=True)
class Setting:
    """What runs have in common that may stand in one column: data set, network and recipe, but not the seed."""

    data: str
    recipe: Recipe  # with seed 0

    def __str__(self) -> str:
        r = self.recipe
        budget = f"{r.epochs} epochs" if r.epochs else f"{r.minutes:g} min"
        return f"{self.data}, {r.model.replace('resnet', 'ResNet-')}, {budget}, {r.lr_schedule}, lr {r.learning_rate:g}"


@dataclass(frozen=True)
class Cell:
    """Errors of one contender over the seeds of a setting, in percent; its γ and r, and what it was trained on."""

    errors: tuple[float, ...]
    also: tuple[float, ...]  # what the table calls so
    rates: str
    devices: tuple[str, ...]

    @property
    def mean(self) -> float:
        return sum(self.errors) / len(self.errors)

    def __str__(self) -> str:
        return str(Spread(self.errors)) or f"{self.errors[0]:.2f} (1 seed)"


Found = Sequence[tuple[Run, Sequence[Record]]]


def columns(table: PaperTable, found: Found) -> dict[Setting, dict[str, Cell]]:
    """Our columns of a table: for each setting of the `found` runs that fills two rows or more, cells by row title.

    Contenders of those runs that are no row of the table (other readings of the paper, say) are cells by their label.
    """
    wanted = {_identity(contender(row.contender, dict(_COMMON))): row.title for row in table.rows}
    grouped: dict[Setting, dict[str, dict[int, tuple[Result, str]]]] = {}
    for run, records in found:
        recipe = run.config.recipe
        if not table.takes(recipe):
            continue
        for result in results(run, records):
            if result.test_error is None or result.contender.stages or result.contender.kinds:
                continue
            title = wanted.get(_identity(result.contender)) or _extra(table, result.contender)
            if title:
                setting = Setting(run.config.data, dataclasses.replace(recipe, seed=0))
                row = grouped.setdefault(setting, {}).setdefault(title, {})
                row[recipe.seed] = (result, run.device)
    titles = set(wanted.values())
    return {
        setting: {title: _cell(table, list(seeds.values())) for title, seeds in rows.items()}
        for setting, rows in grouped.items()
        if len(titles & set(rows)) > 1
    }


def in_order(table: PaperTable, cells: dict[str, Cell]) -> tuple[int, int]:
    """Of how many pairs of rows we have both, and in how many of them the better one is the paper's better one."""
    pairs = [(a, b) for a, b in combinations(table.rows, 2) if a.title in cells and b.title in cells]
    agree = sum((cells[a.title].mean - cells[b.title].mean) * (a.paper - b.paper) > 0 for a, b in pairs)
    return agree, len(pairs)


def _identity(c: Contender) -> tuple[object, ...]:
    """What makes a contender a row: its method and options, but for γ and r, and its schedule."""
    options = {} if c.method is None else dataclasses.asdict(c.method)
    return (type(c.method), c.schedule, *sorted((k, v) for k, v in options.items() if k not in _RATES))


def _extra(table: PaperTable, c: Contender) -> str | None:
    """The label of another reading of CamDrop, which belongs beside that of Tables 1 and 6."""
    if table.number not in (1, 6) or getattr(c.method, "guide", None) != "cam" or c.schedule != "constant":
        return None
    method = c.method
    if getattr(method, "channels", "") == "all" or getattr(method, "channel_fraction", 0) != 1 / 8:
        return None
    fraction = getattr(method, "position_fraction", None)
    return label(c) + (f", positions {fraction:.3g}" if fraction is not None else "")


def _cell(table: PaperTable, seeds: list[tuple[Result, str]]) -> Cell:
    rows, method = [result for result, _ in seeds], seeds[0][0].contender.method
    also = [r.top5_error if table.also == "top-5" else r.train_error for r in rows]
    return Cell(
        tuple(r.test_error for r in rows if r.test_error is not None),
        tuple(error for error in also if error is not None),
        " ".join(f"{sign} {getattr(method, k):g}" for k, sign in SIGNS.items() if hasattr(method, k)),
        tuple(dict.fromkeys(device for _, device in seeds if device)),
    )
