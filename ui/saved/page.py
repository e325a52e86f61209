"""A saved page: an ordered list of blocks as one HTML file that needs no server, network, font or script from outside.

Its pictures and sliders are the app's own components with the messages that the app sent them (loader.js mounts them),
so what they follow in the browser they follow there too. All that is not text travels in one packed, deflated script.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import struct
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import camdrop
from ui.components.component import SHARED, Component, Part
from ui.saved.texts import text_html

_HERE = Path(__file__).parent
_CONFIG = _HERE.parent.parent / ".streamlit" / "config.toml"
_THEMES = {  # the theme's options, by the names that components know
    "text-color": "textColor",
    "background-color": "backgroundColor",
    "secondary-background-color": "secondaryBackgroundColor",
    "primary-color": "primaryColor",
    "link-color": "linkColor",
    "border-color": "borderColor",
}

_MISSING = "This file has no pictures of this choice: they are those of before. The link below opens it in the app."


@dataclass(frozen=True)
class Text:
    """A text of ours in Markdown, with equations."""

    markdown: str


@dataclass(frozen=True)
class Note:
    """A line as it is: for words from outside."""

    words: str


@dataclass(frozen=True)
class Markup:
    """Trusted HTML."""

    html: str


@dataclass(frozen=True)
class Facts:
    """Names and values, as they are, in lines."""

    rows: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """Cells, as they are."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Links:
    """Addresses by their words."""

    to: Mapping[str, str]


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where there is room; with `words`, those of the first column are read beside the others."""

    columns: Sequence[Sequence[Block]]
    words: bool = False


@dataclass(frozen=True)
class Details:
    """Blocks behind a word."""

    title: str
    blocks: Sequence[Block]


Block = Text | Note | Markup | Facts | Table | Links | Columns | Details | Part


@dataclass(frozen=True)
class Page:
    """What a saved page says and shows.

    `link` leads to the same state in the app, and goes on to say what is seen: `parameters` are, by the key of a
    control, the link's name for it and the value that is left out of it (None: none is). `networks` are by name what
    they are.
    """

    title: str
    question: str
    blocks: Sequence[Block]
    link: str
    networks: Mapping[str, str]
    parameters: Mapping[str, tuple[str, Any]] = field(default_factory=dict)


def page_html(page: Page) -> str:
    """The whole file."""
    writer = _Writer()
    body = "".join(map(writer.block, page.blocks))
    title = html.escape(page.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title} · CamDrop Lab</title>
<style>{_style()}</style>
</head>
<body>
<header><h1>{title}</h1><button id="theme" type="button"></button></header>
<main>
{text_html(page.question)}
<noscript><p>The pictures of this page need JavaScript.</p></noscript>
{body}
</main>
<p id="missing" role="status" hidden>{_MISSING}</p>
<footer>{_provenance(page)}</footer>
<script id="pack" type="text/plain">{writer.pack(page.parameters)}</script>
<script type="module">{SHARED}{(_HERE / "loader.js").read_text("utf-8")}</script>
</body>
</html>
"""


