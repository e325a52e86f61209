"""Save as page: the button of a page of the app, and what the page tells it about what is seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import streamlit as st

from ui.choosers.labels import network_label
from ui.components.ahead import ahead_part
from ui.components.component import Part, parts
from ui.fragments import fragment, prepared
from ui.saved.page import Block, Columns, Details, Facts, Note, Page, Text, followed, page_html, steps

if TYPE_CHECKING:
    from camdrop.checkpoints.metadata import Meta
    from ui.components.pictures import Board

_LOCAL = "http://localhost:8501/"


@dataclass(frozen=True)
class Offer:
    """A page to save under `name`, and in words what moves in it; `own` is whether a person's own image is in it."""

    page: Page
    name: str
    words: str
    own: bool = False


class Saveable(Protocol):
    """What a page of the app shows, as far as it can be saved."""

    def offered(self, shown: Mapping[str, Part], address: str, query: Mapping[str, Any]) -> Offer:
        """The page to save.

        `shown` are all parts of the page of the app, `address` is where it is, and `query` what the server knows of its
        link: all but the controls that the browser follows, which it writes itself.
        """


@dataclass(frozen=True)
class Seen:
    """What a page of the app shows, to be saved.

    `rows` are the keys of its `pictures`, each row in columns, each column from above; a key that was not drawn is left
    out. Controls that they follow come along by themselves, the other ones' values as facts. `facts` are the other
    choices, `note` is a line above the pictures, `below()` are blocks below them, as they are when the page is
    saved; `ahead()` are boards to which the pictures go in the browser, `left_out` says which they do not go to;
    `own` is whether an image of a person's own is in it.
    """

    title: str
    question: str
    rows: Sequence[Sequence[Sequence[str]]]
    facts: Mapping[str, str]
    networks: Mapping[str, Meta]
    how: str
    own: bool
    note: str = ""
    below: Callable[[], Sequence[Block]] = tuple
    ahead: Callable[[], Sequence[Board]] = tuple
    left_out: str = ""

    def offered(self, shown: Mapping[str, Part], address: str, query: Mapping[str, Any]) -> Offer:
        grid = [[[shown[key] for key in column if key in shown] for column in row] for row in self.rows]
        boards = self.ahead()
        ahead = [ahead_part(boards)] if boards else []
        pictures = [part for row in grid for column in row for part in column]
        keys = set().union(*map(followed, [*pictures, *ahead]))
        there = [steps(part) for part in [*pictures, *ahead]]
        controls = [part for part in shown.values() if isinstance(_data(part), dict)]
        live = [_limited(part, there) for part in controls if _data(part)["key"] in keys]
        values = [data for part in controls if "default" in (data := _data(part))]
        still = [data for data in values if data["key"] not in keys and not data.get("disabled")]
        facts = {**self.facts} | {data["label"]: _text(data) for data in still if data["label"] not in self.facts}
        moved = {_data(part)["label"] for part in live}
        blocks: list[Block] = [Facts({name: value for name, value in facts.items() if name not in moved})]
        blocks += [Note(self.note)] if self.note else []
        blocks += [Columns([[part] for part in live])] if live else []
        blocks += [*ahead, *map(Columns, grid)]
        blocks += [*self.below(), Details("How it is computed", [Text(self.how)])]
        networks = {name: network_label(meta) for name, meta in self.networks.items()}
        parameters = {data["key"]: (data["key"], data.get("default")) for data in map(_data, live)}
        page = Page(self.title, self.question, blocks, _link(address, query, values), networks, parameters)
        words = [f"**{_names(map(_data, live))}** work in it."] if live else []
        words += [f"Of {_names(still)} it keeps what is seen now."] if still else []
        words += [self.left_out] if self.left_out else []
        return Offer(page, re.sub(r"\W+", "-", self.title.lower()).strip("-"), " ".join(words), self.own)


def offer(seen: Saveable | None) -> None:
    """Have `save_button` offer what is seen: called where the pictures are drawn, each time anew."""
    st.session_state["saved"] = seen


def heading(title: str, question: str) -> None:
    """The title of a page that can be saved, and the question that it answers."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(title, width="content")
        save_button()
    st.caption(question)


@fragment
def save_button() -> None:
    """The button, in a fragment of its own: what it offers is put together only when it is open."""
    popover = st.popover(
        "Save as page", icon=":material/save:", help="This page as one file for any browser", key="save",
        on_change="rerun",
    )  # fmt: skip
    if not popover.open:
        return
    seen: Saveable | None = st.session_state.get("saved")
    with popover:
        if seen is None:
            st.caption("There is no picture to save yet.")
            return
        with st.spinner("Drawing what can be moved …"):
            query = {key: st.query_params.get_all(key) for key in st.query_params}
            found = seen.offered(parts(), st.context.url or _LOCAL, query)
        st.markdown(f"One HTML file that opens in any browser, without a server or a network. {found.words}")
        agreed = not found.own or st.checkbox("My own image may go into the file", key="save.own")
        st.download_button(
            "Download", prepared(lambda: page_html(found.page).encode()), f"camdrop-{found.name}.html", "text/html",
            type="primary", icon=":material/download:", on_click="ignore", disabled=not agreed,
        )  # fmt: skip


def _limited(control: Part, there: Sequence[Mapping[str, set[Any]]]) -> Part:
    """A control with no more values than the pictures have boards for."""
    data = _data(control)
    found = set().union(*(values[data["key"]] for values in there if data["key"] in values))
    if len(found) < 2:
        return control
    if "options" in data:
        return replace(control, messages=[data | {"options": [o for o in data["options"] if o in found]}])
    if "min" in data:
        return replace(control, messages=[data | {"values": sorted(found), "min": min(found), "max": max(found)}])
    return control


def _data(part: Part) -> Any:
    return part.messages[0]


def _text(data: Mapping[str, Any]) -> str:
    value = data["value"]
    return data["format"] % value if "format" in data else ", ".join(value) if isinstance(value, list) else str(value)


def _names(messages: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(data["label"] for data in messages)


def _link(address: str, query: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> str:
    known = {data["key"] for data in values}
    changed = {data["key"]: data["value"] for data in values if data["value"] != data["default"]}
    return f"{address}?{urlencode({k: v for k, v in query.items() if k not in known} | changed, doseq=True)}"
