"""Messages for `pictures` sent ahead, so that the browser shows other states by itself (browser half: ahead.js)."""

from collections.abc import Sequence

from ui.components.component import Part, component
from ui.components.packing import Blobs
from ui.components.pictures import Board, pack_board

_ahead = component("ahead", "shelf")


def send_ahead(boards: Sequence[Board], *, key: str) -> int:
    """Give boards, each with a `state`, to the browser; the bytes that it took. `key` is of no more than this call."""
    data = _message(boards)
    _ahead(key=key, data=data, height="content")
    return len(data)


def ahead_part(boards: Sequence[Board]) -> Part:
    """What `send_ahead` sends, for a saved page."""
    return Part(_ahead, [_message(boards)])


def _message(boards: Sequence[Board]) -> bytes:
    blobs = Blobs()
    return blobs.pack({"messages": [pack_board(board, blobs) for board in boards]})
