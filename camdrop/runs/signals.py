"""Signals that ask a training to stop, taken as a question to answer between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stopped = Callable[[], bool]


@contextmanager
def stop_signals() -> Iterator[Stopped]:
    """A function that says whether SIGTERM or SIGINT has come in this block. Outside the main thread it never does."""
    received: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, lambda number, _: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
