"""Training: contenders that see the same batches in the same order and differ only in their dropout."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from camdrop.data import DataInfo, Dataset, Split, normalise
from camdrop.masks import METHODS, DropPath, Mask, Method
from camdrop.resnet import ARCHITECTURES, KINDS, ResNet, SampleMasks, build
from camdrop.schedules import KEEP_SCHEDULES, LR_SCHEDULES, keep_prob_at, learning_rate_at


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum and weight decay, pad-and-crop and flip, a learning-rate schedule.

    `validation` is the share of the training set that is held out. `crop` is the padding in pixels.
    """

    model: str
    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.1
    lr_schedule: str = "onecycle"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    crop: int = 4
    flip: bool = True
    validation: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in ARCHITECTURES:
            raise ValueError(f"model must be one of {', '.join(ARCHITECTURES)}, got {self.model!r}")
        if self.lr_schedule not in LR_SCHEDULES:
            raise ValueError(f"lr_schedule must be one of {', '.join(LR_SCHEDULES)}, got {self.lr_schedule!r}")
        for name, low in (("epochs", 1), ("batch_size", 2), ("learning_rate", 0), ("crop", 0), ("weight_decay", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be in [0, 1), got {self.validation}")


@dataclass(frozen=True)
class Contender:
    """One network of a race: a dropout method (None: baseline), its schedule, and the sites where it acts.

    `stages` None means all three stages in the CIFAR family and the last two in the ImageNet family; `kinds` None means
    every kind of site, and the end of the residual branch alone for DropPath.
    """

    name: str
    method: Method | None = None
    schedule: str = "constant"
    stages: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.schedule not in KEEP_SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(KEEP_SCHEDULES)}, got {self.schedule!r}")
        if unknown := set(self.kinds or ()) - set(KINDS):
            raise ValueError(f"kinds must be of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")

    def sites(self, model: ResNet) -> frozenset[str]:
        """Names of the drop sites of `model` where this contender's masks act."""
        stages = self.stages
        if stages is None:
            stages = (
                model.stage_names if ARCHITECTURES[model.architecture].family == "cifar" else model.stage_names[-2:]
            )
        if unknown := set(stages) - set(model.stage_names):
            raise ValueError(f"stages must be of {', '.join(model.stage_names)}, got {', '.join(sorted(unknown))}")
        kinds = self.kinds or (("branch",) if isinstance(self.method, DropPath) else KINDS)
        return frozenset(s.name for s in model.drop_sites if s.stage in stages and s.kind in kinds)


def make_method(name: str, options: dict[str, Any]) -> Method | None:
    """A method by name with those of `options` that it knows; `baseline` is None. ValueError for an unknown name."""
    if name == "baseline":
        return None
    if name not in METHODS:
        raise ValueError(f"method must be one of baseline, {', '.join(METHODS)}, got {name!r}")
    known = {f.name for f in dataclasses.fields(METHODS[name])}
    return METHODS[name](**{k: v for k, v in options.items() if k in known and v is not None})


@dataclass(frozen=True)
class EpochRecord:
    """What one contender did in one epoch; errors in percent, `dropped` the mean share of units dropped at its sites."""

    contender: str
    epoch: int
    loss: float
    train_error: float
    validation_error: float | None
    learning_rate: float
    keep_prob: float | None
    dropped: float
    seconds: float


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Random crop after zero padding and random horizontal flip of uint8 images (N, C, H, W), in one batch."""
    n, _, h, w = images.shape
    device = images.device
    rows = torch.arange(h, device=device).expand(n, h)
    cols = torch.arange(w, device=device).expand(n, w)
    if recipe.flip:
        flipped = torch.rand(n, 1, generator=generator).to(device) < 0.5
        cols = torch.where(flipped, w - 1 - cols, cols)
    if recipe.crop:
        shift = torch.randint(0, 2 * recipe.crop + 1, (2, n, 1), generator=generator).to(device)
        images = F.pad(images, (recipe.crop,) * 4)
        rows, cols = rows + shift[0], cols + shift[1]
    first = torch.arange(n, device=device)[:, None, None]
    return images.permute(0, 2, 3, 1)[first, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2).contiguous()


@dataclass
class _Entry:
    """A contender's network and optimiser while it trains."""

    contender: Contender
    model: ResNet
    optimizer: torch.optim.Optimizer
    sites: frozenset[str]
    generator: torch.Generator
    totals: Tensor  # loss, wrong answers, share dropped, each summed over the epoch's images
    seconds: float = 0.0

    def step(self, x: Tensor, y: Tensor, progress: float, recipe: Recipe) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(progress, recipe.learning_rate, recipe.lr_schedule)
        method, drop, record = self.contender.method, None, dict[str, Mask]()
        if method is not None:
            rate = keep_prob_at(progress, method.keep_prob, self.contender.schedule)
            now = dataclasses.replace(method, keep_prob=rate)
            drop = SampleMasks(now, self.model.fc.weight, y, self.sites, self.generator, record)
        logits = self.model(x, drop)
        loss = F.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        wrong = (logits.detach().argmax(1) != y).float().mean()
        shares = [mask.dropped.mean() for mask in record.values()] or [torch.zeros_like(wrong)]
        self.totals += torch.stack([loss.detach(), wrong, torch.stack(shares).mean()]) * len(y)


def race(
    data: Dataset, recipe: Recipe, contenders: list[Contender], device: torch.device
) -> Iterator[tuple[EpochRecord, ResNet]]:
    """Train the contenders in lockstep: same initial weights, same batches, same augmentation.

    Yields each contender's record and network after every epoch.
    """
    train, validation = split_validation(data.train, recipe)
    train, validation = _to(train, device), _to(validation, device)
    entries = [_enter(c, data.info, recipe, device) for c in contenders]
    order = torch.Generator().manual_seed(recipe.seed)
    size = min(recipe.batch_size, len(train.labels))
    steps = len(train.labels) // size
    for epoch in range(recipe.epochs):
        shuffled = torch.randperm(len(train.labels), generator=order).to(device)
        for entry in entries:
            entry.model.train()
            entry.totals.zero_()
            entry.seconds = 0.0
        for step in range(steps):
            pick = shuffled[step * size : (step + 1) * size]
            x = normalise(augment(train.images[pick], recipe, order), data.info.mean, data.info.std)
            y, progress = train.labels[pick], (epoch + step / steps) / recipe.epochs
            for entry in entries:
                start = time.perf_counter()
                entry.step(x, y, progress, recipe)
                entry.seconds += time.perf_counter() - start
        for entry in entries:
            yield _record(entry, epoch + 1, steps * size, validation, data.info, recipe), entry.model


def split_validation(split: Split, recipe: Recipe) -> tuple[Split, Split]:
    """The training images and the held-out share of them, drawn by the recipe's seed."""
    n = len(split.labels)
    held = int(n * recipe.validation)
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(recipe.seed + 1))
    out, rest = shuffled[:held], shuffled[held:].sort().values
    return Split(split.images[rest], split.labels[rest]), Split(split.images[out], split.labels[out])


