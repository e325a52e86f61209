"""Explore: how explanations are drawn and exported, the page in good and bad states, and its main path in Chromium."""

import csv
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect
from streamlit.testing.v1 import AppTest

from camdrop.analysis.explanations import Explanation, explain, scores
from camdrop.checkpoints import Checkpoint, load, save
from camdrop.checkpoints.metadata import Meta
from camdrop.data import gallery, normalise
from camdrop.figures import lut
from tests.support import ROOT
from tests.support.checkpoint_files import META, network, torch_bytes
from ui.choosers import checkpoint as choose
from ui.panels import export
from ui.panels.views import PREDICTED, TRUE, Seen, Style, class_of, draw, filters

APP = str(ROOT / "app.py")
METHODS = ("baseline", "dropblock", "camdrop")
PLAIN = Style("viridis", shared=False, difference=False, opacity=0.6, start=0.0, end=1.0)


def fashion(seed: int, method: str = "camdrop") -> Checkpoint:
    fields = {**vars(META), "method": method, "method_options": {}}
    return Checkpoint(network(seed=seed), Meta(**fields))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the app: see `_load` in ui/choosers/checkpoint.py."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def three() -> list[tuple[str, Checkpoint]]:
    return [(method, fashion(seed, method)) for seed, method in enumerate(METHODS)]


