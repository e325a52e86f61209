"""Explore: the page in good and bad states."""

import dataclasses
import io
import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from camdrop.checkpoints import Checkpoint, load, save
from camdrop.checkpoints.metadata import Meta
from camdrop.data import gallery, normalise
from tests.support.app_test import open_page
from tests.support.checkpoint_files import META, cifar_resnet20, cifar_resnet20_file, network
from tests.support.lab_pages import Pages
from ui.choosers import checkpoint as choose
from ui.components.pictures import Heat
from ui.panels.views import filters


@pytest.fixture
def folder(tmp_path: Path, three: list[tuple[str, Checkpoint]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app with three networks of its own, and no runs."""
    monkeypatch.setattr(choose, "FOLDER", tmp_path / "checkpoints")
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    for name, checkpoint in three:
        save(tmp_path / "checkpoints" / f"{name}.safetensors", checkpoint.model, checkpoint.meta)
    return tmp_path / "checkpoints"


def board(app: AppTest) -> dict[str, dict]:
    """The panels of the page by their titles."""
    assert not app.exception, app.exception
    for element in app.get("bidi_component"):
        data = element.proto.bytes
        if data:
            (size,) = struct.unpack_from("<I", data)
            header = json.loads(data[4 : 4 + size])
            if header["key"] == "board":
                return {panel["title"]: panel for panel in header["panels"]}
    raise AssertionError("the page shows no pictures")


def says(app: AppTest, text: str) -> bool:
    return any(text in element.value for kind in (app.info, app.warning, app.error) for element in kind)


def test_page_opens_on_three_networks_and_an_image(folder: Path) -> None:
    app = open_page()
    panels = board(app)
    assert list(panels) == ["Image", "Baseline", "DropBlock", "CamDrop", "Gallery"]
    assert panels["Gallery"]["selected"] == 18 and len(panels["Gallery"]["labels"]) == 36
    assert panels["Baseline"]["rows"][0]["text"].endswith("\u00a0%") and len(panels["Baseline"]["rows"]) == 5
    assert panels["CamDrop"]["lines"][0].startswith("Bag: ")
    assert panels["CamDrop"]["layers"][1]["opacity"] == {"key": "opacity", "value": 0.6}
    assert not says(app, "")


def test_link_restores_the_page(folder: Path) -> None:
    link = {"checkpoints": ["dropblock", "camdrop"], "image": "78", "class": "Coat", "stage": "2", "colormap": "magma"}
    panels = board(open_page(**link, difference="true", shared="true", opacity="0.3", image_class="Sneaker"))
    assert list(panels) == ["Image", "DropBlock", "CamDrop − DropBlock", "Gallery"]
    assert panels["Image"]["subtitle"] == "Fashion-MNIST 78 · Sneaker"
    assert panels["DropBlock"]["lines"][0].startswith("Coat: ")
    assert panels["DropBlock"]["layers"][1]["opacity"]["value"] == 0.3
    assert panels["CamDrop − DropBlock"]["layers"][1]["low"] == 0  # a difference keeps its whole range
    assert panels["Gallery"]["subtitle"] == "Fashion-MNIST · 100 of 1,000 images"
    assert panels["Gallery"]["labels"][panels["Gallery"]["selected"]] == "78 · Sneaker"


def test_only_images_that_meet_the_conditions_are_shown(folder: Path) -> None:
    app = open_page(image="78", image_class="Bag")  # a sneaker
    panels = board(app)
    number = int(panels["Gallery"]["labels"][panels["Gallery"]["selected"]].partition(" ")[0])
    assert (
        panels["Image"]["subtitle"] == f"Fashion-MNIST {number} · Bag" and panels["Gallery"]["moves"]["key"] == "image"
    )
    bags = (gallery("fashion-mnist")[0].labels == 8).nonzero().flatten() + 1
    assert abs(number - 78) == (bags - 78).abs().min() and app.session_state["live.image"] == number
    assert app.session_state["explore"]["seen"].settings["image"] == number


@pytest.mark.slow
def test_what_goes_ahead_is_what_the_page_shows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Pages(folder, monkeypatch)
    chance = random.Random(3)
    style = {"difference": "true", "shared": chance.choice(("true", "false"))}
    for link in ({}, style):
        sent = {tuple(b.state.at.values()): b for b in lab.open_and_fill("explore", **link) if b.state}
        less = [state for state in sent if state[3] != '["baseline","dropblock","camdrop"]']
        assert {state[3] for state in less} == {
            '["dropblock","camdrop"]',
            '["baseline","camdrop"]',
            '["baseline","dropblock"]',
        }
        assert len(sent) == 36 * 3 * 12 + 3
        for state in [*chance.sample(list(sent), 3), chance.choice(less)]:
            ahead, (image, wanted, stage, networks) = sent[state], state
            query = {"class": wanted, "stage": stage, "checkpoints": json.loads(str(networks))}
            lab.open("explore", **link, image=str(image), **query)
            shown = lab.boards["board"]
            assert ahead.state == shown.state
            for one, other in zip(ahead.panels, shown.panels, strict=True):
                words = [
                    dataclasses.replace(panel, layers=[], rows=[], readings=[], selected=None) for panel in (one, other)
                ]
                assert words[0] == words[1]
                assert [(r.label, r.text, r.marked) for r in one.rows] == [
                    (r.label, r.text, r.marked) for r in other.rows
                ]
                for a, b in zip(one.layers, other.layers, strict=True):
                    values = [layer.values if isinstance(layer, Heat) else layer.pixels for layer in (a, b)]
                    np.testing.assert_allclose(*values, atol=1e-4)
                for said, too in zip(one.readings, other.readings, strict=True):
                    np.testing.assert_allclose(said.values, too.values, atol=1e-4)


def test_gallery_opens_on_the_page_of_the_image(folder: Path) -> None:
    app = open_page(image="571")
    assert app.get("pagination")[0].value == 16 and board(app)["Gallery"]["selected"] == 570 % 36
    app.get("pagination")[0].set_value(2).run()
    assert board(app)["Gallery"]["labels"][0].startswith("37 ") and board(app)["Image"]["subtitle"].startswith(
        "Fashion-MNIST 571"
    )
    app.session_state["live.image"] = 3
    app.run()
    assert app.get("pagination")[0].value == 1 and board(app)["Gallery"]["selected"] == 2


@pytest.mark.parametrize(
    "link",
    [
        {"image": "x", "class": "frog", "stage": "9", "colormap": "", "opacity": "x", "shared": "maybe"},
        {"image": "1e999", "image_from": "nowhere", "image_class": "frog", "image_show": "??", "from": "-7"},
        {"image": "", "checkpoints": "?", "stage": "", "class": "", "difference": ""},
    ],
)
def test_garbage_in_the_link_gives_the_defaults(folder: Path, link: dict[str, str]) -> None:
    panels = board(open_page(**link))
    assert list(panels) == ["Image", "Baseline", "DropBlock", "CamDrop", "Gallery"]
    assert panels["Image"]["subtitle"] == "Fashion-MNIST 19 · Bag"


def test_link_to_an_upload_says_that_it_is_not_here(folder: Path) -> None:
    app = open_page(checkpoints=["mine.th", "camdrop"])
    assert says(app, "The link names mine.th, which is not here")
    assert "CamDrop" in board(app)


def test_without_checkpoints_the_page_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "FOLDER", folder / "nothing")
    app = open_page()
    assert says(app, "make checkpoints")
    app.file_uploader[0].upload("cifar.th", cifar_resnet20_file(), "application/octet-stream").run()
    assert list(board(app)) == ["Image", "cifar.th", "Gallery"]


def test_without_a_choice_the_page_says_what_to_do(folder: Path) -> None:
    app = open_page()
    app.session_state["live.checkpoints"] = []
    app.run()
    assert not app.exception and says(app, "Choose at least one checkpoint")


def test_broken_files_get_a_sentence_and_nothing_is_lost(folder: Path) -> None:
    (folder / "torn.safetensors").write_bytes((folder / "camdrop.safetensors").read_bytes()[:-9])
    app = open_page(image="12", stage="1")
    assert says(app, "torn.safetensors is cut short")
    app.file_uploader[0].upload("page.pth", b"<html>", "application/octet-stream").run()
    assert says(app, "page.pth is a web page")
    assert list(board(app)) == ["Image", "Baseline", "DropBlock", "CamDrop", "Gallery"]
    assert board(app)["Image"]["subtitle"] == "Fashion-MNIST 12 · Trouser"


def test_foreign_checkpoint_is_right_without_a_question(folder: Path) -> None:
    app = open_page(image="4")
    app.file_uploader[0].upload("resnet20.th", cifar_resnet20_file(), "application/octet-stream").run()
    panels = board(app)
    assert list(panels) == ["Image", "resnet20.th", "Gallery"]  # the others look at other images
    assert panels["Gallery"]["subtitle"] == "CIFAR-10 · 20 images"
    split, info = gallery("cifar10")
    meta = load(cifar_resnet20_file(), name="resnet20.th").meta
    with torch.no_grad():
        best = cifar_resnet20()(normalise(split.images[3:4], meta.mean, meta.std)).softmax(1)[0]
    row = panels["resnet20.th"]["rows"][0]
    assert row["text"] == f"{100 * float(best.max()):.1f}\u00a0%" and row["label"].startswith(
        info.classes[int(best.argmax())]
    )
    app.session_state["live.checkpoints"] = ["camdrop", "resnet20.th"]
    app.run()  # a grey and a colour network side by side
    panels = board(app)
    assert panels["Image"]["subtitle"] == "Fashion-MNIST 4 · Dress"
    assert panels["resnet20.th"]["layers"][0]["shape"] == [32, 32]


def test_network_of_odd_channels_gets_a_sentence(folder: Path) -> None:
    odd = {**vars(META), "in_channels": 2, "mean": (0.5, 0.5), "std": (0.2, 0.2), "dataset": ""}
    save(folder / "two.safetensors", network(in_channels=2), Meta(**odd))
    app = open_page(checkpoints=["two", "camdrop"])
    assert says(app, "two takes images of 2 channels") and "CamDrop" in board(app)


def test_uploaded_image(folder: Path) -> None:
    app = open_page(image_from="Upload", image="5")
    assert says(app, "Press Images above")
    photo = io.BytesIO()
    Image.new("RGB", (60, 40), (255, 0, 0)).save(photo, "PNG")
    app.file_uploader[1].upload("photo.png", photo.getvalue(), "image/png").run()
    panels = board(app)
    assert list(panels) == ["Image", "Baseline", "DropBlock", "CamDrop"]
    assert panels["Image"]["subtitle"] == "photo.png" and panels["Image"]["lines"][0] == "True class: unknown"
    assert app.session_state["live.class"] == "Predicted class"  # the true one is not offered
    app.selectbox(key="image_truth").select("Coat").run()
    panels = board(app)
    assert panels["Image"]["lines"][0] == "True class: Coat"
    assert all(panels[title]["lines"][0].startswith("Coat: ") for title in ("Baseline", "DropBlock", "CamDrop"))
    app.file_uploader[1].upload("torn.png", photo.getvalue()[:50], "image/png").run()
    assert says(app, "damaged or cut short")
    app.selectbox(key="image_from").select("Its own data set").run()
    assert board(app)["Image"]["subtitle"] == "Fashion-MNIST 5 · Coat"


@pytest.mark.slow
def test_filter_shows_only_errors(folder: Path, three: list[tuple[str, Checkpoint]]) -> None:
    split, info = gallery("fashion-mnist")
    wrong = filters(three, print)["camdrop errs"](split, info) & (split.labels == 8)
    panel = board(open_page(image_show="camdrop errs", image_class="Bag"))["Gallery"]
    numbers = [f"{int(i) + 1} · Bag" for i in wrong.nonzero()]
    assert panel["subtitle"] == f"Fashion-MNIST · {len(numbers)} of 1,000 images" and panel["labels"] == numbers[:36]


def test_scores_appear_at_the_button(folder: Path) -> None:
    app = open_page()
    assert "Deletion" not in str(board(app))
    next(button for button in app.button if button.label == "Deletion and insertion").click().run()
    lines = [panel["lines"][-1] for title, panel in board(app).items() if title in ("Baseline", "DropBlock", "CamDrop")]
    assert len(lines) == 3 and all(line.startswith("Deletion 0.") for line in lines)