def _to(split: Split, device: torch.device) -> Split:
    return Split(split.images.to(device), split.labels.to(device))


def _enter(contender: Contender, info: DataInfo, recipe: Recipe, device: torch.device) -> _Entry:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, len(info.classes), info.channels).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    generator = torch.Generator(device).manual_seed(recipe.seed + 2)
    return _Entry(contender, model, optimizer, contender.sites(model), generator, torch.zeros(3, device=device))


def _record(entry: _Entry, epoch: int, seen: int, held: Split, info: DataInfo, recipe: Recipe) -> EpochRecord:
    method, progress = entry.contender.method, epoch / recipe.epochs
    error = evaluate(entry.model, held, info)["top1_error"] if len(held.labels) else None
    loss, wrong, dropped = (entry.totals / seen).tolist()
    return EpochRecord(
        contender=entry.contender.name,
        epoch=epoch,
        loss=loss,
        train_error=100 * wrong,
        validation_error=error,
        learning_rate=entry.optimizer.param_groups[0]["lr"],
        keep_prob=None if method is None else keep_prob_at(progress, method.keep_prob, entry.contender.schedule),
        dropped=dropped,
        seconds=entry.seconds,
    )


@torch.no_grad()
def evaluate(model: ResNet, split: Split, info: DataInfo, batch_size: int = 500) -> dict[str, float]:
    """Errors of a network on a split: {"top1_error": %, "top5_error": %, "n": images}; dropout is off."""
    model.eval()
    device = next(model.parameters()).device
    k, right1, right5 = min(5, model.num_classes), 0, 0
    for images, labels in zip(split.images.split(batch_size), split.labels.split(batch_size), strict=True):
        scores = model(normalise(images.to(device), info.mean, info.std))
        hits = scores.topk(k, dim=1).indices == labels.to(device)[:, None]
        right1, right5 = right1 + int(hits[:, 0].sum()), right5 + int(hits.sum())
    n = len(split.labels)
    return {"top1_error": 100 * (1 - right1 / n), "top5_error": 100 * (1 - right5 / n), "n": n}


def pick_device(name: str | None = None) -> torch.device:
    """The device by name, by default the best one here: cuda, mps or cpu."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available here; try --device cpu") from error
