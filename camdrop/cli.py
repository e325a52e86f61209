"""`python -m camdrop …`: train, evaluate, cam. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Structured dropout inside convolutional networks: train, evaluate, look.",
)  # fmt: skip

DataSpec = Annotated[
    str,
    typer.Option(help="fashion-sample, fashion-mnist, mnist, cifar10, or folder:DIR (train/<class>/*, test/<class>/*)"),
]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu; by default the best one here")]


def _load(spec: str, splits: tuple[str, ...]) -> Any:
    from camdrop.data import load_dataset

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=1.0)
            bar.update(tasks[what], completed=share)

        return load_dataset(spec, splits=splits, progress=progress)


@app.command()
def train(
    data: DataSpec,
    run: Annotated[Path, typer.Option(help="folder for the checkpoint, the metrics and the configuration")],
    model: Annotated[str, typer.Option(help="resnet8, 20, 32, 44, 56, 110, 18 or 50 (resnetN)")] = "resnet8",
    method: Annotated[
        str, typer.Option(help="baseline, dropout, spatialdropout, dropblock, droppath or camdrop")
    ] = "baseline",
    epochs: Annotated[int, typer.Option(min=1)] = 20,
    keep_prob: Annotated[float, typer.Option(help="γ, the retaining rate")] = 0.9,
    block_size: Annotated[int, typer.Option(help="r")] = 8,
    channel_fraction: Annotated[float, typer.Option(help="share of the channels that are dominant")] = 1 / 8,
    position_fraction: Annotated[float | None, typer.Option(help="share of the positions; by default 1/r²")] = None,
    reading: Annotated[str, typer.Option(help="paper, official or matched")] = "paper",
    guide: Annotated[str, typer.Option(help="cam or mean")] = "cam",
    channels: Annotated[str, typer.Option(help="dominant or all")] = "dominant",
    schedule: Annotated[str, typer.Option(help="of γ: constant, linear (1 → γ) or inverse (γ → 1)")] = "constant",
    learning_rate: Annotated[float, typer.Option("--lr")] = 0.1,
    lr_schedule: Annotated[str, typer.Option(help="step (paper) or onecycle")] = "onecycle",
    batch_size: Annotated[int, typer.Option()] = 128,
    weight_decay: Annotated[float, typer.Option()] = 5e-4,
    validation: Annotated[float, typer.Option(help="share of the training images held out")] = 0.05,
    flip: Annotated[bool, typer.Option(help="mirror images at random")] = True,
    crop: Annotated[int, typer.Option(help="padding of the random crop, in pixels")] = 4,
    seed: Annotated[int, typer.Option()] = 0,
    device: Device = None,
    half: Annotated[bool, typer.Option(help="store the checkpoint in half precision")] = False,
) -> None:
    """Train one network and write its checkpoint, metrics and configuration into a run folder."""
    from camdrop import checkpoints, training

    options = {
        "keep_prob": keep_prob, "block_size": block_size, "channel_fraction": channel_fraction, "guide": guide,
        "position_fraction": position_fraction, "reading": reading, "channels": channels,
    }  # fmt: skip
    chosen = training.make_method(method, options)
    contender = training.Contender(method, chosen, schedule)
    recipe = training.Recipe(
        model=model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, lr_schedule=lr_schedule,
        weight_decay=weight_decay, crop=crop, flip=flip, validation=validation, seed=seed,
    )  # fmt: skip
    where = training.pick_device(device)
    dataset = _load(data, ("train", "test"))
    run.mkdir(parents=True, exist_ok=True)
    with (run / "metrics.jsonl").open("w") as metrics:
        for record, network in training.race(dataset, recipe, [contender], where):
            print(json.dumps(dataclasses.asdict(record)), file=metrics, flush=True)
            held = "" if record.validation_error is None else f"  validation {record.validation_error:.2f} %"
            typer.echo(
                f"epoch {record.epoch}/{epochs}  loss {record.loss:.4f}  train {record.train_error:.2f} %{held}"
                f"  dropped {100 * record.dropped:.2f} %  {record.seconds:.0f} s"
            )
    test = training.evaluate(network, dataset.test, dataset.info)
    meta = checkpoints.Meta(
        architecture=network.architecture, num_classes=network.num_classes, in_channels=network.in_channels,
        shortcut=network.shortcut, dataset=dataset.info.name, classes=dataset.info.classes, mean=dataset.info.mean,
        std=dataset.info.std, image_size=dataset.info.size, method=method,
        method_options={} if chosen is None else dataclasses.asdict(chosen) | {"schedule": schedule},
        recipe=dataclasses.asdict(recipe), epochs=epochs, seed=seed, train_error=record.train_error,
        validation_error=record.validation_error, test_error=test["top1_error"], test_images=int(test["n"]),
        device=_describe(where), versions=_versions(), created=date.today().isoformat(),
    )  # fmt: skip
    path = run / "last.safetensors"
    checkpoints.save(path, network, meta, half=half)
    typer.echo(f"test error {test['top1_error']:.2f} % on {test['n']} images · {path}")


@app.command()
def evaluate(
    checkpoint: Path, data: DataSpec, as_json: Annotated[bool, typer.Option("--json")] = False, device: Device = None
) -> None:
    """Top-1 and top-5 error of a checkpoint on a data set's test images."""
    from camdrop import checkpoints, training

    loaded = checkpoints.load(checkpoint)
    dataset = _load(data, ("test",))
    meta, info = loaded.meta, dataset.info
    if info.channels != meta.in_channels or len(info.classes) != meta.num_classes:
        raise ValueError(
            f"{checkpoint} is for {meta.in_channels}-channel images of {meta.num_classes} classes, but {data} has "
            f"{info.channels} channels and {len(info.classes)} classes; name the data set that it was trained on"
        )
    own = dataclasses.replace(info, mean=meta.mean or info.mean, std=meta.std or info.std)
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
    import torch

    from camdrop import checkpoints, figures
    from camdrop.cam import class_activation_map, upsample
    from camdrop.data import fit_image, normalise, read_image

    if out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy, got {out.name}")
    loaded = checkpoints.load(checkpoint)
    model, meta = loaded.model, loaded.meta
    stage = stage or model.stage_names[-1]
    if stage not in model.stage_names:
        raise ValueError(f"--stage must be one of {', '.join(model.stage_names)}, got {stage}")
    picture = read_image(image)
    pixels = fit_image(picture, meta.in_channels, meta.image_size or 32)
    with torch.no_grad():
        stages = model.stages(normalise(pixels[None], meta.mean, meta.std))
        scores = model.forward_from(model.stage_names[-1], stages[model.stage_names[-1]])
    index = int(scores.argmax()) if target is None else _class_index(target, meta.classes, meta.num_classes)
    heat = class_activation_map(stages[stage], model.fc.weight, torch.tensor([index]))
    values = upsample(heat, (pixels.shape[1], pixels.shape[2]))[0].numpy()
    if out.suffix == ".npy":
        np.save(out, values)
    else:
        rgb = pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()
        low, high = float(values.min()), float(values.max())
        painted = figures.overlay(rgb, values, colormap=colormap, opacity=opacity, low=low, high=high)
        out.write_bytes(figures.png(painted, scale=max(1, 512 // painted.shape[0])))
    name = meta.classes[index] if meta.classes else str(index)
    typer.echo(f"{out}: {stage}, class {index} ({name}), probability {float(scores.softmax(1)[0, index]):.3f}")


def _class_index(target: str, classes: tuple[str, ...], count: int) -> int:
    if target in classes:
        return classes.index(target)
    if target.isdigit() and int(target) < count:
        return int(target)
    names = f" or one of {', '.join(classes[:20])}" if classes else ""
    raise ValueError(f"--class must be a number from 0 to {count - 1}{names}, got {target}")


def _describe(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0] if models else cpu
    return f"{cpu}, {os.cpu_count()} cores" if device.type == "cpu" else f"{device.type} ({cpu})"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version()} | {p: version(p) for p in ("torch", "torchvision")}


def main() -> None:
    """Entry point: runs the command, turns a user's mistake into one line and exit status 2."""
    try:
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


def _fail(message: str) -> int:
    print("camdrop:", " ".join(message.split()), file=sys.stderr)
    return 2
