"""The paper's tables 1–6: what it reports, and what runs of ours say in the same places, by their configuration."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from itertools import combinations
from statistics import variance
from typing import Any, Literal

from camdrop.masks import CamDrop
from camdrop.report.cells import Cell, Setting, Variant, cell, variant_of
from camdrop.report.finished import Found
from camdrop.report.verdicts import Word, verdict
from camdrop.resnet import ARCHITECTURES
from camdrop.runs import RunConfig
from camdrop.runs.records import Result, command
from camdrop.training.config import NOISE_METHODS, PRESETS, Contender, Recipe, contender, preset_block_size

_COMMON: dict[str, Any] = {"keep_prob": 0.9, "block_size": 8}  # section 4.1
# A run with others falls into the same row, and says so, or into another column.
_NO_ROW = ("keep_prob", "block_size", "label", "reading", "position_fraction")
_LABELS = ("true", "predicted")  # the classes that guide in our columns; any other is in `camdrop.report.guides`


@dataclass(frozen=True)
class TableRow:
    """A line of a table: the paper's words, its error in percent, and the contender as `race --methods` takes it."""

    title: str
    paper: float
    contender: str
    paper_also: float | None = None  # what the table calls `also`


@dataclass(frozen=True)
class Arm:
    """A line of ours in a table of the paper, and its contender."""

    title: str
    contender: str


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper; `arms` are lines that it lacks."""

    number: int
    title: str
    claim: str
    rows: tuple[TableRow, ...]
    also: Literal["", "training", "top-5"] = ""  # the other error that it reports
    arms: tuple[Arm, ...] = ()

    @property
    def lines(self) -> tuple[TableRow | Arm, ...]:
        """The rows, then the arms."""
        return (*self.rows, *self.arms)

    @property
    def network(self) -> str:
        """The paper's."""
        return "ResNet-50" if self.number == 6 else "ResNet-110"

    def name(self, title: str) -> str:
        """The title of a row for networks of any kind."""
        return title.replace(self.network, "Baseline")

    @property
    def preset(self) -> str:
        """Its recipe, by the name in `PRESETS`."""
        return "imagenet" if self.number == 6 else f"table{self.number}"

    @property
    def methods(self) -> str:
        """The contenders of all rows, for `race --methods`."""
        return ",".join(line.contender for line in self.lines)

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
        ), arms=(Arm("Average guided, all channels: no label", "camdrop:guide=mean:channels=all"),)),
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


@functools.lru_cache(maxsize=32)
def columns(table: PaperTable, found: Found) -> dict[Setting, dict[str, Cell]]:
    """Our columns of a table: for each setting of the `found` runs that fills two rows or more, cells by row title.

    Of a setting each variant of CamDrop has a column, and contenders to which that is all one are in all of them.
    In Tables 1 and 6 other readings of the paper are no columns but rows, by their label.
    """
    wanted = {_identity(contender(line.contender, _COMMON)): line.title for line in table.lines}
    grouped: dict[Setting, dict[tuple[str, Variant], dict[int, tuple[Result, str]]]] = {}
    for run, rows in found.results:
        recipe = run.config.recipe
        if not table.takes(recipe):
            continue
        for result in rows:
            if result.test_error is None or result.contender.stages or result.contender.kinds:
                continue
            if title := _title(table, wanted, result.contender):
                setting = Setting(run.config.data, dataclasses.replace(recipe, seed=0))
                part = variant_of(result.contender, readings=not _rows_of_readings(table))
                seeds = grouped.setdefault(setting, {}).setdefault((title, part), {})
                seeds[recipe.seed] = (result, run.device)
    titles = set(wanted.values())
    ours: dict[Setting, dict[str, Cell]] = {}
    for setting, parts in sorted(grouped.items(), key=lambda item: (-max(map(len, item[1].values())), str(item[0]))):
        variants = sorted({part for _, part in parts if part.label in _LABELS}, key=_order) or [Variant()]
        filled = {
            variant: {title: cell(seeds, table.also) for (title, part), seeds in parts.items() if variant.takes(part)}
            for variant in variants
        }
        filled = {variant: cells for variant, cells in filled.items() if len(titles & set(cells)) > 1}
        for variant, cells in filled.items():
            alone = len(filled) == 1 and variant.of_the_paper
            ours[dataclasses.replace(setting, variant=None if alone else variant)] = cells
    return ours


