"""What the app allows: on one's own machine everything, on a shared server what one of many may take."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import os
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Policy:
    """What people may do, and the limits; math.inf where there is none. Pages and trainings ask `policy()`."""

    shared: bool = False
    runs: int = 1  # races and sweeps that train at once
    waiting: float = math.inf  # others that wait for their turn
    minutes: float = math.inf  # that a race or a sweep may train
    hours: float = math.inf  # that a run stays after its end
    sessions: float = math.inf  # people at once
    memory: float = math.inf  # GB, of the server and of what it trains
    upload: int = 1024  # MB of a file, as camdrop.checkpoints.metadata.LIMIT

    @property
    def paths(self) -> bool:
        """Whether folders and files of this machine may be named in the browser."""
        return not self.shared

    @property
    def keeps(self) -> bool:
        """Whether what was added in the browser may be written to the disk."""
        return not self.shared

    @property
    def owned(self) -> bool:
        """Whether a run can be changed only by the session that started it."""
        return self.shared

    def allows_data(self, spec: str) -> bool:
        """Whether a data set may be chosen by this name: one with a path may not, where paths are not allowed."""
        return self.paths or re.fullmatch(r"[\w-]+", spec) is not None

    @property
    def server_options(self) -> dict[str, Any]:
        """The options that Streamlit has to be started with."""
        if not self.shared:
            return {}
        return {
            "server.maxUploadSize": self.upload,
            "server.enableXsrfProtection": True,
            "server.enableCORS": True,  # no page of another server may open a session here
            "server.enableWebsocketCompression": False,  # Streamlit's advice: it costs the server's cores
            "client.showErrorDetails": "none",  # they name files
        }

    def __str__(self) -> str:
        return (
            f"{self.sessions:g} people at once, {self.runs} training at a time for {self.minutes:g} minutes at most, "
            f"results for {self.hours:g} hours, uploads of {self.upload} MB, {self.memory:g} GB of memory"
        )


SHARED = Policy(shared=True, waiting=60, minutes=10, hours=24, sessions=40, memory=6, upload=64)
_WHOLE = {"runs": "CAMDROP_MAX_RUNS", "sessions": "CAMDROP_MAX_SESSIONS"}
_REAL = {"minutes": "CAMDROP_MAX_MINUTES", "hours": "CAMDROP_KEEP_HOURS", "memory": "CAMDROP_MAX_MEMORY"}


def policy() -> Policy:
    """The policy that the environment says: `SHARED` where CAMDROP_SHARED is 1; other variables change the limits.

    ValueError for a variable that is no such number.
    """
    shared = os.environ.get("CAMDROP_SHARED") or "0"
    if shared not in ("0", "1"):
        raise ValueError(f"CAMDROP_SHARED must be 1 or 0, got {shared!r}")
    found: dict[str, Any] = {}
    for field, variable in (_WHOLE | _REAL).items():
        if text := os.environ.get(variable):
            found[field] = _number(text, variable, whole=field in _WHOLE)
    return dataclasses.replace(SHARED if shared == "1" else Policy(), **found)


def _number(text: str, variable: str, whole: bool) -> float:
    if whole:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{variable} must be a whole number of at least 1, got {text!r}")
        return int(text)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise ValueError(f"{variable} must be a number above 0, got {text!r}")
    return number


def is_local(host: str) -> bool:
    """Whether only this machine itself can be reached under this name or address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
