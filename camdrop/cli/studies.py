"""`python -m camdrop bounds` and `sweep`: the paper's studies of optimisation (sections 3.4 and 4.2), as commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camdrop.cli.options import DataSpec, listed, load_data, networks_over_seeds, open_checkpoint, own_info

if TYPE_CHECKING:
    from rich.table import Table

    from camdrop.analysis.bound_summary import Chain
    from camdrop.runs.sweep import Cell, Sweep

app = typer.Typer()


@app.command()
def bounds(
    paths: Annotated[list[Path], typer.Argument(metavar="CHECKPOINT…")],
    data: DataSpec,
    only: Annotated[str | None, typer.Option("--layers", help="layer2.0.conv1,…; by default all")] = None,
    parameter: Annotated[str, typer.Option(help="bias (a channel's), unit (a bias of each unit) or weight")] = "bias",
    images: Annotated[int, typer.Option(min=1, help="how many of the test images, drawn by the seed")] = 64,
    keep_prob: Annotated[float, typer.Option(help="γ, the retaining rate")] = 0.9,
    block_size: Annotated[int, typer.Option(help="r")] = 8,
    reading: Annotated[str, typer.Option(help="CamDrop's: paper, official or matched")] = "paper",
    traditional: Annotated[str, typer.Option(help="dropblock, dropout, spatialdropout or droppath")] = "dropblock",
    seed: Annotated[int, typer.Option(help="of the images and the masks")] = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Gradient bounds at each layer: does the chain CamDrop ≤ traditional dropout ≤ none of Eq. 16 hold?"""
    import torch
    from rich.console import Console

    from camdrop.analysis.bound_summary import over_layers, summarise
    from camdrop.analysis.gradient_bounds import PARAMETERS, layers, measure
    from camdrop.cli.progress import data_progress
    from camdrop.data import normalise
    from camdrop.masks import METHODS
    from camdrop.training.config import make_method

    if parameter not in PARAMETERS:
        raise ValueError(f"--parameter must be one of {', '.join(PARAMETERS)}, got {parameter!r}")
    options = {"keep_prob": keep_prob, "block_size": block_size, "reading": reading}
    if traditional not in METHODS or traditional == "camdrop":
        raise ValueError(f"--traditional must be dropblock, dropout, spatialdropout or droppath, got {traditional!r}")
    t, guided = make_method(traditional, {}, options), make_method("camdrop", options)
    loaded = {path: open_checkpoint(path) for path in paths}
    dataset = load_data(data, ("test",))
    infos = {path: own_info(network.meta, path, data, dataset.info) for path, network in loaded.items()}
    some = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(seed))[:images]
    found = {}
    for path, network in loaded.items():
        x = normalise(dataset.test.images[some], infos[path].mean, infos[path].std)
        y, wanted = dataset.test.labels[some], listed(only) or layers(network.model)
        with data_progress() as progress:
            measured = measure(
                network.model, x, y, wanted, parameters=[parameter], traditional=t, guided=guided, seed=seed,
                progress=progress,
            )  # fmt: skip
            found[path] = [summarise(comparison, parameter) for comparison in measured]
    if as_json:
        rows = [
            {"checkpoint": str(path), "chains": [chain.to_json() for chain in chains]} for path, chains in found.items()
        ]
        said = {"data": data, "images": len(some), "parameter": parameter, "seed": seed, "traditional": traditional}
        if len(rows) == 1:
            said |= options | rows[0]
        else:
            numbers = {path: over_layers(chains) for path, chains in found.items()}
            said |= options | {"results": rows, "over_seeds": networks_over_seeds(loaded, numbers)}
        typer.echo(json.dumps(said, indent=1 if len(rows) == 1 else None))
    else:
        for path, chains in found.items():
            Console().print(_bounds_table(chains, f"{path.stem}: " if len(found) > 1 else "", len(some), traditional))


def _bounds_table(chains: list[Chain], name: str, images: int, traditional: str) -> Table:
    from rich import box
    from rich.table import Column, Table

    held = min(chain.gradient_below_bound for chain in chains)
    table = Table(
        Column("layer", no_wrap=True),
        *("1/γ", "Eq. 16", "c ≤ t", "t ≤ none", "c ≤ none", "t ÷ none", "c ÷ none", "drops t", "c"),
        title=f"{name}Eq. 16 for each {chains[0].parameter}, {images} images: t is {traditional}, c is camdrop",
        caption="Shares of all pairs of an image and a parameter; with and without the rescaling by 1/γ.\n"
        f"Eq. 15, |∂L/∂b| ≤ ‖∂S/∂b‖₁, holds for {held:.4g} of them.".replace("for 1 of", "for all of"),
        box=box.SIMPLE_HEAD, padding=0, pad_edge=False,
    )  # fmt: skip
    for chain in chains:
        shares = (
            chain.holds, chain.guided_below_traditional, chain.traditional_below_none, chain.guided_below_none
        )  # fmt: skip
        table.add_row(
            chain.layer,
            "yes" if chain.rescaled else "no",
            *(f"{100 * share:.1f} %" for share in shares),
            *(f"{chain.ratio[name]:.3f}" for name in ("traditional", "guided")),
            *(f"{100 * chain.dropped[name]:.2f} %" for name in ("traditional", "guided")),
        )
    return table