def _order(variant: Variant) -> tuple[object, ...]:
    """The paper's own variant first, then by reading, `true` before `predicted`."""
    reading, fraction = variant.reading or "", variant.position_fraction or 0.0
    return (reading != "paper", reading, fraction, _LABELS.index(variant.label or "true"))


@functools.lru_cache(maxsize=2)
def references(found: Found) -> dict[Setting, dict[str, Cell]]:
    """By setting, without a variant, the cells of `baseline` and `DropBlock`, with which all others are compared."""
    names = {_identity(contender(name.lower(), _COMMON)): name for name in ("baseline", "DropBlock")}
    grouped: dict[Setting, dict[str, dict[int, tuple[Result, str]]]] = {}
    for run, rows in found.results:
        setting = Setting(run.config.data, dataclasses.replace(run.config.recipe, seed=0))
        for result in rows:
            name = names.get(_identity(result.contender))
            if name and result.test_error is not None and not (result.contender.stages or result.contender.kinds):
                seeds = grouped.setdefault(setting, {}).setdefault(name, {})
                seeds[run.config.recipe.seed] = (result, run.device)
    return {
        setting: {name: cell(parts[name]) for name in names.values() if name in parts}
        for setting, parts in grouped.items()
    }


def in_order(table: PaperTable, cells: dict[str, Cell]) -> tuple[int, int]:
    """Of how many pairs of rows we have both, and in how many of them the better one is the paper's better one."""
    pairs = [(a, b) for a, b in combinations(table.rows, 2) if a.title in cells and b.title in cells]
    agree = sum((cells[a.title].mean - cells[b.title].mean) * (a.paper - b.paper) > 0 for a, b in pairs)
    return agree, len(pairs)


def filling(table: PaperTable, setting: Setting, cells: dict[str, Cell], folder: str) -> str | None:
    """The command that trains the rows which a column lacks; None where it has all."""
    options = _COMMON | {"block_size": preset_block_size(table.preset)}
    if setting.variant:
        variant = {name: value for name, value in dataclasses.asdict(setting.variant).items() if value is not None}
        guided = (cell.method for cell in cells.values() if cell and isinstance(cell.method, CamDrop))
        options |= variant | next(({"block_size": method.block_size} for method in guided), {})
    lines = (line for line in table.lines if line.title not in cells)
    missing = tuple(contender(line.contender, options) for line in lines)
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


def verdict_of(table: PaperTable, cells: dict[str, Cell], title: str | None = None) -> Word:
    """Whether the paper's best row, or another reading of it, has a lower error than each other row that we have."""
    best = best_in_paper(table).title
    ours, others = cells.get(title or best), [row.title for row in table.rows if row.title != best]
    return verdict(ours.minus(cells[other]) for other in others if ours and other in cells)


def readings(table: PaperTable, cells: dict[str, Cell]) -> list[str]:
    """The titles of the paper's best row and, in Tables 1 and 6, of its other readings, as far as we have them."""
    best = best_in_paper(table).title
    return [title for title in cells if title == best or (_rows_of_readings(table) and title.startswith(f"{best}, "))]


def _identity(c: Contender) -> tuple[object, ...]:
    """What makes a contender a row: its method, its schedule, and those options that have no column of their own."""
    options = {} if c.method is None else dataclasses.asdict(c.method)
    return (type(c.method), c.schedule, *sorted((k, v) for k, v in options.items() if k not in _NO_ROW))


def _rows_of_readings(table: PaperTable) -> bool:
    return table.number in (1, 6)


def _title(table: PaperTable, wanted: dict[tuple[object, ...], str], c: Contender) -> str | None:
    """The row of a contender; in Tables 1 and 6 another reading of CamDrop has one of its own."""
    method = c.method
    if not _rows_of_readings(table) or not isinstance(method, CamDrop):
        return wanted.get(_identity(c))
    reading, fraction = method.reading, method.position_fraction
    if (reading, fraction) == ("paper", None):
        return wanted.get(_identity(c))
    if method.guide != "cam" or method.channel_fraction != 1 / 8 or c.schedule != "constant":
        return None
    title = f"+ CamDrop, {reading}" + ("" if fraction is None else f", positions {fraction:.3g}")
    return title + (", all channels" if method.channels == "all" else "")
