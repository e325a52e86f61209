"""What the browser gets ahead of its time: masks at every γ and r, of other networks, labels, sites, methods, draws.

A session keeps at most 64 tables, of at most 0.6 MB each (2 × 2¹⁶ cells, and the probabilities of 1,000 classes), with
the feature maps that they are of (0.3 MB each), and 8 MB of the maps looked at last. Its browser keeps 48 MB of
messages at most, the oldest go first (SHELF_SIZE in shelf.js).
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import streamlit as st

from camdrop.analysis.gamma_table import GammaTable, gamma_table
from camdrop.analysis.mask_steps import Activation, Dissection, dissect
from camdrop.masks import CamDrop, Method
from ui.choosers.scene import PREDICTED, TRUE, Scene, site_names
from ui.components.packing import digest
from ui.components.pictures import Board, State
from ui.components.slider import Live
from ui.panels import background
from ui.panels.shown import Shown, still

_TABLES = 64
_RANKS = 64  # channels
_SITES = 32
_SMALL = 2**16  # units of a map whose masks at all γ are drawn in a moment


def can_fill(activation: Activation) -> bool:
    """Whether tables are drawn for it at all: for larger maps every move goes to the server."""
    return activation.features.numel() <= _SMALL


def show(d: Dissection, seed: int, key: str = "gamma", *, answers: bool = True) -> Shown:
    """A draw as panels show it, with what the network answers then, if they do.

    With its table where that is there already, else at its own γ alone.
    """
    table = _kept(_draw(d.activation, d.method, d.label, seed), answers)
    return Shown(d, table, Live(key, d.method.keep_prob)) if table else still(d, key, answer=answers)


def show_whole(
    activation: Activation, method: Method, label: int, seed: int, key: str = "gamma", *, answers: bool = True
) -> Shown:
    """A draw with its table, and what the network answers then. A new request of the person cuts it off."""
    draw, kept = _draw(activation, method, label, seed), _tables()
    table = _kept(draw, answers) or gamma_table(*draw, pause=_listen, answers=answers)
    kept[draw] = table
    kept.move_to_end(draw)
    while len(kept) > _TABLES:
        kept.popitem(last=False)
    return Shown(dissect(activation, method, label, seed), table, Live(key, method.keep_prob))


def state_of(networks: Mapping[str, object], scene: Scene, at: Mapping[str, int | str], *choices: object) -> State:
    """What the page shows: an image under what is chosen, of one of some networks.

    `networks` are these by name with their versions (checkpoint.py); `at` are r, draw, rank, checkpoint, label, drop
    site and method by their keys, as far as the browser goes to other ones; `choices` are the rest, but for γ.
    """
    content = digest(scene.picture.pixels.numpy().tobytes())
    clicks = tuple(key for key in ("seed", "rank") if key in at)
    known = sorted(networks.items())
    return State(repr((known, content, None if "label" in at else scene.label, *choices)), at, clicks=clicks)


def neighbours(
    state: State,
    sizes: Sequence[int],
    channels: int = 0,
    others: Mapping[str, Sequence[str]] = MappingProxyType({}),
    keys: tuple[str, str] = ("gamma", "r"),
) -> Iterator[list[State]]:
    """The states to fill, in portions: the one that is shown, other r of `sizes`, the nearest first, the next eight
    draws, `others` by the keys of choices, and other channels, of which there are `channels`. `keys` are those of the
    sliders.
    """
    gamma_key, r_key = keys
    here = dataclasses.replace(state, along=(gamma_key,))

    def go(key: str, value: int | str) -> State:
        return dataclasses.replace(here, at={**here.at, key: value})

    r, seed, rank = (int(here.at.get(key, 0)) for key in (r_key, "seed", "rank"))
    yield [here]
    by_distance = sorted(sizes, key=lambda size: abs(size - r))
    yield from ([go(r_key, size)] for size in by_distance[:5])
    yield from ([go("seed", seed + i)] for i in range(1, 9))
    yield from ([go(r_key, size)] for size in by_distance[5:])
    yield from ([go(key, other)] for key, options in others.items() if key in here.at for other in options)
    ranks = [range(i, min(i + 8, channels)) for i in range(0, channels, 8)]
    near = sorted(ranks, key=lambda some: abs(some.start - rank // 8 * 8))[: _RANKS // 8]
    yield from ([go("rank", other) for other in some] for some in near)


def labels_of(scene: Scene) -> list[str]:
    """The choices of *Label y* that go ahead: of many classes those that the network finds most probable."""
    classes, probable = scene.meta.classes, scene.activation.before
    best = (classes[k] for k in probable.topk(min(5, len(classes))).indices.tolist())
    return [TRUE, PREDICTED, *background.near_classes(classes, best)]


def sites_of(scene: Scene) -> list[str]:
    """The drop sites that go ahead, the nearest first."""
    names = site_names(scene.activation.model)
    here = names.index(scene.activation.site.name)
    return sorted(names, key=lambda name: abs(names.index(name) - here))[:_SITES]


def fill(portions: Iterable[Sequence[State]], boards: Callable[[State], Sequence[Board]]) -> bool:
    """Have the boards of states sent, a portion at a time (background.py); whether there is any to send."""
    return background.plan(map(tuple, portions), lambda states: [board for state in states for board in boards(state)])


def whole(portions: Sequence[Sequence[State]], boards: Callable[[State], Sequence[Board]]) -> Callable[[], list[Board]]:
    """The boards of all the states at once, when they are asked for: what a saved page takes along."""
    # From the last one, as the tables of those are kept.
    return lambda: [board for portion in reversed(portions) for state in portion for board in boards(state)]


def _tables() -> OrderedDict[tuple[Activation, Method, int, int], GammaTable]:
    """Those of this session, the one used last at the end."""
    return st.session_state.setdefault("tables", OrderedDict())


def _kept(draw: tuple[Activation, Method, int, int], answers: bool) -> GammaTable | None:
    """Its table, if there is one that knows as much."""
    table = _tables().get(draw)
    return table if table and (table.after is not None or not answers) else None


def _draw(activation: Activation, method: Method, label: int, seed: int) -> tuple[Activation, Method, int, int]:
    guided = isinstance(method, CamDrop) and method.guided_by_class  # else all labels have the same masks
    return activation, dataclasses.replace(method, keep_prob=1.0), label if guided else 0, seed


def _listen() -> None:
    """Let Streamlit look whether the person has asked for something: it does at any use of the session's state."""
    st.session_state.get("tables")
