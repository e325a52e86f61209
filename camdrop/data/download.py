"""Download of a file with a known checksum: with a time limit, progress, and a reason where it fails."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

TIMEOUT = 10.0  # seconds without an answer


def download_checked(
    addresses: Sequence[str], path: Path, checksum: tuple[str, str], progress: Callable[[float], object] | None = None
) -> str:
    """Download from the first address that has the right file; return "", or the reason why none has it.

    `checksum` is the name of a hash function and the beginning of the file's hexadecimal digest; `progress` is called
    with the share done. OSError where the file cannot be written.
    """
    reason, (algorithm, wanted) = "", checksum
    for address in addresses:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT) as response, path.open("wb") as file:
                total = int(response.headers.get("Content-Length") or 0)
                while chunk := response.read(1 << 18):
                    file.write(chunk)
                    digest.update(chunk)
                    if total and progress:
                        progress(min(file.tell() / total, 1.0))
        except urllib.error.HTTPError as error:
            reason = f"the server says {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
            reason = f"no network: {getattr(error, 'reason', error)}"
        else:
            if digest.hexdigest().startswith(wanted):
                return ""
            reason = "what the server sent is damaged"
    return reason
