"""Adversarial examples (paper section 4.3, Table 7): PGD in an L∞ ball, and how often it succeeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from camdrop.data import AnySplit, normalise
from camdrop.resnet import Network


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent (Madry et al. 2018) in an L∞ ball; defaults are those of paper Table 7.

    x ← clip(x0 + clip(x ∓ step · sign ∇ₓL(x, y), −epsilon, epsilon), 0, 255), `iterations` times: minus towards target
    classes y if `targeted`, else plus away from the true ones; L is the cross-entropy. The start is the image x0, or
    with `random_start` a random point of the ball. `epsilon` and `step` are on the scale of pixels from 0 to 255. With
    `reach_epsilon` a step is at least epsilon / iterations, as in the code that the paper's authors published.
    ValueError for values out of range.
    """

    epsilon: float = 5.0
    step: float = 1.0
    iterations: int = 2
    targeted: bool = True
    random_start: bool = False
    reach_epsilon: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 255:
            raise ValueError(f"epsilon must be in [0, 255], the scale of the pixels, got {self.epsilon}")
        if not 0 < self.step <= 255:
            raise ValueError(f"step must be above 0 and at most 255, got {self.step}")
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")

    @property
    def step_length(self) -> float:
        """How far a step moves a pixel, 0 to 255."""
        return max(self.step, self.epsilon / self.iterations) if self.reach_epsilon else self.step

    @property
    def reach(self) -> float:
        """The largest possible change of a pixel, 0 to 255: epsilon, or step · iterations if that is less."""
        return self.epsilon if self.random_start else min(self.epsilon, self.step_length * self.iterations)

    def __str__(self) -> str:
        kind = "Targeted" if self.targeted else "Untargeted"
        start = ", random start" if self.random_start else ""
        step = f"{self.step_length:g}" + (" (ε ÷ iterations)" if self.step_length > self.step else "")
        return f"{kind} PGD, ε = {self.epsilon:g}, step {step}, iterations {self.iterations}{start}"

    def run(
        self,
        model: Callable[[Tensor], Tensor],
        images: Tensor,
        classes: Tensor,
        mean: Sequence[float],
        std: Sequence[float],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Adversarial examples (N, C, H, W) in [0, 1] for images, uint8 or floating in [0, 1].

        `classes` (N,) are the targets, or the true labels if not `targeted`. The model takes images normalised by
        `mean` and `std` and returns scores (N, K); it must be in evaluation mode, and is not changed. `generator`, on
        the images' device, draws the random start.
        """
        x0 = images if images.is_floating_point() else images.float() / 255
        epsilon, step = self.epsilon / 255, self.step_length / 255
        sign = -1.0 if self.targeted else 1.0
        x = x0
        if self.random_start:
            noise = torch.rand(x0.shape, generator=generator, device=x0.device, dtype=x0.dtype)
            x = (x0 + epsilon * (2 * noise - 1)).clamp(0, 1)
        for _ in range(self.iterations):
            gradient = _loss_gradient(model, x, classes, mean, std)
            x = x + sign * step * gradient.sign()
            x = x0 + (x - x0).clamp(-epsilon, epsilon)
            x = x.clamp(0, 1)
        return x


def fgsm(epsilon: float = 5.0, *, targeted: bool = True) -> PGD:
    """The fast gradient sign method (Goodfellow et al. 2015): one step as long as the ball is wide."""
    return PGD(epsilon, max(epsilon, 1e-6), 1, targeted)


def _loss_gradient(
    model: Callable[[Tensor], Tensor], x: Tensor, classes: Tensor, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """∇ₓ of the cross-entropy, per image; gradients of the parameters are neither computed nor touched."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        loss = F.cross_entropy(model(normalise(x, mean, std)), classes, reduction="sum")
        return torch.autograd.grad(loss, x)[0]


def random_targets(labels: Tensor, num_classes: int, generator: torch.Generator | None = None) -> Tensor:
    """Target classes (N,), uniform over all but the true `labels` (N,). ValueError for fewer than two classes."""
    if num_classes < 2:
        raise ValueError(f"a targeted attack needs at least 2 classes, got {num_classes}")
    shift = torch.randint(1, num_classes, labels.shape, generator=generator, device=labels.device)
    return (labels + shift) % num_classes


@dataclass(frozen=True)
class Rate:
    """`count` out of `n` in percent, with its 95 % confidence interval (Wilson 1927); n = 0 is NaN within (0, 100)."""

    count: int
    n: int

    @property
    def percent(self) -> float:
        return 100 * self.count / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        if not self.n:
            return 0.0, 100.0
        z, p, n = 1.959964, self.count / self.n, self.n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)

    def __str__(self) -> str:
        if not self.n:
            return "–"
        low, high = self.interval
        return f"{self.percent:.2f} ({low:.1f}–{high:.1f})"


