"""Training progress in [0, 1] → keep probability, and → learning rate."""

from __future__ import annotations

import math

KEEP_SCHEDULES = ("constant", "linear", "inverse")
LR_SCHEDULES = ("imagenet-step", "step", "onecycle")
MILESTONES = {  # where the paper divides the learning rate by 10
    "step": (150 / 400, 250 / 400, 350 / 400),  # section 4.1
    "imagenet-step": (50 / 105, 80 / 105, 100 / 105),  # section 4.3; its last, 105, is the end
}


def keep_prob_at(progress: float, keep_prob: float, schedule: str = "constant") -> float:
    """Keep probability at `progress` in [0, 1]: constant γ, linear 1 → γ, or inverse γ → 1 (paper, Table 5)."""
    if schedule == "constant":
        return keep_prob
    if schedule == "linear":
        return 1 - (1 - keep_prob) * progress
    if schedule == "inverse":
        return keep_prob + (1 - keep_prob) * progress
    raise ValueError(f"schedule must be one of {', '.join(KEEP_SCHEDULES)}, got {schedule!r}")


def learning_rate_at(progress: float, peak: float, schedule: str = "step") -> float:
    """Learning rate at `progress` in [0, 1].

    `step` and `imagenet-step`: peak, ÷10 at each of the paper's milestones for CIFAR or ImageNet. `onecycle`: linear
    from peak/25 to peak over the first 30 %, then a cosine to zero (Smith 2018).
    """
    if schedule in MILESTONES:
        return peak * 0.1 ** sum(progress >= m for m in MILESTONES[schedule])
    if schedule == "onecycle":
        if progress < 0.3:
            return peak * (1 + 24 * progress / 0.3) / 25
        return peak * (1 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2
    raise ValueError(f"learning-rate schedule must be one of {', '.join(LR_SCHEDULES)}, got {schedule!r}")
