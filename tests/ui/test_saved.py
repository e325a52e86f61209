"""Saved pages: what is in the file, and that it is what the page of the app shows."""

import dataclasses
import functools
import io
import json
import re
import struct
import zipfile
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.support import ROOT
from tests.support.lab_pages import Pages
from ui.components.ahead import ahead_part
from ui.components.choice import choice_part
from ui.components.pictures import Board, Heat, Panel, Raster, pictures, pictures_part
from ui.components.slider import Live, slider_part
from ui.panels import ahead
from ui.panels.lessons import NETWORKS
from ui.saved.page import Columns, Details, Facts, Links, Note, Page, Table, Text, followed, page_html, unpack
from ui.saved.texts import text_html

EVIL = "<script>alert('$x$')</script>&\"**b**"


class Tags(HTMLParser):
    """The elements of a document, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.parts: list[str] = []  # the names of components
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if (dict(attrs).get("id") or "").startswith("part-"):
            self.parts.append(dict(attrs)["class"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_texts_become_markup_and_mathml_and_nothing_else() -> None:
    found = Tags(
        text_html("**bold** $\\alpha_c$ <b>x</b>\n\n$$\nJ = \\sum_c \\alpha_c X_c \\qquad \\text{(Eq. 5)}\n$$\n")
    )
    tags = [tag for tag, _ in found.tags]
    assert tags.count("strong") == 1 and tags.count("math") == 2 and "b" not in tags
    assert "<b>x</b>" in found.text and "$" not in found.text and "\\" not in found.text
    assert [attrs["display"] for tag, attrs in found.tags if tag == "math"] == ["inline", "block"]


def test_a_page_holds_all_it_needs_and_takes_names_from_outside_as_text() -> None:
    grey, values = np.arange(16, dtype=np.uint8).reshape(4, 4), np.linspace(0, 1, 16).reshape(4, 4)
    heat = Heat(values, np.zeros((256, 3), np.uint8), 0.0, 1.0, Live("opacity", 0.5))
    seen = pictures_part([Board("board", [Panel(EVIL, "alt", [Raster(grey), heat])])])
    boards = [Board("steps", [Panel(str(r), "alt", [Raster(grey + r)])]) for r in (1, 2)]
    steps = pictures_part(boards, by="r", values=(1, 2))
    slider = slider_part("r", key="r", min=1, max=2, step=1, value=1)
    choice = choice_part("Label", ("a", EVIL), key="label", value=EVIL)
    blocks = [Facts({EVIL: EVIL}), Note(EVIL), Table([EVIL], [[EVIL]]), Columns([[slider], [choice], [seen, steps]])]
    blocks += [Details(EVIL, [Text("$x^2$")]), Links({EVIL: "2.html"})]
    page = Page(EVIL, "A *question*", blocks, 'https://lab.org/?a="b"', {EVIL: EVIL}, {"r": ("r", 4)})
    document = page_html(page)

    found = Tags(document)
    assert [attrs.get("id", attrs.get("type")) for tag, attrs in found.tags if tag == "script"] == ["pack", "module"]
    assert {name for _, attrs in found.tags for name in attrs if name in ("src", "srcset", "onclick")} == set()
    assert not re.search(r"@import|url\(|<link", document)
    assert [attrs["href"] for tag, attrs in found.tags if tag == "a"] == ["2.html", 'https://lab.org/?a="b"']
    assert found.text.count(EVIL) == 11

    header, messages = unpack(document)
    assert messages == [slider.messages, choice.messages, seen.messages, steps.messages]
    assert [header["components"][part["component"]]["css"] for part in header["parts"]] == [
        part.component.css for part in (slider, choice, seen, steps)
    ]
    assert [followed(part) for part in (slider, choice, seen, steps)] == [set(), set(), {"opacity"}, {"r"}]


def boards(message: bytes) -> list[dict[str, Any]]:
    (size,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + size])["messages"]


MOVED = {
    "mask_lab": ("gamma", 0.4),
    "five_methods": ("gamma", 0.4),
    "explore": ("opacity", 0.3),
    "attack": ("opacity", 0.3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
def test_a_saved_page_has_the_messages_of_the_page_and_links_to_its_state(
    lab: Pages, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    key, value = MOVED[name]
    monkeypatch.setattr("ui.components.pictures.pictures", pictures)
    for some in ("labels_of", "sites_of"):  # all of them take half a minute
        every = getattr(ahead, some)
        monkeypatch.setattr(ahead, some, lambda scene, every=every: every(scene)[:2])
    app = lab.open(name, **{key: str(value)})
    protos = [element.proto for element in app.get("bidi_component")]
    sent = [proto.bytes or json.loads(proto.json or "null") for proto in protos]
    query = {key: ["0.9"], "reading": ["matched"]}  # what the server knows of the link may be stale
    shown, seen = app.session_state["parts"], app.session_state["saved"]
    seen = dataclasses.replace(seen, ahead=functools.cache(seen.ahead))
    found = seen.offered(shown, "http://lab/x", query)
    header, messages = unpack(page_html(found.page))
    names = Tags(page_html(found.page)).parts
    rows = {name for row in seen.rows for column in row for name in column} & shown.keys()
    assert names.count("pictures") == len(rows) > 0
    assert len([name for name in names if name not in ("pictures", "ahead")]) == len(header["parameters"])
    for component, (message,) in zip(names, messages, strict=True):
        if component == "ahead":  # computed for the page at the latest
            assert message in ahead_part(seen.ahead()).messages
            states = [board["state"]["at"] for board in boards(message)]
            more = ("method",) if name == "mask_lab" else ()
            for moved in ("r", "seed", "label", "site", *more) if key == "gamma" else ("image",):
                assert len({at[moved] for at in states}) > 1
        elif component == "pictures":
            assert message in sent
        else:  # as in the app, but for values of which there are no pictures
            (own,) = [data for data in sent if isinstance(data, dict) and data["label"] == message["label"]]
            assert own | {k: message[k] for k in ("values", "min", "max", "options") if k in message} == message
            kept = message.get("options") or message.get("values") or [message.get("value")]
            assert message.get("value") in kept and len(kept) == len(set(kept))
    assert "ahead" in names
    assert key in header["parameters"] and not found.own
    assert ("image" in header["parameters"]) != bool(re.search("Of .*Image", found.words))
    assert found.page.link == f"http://lab/x?reading=matched&{key}={value}"


@pytest.mark.slow
def test_a_saved_lesson_has_what_the_tour_shows_at_every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Pages(ROOT / "checkpoints", monkeypatch)
    monkeypatch.setattr("ui.components.pictures.pictures", pictures)
    tour = app.open("tour", lesson="7", tour_image="23")
    sent = [element.proto.bytes for element in tour.get("bidi_component")]
    found = tour.session_state["saved"].offered({}, "http://lab/tour", {})
    _, (slider, board) = unpack(page_html(found.page))
    assert slider[0]["value"] == 23 and (slider[0]["min"], slider[0]["max"]) == (1, len(board))
    assert board[22] in sent and len(set(board)) == len(board)
    assert found.page.link.startswith("http://lab/?checkpoints=") and found.page.link.endswith("&image=23")
    assert [*found.page.networks] == list(NETWORKS)


@pytest.mark.usefixtures("lab")
def test_images_of_ones_own_are_known_as_such() -> None:
    photo, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (60, 40), (255, 0, 0)).save(photo, "PNG")
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("Bag/one.png", photo.getvalue())
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["image_from"] = "Upload"
    app.run()
    assert "saved" not in app.session_state  # there is no picture yet
    upload(app, "image.file", "photo.png", photo)
    assert app.session_state["saved"].own
    app.selectbox(key="image_from").select("Its own data set").run()
    assert not app.session_state["saved"].own
    app.selectbox(key="image_from").select("A folder or ZIP of your own").run()
    upload(app, "image.own.file", "mine.zip", archive)
    found = app.session_state["saved"].offered(app.session_state["parts"], "http://lab/", {})
    assert found.own


def upload(app: AppTest, key: str, name: str, content: io.BytesIO) -> None:
    kind = "image/png" if name.endswith("png") else "application/zip"
    next(widget for widget in app.file_uploader if widget.key == key).upload(name, content.getvalue(), kind).run()
    assert not app.exception and not app.error and not app.info, app.info[0].value
