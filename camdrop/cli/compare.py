"""`python -m camdrop compare`: where networks look, as numbers and as a contact sheet (paper: Figure 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from camdrop.cli.options import DataSpec, load_data, networks_over_seeds, open_checkpoint, own_info

app = typer.Typer()


@app.command()
def compare(
    checkpoints: Annotated[list[Path], typer.Argument(metavar="CHECKPOINT…")],
    data: DataSpec,
    limit: Annotated[int | None, typer.Option(help="only that many test images, drawn at random")] = None,
    sheet: Annotated[Path | None, typer.Option(help="FILE.png: images and heatmaps, as Figure 3 draws them")] = None,
    images: Annotated[int, typer.Option(help="how many of them on the sheet")] = 8,
    seed: Annotated[int, typer.Option(help="of the images")] = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Coverage, regions, entropy, deletion and insertion of heatmaps, each network beside the first (Figure 3)."""
    from rich.console import Console
    from rich.table import Table

    from camdrop import figures
    from camdrop.analysis import heatmap_metrics
    from camdrop.cli.progress import data_progress

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise ValueError(f"--sheet must end in .png, got {sheet.name}")
    models = {path: open_checkpoint(path) for path in checkpoints}
    dataset = load_data(data, ("test",))
    infos = {path: own_info(loaded.meta, path, data, dataset.info) for path, loaded in models.items()}
    chosen = heatmap_metrics.draw(dataset.test, limit, seed)
    values = {}
    with data_progress() as progress:
        for path, loaded in models.items():
            tell = lambda share, name=path.stem: progress(name, share)  # noqa: E731
            values[path] = heatmap_metrics.measure(loaded.model, chosen, infos[path], progress=tell)
    if sheet is not None:
        few = heatmap_metrics.draw(dataset.test, images, seed)
        picture = heatmap_metrics.contact_sheet([(models[p].model, infos[p]) for p in models], few)
        sheet.write_bytes(figures.png(picture))
    first = values[checkpoints[0]]
    rows = [
        {
            "checkpoint": str(path),
            "method": models[path].meta.method,
            **{name: vars(heatmap_metrics.estimate(own[name])) for name in heatmap_metrics.MEASURES},
            "minus_first": {n: vars(heatmap_metrics.estimate(own[n] - first[n])) for n in heatmap_metrics.MEASURES},
        }
        for path, own in values.items()
    ]
    if as_json:
        means = {path: {name: float(own[name].mean()) for name in own} for path, own in values.items()}
        said = {"data": data, "n": len(chosen), "seed": seed, "results": rows}
        typer.echo(json.dumps(said | {"over_seeds": networks_over_seeds(models, means)}))
        return
    table = Table("checkpoint", *heatmap_metrics.MEASURES, title=f"{len(chosen):,} images of {data}",
                  caption="Mean over the images, with 95 % confidence interval")  # fmt: skip
    for path, own in values.items():
        table.add_row(path.stem, *(str(heatmap_metrics.estimate(own[name])) for name in heatmap_metrics.MEASURES))
    Console().print(table)