@dataclass(frozen=True)
class Tally:
    """Counts of an attack on the first `n` of `total` images.

    `error` and `clean_error` are the rates of wrong answers with the attack and without. `success` is the share of
    answers that are the target class; for an untargeted attack, the share of wrong answers among the `chances` images
    that the network answers rightly without the attack.
    """

    total: int
    n: int = 0
    clean_errors: int = 0
    errors: int = 0
    successes: int = 0
    chances: int = 0

    @property
    def clean_error(self) -> Rate:
        return Rate(self.clean_errors, self.n)

    @property
    def error(self) -> Rate:
        return Rate(self.errors, self.n)

    @property
    def success(self) -> Rate:
        return Rate(self.successes, self.chances)

    def numbers(self) -> dict[str, float]:
        """`n`; `clean_error`, `error_rate`, `success_rate` in percent, each with its interval by `_low` and `_high`."""
        numbers: dict[str, float] = {"n": self.n}
        for name, rate in (
            ("clean_error", self.clean_error),
            ("error_rate", self.error),
            ("success_rate", self.success),
        ):
            low, high = rate.interval
            numbers |= {name: rate.percent, f"{name}_low": low, f"{name}_high": high}
        return numbers


def attack_dataset(
    model: Network,
    split: AnySplit,
    attack: PGD,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 100,
) -> Iterator[Tally]:
    """Attack the images of a split batch by batch; yield the running totals before the first batch and after each.

    A caller stops the attack by taking no more of them. `seed` decides which `limit` images are drawn, the target
    classes (uniform over all but the true one) and the random starts, alike for every network. ValueError for an empty
    split or a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if not len(split):
        raise ValueError("there are no images to attack: choose a data set with test images")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.arange(len(split))
    if limit is not None and limit < len(split):
        chosen = torch.randperm(len(split), generator=generator)[:limit].sort().values
    targets = random_targets(split.labels[chosen], model.num_classes, generator)
    device = next(model.parameters()).device
    noise = torch.Generator(device).manual_seed(seed)
    tally = Tally(len(chosen))
    yield tally
    for ids, wanted in zip(chosen.split(batch_size), targets.split(batch_size), strict=True):
        images, labels, wanted = (t.to(device) for t in (split.images[ids], split.labels[ids], wanted))
        classes = wanted if attack.targeted else labels
        adversarial = attack.run(model, images, classes, mean, std, noise)
        with torch.no_grad():
            before, after = (model(normalise(x, mean, std)).argmax(1) for x in (images, adversarial))
        tally = _counted(tally, attack.targeted, labels, wanted, before, after)
        yield tally


def _counted(tally: Tally, targeted: bool, labels: Tensor, targets: Tensor, before: Tensor, after: Tensor) -> Tally:
    right, wrong = before == labels, after != labels
    won = after == targets if targeted else right & wrong
    counts = torch.stack([~right, wrong, won, torch.ones_like(right) if targeted else right]).sum(1).tolist()
    changes: dict[str, Any] = {
        name: getattr(tally, name) + count
        for name, count in zip(("clean_errors", "errors", "successes", "chances"), counts, strict=True)
    }
    return dataclasses.replace(tally, n=tally.n + len(labels), **changes)
