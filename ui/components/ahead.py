"""Messages for `pictures` sent ahead, so that the browser shows other states by itself (browser half: ahead.js)."""

from collections.abc import Sequence

from ui.components.component import component
from ui.components.packing import Blobs
from ui.components.pictures import Board, pack_board

_ahead = component("ahead", "shelf")


def send_ahead(boards: Sequence[Board], *, key: str) -> int:
    """Give boards, each with a `state`, to the browser; the bytes that it took. `key` is of no more than this call."""
    blobs = Blobs()
    data = blobs.pack({"messages": [pack_board(board, blobs) for board in boards]})
    _ahead(key=key, data=data, height=1)
    return len(data)
