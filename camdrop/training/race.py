"""A race trains contenders in lockstep, from the same initial weights, on the same batches and augmentation.

Contenders differ only in their dropout. A single training is a race of one.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from camdrop.data import AnySplit, DataInfo, Dataset, normalise
from camdrop.figures.numbers import percentage
from camdrop.masks import Mask, Method
from camdrop.resnet import Drop, Network, build
from camdrop.sampling import training_masks
from camdrop.schedules import keep_prob_at, learning_rate_at
from camdrop.training.batches import make_batches, split_training
from camdrop.training.config import Contender, Recipe, check_names
from camdrop.training.devices import autocast
from camdrop.training.distributed import ALONE, Team

KNOBS = ("learning_rate", "keep_prob", "block_size")
OVERHEAD = 1.05  # time of a run ÷ time of its steps and evaluations: heatmap history, checkpoints
_SAMPLE = 500  # training images, at most, on which the error without masks is measured
_MEASURED_STEPS = 12  # at least, before the length of a run with a time budget is set
_WARM_UP = 3  # of them
_LONG = 0.1  # share of its time budget that a race spends in measuring, at most, where that is less than an epoch


def evaluated(train: int, held: int) -> float:
    """What the evaluations at an epoch's end cost, as so many images of training: a forward pass is a third of a step.

    `train` and `held` are the numbers of images that a race trains on and holds out.
    """
    return (held + min(train, _SAMPLE)) / 3


class Runner:
    """A contender's network and optimiser while it trains, and the sums of its metrics since the last `pop_metrics`.

    `compiled` runs the network through `torch.compile`; the masks between its convolutions stay as they are.
    """

    def __init__(
        self, contender: Contender, info: DataInfo, recipe: Recipe, device: torch.device, team: Team, compiled: bool
    ) -> None:
        self.contender, self.recipe, self.team = contender, recipe, team
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            model = build(recipe.model, len(info.classes), info.channels)
        self.model = model.to(device).to(memory_format=torch.channels_last)
        joined = team.join(self.model, device)
        self.compiled = compiled
        self.trained = torch.compile(joined) if compiled else joined
        self.sites = contender.sites(self.model)
        self.generator = torch.Generator(device)
        self.reseed(0)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.knobs: dict[str, float] = {}
        self.ended: str | None = None
        self.totals = torch.zeros(2, device=device)  # loss and share dropped, summed over images
        self.images, self.seconds = 0, 0.0
        self.epoch_wrong, self.epoch_images = torch.zeros((), device=device), 0

    def reseed(self, step: int) -> None:
        """Seed the masks from `step` on; each member of a team draws others."""
        self.generator.manual_seed(self.recipe.seed + 2 + 1_000_003 * self.team.rank + 7919 * step)

    def knob(self, name: str) -> float | None:
        """Where one of `KNOBS` stands: as turned, else as configured; None where the contender has no such knob."""
        owner = self.recipe if name == "learning_rate" else self.contender.method
        return self.knobs.get(name, getattr(owner, name, None))

    def method_at(self, progress: float) -> Method | None:
        """The method at `progress`, with the keep probability by schedule and knobs."""
        method = self.contender.method
        if method is None:
            return None
        target = self.knobs.get("keep_prob", method.keep_prob)
        changes: dict[str, Any] = {"keep_prob": keep_prob_at(progress, target, self.contender.schedule)}
        if "block_size" in self.knobs and hasattr(method, "block_size"):
            changes["block_size"] = int(self.knobs["block_size"])
        return dataclasses.replace(method, **changes)

    def learning_rate(self, progress: float) -> float:
        peak = self.knobs.get("learning_rate", self.recipe.learning_rate)
        return learning_rate_at(progress, peak, self.recipe.lr_schedule)

    def step(self, x: Tensor, y: Tensor, progress: float) -> None:
        """One step of SGD on normalised images x and targets y; nothing here waits for a GPU."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(progress)
        method, record = self.method_at(progress), dict[str, Mask]()
        drop: Drop | None = None
        if method is not None:
            with autocast(x.device):
                drop = training_masks(method, self.model, x, y, self.sites, self.generator, record)
            if self.compiled:  # generators cannot be traced, and a γ that changes would compile anew at each step
                drop = torch.compiler.disable(drop)
        with autocast(x.device):
            logits = self.trained(x, drop).float()
        loss = F.cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        wrong = (logits.detach().argmax(1) != y).float().sum()
        shares = [mask.dropped.mean() for mask in record.values()] or [torch.zeros_like(wrong)]
        self.totals += torch.stack([loss.detach(), torch.stack(shares).mean()]) * len(y)
        self.images += len(y)
        self.epoch_wrong += wrong
        self.epoch_images += len(y)

    def pop_metrics(self, progress: float, epoch_ends: bool = True) -> dict[str, Any]:
        """The metrics of the steps since the last call, as means over images, errors in percent; resets them.

        The training error is that of the epoch so far; it is reset if `epoch_ends`. Every member of a team has to call
        this, for the means are over the team. Numbers may be infinite or NaN.
        """
        loss, dropped = self.team.mean(self.totals / max(1, self.images)).tolist()
        wrong = self.team.mean(self.epoch_wrong).item() / max(1, self.epoch_images)
        method = self.method_at(progress)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        metrics = {
            "loss": loss,
            "train_error": percentage(wrong),
            "dropped": dropped,
            "learning_rate": self.learning_rate(progress),
            "keep_prob": None if method is None else method.keep_prob,
            "gradient_norm": norm.item(),
            "images_per_second": self.team.size * self.images / self.seconds if self.seconds else None,
        }
        self.totals.zero_()
        self.images, self.seconds = 0, 0.0
        if epoch_ends:
            self.epoch_wrong.zero_()
            self.epoch_images = 0
        return metrics

    def end_if_diverged(self, metrics: dict[str, Any]) -> None:
        """End the contender where the loss of these metrics is not finite; `ended` says why."""
        if not math.isfinite(loss := metrics["loss"]):
            rate = metrics["learning_rate"]
            self.ended = f"diverged: the loss is {loss} at learning rate {rate:.3g}; try a smaller one"

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "knobs": dict(self.knobs),
            "generator": self.generator.get_state(), "totals": self.totals, "images": self.images, "ended": self.ended,
            "epoch": (self.epoch_wrong, self.epoch_images),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.totals.copy_(state["totals"][[0, -1]])  # older files have the wrong answers between
        self.knobs, self.images, self.ended = dict(state["knobs"]), state["images"], state["ended"]
        if "epoch" in state:  # older files have none
            self.epoch_wrong.copy_(state["epoch"][0])
            self.epoch_images = state["epoch"][1]


