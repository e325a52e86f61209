"""What the commands of `python -m camdrop` share: options, and how they are read."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from camdrop.checkpoints import Checkpoint
    from camdrop.checkpoints.metadata import Meta
    from camdrop.data import DataInfo, Dataset

SPECS_HELP = (
    "fashion-sample, fashion-mnist, mnist, cifar10, folder:DIR (train/<class>/*, test/<class>/*), or imagenet:DIR "
    "(folders by WordNet number or name)"
)
DataSpec = Annotated[str, typer.Option(help=SPECS_HELP)]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu; by default the best one here")]


def listed(text: str | None) -> tuple[str, ...] | None:
    """The parts of a list by commas."""
    return None if text is None else tuple(part.strip() for part in text.split(","))


def load_data(spec: str, splits: tuple[str, ...]) -> Dataset:
    """A data set by its name, with a bar while it is read."""
    from camdrop.cli.progress import data_progress
    from camdrop.data import load_dataset

    with data_progress() as progress:
        return load_dataset(spec, splits=splits, progress=progress)


def open_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint by its path; what was assumed of it goes to standard error."""
    from camdrop.checkpoints import load

    loaded = load(path)
    tell_assumed(path, loaded.meta.assumed)
    return loaded


def tell_assumed(path: Path | str, assumed: str) -> None:
    """Say on standard error what was assumed of a network, where anything was."""
    from camdrop.data.text import plain_text

    if assumed:
        typer.echo(f"camdrop: {plain_text(str(path))} was read with assumptions: {assumed}", err=True)


def own_info(meta: Meta, path: Path, spec: str, info: DataInfo) -> DataInfo:
    """What a checkpoint knows of a data set: `info` with its own mean and std. ValueError if they do not fit."""
    if info.channels != meta.in_channels or len(info.classes) != meta.num_classes:
        raise ValueError(
            f"{path} is for {meta.in_channels}-channel images of {meta.num_classes} classes, but {spec} has "
            f"{info.channels} channels and {len(info.classes)} classes; name the data set that it was trained on"
        )
    return dataclasses.replace(info, mean=meta.mean or info.mean, std=meta.std or info.std)


def networks_over_seeds(
    loaded: Mapping[Path, Checkpoint], numbers: Mapping[Path, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """`camdrop.analysis.seeds.over_seeds` of checkpoints, with words for what each group is and was trained on."""
    from camdrop.analysis.seeds import over_seeds
    from camdrop.masks import METHODS
    from camdrop.report.cells import setting_of, who_guides
    from camdrop.runs.records import label
    from camdrop.training.config import contender_of

    def describe(path: Path) -> dict[str, Any]:
        meta = loaded[path].meta
        setting, name, who = setting_of(meta), path.stem, None
        if meta.method in ("baseline", *METHODS):
            contender = contender_of(meta.method, meta.method_options)
            name, who = label(contender), who_guides(contender.method)
        return {"network": name, "method": meta.method, "who": who, "trained": setting.title if setting else ""}

    return over_seeds({path: checkpoint.meta for path, checkpoint in loaded.items()}, numbers, describe)


def class_index(target: str, classes: tuple[str, ...], count: int) -> int:
    """A class by its name or number. ValueError for one that there is not."""
    if target in classes:
        return classes.index(target)
    if target.isdigit() and int(target) < count:
        return int(target)
    some = difflib.get_close_matches(target, classes, 5, 0.4) if len(classes) > 20 else classes
    names = f" or a name{' such as' if len(classes) > 20 else ':'} {', '.join(some)}" if some else ""
    raise ValueError(f"--class must be a number from 0 to {count - 1}{names}, got {target}")
