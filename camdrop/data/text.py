"""Text from outside: names of files, folders, classes and networks, as they may be shown and stored."""

from __future__ import annotations

import html
import re
import unicodedata

_SPECIAL = re.compile(r"[\\`*\[\]<|~$]|(?<![^\W_])_|_(?![^\W_])|^[-+#>]|&(?=#?\w+;)|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
# What pages make an emoji, an icon, a colour or a link of even where it is escaped.
_SHORTHAND = re.compile(r":(?=[\w+-]+[:\[{]|\w+/\w+:)|(?<=://)(?=\S)|(?<=\bwww)(?=\.)|@(?=\w)", re.IGNORECASE)
_WORD_JOINER = "\u2060"  # shows nothing
_KEPT = "\u200c\u200d\N{NO-BREAK SPACE}"  # Persian and Indic spelling and emoji need the joiners


def plain_text(text: str) -> str:
    """A name from outside as one line that every page, file and terminal takes; distinct names mostly stay so.

    Bytes of the file system that are no UTF-8, which Python keeps as surrogates, become such as `\\xe9`. Line breaks
    and other characters that do not show become spaces. Accents are one character with their letter (NFC), however
    the name was written.
    """
    whole = text.encode("utf-8", "surrogateescape" if _from_bytes(text) else "replace")
    decoded = whole.decode("utf-8", "backslashreplace")
    decoded = unicodedata.normalize("NFC", decoded)
    return re.sub(" +", " ", "".join(c if c.isprintable() or c in _KEPT else " " for c in decoded)).strip()


def _from_bytes(text: str) -> bool:
    """Whether all surrogates stand for a byte; others, as broken JSON has them, become question marks."""
    return all("\udc80" <= c <= "\udcff" for c in text if "\ud800" <= c <= "\udfff")


def markdown_text(text: str) -> str:
    """A text from outside, such as a name or an error with a name in it, that Markdown shows as it is, on one line."""
    escaped = _SPECIAL.sub(r"\\\g<0>", plain_text(text))
    return _SHORTHAND.sub(rf"\g<0>{_WORD_JOINER}", escaped)


def markdown_code(text: str) -> str:
    """A text as code within a line of Markdown."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{plain_text(text)}{space}{fence}"


def plotly_text(text: str) -> str:
    """A name from outside as Plotly shows it in legends and titles, where some HTML is read."""
    return html.escape(plain_text(text), quote=False)
