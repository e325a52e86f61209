"""What makes a training stop: a file in its folder, as on all systems; a signal, such as Ctrl-C; the end of its time.

It is a question that the training answers between two steps, so nothing is lost.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from camdrop.data.files import write_atomic
from camdrop.data.folders import Progress
from camdrop.policy import policy

FILE = "stop"

Stopped = Callable[[], str | None]  # None: go on; else a message, which is empty where somebody asked for it


class StopAsked(Exception):
    """A training shall stop before it has begun; the message is that of `Stopped`."""


def ask_to_stop(folder: Path) -> None:
    """Ask the training in a folder of a run or a sweep to stop after its current step."""
    write_atomic(folder / FILE, "")


def forget_stop(folder: Path) -> None:
    """Take back what `ask_to_stop` asked: for whoever starts a training there."""
    (folder / FILE).unlink(missing_ok=True)


@contextmanager
def stop_requests(folder: Path, before: float = 0.0) -> Iterator[Stopped]:
    """Give this block a function that says whether to stop. Outside the main thread no signal does.

    `before` is how many seconds the training took before this block, in earlier processes; they count as its time,
    which $CAMDROP_MAX_MINUTES bounds.
    """
    received: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, lambda number, _: received.append(number))
    minutes, file = policy().minutes, folder / FILE
    end = math.inf if minutes == math.inf else time.monotonic() + 60 * minutes - before

    def stopped() -> str | None:
        if received or file.exists():
            return ""
        return f"it has trained for {minutes:g} minutes, the most on this server" if time.monotonic() >= end else None

    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        forget_stop(folder)


def stoppable(progress: Progress | None, stopped: Stopped) -> Progress:
    """`progress`, which raises `StopAsked` where a training that still reads its data shall stop."""

    def report(description: str, share: float) -> None:
        if (why := stopped()) is not None:
            raise StopAsked(why)
        if progress is not None:
            progress(description, share)

    return report
