"""Pictures that repaint in place: many panels of canvases in one Streamlit element (browser half: pictures.js).

pictures.js lays out panels (panel.js); a panel has a canvas (canvas.js) that paints layers (layers.js, voxels.js), and
what is added to it (hover.js, equation.js, download.js).

After each paint the browser says `camdrop:painted` on `window`, which tests and the bench wait for.
"""

import bisect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from ui.components.component import Part, component
from ui.components.layers import Bars as Bars
from ui.components.layers import Heat as Heat
from ui.components.layers import Layer, pack_layer, shape
from ui.components.layers import Marks as Marks
from ui.components.layers import Raster as Raster
from ui.components.layers import Voxels as Voxels
from ui.components.packing import Blobs, digest, plain
from ui.components.readings import Reading as Reading
from ui.components.readings import pack_reading
from ui.components.slider import Live
from ui.words import TERMS

_PARTS = ("shelf", "layers", "voxels", "canvas", "terms", "readings", "hover", "equation", "download", "panel", "stage")
_pictures = component("pictures", *_PARTS, constants={"TERMS": TERMS})


@dataclass(frozen=True)
class Along:
    """A text or number that follows the slider `live` of hundredths: `values[k]` from `starts[k]` hundredths on."""

    live: Live
    starts: tuple[int, ...]
    values: tuple[Any, ...]

    @property
    def now(self) -> Any:
        return self.values[bisect.bisect_right(self.starts, round(100 * self.live.value)) - 1]


Screen = Literal["", "all", "left", "right"]  # how much of it
Text = str | Along | tuple[str | Along, ...]  # the parts of a tuple are joined


def say(text: Text) -> str:
    """A text as it is now."""
    if isinstance(text, tuple):
        return "".join(map(say, text))
    return str(text.now) if isinstance(text, Along) else text


@dataclass(frozen=True)
class Tiles:
    """Where the tiles of a mosaic lie in the panel's first layer, in its pixels: `count` tiles, row by row."""

    count: int
    columns: int
    width: int
    height: int
    gap: int = 0


@dataclass(frozen=True)
class Row:
    """One line under a picture: a label, a text at the right, and a bar of `share` (0 to 1) behind them."""

    label: str
    text: Text
    share: float | Along = 0.0
    marked: bool = False
    color: str | None = None


@dataclass(frozen=True)
class Moves:
    """What a click on a tile does in the browser: it moves the slider `key` to the tile's of the `values`."""

    key: str
    values: Sequence[int]


@dataclass(frozen=True)
class Panel:
    """One picture with its words.

    `layers` are drawn in order; the first one's shape gives the proportions unless `aspect` (width, height) does. `alt`
    says the picture in words. `tiles` or a `Bars` layer make it explorable by pointer and arrow keys, `labels` naming
    what is pointed at, as they name the slices of `Voxels`; of any other picture `readings` say what is under the
    pointer. With `pickable`, click and Enter report it; `selected` is outlined. With `sets` the browser goes to the
    `State` in which that key has the index picked, with `moves` it moves a slider instead of reporting, and outlines
    the tile at which that stands. `equation` is trusted HTML with MathML behind a button. `download` is a file name,
    and gives a button too. `id` tells panels apart between updates (default: the place in the row).
    """

    title: str
    alt: Text
    layers: Sequence[Layer] = ()
    id: str = ""
    subtitle: str = ""
    lines: Sequence[Text] = ()
    rows: Sequence[Row] = ()
    aspect: tuple[int, int] | None = None
    tiles: Tiles | None = None
    labels: Sequence[Text] = ()
    readings: Sequence[Reading] = ()
    pickable: bool = False
    selected: int | Live | None = None
    sets: str = ""
    moves: Moves | None = None
    equation: Text = ""
    download: str = ""


@dataclass(frozen=True)
class Picked:
    """The tile or bar that was clicked, and the id of its panel."""

    panel: str
    index: int


