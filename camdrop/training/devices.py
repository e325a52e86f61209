"""What computes: the device by its name, what it is called, and the versions of what runs on it."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def pick_device(name: str | None = None) -> torch.device:
    """The device by name, by default the best one here: cuda, mps or cpu. ValueError for one that is not there."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available here; try --device cpu") from error


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 where a GPU has it, else nothing."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


@functools.cache
def device_name(device: torch.device) -> str:
    """What a device is called: the GPU's name, or the processor's with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return f"{cpu}, {os.cpu_count()} cores" if device.type == "cpu" else f"{device.type} ({cpu})"


def versions() -> dict[str, str]:
    """Versions of Python and of what computed the numbers."""
    return {"python": platform.python_version()} | {p: version(p) for p in ("torch", "torchvision")}
