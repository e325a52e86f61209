"""Text from outside: names of files, folders, classes and networks, as they may be shown and stored."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # Persian and Indic spelling and emoji need them


def plain_text(text: str) -> str:
    """A name from outside as one line that every page, file and terminal takes; distinct names mostly stay so.

    Bytes of the file system that are no UTF-8, which Python keeps as surrogates, become such as `\\xe9`. Line breaks
    and other characters that do not show become spaces. Accents are one character with their letter (NFC), however
    the name was written.
    """
    whole = text.encode("utf-8", "surrogateescape" if _from_bytes(text) else "replace")
    decoded = whole.decode("utf-8", "backslashreplace")
    decoded = unicodedata.normalize("NFC", decoded)
    return " ".join("".join(c if c.isprintable() or c in _JOINERS else " " for c in decoded).split())


def _from_bytes(text: str) -> bool:
    """Whether all surrogates stand for a byte; others, as broken JSON has them, become question marks."""
    return all("\udc80" <= c <= "\udcff" for c in text if "\ud800" <= c <= "\udfff")
