"""The paper's tables 1–6: what it reports, and what runs of ours say in the same places, by their configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import stdev, variance
from typing import Any, Literal

from camdrop.data import short_name
from camdrop.masks import CamDrop
from camdrop.resnet import ARCHITECTURES
from camdrop.runs import Run, RunConfig
from camdrop.runs.records import SIGNS, Record, Result, command, results
from camdrop.training.config import NOISE_METHODS, PRESETS, Contender, Recipe, contender, preset_block_size

_COMMON: dict[str, Any] = {"keep_prob": 0.9, "block_size": 8}  # section 4.1
_RATES = ("keep_prob", "block_size")  # a run with others falls into the same row, and says so


@dataclass(frozen=True)
class TableRow:
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
    claim: str
    rows: tuple[TableRow, ...]
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
        PaperTable(1, "Structured dropout on CIFAR-10", "CamDrop has the least error of six", (
            TableRow("ResNet-110", 5.58, "baseline"),
            TableRow("+ dropout", 5.47, "dropout"),
            TableRow("+ DropPath", 5.39, "droppath"),
            TableRow("+ SpatialDropout", 5.28, "spatialdropout"),
            TableRow("+ DropBlock", 5.23, "dropblock"),
            TableRow("+ CamDrop", 4.19, "camdrop"),
        )),
        PaperTable(2, "What guides the positions", "The CAM guides better than the mean of the channels", (
            TableRow("Average guided", 5.07, "camdrop:guide=mean"),
            TableRow("CAM guided", 4.19, "camdrop"),
        )),
        PaperTable(3, "All channels or the dominant ones", "The dominant channels alone are better than all", (
            TableRow("All", 4.51, "camdrop:channels=all"),
            TableRow("Dominant", 4.19, "camdrop"),
        )),
        PaperTable(4, "How many channels are dominant", "An eighth of the channels is best", (
            TableRow("n′ = C/16", 4.39, "camdrop:channel_fraction=0.0625"),
            TableRow("n′ = C/8", 4.19, "camdrop"),
            TableRow("n′ = C/4", 4.75, "camdrop:channel_fraction=0.25"),
            TableRow("n′ = C/2", 4.78, "camdrop:channel_fraction=0.5"),
        )),
        PaperTable(5, "A learning rate 20 times as high", "CamDrop still helps at 20 times the learning rate", (
            TableRow("ResNet-110, lr 2.0", 7.16, "baseline", 2.22e-4),
            TableRow("with CamDrop", 5.94, "camdrop", 8.53e-2),
            TableRow("with CamDrop, inversely", 6.29, "camdrop:schedule=inverse", 1.66e-4),
        ), "training"),
        PaperTable(6, "Structured dropout on ImageNet", "CamDrop has the least error of six on ImageNet", (
            TableRow("ResNet-50", 23.61, "baseline", 6.93),
            TableRow("+ dropout", 23.63, "dropout", 6.89),
            TableRow("+ DropPath", 23.57, "droppath", 6.85),
            TableRow("+ SpatialDropout", 23.51, "spatialdropout", 6.83),
            TableRow("+ DropBlock", 23.41, "dropblock", 6.82),
            TableRow("+ CamDrop", 22.93, "camdrop", 6.67),
        ), "top-5"),
    )
}  # fmt: skip


def preset_methods(preset: str | None) -> str | None:
    """The contenders of `noise` and of the paper's presets, for `race --methods`; None for other presets."""
    if preset == "noise":
        return NOISE_METHODS
    return next((table.methods for table in TABLES.values() if table.preset == preset), None)


@dataclass(frozen=True)
class Setting:
    """What runs have in common that may stand in one column: data set, network and recipe, but not the seed."""

    data: str
    recipe: Recipe  # with seed 0

    @property
    def title(self) -> str:
        """What it is in a few words, for the head of a column."""
        r = self.recipe
        budget = f"{r.minutes:g} min" if not r.epochs else "1 epoch" if r.epochs == 1 else f"{r.epochs} epochs"
        return f"{r.model.replace('resnet', 'ResNet-')}, {short_name(self.data)}, {budget}"

    def __str__(self) -> str:
        return f"{self.title}, {self.recipe.lr_schedule}, lr {self.recipe.learning_rate:g}"


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

    @property
    def seeds(self) -> int:
        return len(self.errors)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (f" ± {stdev(self.errors):.2f}" if self.seeds > 1 else "")