@app.command()
def sweep(
    run: Annotated[Path, typer.Option("--run", help="folder of the sweep, which the page Sweep shows")],
    data: DataSpec = "fashion-sample",
    learning_rates: Annotated[str, typer.Option("--lr", help="by commas")] = "0.03,0.1,0.3,1,3,6,10,15",
    keep_probs: Annotated[str, typer.Option("--keep-prob", help="γ, by commas")] = "1,0.95,0.9,0.85,0.8,0.7,0.6,0.5",
    model: Annotated[str, typer.Option()] = "resnet8",
    method: Annotated[str, typer.Option(help="camdrop, dropblock, dropout, spatialdropout or droppath")] = "camdrop",
    block_size: Annotated[int | None, typer.Option(help="r; by default 7")] = None,
    reading: Annotated[str | None, typer.Option(help="CamDrop's: paper (the default), official or matched")] = None,
    epochs: Annotated[int, typer.Option(help="of each cell")] = 1,
    batch_size: Annotated[int, typer.Option()] = 64,
    lr_schedule: Annotated[str, typer.Option(help="step (paper) or onecycle")] = "step",
    images: Annotated[int | None, typer.Option(help="how many training images at most; by default all")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="cells at once; by default one a core")] = None,
    engine: Annotated[str, typer.Option(help="processes, or ray: the cluster of $RAY_ADDRESS")] = "processes",
    resume: Annotated[bool, typer.Option("--resume", help="go on with the sweep in this folder")] = False,
) -> None:
    """Learning rate × retaining rate (Figure 4): a small training for each of 64 pairs."""
    import dataclasses

    from rich.console import Console

    from camdrop.cli.progress import data_progress
    from camdrop.runs.sweep import RECIPE, Plan, load_sweep
    from camdrop.runs.sweep_workers import run_sweep
    from camdrop.training.config import require_options

    plan = None
    if not resume:
        recipe = dataclasses.replace(
            RECIPE, model=model, epochs=epochs, batch_size=batch_size, lr_schedule=lr_schedule, seed=seed
        )
        rates, keeps = _numbers("--lr", learning_rates), _numbers("--keep-prob", keep_probs)
        options: dict[str, Any] = {
            k: v for k, v in {"block_size": block_size, "reading": reading}.items() if v is not None
        }
        require_options([method], options)
        plan = dataclasses.replace(Plan(data, recipe, rates, keeps, method, images=images), **options)
    total = len((plan or load_sweep(run).plan).cells)
    with data_progress() as progress:
        count = 0 if plan else len(load_sweep(run).cells)

        def listen(cell: Cell) -> None:
            nonlocal count
            count += 1
            progress("Cells", count / total)
            if not Console(stderr=True).is_terminal:
                typer.echo(_cell_line(cell))

        ended = run_sweep(
            run, plan, resume=resume, engine=engine, workers=workers, progress=progress, listen=listen
        )  # fmt: skip
    Console().print(_sweep_table(ended))
    if ended.state == "stopped":
        typer.echo(f"stopped; go on with: python -m camdrop sweep --run {run} --resume")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in listed(text) or ())
    except ValueError:
        raise ValueError(f"{option} must be numbers by commas, got {text!r}") from None


def _cell_line(cell: Cell) -> str:
    errors = "" if cell.validation_error is None else f", validation error {cell.validation_error:.2f} %"
    errors += "" if cell.train_error is None else f", training error {cell.train_error:.2f} %"
    return f"lr {cell.learning_rate:g}, γ {cell.keep_prob:g}: {cell.state}{errors}"


def _sweep_table(sweep: Sweep) -> Table:
    from rich.table import Table

    plan = sweep.plan
    title = "Validation error in percent (×: diverged)"
    table = Table("lr \\ γ", *(f"{keep:g}" for keep in plan.keep_probs), title=title)
    for rate in plan.learning_rates:
        table.add_row(f"{rate:g}", *(str(sweep.cells.get((rate, keep), "")) for keep in plan.keep_probs))
    return table