@pytest.fixture
def folder(tmp_path: Path, three: list[tuple[str, Checkpoint]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app with three networks of its own, and no runs."""
    monkeypatch.setattr(choose, "FOLDER", tmp_path / "checkpoints")
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    for name, checkpoint in three:
        save(tmp_path / "checkpoints" / f"{name}.safetensors", checkpoint.model, checkpoint.meta)
    return tmp_path / "checkpoints"


# Drawing, filters and files.


def test_class_of_the_heatmap() -> None:
    checkpoint, image = fashion(0), gallery("fashion-mnist")[0].images[7]

    def explanation(truth: str | None, wanted: str) -> Explanation:
        return explain("a", checkpoint, image, class_of(wanted, truth), "layer3")

    def target(truth: str | None, wanted: str) -> str:
        return explanation(truth, wanted).target_name

    predicted = META.classes[int(explanation("Bag", PREDICTED).prediction.probabilities.argmax())]

    assert target("Bag", TRUE) == "Bag"
    assert target("Bag", PREDICTED) == predicted
    assert target("Bag", "Coat") == "Coat"
    assert target(None, TRUE) == target("frog", TRUE) == target("Bag", "frog") == predicted


def test_ranges_and_differences(three: list[tuple[str, Checkpoint]]) -> None:
    image = gallery("fashion-mnist")[0].images[3]
    explanations = [explain(name, checkpoint, image, "Dress", "layer3") for name, checkpoint in three]
    heats = [explanation.heatmap for explanation in explanations]
    own = draw(explanations, PLAIN)
    assert [(d.low, d.high) for d in own] == [(h.min(), h.max()) for h in heats]
    assert own[1].share.min() == 0 and own[1].share.max() == pytest.approx(1)
    shared = draw(explanations, Style("viridis", True, False, 0.6, 0, 1))
    assert {(d.low, d.high) for d in shared} == {(min(h.min() for h in heats), max(h.max() for h in heats))}

    absolute = draw(explanations, Style("viridis", True, True, 0.6, 0, 1))
    assert not absolute[0].signed and np.array_equal(absolute[0].heat, heats[0])
    assert absolute[2].heat == pytest.approx(heats[2] - heats[0])
    largest = max(np.abs(heats[i] - heats[0]).max() for i in (1, 2))
    assert {(d.low, d.high) for d in absolute[1:]} == {(-largest, largest)}
    relative = draw(explanations, Style("viridis", False, True, 0.6, 0, 1))
    assert relative[1].heat == pytest.approx(
        heats[1] / np.abs(heats[1]).max() - heats[0] / np.abs(heats[0]).max(), abs=1e-6
    )
    assert relative[1].low == -relative[1].high  # zero is in the middle, and so white


def test_filters_find_what_they_say(three: list[tuple[str, Checkpoint]]) -> None:
    split, info = gallery("fashion-mnist")
    seen: list[float] = []
    conditions = filters(three, lambda name, share: seen.append(share))
    with torch.no_grad():
        answers = [c.model(normalise(split.images, META.mean, META.std)).argmax(1) for _, c in three]
    assert list(conditions) == ["The networks disagree", *(f"{method} errs" for method in METHODS)]
    assert torch.equal(conditions["camdrop errs"](split, info), answers[2] != split.labels)
    expected = (answers[0] != answers[1]) | (answers[0] != answers[2])
    assert torch.equal(conditions["The networks disagree"](split, info), expected)
    assert seen[:3] == [0, 0.1, 0.2]
    done = len(seen)
    conditions["The networks disagree"](split, info)
    assert len(seen) == done  # known by now
    assert list(filters(three[:1], print)) == ["baseline errs"]


def test_export(three: list[tuple[str, Checkpoint]]) -> None:
    image = gallery("fashion-mnist")[0].images[3]
    explanations = [explain(name, checkpoint, image, "Bag", "layer2") for name, checkpoint in three]
    scores(explanations[1], compute=True)
    heatmap, probabilities = explanations[2].heatmap, explanations[2].prediction.probabilities
    seen = Seen(
        explanations, "Fashion-MNIST 4 · Dress", "Dress", {"image": 4, "checkpoints": ["a b", "c"], "shared": True}
    )
    rows = list(csv.DictReader(io.StringIO(export.table(seen).decode("utf-8-sig"))))
    assert [row["checkpoint"] for row in rows] == list(METHODS)
    assert rows[0]["true class"] == "Dress" and rows[0]["class of the heatmap"] == "Bag"
    assert float(rows[2]["most evidence"]) == pytest.approx(heatmap.max(), rel=1e-4)
    assert float(rows[2]["probability 1"]) == pytest.approx(probabilities.max(), abs=1e-6)
    assert rows[0]["deletion score"] == "" and float(rows[1]["deletion score"]) > 0

    style = Style("magma", shared=False, difference=False, opacity=0.25, start=0.2, end=0.7)
    with zipfile.ZipFile(io.BytesIO(export.bundle(seen, style))) as files:
        assert sorted(files.namelist()) == sorted(
            ["image.png", "table.csv", "settings.json"]
            + [f"{i}-{m}.{kind}" for i, m in enumerate(METHODS, 1) for kind in ("png", "npy")]
        )
        picture = np.asarray(Image.open(files.open("3-camdrop.png")))
        heat = np.load(io.BytesIO(files.read("3-camdrop.npy")))
        settings = json.loads(files.read("settings.json"))
    assert np.array_equal(heat, heatmap)
    assert picture.shape == (28 * 37, 28 * 37, 3)
    y, x = np.unravel_index(heat.argmax(), heat.shape)  # beyond the range's end: the last colour
    expected = 0.75 * int(image[0, y, x]) + 0.25 * lut("magma")[255]
    assert picture[y * 37 + 18, x * 37 + 18] == pytest.approx(expected, abs=1)
    assert parse_qs(settings["link"][1:]) == {"image": ["4"], "checkpoints": ["a b", "c"], "shared": ["True"]}
    assert settings["checkpoints"]["camdrop"]["seed"] == META.seed and "torch" in settings["versions"]


# The page, by AppTest.


def open_page(**link: str | list[str]) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update(link)
    app.run()
    assert not app.exception, app.exception
    return app


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
    assert panels["Baseline"]["rows"][0]["text"].endswith(" %") and len(panels["Baseline"]["rows"]) == 5
    assert panels["CamDrop"]["lines"][0].startswith("Bag: ")
    assert panels["CamDrop"]["layers"][1]["opacity"] == {"key": "opacity", "value": 0.6}
    assert not says(app, "")


def test_link_restores_the_page(folder: Path) -> None:
    link = {"checkpoints": ["dropblock", "camdrop"], "image": "78", "class": "Coat", "stage": "2", "colormap": "magma"}
    panels = board(open_page(**link, difference="true", shared="true", opacity="0.3", image_class="Bag"))
    assert list(panels) == ["Image", "DropBlock", "CamDrop − DropBlock", "Gallery"]
    assert panels["Image"]["subtitle"] == "Fashion-MNIST 78 · Sneaker"
    assert panels["DropBlock"]["lines"][0].startswith("Coat: ")
    assert panels["DropBlock"]["layers"][1]["opacity"]["value"] == 0.3
    assert panels["CamDrop − DropBlock"]["layers"][1]["low"] == 0  # a difference keeps its whole range
    assert panels["Gallery"]["subtitle"] == "Fashion-MNIST · 100 of 1,000 images"
    assert panels["Gallery"]["selected"] is None


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
    app.file_uploader[0].upload("cifar.th", foreign(), "application/octet-stream").run()
    assert list(board(app)) == ["Image", "cifar.th", "Gallery"]


def test_without_a_choice_the_page_says_what_to_do(folder: Path) -> None:
    app = open_page()
    app.multiselect[0].set_value([]).run()
    assert not app.exception and says(app, "Choose at least one checkpoint")


def test_broken_files_get_a_sentence_and_nothing_is_lost(folder: Path) -> None:
    (folder / "torn.safetensors").write_bytes((folder / "camdrop.safetensors").read_bytes()[:-9])
    app = open_page(image="12", stage="1")
    assert says(app, "torn.safetensors is cut short")
    app.file_uploader[0].upload("page.pth", b"<html>", "application/octet-stream").run()
    assert says(app, "page.pth is a web page")
    assert list(board(app)) == ["Image", "Baseline", "DropBlock", "CamDrop", "Gallery"]
    assert board(app)["Image"]["subtitle"] == "Fashion-MNIST 12 · Trouser"


def foreign() -> bytes:
    """A checkpoint as a common public repository writes it, for CIFAR-10."""
    state = {f"module.{name.replace('fc.', 'linear.')}": value for name, value in colour().state_dict().items()}
    return torch_bytes({"state_dict": state, "best_prec1": 91.7})


def colour() -> torch.nn.Module:
    return network("resnet20", in_channels=3, seed=3)


def test_foreign_checkpoint_is_right_without_a_question(folder: Path) -> None:
    app = open_page(image="4")
    app.file_uploader[0].upload("resnet20.th", foreign(), "application/octet-stream").run()
    panels = board(app)
    assert list(panels) == ["Image", "resnet20.th", "Gallery"]  # the others look at other images
    assert panels["Gallery"]["subtitle"] == "CIFAR-10 · 20 images"
    split, info = gallery("cifar10")
    meta = load(foreign(), name="resnet20.th").meta
    with torch.no_grad():
        best = colour()(normalise(split.images[3:4], meta.mean, meta.std)).softmax(1)[0]
    row = panels["resnet20.th"]["rows"][0]
    assert row["text"] == f"{100 * float(best.max()):.1f} %" and row["label"].startswith(
        info.classes[int(best.argmax())]
    )
    app.multiselect[0].set_value(["camdrop", "resnet20.th"]).run()  # a grey and a colour network side by side
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
    app.file_uploader[1].upload("torn.png", photo.getvalue()[:50], "image/png").run()
    assert says(app, "damaged or cut short")
    app.selectbox(key="image_from").select("Own data set").run()
    assert board(app)["Image"]["subtitle"] == "Fashion-MNIST 5 · Coat"


def test_filter_shows_only_errors(folder: Path, three: list[tuple[str, Checkpoint]]) -> None:
    split, info = gallery("fashion-mnist")
    wrong = filters(three, print)["camdrop errs"](split, info) & (split.labels == 8)
    panel = board(open_page(image_show="camdrop errs", image_class="Bag"))["Gallery"]
    numbers = [f"{int(i) + 1} · Bag" for i in wrong.nonzero()]
    assert panel["subtitle"] == f"Fashion-MNIST · {len(numbers)} of 1,000 images" and panel["labels"] == numbers[:36]


def test_scores_appear_at_the_button(folder: Path) -> None:
    app = open_page()
    assert "Deletion" not in str(board(app))
    app.button[0].click().run()
    lines = [panel["lines"][-1] for title, panel in board(app).items() if title in ("Baseline", "DropBlock", "CamDrop")]
    assert len(lines) == 3 and all(line.startswith("Deletion 0.") for line in lines)


# In the browser.


FASHION = "&".join(f"checkpoints=fashion-resnet8-{name}" for name in ("baseline", "camdrop", "dropblock"))


def open_in_browser(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_role("listbox", name="The gallery")).to_be_visible(timeout=60_000)


def network_picture(page: Page, name: str, target: str) -> Locator:
    return page.get_by_role("img", name=f"Where {name} looks for {target}")


def pixels(canvas: Locator) -> list[int]:
    """The colours along the middle of a canvas on the screen."""
    return canvas.evaluate(
        """canvas => [...canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data]"""
    )


def test_main_path(page: Page, browser: BrowserContext, app_url: str) -> None:
    open_in_browser(page, f"{app_url}/?{FASHION}")
    gallery_box = page.get_by_role("listbox", name="The gallery").bounding_box()
    assert gallery_box
    side = gallery_box["width"] / 6
    page.mouse.click(gallery_box["x"] + 2.5 * side, gallery_box["y"] + 1.5 * side)  # the ninth: row 2, column 3
    expect(page.get_by_role("img", name="The image: Fashion-MNIST 9 · Bag")).to_be_visible()
    canvas = network_picture(page, "fashion-resnet8-camdrop", "Bag")
    expect(canvas).to_be_visible()
    page.get_by_role("combobox", name="Heatmap of").click()
    page.get_by_role("option", name="Coat").click()
    canvas = network_picture(page, "fashion-resnet8-camdrop", "Coat")
    expect(canvas).to_be_visible()
    page.get_by_role("radio", name="2", exact=True).click()
    page.wait_for_url("**stage=2**")

    before, address = pixels(canvas), page.url
    thumb = page.get_by_role("slider", name="Opacity").bounding_box()
    assert thumb
    y = thumb["y"] + thumb["height"] / 2
    page.mouse.move(thumb["x"] + 0.6 * thumb["width"], y)
    page.mouse.down()
    page.mouse.move(thumb["x"] + 0.3 * thumb["width"], y, steps=5)
    page.wait_for_timeout(100)
    during = pixels(canvas)
    assert during != before and page.url == address  # the browser blends by itself
    page.mouse.up()
    page.wait_for_url("**&opacity=0.*")
    page.wait_for_timeout(500)
    assert pixels(canvas) == during

    other = browser.new_page()
    open_in_browser(other, page.url)
    expect(other.get_by_role("img", name="The image: Fashion-MNIST 9 · Bag")).to_be_visible()
    expect(other.get_by_role("radio", name="2", exact=True)).to_be_checked()
    restored = network_picture(other, "fashion-resnet8-camdrop", "Coat")
    expect(restored).to_be_visible()
    assert pixels(restored) == during
    other.close()


def test_foreign_checkpoint_in_the_browser(page: Page, app_url: str) -> None:
    open_in_browser(page, app_url)
    page.get_by_role("button", name="Add").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "resnet20.th", "mimeType": "application/octet-stream", "buffer": foreign()}
    )
    expect(page.get_by_text("CIFAR-10 · 20 images")).to_be_visible()
    split, info = gallery("cifar10")
    meta = load(foreign(), name="resnet20.th").meta
    with torch.no_grad():
        best = colour()(normalise(split.images[18:19], meta.mean, meta.std)).softmax(1)[0]
    label = info.classes[int(best.argmax())]
    expect(page.get_by_text(f"{100 * float(best.max()):.1f} %", exact=True)).to_be_visible()
    expect(page.get_by_text(label).first).to_be_visible()
