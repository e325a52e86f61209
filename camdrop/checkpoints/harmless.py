"""Objects that checkpoints hold beside the weights and that cannot run code: a closed list, by name.

Arrays and paths are read by functions of ours, which make plain numbers, lists and texts of them: NumPy's own trust
what they read.
"""

from __future__ import annotations

import argparse
import datetime
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np


class _Type:
    """A NumPy type: numbers, texts, or objects, which are any others of this list."""

    def __init__(self, code: object, *ignored: object) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[biufcSUmMOV?]\d{0,4}", code)) or code[0] == "V":
            raise ValueError(f"no NumPy type is called {code!r}")
        self.objects = code[0] == "O"
        self.real = np.dtype("i8" if code[0] in "mM" else "i1" if self.objects else code)  # times as their numbers

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.real = self.real.newbyteorder(state[1])

    def read(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, self.real)


class _Array:
    """A NumPy array, whose contents come later: `values` is a list, nested as the array is."""

    values: Any = ()

    def __init__(self, *ignored: object) -> None:
        pass

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        values = data if kind.objects else kind.read(data).reshape(shape, order="F" if fortran else "C").tolist()
        self.values = list(values) if isinstance(values, list) else [values]


def _scalar(kind: _Type, data: object = b"") -> object:
    return data if kind.objects or not isinstance(data, bytes) else kind.read(data)[0].item()


def _dictionary(*factory: object) -> dict:
    return {}


def _no_bytes(*ignored: object) -> bytes:
    return b""  # of an empty array; others are encoded texts


def _path(*parts: object) -> str:
    return "/".join(map(str, parts)).replace("//", "/", 1)


def _named(reader: Callable, modules: str, names: str) -> list[tuple[Callable, str]]:
    return [(reader, f"{module}.{name}") for module in modules.split() for name in names.split()]


HARMLESS: list[Callable | tuple[Callable, str]] = [
    *_named(_scalar, "numpy.core.multiarray numpy._core.multiarray", "scalar"),
    *_named(_Array, "numpy.core.multiarray numpy._core.multiarray", "_reconstruct"),
    *_named(_Array, "numpy", "ndarray"),
    *_named(_Type, "numpy", "dtype"),
    *_named(_path, "pathlib pathlib._local", "PurePath PurePosixPath PureWindowsPath Path PosixPath WindowsPath"),
    *_named(_dictionary, "collections", "defaultdict"),
    *_named(_no_bytes, "builtins", "bytes"),
    *(
        (kind, f"builtins.{kind.__name__}") for kind in (list, dict, set, int, float, str, tuple, bool)
    ),  # of defaultdict
    *((kind, f"{kind.__module__}.{kind.__name__}") for kind in (argparse.Namespace, Counter, OrderedDict)),
    *_named(datetime.date, "datetime", "date"),
    *_named(datetime.datetime, "datetime", "datetime"),
    *_named(datetime.time, "datetime", "time"),
    *_named(datetime.timedelta, "datetime", "timedelta"),
    *_named(datetime.timezone, "datetime", "timezone"),
]


def plain(value: object) -> object:
    """A value with dictionaries for namespaces and lists for arrays, at the top only."""
    if isinstance(value, argparse.Namespace):
        return vars(value)
    return value.values if isinstance(value, _Array) else value
