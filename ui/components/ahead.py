"""Messages for `pictures` sent ahead, so that the browser shows other states by itself (browser half: ahead.js)."""

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from ui.components.component import Part, component
from ui.components.following import nothing
from ui.components.packing import Blobs
from ui.components.pictures import Board, pack_frame, pack_panel

_ahead = component("ahead", "shelf")
_DEFLATED = bytes(4)  # where other messages have the length of their header


def send_ahead(
    boards: Iterable[Board],
    *,
    key: str,
    page: str = "",
    number: int = 0,
    more: bool = False,
    on_ask: Callable[[], None] = nothing,
) -> int:
    """Give boards, each with a `state`, to the browser; the bytes that it keeps.

    With `more` the browser asks for the next (`on_ask`), when the hand rests, and says the last `number` that it got;
    but only while it is at the address of this `page`.
    """
    data = _message(boards, more, number, page)
    _ahead(key=key, data=_DEFLATED + zlib.compress(data, 1), height="content", on_ask_change=on_ask)
    return len(data)


def ahead_part(boards: Iterable[Board]) -> Part:
    """What `send_ahead` sends, for a saved page."""
    return Part(_ahead, [_message(boards)])


def _message(boards: Iterable[Board], more: bool = False, number: int = 0, page: str = "") -> bytes:
    """A panel that is in several of the boards travels once."""
    blobs, messages = Blobs(), []
    places: dict[int, int] = {}
    panels: list[dict[str, Any]] = []
    kept = list(boards)  # so that no panel takes the place of another
    for board in kept:
        for i, panel in enumerate(board.panels):
            if id(panel) not in places:
                places[id(panel)] = len(panels)
                panels.append(pack_panel(panel, i, blobs))
        messages.append(pack_frame(board) | {"panels": [places[id(panel)] for panel in board.panels]})
    return blobs.pack({"messages": messages, "panels": panels, "more": more, "number": number, "page": page})