class Race:
    """Contenders that see the same batches in the same order. `step` trains each by one batch.

    `total` is the number of steps; for a recipe with minutes it is None until the race has measured an epoch, or some
    steps where epochs are long, and follows the clock after each epoch. On the CPU, a race of epochs that is restored
    from its `state` goes on bit for bit as if it had never stopped.
    """

    def __init__(
        self,
        data: Dataset,
        recipe: Recipe,
        contenders: list[Contender],
        device: torch.device,
        team: Team = ALONE,
        compiled: bool = False,
    ) -> None:
        check_names(contenders)
        self.recipe, self.info, self.device, self.team = recipe, data.info, device, team
        train, held = split_training(data.train, recipe)
        if len(train) < 2:
            raise ValueError(f"training needs at least 2 images, got {len(train)}")
        self.train, self.held = train.to(device), held.to(device)
        some = torch.randperm(len(train), generator=torch.Generator().manual_seed(recipe.seed + 5))[:_SAMPLE]
        self.sample = train.pick(some.sort().values).to(device)  # on which errors without masks are measured
        self.batch = min(recipe.batch_size * team.size, len(train))  # of the whole team
        self.epoch_steps = len(train) // self.batch
        self.total = None if recipe.epochs is None else recipe.epochs * self.epoch_steps
        self.done = 0
        self.batches = make_batches(self.train, self.batch, recipe, data.info, device, team)
        self.runners = [Runner(c, data.info, recipe, device, team, compiled) for c in contenders]
        self._times: list[float] = []
        self._began: float | None = None  # when the first step did, by time.perf_counter
        self._stepping = 0.0  # seconds in steps since then

    @property
    def epoch(self) -> float:
        """The number of finished epochs, with the fraction of the current one."""
        return self.done / self.epoch_steps

    @property
    def progress(self) -> float:
        """The finished share of the run, in [0, 1]; 0 while `total` is unknown."""
        return self.done / self.total if self.total else 0.0

    @property
    def active(self) -> list[Runner]:
        return [r for r in self.runners if r.ended is None]

    @property
    def finished(self) -> bool:
        return not self.active or (self.total is not None and self.done >= self.total)

    def step(self) -> None:
        """Train every active contender by one batch."""
        begin = time.perf_counter()
        if self.done == 0:
            self._began = begin
        self._plan(begin)
        (x, y), progress = self.batches.at(self.done), self.progress
        for runner in self.active:
            start = time.perf_counter()
            runner.model.train()
            runner.step(x, y, progress)
            runner.seconds += time.perf_counter() - start
        self.done += 1
        seconds = time.perf_counter() - begin
        self._stepping += seconds
        if len(self._times) < _MEASURED_STEPS:
            self._times.append(seconds)

    def _plan(self, now: float) -> None:
        """Set `total` to the steps that fit into the minutes, by what is measured so far.

        That is after each epoch, so that a machine that becomes slower does not take longer; the first time after some
        steps where an epoch is long, or where the race was restored before it knew.
        """
        if self.recipe.minutes is None or self.done < _MEASURED_STEPS:
            return
        budget, total = 60 * self.recipe.minutes, self.total
        epochs, inside = divmod(self.done, self.epoch_steps)
        if self._began is not None and inside == 0:
            elapsed = now - self._began
            total = self._fit(budget - elapsed, self._stepping / self.done, (elapsed - self._stepping) / epochs)
        elif total is None and (self.done == _MEASURED_STEPS or self._began is None):
            measured = self._times[_WARM_UP:]
            step = sum(measured) / len(measured)
            rest = OVERHEAD * evaluated(len(self.train), len(self.held)) / self.batch * step
            if self._began is None or self.epoch_steps * step > _LONG * budget:
                total = self._fit(budget - self.done * step, step, rest)
        else:
            return
        self.total = self.team.broadcast(total)

    def _fit(self, seconds: float, step: float, rest: float) -> int:
        """The number of steps in all if so many seconds are left, and every epoch ends with a `rest` in seconds."""
        here = self.done % self.epoch_steps
        seconds += here * step - rest  # since this epoch began, without the test, which takes about as long as the rest
        epochs, more = divmod(seconds, self.epoch_steps * step + rest)
        whole, begun = self.done - here + int(epochs) * self.epoch_steps, int((more - rest) / step)
        if whole and begun < 0.1 * self.epoch_steps:
            begun = 0  # without an epoch that would hardly begin
        return max(self.done + 1, whole + max(0, begun))

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the race depends on."""
        return {
            "done": self.done, "total": self.total, "times": self._times,
            "runners": {r.contender.name: r.state() for r in self.runners},
        } | self.batches.state()  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.done, self.total, self._times = state["done"], state["total"], list(state["times"])
        self.batches.restore(state)
        for runner in self.runners:
            runner.restore(state["runners"][runner.contender.name])
            if not self.team.is_main:  # the state is that of the main process
                runner.reseed(self.done)


@torch.no_grad()
def evaluate(model: Network, split: AnySplit, info: DataInfo, batch_size: int = 500) -> dict[str, float]:
    """The errors of a network on a split, without dropout: {"top1_error": %, "top5_error": %, "n": images}."""
    model.eval()
    device = next(model.parameters()).device
    k = min(5, model.num_classes)
    right = torch.zeros(2, dtype=torch.long, device=device)
    for images, labels in split.batches(batch_size):
        scores = model(normalise(images.to(device), info.mean, info.std))
        hits = scores.topk(k, dim=1).indices == labels.to(device)[:, None]
        right += torch.stack([hits[:, 0].sum(), hits.sum()])
    n = len(split.labels)
    top1, top5 = right.tolist()
    return {"top1_error": percentage(1 - top1 / n), "top5_error": percentage(1 - top5 / n), "n": n}