@dataclass(frozen=True)
class State:
    """What a message shows, so that the browser knows which message it needs as sliders and choices move.

    `at` are the values of those that take one message each, by their keys; `along` the keys of those that the message
    itself follows. `clicks` are those of `at` that no slider sets, but a click and the server. `scene` stands for all
    the rest: messages of another scene are of no use.
    """

    scene: str
    at: Mapping[str, int | str]
    along: tuple[str, ...] = ()
    clicks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Board:
    """The arguments of `pictures`."""

    key: str
    panels: Sequence[Panel]
    columns: int = 4
    min_width: int = 150
    max_width: int = 420
    note: Text | None = None
    state: State | None = None
    waits: Mapping[str, float | str] | None = None
    planned: bool = False
    presented: Screen = ""


def pictures(
    panels: Sequence[Panel],
    *,
    key: str,
    columns: int = 4,
    min_width: int = 150,
    max_width: int = 420,
    note: Text | None = None,
    state: State | None = None,
    waits: Mapping[str, float | str] | None = None,
    planned: bool = False,
    presented: Screen = "",
    on_pick: Callable[[Picked], None] | None = None,
) -> Picked | None:
    """Panels side by side, at most `columns` of them and each `min_width` to `max_width` px wide; they wrap.

    `note` is a line above them, whose place is kept where it is "". Canvases stay and are repainted in place. With a
    `state` the browser moves to other states by itself, as far as `send_ahead` has sent them; `planned` is whether more
    is to be sent. Pictures that only the server can draw are pale as long as a slider is not at its value of `waits`.
    A board to be `presented` fills the screen, or half of it, step by step, a panel each, when `present_button`
    (present.py) says so.
    Returns what was clicked, in the run that the click caused; `on_pick` gets it before that run, so that it may set
    widgets. One call for many panels: each element of a page costs time.
    """

    def picked() -> None:
        event = st.session_state[key].get("picked")
        if on_pick and event:
            on_pick(Picked(**event))

    data = _message(Board(key, panels, columns, min_width, max_width, note, state, waits, planned, presented))
    event = _pictures(key=key, data=data, on_picked_change=picked).get("picked")
    return Picked(**event) if event else None


def pictures_part(boards: Sequence[Board], *, by: str = "", values: Sequence[float | str] = ()) -> Part:
    """What `pictures` shows, for a page that is saved unseen: with `by`, a board for each of its `values`."""
    return Part(_pictures, [_message(board) for board in boards], by, values)


def _message(board: Board) -> bytes:
    blobs = Blobs()
    return blobs.pack(pack_board(board, blobs))


def pack_board(board: Board, blobs: Blobs) -> dict[str, Any]:
    """What `pictures` sends to the browser, as a plain dictionary; arrays go into `blobs`."""
    return pack_frame(board) | {"panels": [pack_panel(panel, i, blobs) for i, panel in enumerate(board.panels)]}


def pack_frame(board: Board) -> dict[str, Any]:
    """The same without the panels."""
    return {key: plain(value) for key, value in vars(board).items() if key != "panels"}


def pack_panel(panel: Panel, place: int, blobs: Blobs) -> dict[str, Any]:
    """A panel at its place in the row, the same."""
    shapes = [shape(layer) for layer in panel.layers]
    packed = {k: plain(v) for k, v in vars(panel).items() if k not in ("layers", "readings")} | {
        "id": panel.id or str(place),
        "aspect": panel.aspect or (shapes[0][::-1] if shapes else (1, 1)),
        "layers": [pack_layer(layer, blobs) for layer in panel.layers],
        "readings": [pack_reading(reading, blobs) for reading in panel.readings],
    }
    packed["follows"] = sorted(set(_sliders(packed)))
    # The browser leaves a panel alone whose digest is as before, and outlines by itself where a slider stands.
    content = packed | {"selected": None} if panel.moves else packed
    return packed | {"digest": digest(json.dumps(content).encode())}


def _sliders(packed: Any) -> Iterator[str]:
    """The keys of the sliders that a part of a message follows."""
    if isinstance(packed, dict):
        if packed.keys() in ({"key", "value"}, {"key", "values"}):
            yield packed["key"]
        packed = list(packed.values())
    if isinstance(packed, list | tuple):
        for part in packed:
            if isinstance(part, dict | list | tuple):
                yield from _sliders(part)
