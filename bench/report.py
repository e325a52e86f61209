"""What every benchmark here shares: where it ran, a fair order of the contenders, a markdown table."""

import gc
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import torch

from camdrop.training.devices import device_name


def environment(*packages: str) -> str:
    """One line on the hardware, the threads, the load before the run, and the versions of torch and of `packages`."""
    cpu = device_name(torch.device("cpu"))
    parts = [cpu, f"{torch.get_num_threads()} threads", f"load {os.getloadavg()[0]:.1f}"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    parts += [f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in ("torch", *packages))]
    return " · ".join(parts)


def interleaved(fns: dict[str, Callable[[], object]], rounds: int, warmup: int = 3) -> dict[str, list[float]]:
    """Seconds of each call. Every round runs all contenders, in turn forwards and backwards, so that they meet the
    same state of the machine; the garbage collector is off while the clock runs."""
    times: dict[str, list[float]] = {name: [] for name in fns}
    for i in range(warmup + rounds):
        for name, fn in list(fns.items())[:: 1 if i % 2 else -1]:
            gc.collect()
            gc.disable()
            start = time.perf_counter()
            fn()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            gc.enable()
            if i >= warmup:
                times[name].append(seconds)
    return times


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def ratio(times: dict[str, list[float]], ours: str, theirs: str) -> float:
    """Median over the rounds of our time divided by theirs in the same round."""
    return median([a / b for a, b in zip(times[ours], times[theirs], strict=True)])


def table(rows: list[dict[str, object]]) -> str:
    """Rows with the same keys as a markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[key]) for key in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
