"""`python -m camdrop leakage`: how much of the label the masks of a network give away."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camdrop.cli.options import DataSpec, Device, load_data, open_checkpoint, own_info

if TYPE_CHECKING:
    from rich.table import Table

    from camdrop.analysis.leakage import Leakage
    from camdrop.checkpoints import Meta
    from camdrop.training import Contender

app = typer.Typer()


@app.command()
def leakage(
    checkpoint: Path,
    data: DataSpec,
    method: Annotated[
        str | None, typer.Option(help="as for race; by default the network's own, and camdrop for a baseline")
    ] = None,
    by: Annotated[str, typer.Option(help="site, stage or all: the groups of sites that are measured")] = "site",
    images: Annotated[int, typer.Option(min=30, help="how many of the test images, drawn by the seed")] = 2000,
    seed: Annotated[int, typer.Option(help="of the images and the masks")] = 0,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """How well a probe reads the true class off the masks, and whether the network obeys them."""
    from rich.console import Console

    from camdrop.analysis.heatmap_metrics import draw
    from camdrop.analysis.leakage import ALL, groups_of, measure
    from camdrop.cli.progress import data_progress
    from camdrop.data import normalise
    from camdrop.masks import METHODS
    from camdrop.training import pick_device
    from camdrop.training.config import method_name

    if by not in ("site", "stage", "all"):
        raise ValueError(f"--by must be site, stage or all, got {by!r}")
    loaded = open_checkpoint(checkpoint)
    model = loaded.model.to(pick_device(device))
    contender = _contender(method, loaded.meta)
    if contender.method is None:
        raise ValueError("--method must be a dropout method: a baseline has no masks")
    sites = contender.sites(model)
    groups = groups_of(model, sites)
    stages = {site.stage for site in model.drop_sites}
    wanted = [name for name in groups if by == "site" or name == ALL or (by == "stage" and name in stages)]
    dataset = load_data(data, ("test",))
    info = own_info(loaded.meta, checkpoint, data, dataset.info)
    (x, y), *_ = draw(dataset.test, images, seed).batches(images)
    where = next(model.parameters()).device
    with data_progress() as progress:
        found = measure(
            model, contender.method, normalise(x, info.mean, info.std).to(where), y.to(where),
            sites=sites, groups=wanted, seed=seed, progress=lambda share: progress("measuring", share),
        )  # fmt: skip
    said = {
        "checkpoint": str(checkpoint), "data": data, "images": len(y), "seed": seed,
        "method": method_name(contender.method), "options": vars(contender.method),
        "own": method is None and loaded.meta.method in METHODS,
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(said | to_json(found), indent=1))
    else:
        Console().print(_table(found, f"{contender.name}, {len(y)} images of {data}"))


def to_json(found: Leakage) -> dict[str, Any]:
    """The measures by group of sites, as JSON holds them."""
    return {
        "groups": {
            name: dataclasses.asdict(readable) | {"obeys": dataclasses.asdict(found.obeys[name])}
            for name, readable in found.readable.items()
        }
    }


def _contender(text: str | None, meta: Meta) -> Contender:
    """The contender that a line names, or that the header of a checkpoint does."""
    from camdrop.training.config import contender, contender_of

    if text is not None:
        return contender(text, {})
    own = contender_of(meta.method, meta.method_options)
    return own if own.method else contender("camdrop", {"block_size": 8})


def _table(found: Leakage, title: str) -> Table:
    from rich import box
    from rich.table import Column, Table

    table = Table(
        Column("sites", no_wrap=True), "readable", "bits", "where the network errs", "obeys",
        title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False,
        caption="Readable: how often a probe names the true class from the masks alone, and the information in bits;\n"
        "obeys: how often the network answers a random class for which its masks are drawn. 95 % intervals.",
    )  # fmt: skip
    for name, readable in found.readable.items():
        bits = f"{readable.bits.mean:.2f}"
        table.add_row(name, *map(str, (readable.accuracy, bits, readable.where_wrong, found.obeys[name])))
    return table
