"""`python -m camdrop attack`: how well networks resist adversarial examples (paper: section 4.3, Table 7)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camdrop.cli.options import DataSpec, Device, load_data, networks_over_seeds, open_checkpoint, own_info

if TYPE_CHECKING:
    from rich.table import Table

    from camdrop.analysis.attacks import PGD, Tally

app = typer.Typer()

_RATES = ("clean_error", "error_rate", "success_rate")


@app.command()
def attack(
    checkpoints: Annotated[list[Path], typer.Argument(metavar="CHECKPOINT…")],
    data: DataSpec,
    epsilon: Annotated[float, typer.Option(help="radius of the L∞ ball, on the scale of pixels from 0 to 255")] = 5.0,
    step: Annotated[float, typer.Option(help="on the same scale; FGSM is --step EPSILON --iterations 1")] = 1.0,
    iterations: Annotated[int, typer.Option()] = 2,
    untargeted: Annotated[bool, typer.Option("--untargeted", help="away from the true class, to no target")] = False,
    random_start: Annotated[bool, typer.Option("--random-start", help="start anywhere in the ball")] = False,
    reach_epsilon: Annotated[
        bool, typer.Option("--reach-epsilon", help="a step is ε / iterations at least, as in the authors' code")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="only that many images, drawn at random")] = None,
    seed: Annotated[int, typer.Option(help="of the images, target classes and random starts")] = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    device: Device = None,
) -> None:
    """Error and success rates under PGD with random targets (Table 7) on a data set's test images."""
    from rich.console import Console

    from camdrop.analysis.attacks import PGD, attack_dataset
    from camdrop.cli.progress import data_progress
    from camdrop.training import pick_device

    pgd, on = PGD(epsilon, step, iterations, not untargeted, random_start, reach_epsilon), pick_device(device)
    loaded = {path: open_checkpoint(path) for path in checkpoints}
    dataset = load_data(data, ("test",))
    infos = {path: own_info(checkpoint.meta, path, data, dataset.info) for path, checkpoint in loaded.items()}
    tallies = {}
    with data_progress() as progress:
        for path, info in infos.items():
            model, scale = loaded[path].model.to(on), (info.mean, info.std)
            for tally in attack_dataset(model, dataset.test, pgd, *scale, limit=limit, seed=seed):
                progress(path.stem, tally.n / tally.total)
                tallies[path] = tally
    if as_json:
        rows = [
            {"checkpoint": str(path), "method": loaded[path].meta.method} | tally.numbers()
            for path, tally in tallies.items()
        ]
        rates = {path: {k: tally.numbers()[k] for k in _RATES} for path, tally in tallies.items()}
        said = {"data": data, "attack": dataclasses.asdict(pgd), "seed": seed, "results": rows}
        typer.echo(json.dumps(said | {"over_seeds": networks_over_seeds(loaded, rates)}))
    else:
        Console().print(_table(pgd, tallies))


def _table(pgd: PGD, tallies: dict[Path, Tally]) -> Table:
    """As Table 7 of the paper, with the error before the attack."""
    from rich.table import Table

    n = max(tally.n for tally in tallies.values())
    table = Table(title=f"{pgd}, {n:,} images", caption="In percent, with 95 % confidence intervals")
    table.add_column("checkpoint", no_wrap=True)
    for rate in ("clean error", "error rate", "success rate"):
        table.add_column(rate, justify="right")
    for path, tally in tallies.items():
        table.add_row(path.stem, str(tally.clean_error), str(tally.error), str(tally.success))
    return table
