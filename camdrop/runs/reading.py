"""What is read from the files of runs and sweeps, which people may have written or cut: its types and ranges."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_LARGEST = 2**63  # of whole numbers
_TEXTS = {"kind", "contender", "reason"}  # of a record; all else are numbers
_NEEDED = {"point": (), "end": ("reason",), "result": ("test_error", "best_epoch"), "knob": ()}


def read_json(text: str | bytes) -> Any:
    """JSON whose numbers are finite. ValueError for anything else."""

    def refuse(word: str) -> float:
        raise ValueError(f"{word[:20]} is no finite number")

    def real(digits: str) -> float:
        return value if math.isfinite(value := float(digits)) else refuse(digits)

    def whole(digits: str) -> int:
        return value if len(digits) < 30 and abs(value := int(digits)) < _LARGEST else int(refuse(digits))

    try:
        return json.loads(text, parse_constant=refuse, parse_float=real, parse_int=whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def typed(kind: type[T], said: object, **more: Any) -> T:
    """A dataclass from an object of JSON, of which it takes what it knows; `more` are fields that are made already.

    ValueError for a field that is missing, or of another type than the dataclass says, and for what that refuses.
    """
    said = as_object(said)
    hints, values = get_type_hints(kind), dict(more)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in said and field.name not in more:
            values[field.name] = as_type(said[field.name], hints[field.name], field.name)
    try:
        return kind(**values)
    except TypeError:  # of the constructor, which names its parameters
        missing = next(f.name for f in dataclasses.fields(kind) if f.name not in values)  # type: ignore[arg-type]
        raise ValueError(f"{missing} is missing") from None


def as_type(value: Any, hint: Any, name: str) -> Any:
    """A value of JSON as a type hint says, lists as tuples; ValueError, which names it, for another type."""
    if hint is Any:
        return value
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return as_type(value, next(part for part in inner if part is not type(None)), name)
    if origin is typing.Literal and isinstance(value, str):
        return value  # the dataclass says which there are
    if origin is tuple and isinstance(value, list):
        return tuple(as_type(one, inner[0], name) for one in value)
    if origin is dict and isinstance(value, dict):
        return {key: as_type(one, inner[1], f"{name} {key}") for key, one in value.items()}
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if hint in (int, str, bool) and type(value) is hint:
        return value
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    raise ValueError(f"{name} must be {words.get(hint, 'of another type')}, got {_short(value)}")


def read_record(line: str | bytes) -> dict[str, Any]:
    """A line of metrics.jsonl. ValueError for one that is no record: see docs/formats.md."""
    record = read_json(line)
    if not isinstance(record, dict) or not isinstance(record.get("contender"), str):
        raise ValueError("no contender is named")
    if not isinstance(record.get("kind"), str) or record["kind"] not in _NEEDED:
        raise ValueError(f"kind must be one of {', '.join(_NEEDED)}, got {_short(record.get('kind'))}")
    for name in ("step", "epoch", *_NEEDED[record["kind"]]):
        if record.get(name) is None:
            raise ValueError(f"{name} is missing")
    for name, value in record.items():
        if value is not None:
            as_type(value, str if name in _TEXTS else int if name == "step" else float, name)
    return record


def pick(said: object, name: str) -> Any:
    """What an object of JSON has under a name. ValueError where it is no object, or lacks it."""
    if name not in as_object(said):
        raise ValueError(f"{name} is missing")
    return as_object(said)[name]


def as_object(said: object) -> Mapping[str, Any]:
    """ValueError for JSON that is no object."""
    if not isinstance(said, dict):
        raise ValueError(f"an object is expected, got {_short(said)}")
    return said


def as_list(said: object, name: str) -> list[Any]:
    """ValueError, which names it, for JSON that is no list."""
    if not isinstance(said, list):
        raise ValueError(f"{name} must be a list, got {_short(said)}")
    return said


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
