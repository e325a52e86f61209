"""A | B in the mask lab: each side is what the page shows with that setting alone, with the same coins."""

from pathlib import Path

import pytest

from camdrop.checkpoints import Checkpoint, load, save
from tests.support.checkpoint_files import cifar_resnet20_file, fashion
from tests.support.lab_pages import Pages, seen
from ui.components.pictures import State

BOARDS = ("strip", "grid", "numbers", "sites")
A = {"checkpoint": "first", "site": "layer2.0.conv2", "seed": "7", "label": "Bag", "r": "5", "reading": "official"}


@pytest.fixture(autouse=True)
def checkpoints(folder: Path, checkpoint: Checkpoint) -> None:
    foreign = load(cifar_resnet20_file(), name="foreign.th")
    for name, kept in (("first", checkpoint), ("second", fashion(5, "dropblock")), ("foreign", foreign)):
        save(folder / f"{name}.safetensors", kept.model, kept.meta)


def boards(lab: Pages, gamma: float, side: str = "") -> dict[str, dict[str, object]]:
    return {name: {key: seen(p, gamma) for key, p in lab.panels[f"{side}{name}"].items()} for name in BOARDS}


@pytest.mark.parametrize(
    "differs",
    [
        {},
        {"label": "Sneaker"},
        {"label": "Predicted label", "reading": "matched"},
        {"method": "SpatialDropout"},
        {"gamma": "0.6", "r": "3"},
        {"checkpoint": "second"},
    ],
)
def test_each_side_is_the_page_with_that_setting(lab: Pages, differs: dict[str, str]) -> None:
    gamma = float(differs.get("gamma", 0.9))
    own = {"b_own": "true"} if "gamma" in differs else {}
    app = lab.open("mask_lab", **A, ab="true", **{f"b_{key}": value for key, value in differs.items()}, **own)
    assert not app.warning and not app.error
    a, b = boards(lab, 0.9), boards(lab, gamma, "b.")
    assert lab.notes["strip"].startswith("A · first · CamDrop, label Bag.")
    assert lab.notes["b.strip"].startswith(f"B · {differs.get('checkpoint', 'first')} · ")
    lab.open("mask_lab", **A)
    assert a == boards(lab, 0.9)
    lab.open("mask_lab", **(A | differs))
    assert b == boards(lab, gamma)
    assert (a == b) == (not differs)


def test_another_network_takes_the_image_and_the_label_as_far_as_it_has_them(lab: Pages) -> None:
    app = lab.open("mask_lab", **A, ab="true", b_checkpoint="foreign", rank="32")
    assert not app.warning and not app.error
    strip = lab.panels["b.strip"]
    assert strip["image"].layers[0].pixels.shape == (32, 32, 3)
    assert "no true label here" in lab.notes["b.strip"]  # nor does it know a bag
    assert "rank 32 of 32" in str(lab.panels["b.numbers"]["channel"].subtitle)
    options = next(box for box in app.selectbox if box.label == "Label y of B").options
    assert options[:4] == ["As A", "True label", "Predicted label", "airplane"]


def test_switched_on_b_differs_and_switched_off_nothing_of_it_stays(lab: Pages) -> None:
    app = lab.open("mask_lab", **A)
    switch = next(toggle for toggle in app.toggle if toggle.label == "A | B")
    switch.set_value(True).run()
    assert next(box for box in app.selectbox if box.label == "Method of B").value == "DropBlock"
    assert "B · first · DropBlock." in lab.notes["b.strip"]
    lab.panels.clear()
    switch.set_value(False).run()
    assert set(lab.panels) >= set(BOARDS) and not any(name.startswith("b.") for name in lab.panels)
    assert not lab.notes["strip"].startswith("A ·")


@pytest.mark.slow
def test_what_goes_ahead_is_what_both_sides_show(lab: Pages) -> None:
    link = A | {"ab": "true", "b_label": "Coat", "b_own": "true", "b_r": "3", "b_gamma": "0.7"}
    at = {"r": 9, "b_r": 3, "seed": 7, "rank": 0, "label": "Bag"}

    def wanted(load: tuple[State, ...]) -> bool:
        return any(all(at.get(key, value) == value for key, value in state.at.items()) for state in load)

    sent = lab.open_and_fill("mask_lab", wanted, **link)
    lab.open("mask_lab", **(link | {"r": "9", "gamma": "0.35"}))
    found = {
        board.key: board
        for board in sent
        if board.state and all(at[key] == value for key, value in board.state.at.items() if key in at)
    }
    assert {"strip", "grid", "numbers", "b.strip", "b.grid", "b.numbers"} <= found.keys()
    for key, board in found.items():
        gamma = 0.7 if key.startswith("b.") else 0.35
        for panel in board.panels:
            assert seen(panel, gamma) == seen(lab.panels[key][panel.id], gamma), (key, panel.id)


@pytest.mark.parametrize("value", ["", "1e309", "nan", "As B"])
def test_a_link_that_says_nonsense_of_b_shows_a(lab: Pages, value: str) -> None:
    names = ("checkpoint", "label", "method", "reading", "gamma", "r")
    app = lab.open("mask_lab", **A, ab="true", b_own="true", **{f"b_{name}": value for name in names})
    assert not app.exception
    assert [warning.value for warning in app.warning] == (
        [] if value == "" else [f"The link names {value}, which is not here. B shows that of A."]
    )
    assert lab.notes["b.strip"].startswith("B · first · CamDrop, label Bag.")