Found = Sequence[tuple[Run, Sequence[Record]]]


def columns(table: PaperTable, found: Found) -> dict[Setting, dict[str, Cell]]:
    """Our columns of a table: for each setting of the `found` runs that fills two rows or more, cells by row title.

    Contenders of those runs that are no row of the table (other readings of the paper, say) are cells by their label;
    those whose knobs were turned are left out.
    """
    wanted = {_identity(contender(row.contender, _COMMON)): row.title for row in table.rows}
    grouped: dict[Setting, dict[str, dict[int, tuple[Result, str]]]] = {}
    for run, records in found:
        recipe = run.config.recipe
        if not table.takes(recipe):
            continue
        for result in results(run, records):
            if result.test_error is None or result.knobs or result.contender.stages or result.contender.kinds:
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


def filling(table: PaperTable, setting: Setting, cells: dict[str, Cell], folder: str) -> str | None:
    """The command that trains the rows which a column lacks; None where it has all."""
    options = _COMMON | {"block_size": preset_block_size(table.preset)}
    missing = tuple(contender(row.contender, options) for row in table.rows if row.title not in cells)
    return command(RunConfig(setting.data, setting.recipe, missing), folder) if missing else None


def best_in_paper(table: PaperTable) -> TableRow:
    """The row that the paper prints in bold."""
    return min(table.rows, key=lambda row: row.paper)


def best_is_best(table: PaperTable, cells: dict[str, Cell]) -> Literal["yes", "no", "level"] | None:
    """Whether the paper's best row is the best of ours, too; None where we lack it. Other readings play no part.

    `level` is a difference to the next row of less than two standard errors, as far as there are seeds to tell.
    """
    best = best_in_paper(table).title
    others = [cells[row.title] for row in table.rows if row.title in cells and row.title != best]
    if best not in cells or not others:
        return None
    ours, rival = cells[best], min(others, key=lambda cell: cell.mean)
    if min(ours.seeds, rival.seeds) > 1:
        noise = math.sqrt(sum(variance(cell.errors) / cell.seeds for cell in (ours, rival)))
        if abs(ours.mean - rival.mean) < 2 * noise:
            return "level"
    return "yes" if ours.mean < rival.mean else "no"


def _identity(c: Contender) -> tuple[object, ...]:
    """What makes a contender a row: its method and options, but for γ and r, and its schedule."""
    options = {} if c.method is None else dataclasses.asdict(c.method)
    return (type(c.method), c.schedule, *sorted((k, v) for k, v in options.items() if k not in _RATES))


def _extra(table: PaperTable, c: Contender) -> str | None:
    """The title of another reading of CamDrop, which belongs beside that of Tables 1 and 6."""
    method = c.method
    if table.number not in (1, 6) or not isinstance(method, CamDrop) or c.schedule != "constant":
        return None
    if (method.guide, method.channels, method.channel_fraction) != ("cam", "dominant", 1 / 8):
        return None
    fraction = method.position_fraction
    return f"+ CamDrop, {method.reading}" + ("" if fraction is None else f", positions {fraction:.3g}")


def _cell(table: PaperTable, seeds: list[tuple[Result, str]]) -> Cell:
    rows, method = [result for result, _ in seeds], seeds[0][0].contender.method
    also = [r.top5_error if table.also == "top-5" else r.train_error for r in rows]
    return Cell(
        tuple(r.test_error for r in rows if r.test_error is not None),
        tuple(error for error in also if error is not None),
        " ".join(f"{sign} {getattr(method, k):g}" for k, sign in SIGNS.items() if hasattr(method, k)),
        tuple(dict.fromkeys(device for _, device in seeds if device)),
    )
