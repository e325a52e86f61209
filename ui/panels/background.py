"""Work for the browser's next pictures, a load at a time, so that nothing a person asks for waits for more than one.

The browser asks for each load, in a run of its own: Streamlit cuts no run off for what comes from a fragment, so that a
run that went on working would keep the person waiting. The browser keeps 48 MB at most (SHELF_SIZE in shelf.js), the
session nothing but the list of the loads that it has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import streamlit as st

from ui.choosers.checkpoint import versions
from ui.components.ahead import send_ahead
from ui.components.packing import digest
from ui.components.pictures import Board, Panel
from ui.fragments import callback, fragment, or_nothing

T = TypeVar("T")
FEW = 20  # classes: up to so many, all of them go ahead
_SHELF = 40_000_000  # bytes of messages that the browser surely still has
_NONE = 0, "", 0  # the number, name and bytes of the last load where there was none


def plan(loads: Iterable[T], boards: Callable[[T], Iterable[Board]]) -> bool:
    """Have `carrier` send the boards of loads, in this order, instead of what was planned before.

    A load is known by its `repr`, and goes once. Returns whether there is any to send: `pictures` tells the browser.
    """
    missing = [load for name, load in {repr(load): load for load in loads}.items() if name not in _sent()]
    st.session_state["background.plan"] = missing, boards
    return bool(missing)


def in_groups(near: Sequence[int], here: int, size: int) -> list[tuple[int, ...]]:
    """The numbers of images `near` another, and of that itself, in groups of a load, the nearest first."""
    groups = [tuple(near[i : i + size]) for i in range(0, len(near), size)]
    groups = groups if here in near else [*groups, (here,)]
    return sorted(groups, key=lambda group: min(abs(n - here) for n in group))


def near_classes(classes: Sequence[str], best: Iterable[str]) -> list[str]:
    """The classes that go ahead: of many those that networks find `best`."""
    return list(classes) if len(classes) <= FEW else [name for name in dict.fromkeys(best) if name in classes]


def scene_name(networks: Iterable[str], extra: Sequence[Panel], *choices: object) -> str:
    """A name for what a page shows of networks beside `extra` panels, but for what the browser follows by itself."""
    known = versions(networks)
    shelf = [(panel.subtitle, panel.moves) for panel in extra]
    return digest(repr((known, shelf, choices)).encode())


def carrier() -> None:
    """The hidden element that sends a load whenever the browser asks for one: called once in a page, at its end.

    A load is there when the browser says so with its next question. Until then it comes again: Streamlit may cut off
    the run that computes it, or drop what it sends.
    """
    with st.container():  # else what follows it in the page has no place when Streamlit drops what it has sent
        _carry()


@fragment
def _carry() -> None:
    store = st.session_state
    missing, boards = store.get("background.plan", ([], None))
    load = missing[0] if store.pop("background.asked", False) and missing else None
    number = store.get("background.last", _NONE)[0] + 1
    size = send_ahead(
        () if load is None else or_nothing(lambda: list(boards(load))),
        key="background",
        page=store.get("page", ""),  # set in ui/entry.py
        number=0 if load is None else number,
        more=bool(missing),
        on_ask=_asked,
    )
    if load is not None:
        store["background.last"] = number, repr(load), size


def forget(sent: OrderedDict[str, int]) -> None:
    """Leave out the loads, by their bytes, that the browser may have no more: the oldest."""
    while sum(sent.values()) > _SHELF:
        sent.popitem(last=False)


def _sent() -> OrderedDict[str, int]:
    """The bytes of each load that the browser has, the oldest first."""
    return st.session_state.setdefault("background.sent", OrderedDict())


@callback
def _asked() -> None:
    """The browser asks for a load, and says the number of the last one that it has got."""
    store, sent = st.session_state, _sent()
    store["background.asked"] = True
    number, name, size = store.get("background.last", _NONE)
    said = store.get("background") or {}  # gone where Streamlit has begun another page
    if number and number == (said.get("ask") or {}).get("got"):
        sent[name] = size
        forget(sent)
        missing = store["background.plan"][0]
        missing[:] = [load for load in missing if repr(load) != name]
