"""To whom a run or a sweep on a shared server belongs: to whoever has the token with which it was started.

owner.json   {"token": …, its SHA-256}; a run without this file is the server's own
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from camdrop.data.files import write_atomic
from camdrop.runs import folder, sweep
from camdrop.runs.folder import RunError

FILE = "owner.json"


def set_owner(run: Path, token: str) -> None:
    """Give the folder of a run or a sweep to whoever has `token`."""
    write_atomic(run / FILE, json.dumps({"token": _hash(token)}))


def owner(run: Path, tokens: Iterable[str]) -> str | None:
    """That of the tokens with which a run was started; None where it was none of them."""
    try:
        wanted = json.loads((run / FILE).read_text("utf-8"))["token"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return next((token for token in tokens if _hash(token) == wanted), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def expire(root: Path, hours: float) -> list[Path]:
    """Delete the runs and sweeps below `root` that have an owner and ended `hours` ago or earlier; their folders."""
    gone = []
    for path in root.glob(f"*/{FILE}"):
        with contextlib.suppress(RunError, OSError):  # of those in use, or that somebody else deletes
            if _ended(path.parent) <= time.time() - 3600 * hours:
                (sweep if (path.parent / "sweep.json").exists() else folder).delete(path.parent)
                gone.append(path.parent)
    return gone


def _ended(run: Path) -> float:
    """When a run was last heard of, in seconds since 1970; never of one that waits."""
    status = run / "status.json"
    if not status.exists():
        return (run / FILE).stat().st_mtime
    with folder.open_folder(run, "run") as said:
        return time.time() if said and said.state == "queued" else status.stat().st_mtime