def unpack(document: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """What was packed into a saved page: the header, and the messages of each of its parts."""
    text = document.partition('<script id="pack" type="text/plain">')[2].partition("</script>")[0]
    header, blobs = _split(zlib.decompress(base64.b64decode(text)))

    def read(message: dict[str, Any]) -> Any:
        return blobs[message["from"] : message["to"]] if "from" in message else message["json"]

    return header, [[read(message) for message in part["messages"]] for part in header["parts"]]


def _split(message: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON header of a message, and the bytes behind it: see `unpack` in common.js."""
    (size,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + size]), message[4 + size + -size % 4 :]


def followed(part: Part) -> set[str]:
    """The keys of the controls that a part follows by itself.

    A board with a `State` says which; one without follows those that its message names, as `Live` does.
    """
    if part.by:
        return {part.by}
    boards = _boards(part)
    keys = {key for board in boards if not board["state"] for key in _keys(board["panels"])}
    keys |= {key for board in boards if board["state"] for key in board["state"]["along"]}
    keys |= {"present" for board in boards if board["presented"]}
    return keys | {key for key, values in steps(part).items() if len(values) > 1}


def steps(part: Part) -> dict[str, set[Any]]:
    """By the keys of controls that go from one board to another, the values for which a part has one."""
    found: dict[str, set[Any]] = {}
    for board in _boards(part):
        for key, value in (board["state"] or {"at": {}})["at"].items():
            found.setdefault(key, set()).add(value)
    return found


def _boards(part: Part) -> list[dict[str, Any]]:
    headers = [_split(message)[0] for message in part.messages if isinstance(message, bytes)]
    return [board for header in headers for board in header.get("messages", [header])]


def _keys(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if found.keys() == {"key", "value"}:
            yield found["key"]
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from _keys(one)


class _Writer:
    """Blocks to HTML; what components need is kept for the pack."""

    def __init__(self) -> None:
        self._blobs = bytearray()
        self._components: list[Component] = []
        self._parts: list[dict[str, Any]] = []
        self._steps: set[str] = set()

    def block(self, block: Block) -> str:
        match block:
            case Text(markdown):
                return f'<div class="text">{text_html(markdown)}</div>'
            case Note(words):
                return f'<p class="note">{html.escape(words)}</p>'
            case Markup(trusted):
                return trusted
            case Facts(rows):
                facts = (f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in rows.items())
                return f"<dl>{''.join(facts)}</dl>"
            case Table(heads, rows):
                return f"<table><thead>{_row('th', heads)}</thead>{''.join(_row('td', row) for row in rows)}</table>"
            case Links(to):
                links = (f'<a href="{html.escape(url)}">{html.escape(words)}</a>' for words, url in to.items())
                return f"<nav>{''.join(links)}</nav>"
            case Columns(columns, words):
                cells = (f"<div>{''.join(map(self.block, blocks))}</div>" for blocks in columns)
                return f'<div class="columns{" words" if words else ""}">{"".join(cells)}</div>'
            case Details(title, blocks):
                inside = "".join(map(self.block, blocks))
                return f"<details><summary>{html.escape(title)}</summary>{inside}</details>"
            case Part():
                return self._part(block)

    def _part(self, part: Part) -> str:
        if part.component not in self._components:
            self._components.append(part.component)
        self._steps |= steps(part).keys()
        at, component = len(self._parts), self._components.index(part.component)
        messages = [self._message(message) for message in part.messages]
        self._parts.append({"component": component, "by": part.by, "values": list(part.values), "messages": messages})
        return f'<div id="part-{at}" class="{part.component.name}"></div>'

    def _message(self, message: Any) -> dict[str, Any]:
        if not isinstance(message, bytes):
            return {"json": message}
        start = len(self._blobs)
        self._blobs += message
        return {"from": start, "to": len(self._blobs)}

    def pack(self, parameters: Mapping[str, tuple[str, Any]]) -> str:
        """What is not text, as base64 of a deflated JSON header with the bytes of messages behind it."""
        components = [{"javascript": c.javascript, "css": c.css, "isolate": c.isolate} for c in self._components]
        named = {"parts": self._parts, "steps": sorted(self._steps), "parameters": parameters}
        header = json.dumps({"components": components} | named).encode()
        packed = struct.pack("<I", len(header)) + header + bytes(-len(header) % 4) + self._blobs
        return base64.b64encode(zlib.compress(packed, 9)).decode()


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _provenance(page: Page) -> str:
    from importlib.metadata import version

    release, today = camdrop.__version__, f"{date.today():%d %B %Y}"
    made = f"Computed by CamDrop Lab {release} with PyTorch {version('torch')}, saved {today}."
    link = f'<a id="link" href="{html.escape(page.link)}">This state in the app</a>, which needs its server.'
    stands = "Words and numbers that do not move are those of the state that was saved."
    networks = (f"<li><b>{html.escape(name)}</b> {html.escape(what)}</li>" for name, what in page.networks.items())
    return f"<p>{made} {link} {stands}</p><ul>{''.join(networks)}</ul>"


@functools.cache
def _style() -> str:
    """The colours of the app's theme, light and dark, and the styles of the page."""
    theme = tomllib.loads(_CONFIG.read_text("utf-8"))["theme"]
    light, dark = (
        "".join(f"--st-{name}: {theme[mode][option]};" for name, option in _THEMES.items())
        for mode in ("light", "dark")
    )
    return (
        f":root {{ color-scheme: light; --st-base-radius: {theme['baseRadius']}; {light} }}"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ color-scheme: dark; {dark} }} }}"
        f":root[data-theme=dark] {{ color-scheme: dark; {dark} }}"
    ) + (_HERE / "page.css").read_text("utf-8")
