"""`python -m camdrop …`: app, train, race, evaluate, attack, cam. A mistake is one line on stderr and exit status 2."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from camdrop.cli import attack, compare, export, leakage, report, start, studies
from camdrop.cli.options import SPECS_HELP, DataSpec, Device, class_index, listed, load_data, open_checkpoint, own_info

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Structured dropout inside convolutional networks: train, evaluate, look.",
)  # fmt: skip

app.add_typer(attack.app)
app.add_typer(compare.app)
app.add_typer(studies.app)
app.add_typer(report.app)
app.add_typer(export.app)
app.add_typer(leakage.app)
app.add_typer(start.app)


@app.command("race")
@app.command("train")
def race(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Option("--run", "--run-dir", help="folder of the run: checkpoints, metrics, configuration, heatmaps"),
    ],
    data: Annotated[str, typer.Option(help=SPECS_HELP)] = "fashion-sample",
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            "--method",
            help="baseline, dropout, spatialdropout, dropblock, droppath, camdrop; "
            "several by commas, each with options of its own: camdrop:reading=official:keep_prob=0.8",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="noise, mnist, fashion, cifar-resnet20, -resnet56, -resnet110, imagenet, or the paper's table1 … 5"
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="resnet8 (the default), 20, 32, 44, 56, 110, 18, 50")] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    minutes: Annotated[float | None, typer.Option(help="time budget instead of epochs")] = None,
    keep_prob: Annotated[float | None, typer.Option(help="γ, the retaining rate; by default 0.9")] = None,
    block_size: Annotated[int | None, typer.Option(help="r; by default 8, with --preset imagenet 7")] = None,
    channel_fraction: Annotated[
        float | None, typer.Option(help="share of the channels that are dominant; by default 1/8")
    ] = None,
    position_fraction: Annotated[float | None, typer.Option(help="share of the positions; by default 1/r²")] = None,
    reading: Annotated[str | None, typer.Option(help="paper (the default), official or matched")] = None,
    guide: Annotated[str | None, typer.Option(help="cam (the default) or mean")] = None,
    channels: Annotated[str | None, typer.Option(help="dominant (the default) or all")] = None,
    label: Annotated[
        str | None, typer.Option(help="the class that guides: true (the default), predicted or random")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="of γ: constant (the default), linear (1 → γ) or inverse (γ → 1)")
    ] = None,
    stages: Annotated[
        str | None, typer.Option(help="where masks act: layer1,layer2,layer3, or blocks: layer3.2")
    ] = None,
    sites: Annotated[str | None, typer.Option(help="kinds of drop site: conv,branch,skip")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr")] = None,
    lr_schedule: Annotated[str | None, typer.Option(help="step (paper), imagenet-step (paper) or onecycle")] = None,
    batch_size: Annotated[int | None, typer.Option()] = None,
    weight_decay: Annotated[float | None, typer.Option()] = None,
    label_smoothing: Annotated[float | None, typer.Option()] = None,
    validation: Annotated[float | None, typer.Option(help="share of the training images held out")] = None,
    images: Annotated[int | None, typer.Option(help="train on so many, the same number of each class")] = None,
    label_noise: Annotated[float | None, typer.Option(help="share of the training labels that is drawn anew")] = None,
    selection: Annotated[
        str | None, typer.Option(help="the checkpoint that is tested: best (of the least validation error) or last")
    ] = None,
    flip: Annotated[bool | None, typer.Option(help="mirror images at random")] = None,
    crop: Annotated[int | None, typer.Option(help="padding of the random crop, in pixels; not of large images")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    device: Device = None,
    threads: Annotated[int | None, typer.Option(help="threads of the CPU")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="run the networks through torch.compile")] = False,
    bounds: Annotated[bool, typer.Option("--bounds", help="measure gradient bounds (Eq. 13) after each epoch")] = False,
    obedience: Annotated[
        bool, typer.Option("--leakage", help="measure how often networks obey their masks after each epoch")
    ] = False,
    log: Annotated[str | None, typer.Option(help="tensorboard: event files in the run folder, too")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run in this folder")] = False,
) -> None:
    """Train one network, or several side by side on the same batches, into a run folder."""
    from camdrop.cli.progress import data_progress, race_table
    from camdrop.report.paper_tables import preset_methods
    from camdrop.runs import RunConfig
    from camdrop.runs.tensorboard import event_log
    from camdrop.runs.trainer import train
    from camdrop.training.config import contender, make_recipe, preset_block_size, require_options

    config = None
    if not resume:
        default = "baseline" if context.info_name == "train" else "baseline,dropblock,camdrop"
        lines = (methods or preset_methods(preset) or default).split(",")
        shared = _given({
            "keep_prob": keep_prob, "block_size": block_size, "channel_fraction": channel_fraction,
            "position_fraction": position_fraction, "reading": reading, "guide": guide, "channels": channels,
            "label": label,
        })  # fmt: skip
        where = _given({"schedule": schedule, "stages": stages, "sites": sites})
        require_options([line.strip().partition(":")[0] for line in lines], shared | where)
        shared = {"block_size": preset_block_size(preset)} | shared
        contenders = tuple(
            contender(line, shared, schedule or "constant", listed(stages), listed(sites)) for line in lines
        )
        changes = _given({
            "model": model, "epochs": epochs, "minutes": minutes, "batch_size": batch_size, "lr_schedule": lr_schedule,
            "learning_rate": learning_rate, "weight_decay": weight_decay, "label_smoothing": label_smoothing,
            "validation": validation, "flip": flip, "crop": crop, "seed": seed, "images": images,
            "label_noise": label_noise, "selection": selection,
        })  # fmt: skip
        config = RunConfig(data, make_recipe(preset, changes), contenders, device, threads, compiled, bounds, obedience)
    with data_progress() as progress, race_table(run) as show, event_log(run, log) as write:

        def listen(record: dict[str, Any]) -> None:
            show(record)
            write(record)

        ended = train(run, config, resume=resume, progress=progress, listen=listen)
    if ended.state == "stopped":
        typer.echo(f"stopped at step {ended.step} of {ended.total}; go on with: camdrop race --run {run} --resume")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the command line names."""
    return {name: value for name, value in options.items() if value is not None}


