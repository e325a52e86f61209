"""`python -m camdrop export`: a heatmap set over a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camdrop.cli.options import Device, class_index, tell_assumed

app = typer.Typer()


@app.command()
def export(
    network: Annotated[str, typer.Argument(help="a checkpoint, or torchvision:NAME, timm:NAME")],
    folder: Annotated[Path, typer.Argument(help="images, however deep in it")],
    out: Annotated[Path, typer.Option(help="folder for PATH.png and PATH.npz of each image PATH")],
    weights: Annotated[Path | None, typer.Option(help="state dictionary for a network of torchvision or timm")] = None,
    target: Annotated[str | None, typer.Option("--class", help="number or name; by default the predicted one")] = None,
    colormap: Annotated[str, typer.Option()] = "viridis",
    opacity: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    device: Device = None,
) -> None:
    """Class activation maps of all images in a folder, as pictures and numbers; run it again to go on."""
    from camdrop.analysis.heatmap_export import Look, open_viewer
    from camdrop.analysis.heatmap_export import export as write
    from camdrop.cli.progress import data_progress
    from camdrop.data.text import plain_text
    from camdrop.data.walker import left_out_sentence
    from camdrop.training import pick_device

    viewer = open_viewer(network, weights)
    tell_assumed(network, viewer.assumed)
    index = None if target is None else class_index(target, viewer.classes, len(viewer.classes))
    with data_progress() as progress:
        look, on = Look(index, colormap, opacity), pick_device(device)
        exported = write(viewer, folder, out, look, batch_size=batch_size, device=on, progress=progress)
    for sentence in exported.failed:
        typer.echo(sentence, err=True)
    if sentence := left_out_sentence(plain_text(str(folder)), exported.left_out):
        typer.echo(sentence, err=True)
    unreadable = len(exported.failed)
    where = plain_text(str(out))
    typer.echo(f"{where}: {exported.done} heatmaps, {exported.before} were there, {unreadable} images unreadable")
