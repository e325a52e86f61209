"""The records of a run as TensorBoard's event files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_NO_CURVE = ("kind", "step", "epoch", "contender", "reason")


@contextlib.contextmanager
def event_log(folder: Path, kind: str | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A listener that writes records into `folder`/events/CONTENDER, a curve for each number; with None it writes none.

    ValueError for a `kind` other than tensorboard, or if that package is missing.
    """
    if kind not in (None, "tensorboard"):
        raise ValueError(f"--log must be tensorboard, got {kind!r}")
    if kind is None:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("--log tensorboard needs that package: pip install tensorboard") from None
    writers: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:

        def write(record: dict[str, Any]) -> None:
            name, step = record["contender"], record["step"]
            if name not in writers:  # the records of a resumed run replace those that it cut off
                writer = SummaryWriter(str(folder / "events" / name), purge_step=step)
                writers[name] = stack.enter_context(writer)
            for key, value in record.items():
                if key not in _NO_CURVE and value is not None:
                    writers[name].add_scalar(
                        f"{record['kind']}/{key}" if record["kind"] != "point" else key, value, step
                    )
            writers[name].flush()

        yield write