@app.command()
def evaluate(
    checkpoint: Path, data: DataSpec, as_json: Annotated[bool, typer.Option("--json")] = False, device: Device = None
) -> None:
    """Top-1 and top-5 error of a checkpoint on a data set's test images."""
    from camdrop import training

    loaded = open_checkpoint(checkpoint)
    dataset = load_data(data, ("test",))
    own = own_info(loaded.meta, checkpoint, data, dataset.info)
    result = training.evaluate(loaded.model.to(training.pick_device(device)), dataset.test, own)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(
            f"top-1 error {result['top1_error']:.2f} %, top-5 {result['top5_error']:.2f} %, {result['n']} images"
        )


@app.command()
def cam(
    checkpoint: Path,
    image: Path,
    out: Annotated[Path, typer.Option(help="FILE.png (heatmap over the image) or FILE.npy (the map itself)")],
    target: Annotated[str | None, typer.Option("--class", help="number or name; by default the predicted one")] = None,
    stage: Annotated[str | None, typer.Option(help="layer1 …; by default the last stage")] = None,
    colormap: Annotated[str, typer.Option()] = "viridis",
    opacity: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
) -> None:
    """Class activation map of an image (Eq. 5, 7) as a picture or as numbers."""
    import numpy as np

    from camdrop import figures
    from camdrop.analysis.explanations import predict
    from camdrop.data import fit_image, read_image

    kind = out.suffix.lower()
    if kind not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy, got {out.name}")
    loaded = open_checkpoint(checkpoint)
    model, meta = loaded.model, loaded.meta
    if meta.in_channels not in (1, 3):
        raise ValueError(
            f"{checkpoint} takes images of {meta.in_channels} channels, but files of images are grey or RGB: "
            "name a checkpoint of 1 or 3 channels"
        )
    stage = stage or model.stage_names[-1]
    if stage not in model.stage_names:
        raise ValueError(f"--stage must be one of {', '.join(model.stage_names)}, got {stage}")
    pixels = fit_image(read_image(image), meta.in_channels, meta.image_size or 32)
    prediction = predict(loaded, pixels[None])
    index = prediction.predicted if target is None else class_index(target, meta.classes, meta.num_classes)
    values = prediction.heatmap(index, stage)
    if kind == ".npy":
        with out.open("wb") as file:  # given a name, NumPy would add a suffix in small letters
            np.save(file, values)
    else:
        low, high = float(values.min()), float(values.max())
        painted = figures.overlay(prediction.picture, values, colormap=colormap, opacity=opacity, low=low, high=high)
        out.write_bytes(figures.png(painted, scale=max(1, 512 // painted.shape[0])))
    name = meta.classes[index] if meta.classes else str(index)
    typer.echo(f"{out}: {stage}, class {index} ({name}), probability {prediction.probabilities[index]:.3f}")


def main() -> None:
    """Entry point: runs the command, turns a user's mistake into one line and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():  # Windows would take a code page without γ
            stream.reconfigure(encoding="utf-8")
    try:
        with _warnings_in_a_line():
            status = app(standalone_mode=False)
    except (ValueError, OSError) as error:
        status = _fail(str(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error of the command-line parser
            raise
        status = _fail(error.format_message())
    except KeyboardInterrupt:
        status = 130
    sys.exit(status or 0)


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """What the library warns of, without the line of code that Python adds."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
            if category.__name__ == "DataWarning":  # whose module imports PyTorch, which takes a second
                print("camdrop:", message, file=sys.stderr)
            else:
                usual(message, category, *rest)

        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _fail(message: str) -> int:
    print("camdrop:", " ".join(message.split()), file=sys.stderr)
    return 2
