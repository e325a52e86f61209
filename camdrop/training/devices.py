"""The device that trains, its name, and the versions of the software on it."""

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
    """The device by name; by default the best available of cuda, mps and cpu. ValueError for an unavailable one."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available here; try --device cpu") from error


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A context that computes in bfloat16 on a GPU that supports it, and changes nothing elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


@functools.cache
def device_name(device: torch.device) -> str:
    """The name of the GPU, or of the processor with its number of cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return f"{cpu}, {os.cpu_count()} cores" if device.type == "cpu" else f"{device.type} ({cpu})"


def versions() -> dict[str, str]:
    """The versions of Python, torch and torchvision."""
    return {"python": platform.python_version()} | {p: version(p) for p in ("torch", "torchvision")}
