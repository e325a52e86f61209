"""Adding checkpoints: by upload, path and import json
from torchvision; described, kept and forgotten."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from camdrop.checkpoints import Checkpoint, CheckpointError, list_checkpoints, load
from camdrop.checkpoints.metadata import Meta
from camdrop.checkpoints.overrides import remember
from tests.support.app_test import APP, errors, open_page, press, settled, widget
from tests.support.checkpoint_files import headerless_file, make_checkpoint, network, torch_bytes
from ui.choosers import add, checkpoint


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app, on the machine of its browser, with one checkpoint, and two of other people's in `nets`."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    make_checkpoint(folder)
    monkeypatch.setattr(checkpoint, "FOLDER", folder)
    monkeypatch.setattr(add, "may_name_paths", lambda: True)
    for seed, name in enumerate(("one", "two"), 1):
        (tmp_path / "nets" / name).mkdir(parents=True)
        (tmp_path / "nets" / name / "best.th").write_bytes(headerless_file(seed))
    return folder


def by_path(app: AppTest, path: Path | str) -> AppTest:
    app.session_state["checkpoints.way"] = "Path"
    app.run()
    app.text_input(key="checkpoints.path").set_value(str(path))
    return press(app, "Open")


def chosen(app: AppTest) -> list[str]:
    return app.session_state["live.checkpoints"]


def test_by_path_files_of_one_name_are_told_apart(folder: Path) -> None:
    app = by_path(open_page(), folder.parent / "nets" / "one" / "best.th")
    assert chosen(app) == ["best.th"]  # it looks at other images than the one before
    by_path(app, f'"{folder.parent}/nets/two/../two/best.th" ')
    assert chosen(app) == ["best.th", "two/best.th"]
    press(app, "Open")
    assert chosen(app) == ["best.th", "two/best.th"] == list(app.session_state["uploads"])
    assert not errors(app) and not app.warning


def test_what_a_run_that_was_cut_off_added_is_chosen_by_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, at_hand = open_page(), checkpoint.at_hand

    def cut_off() -> dict[str, Meta]:
        monkeypatch.setattr(checkpoint, "at_hand", at_hand)
        st.stop()

    monkeypatch.setattr(checkpoint, "at_hand", cut_off)
    by_path(app, folder.parent / "nets" / "one" / "best.th")
    app.run()
    assert chosen(app) == ["best.th"] and app.session_state["uploads.new"] == []


def test_a_folder_offers_its_checkpoints(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    nets = folder.parent / "nets" / "one"
    (nets / "notes.txt").write_text("not one")
    (nets / "page.pth").write_text("<html>")
    app = by_path(open_page(), "~/nets/one")
    found = next(widget for widget in app.multiselect if widget.label == "In one/")
    assert found.options == ["best.th", "page.pth"] and chosen(app) == ["tiny"]
    found.set_value(["page.pth", "best.th"]).run()
    press(app, "Add these")
    assert chosen(app) == ["best.th"]
    assert len(errors(app)) == 1 and errors(app)[0].startswith("page.pth is a web page")


def test_paths_that_lead_nowhere_get_a_sentence(folder: Path) -> None:
    app = by_path(open_page(), "/no/such\0place")
    assert errors(app)[0].startswith("There is no file or folder /no/such")
    assert not errors(by_path(app, " "))
    assert "holds no checkpoint: their names end in .safetensors" in errors(by_path(app, folder.parent / "nets"))[0]
    assert "neither safetensors nor by torch.save" in errors(by_path(app, APP))[0]
    assert chosen(app) == ["tiny"]


@pytest.mark.slow
def test_there_is_room_for_six(folder: Path) -> None:
    nets = folder.parent / "nets"
    for seed in range(6):
        (nets / f"{seed}.th").write_bytes(headerless_file(seed))
    app = by_path(open_page(), nets)
    widget(app.multiselect, "In nets/").set_value([f"{seed}.th" for seed in range(6)]).run()
    press(app, "Add these")
    assert chosen(app) == ["2.th", "3.th", "4.th", "5.th"] and len(app.session_state["uploads"]) == 6
    assert [toast.value for toast in app.toast] == ["At most 4 are compared: 0\\.th and 1\\.th made room."]
    by_path(app, nets / "one" / "best.th")
    assert errors(app) == ["There is room for 6 at once, so best.th was not added: keep or forget another first."]
    app.session_state["checkpoints.way"] = "File"
    app.run()
    app.file_uploader[0].upload("late.th", headerless_file(7), "application/octet-stream").run()
    assert "so late.th was not added" in errors(app)[0]
    press(app, "Forget")
    app.run()
    assert not errors(app) and chosen(app)[-1] == "late.th"  # it waited in its widget


@pytest.mark.slow
def test_the_last_stage_stays_the_last(folder: Path) -> None:
    (folder.parent / "wide.pth").write_bytes(torch_bytes(network("resnet18", 5, 3).state_dict()))
    app = by_path(open_page(), folder.parent / "nets" / "one" / "best.th")
    assert app.session_state["live.stage"] == "3"
    by_path(app, folder.parent / "wide.pth")
    assert app.session_state["live.stage"] == "4"
    app.session_state["live.checkpoints"] = ["best.th"]
    app.run()
    assert settled(app).session_state["live.stage"] == "3"


@pytest.mark.parametrize(
    ("url", "address", "same"),
    [
        ("http://localhost:8501/attack", None, True),
        ("http://127.0.0.1:8501", None, True),
        ("http://[::1]:8501", None, True),
        ("http://lab.example.org", None, False),  # by a proxy
        ("http://10.0.0.3:8501", "10.0.0.9", False),
        ("http://localhost:8501", "10.0.0.9", False),
        (None, None, False),
    ],
)
def test_paths_are_for_the_machine_of_the_app_alone(
    url: str | None, address: str | None, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(add.st, "context", SimpleNamespace(url=url, ip_address=address))
    assert add.may_name_paths() is same


def test_without_a_path_from_another_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add, "may_name_paths", lambda: False)
    app = open_page()
    assert app.segmented_control(key="checkpoints.way").options == ["File", "torchvision"]


def test_networks_of_torchvision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(name: str, progress: Callable[[float], object]) -> Checkpoint:
        asked.append(name)
        progress(0.5)
        if name != "resnet18":
            raise CheckpointError("there is no network here; connect it")
        return load(headerless_file(1), name=name)

    monkeypatch.setattr("camdrop.checkpoints.pretrained.fetch", fetch)
    app = open_page()
    app.session_state["checkpoints.way"] = "torchvision"
    app.run()
    offered = widget(app.selectbox, "Network")
    assert "resnet18" in offered.options and "resnet50" in offered.options
    offered.select("resnet50")
    assert errors(press(app, "Get it")) == ["there is no network here; connect it"] and chosen(app) == ["tiny"]
    widget(app.selectbox, "Network").select("resnet18")
    press(app, "Get it")
    assert chosen(app) == ["torchvision:resnet18"] and asked == ["resnet50", "resnet18"]
    press(app, "Keep")
    assert chosen(app) == ["torchvision-resnet18"]


# Describing.


def described(folder: Path, seed: int) -> Meta:
    """What someone said of a network before."""
    found = load(headerless_file(seed), name="x")
    meta = replace(found.meta, classes=tuple("abcde"), notes="by hand")
    remember(folder / ".given", replace(found, meta=meta))
    return meta


def test_the_same_file_added_again_comes_with_what_was_given(folder: Path) -> None:
    meta = described(folder, 1)
    app = by_path(open_page(), folder.parent / "nets" / "one" / "best.th")
    assert app.session_state["uploads"]["best.th"].meta == meta
    app.session_state["checkpoints.way"] = "File"
    app.run()
    app.file_uploader[0].upload("other.th", headerless_file(1), "application/octet-stream").run()
    assert chosen(settled(app)) == ["best.th", "other.th"]
    assert app.session_state["uploads"]["other.th"].meta == meta
    assert not any("by convention" in caption.value for caption in app.caption)
    by_path(app, folder.parent / "nets" / "two" / "best.th")
    assert app.session_state["uploads"]["two/best.th"].meta.classes == tuple("01234")
    assert any("by convention" in caption.value for caption in app.caption)


# Keeping and forgetting.


@pytest.mark.slow
def test_keep_writes_a_file_with_its_header_and_overwrites_nothing(folder: Path) -> None:
    meta = described(folder, 1)
    app = open_page()
    for n, name in enumerate(("best", "best-2"), 1):
        by_path(app, folder.parent / "nets" / "one" / "best.th")
        press(app, "Keep")
        assert app.toast[0].value == f"Kept as checkpoints/{name}.safetensors."
        assert chosen(app)[-1] == name and not app.session_state["uploads"] and not app.warning and n
        kept = load(folder / f"{name}.safetensors")
        assert kept.meta == meta and kept.path
        for key, value in load(headerless_file(1), name="x").model.state_dict().items():
            assert torch.equal(kept.model.state_dict()[key], value)
    assert [path.name for path, _ in list_checkpoints(folder).found] == [
        "best-2.safetensors",
        "best.safetensors",
        "tiny.safetensors",
    ]
    again = open_page(checkpoints="best")  # a link, in another session
    assert chosen(again) == ["best"] and not again.warning


@pytest.mark.parametrize(
    ("name", "stem"), [("a b/c:d.pth", "a-b-c-d"), ("x.pth.tar", "x"), (".th", "network"), ("../../up.th", "up")]
)
def test_kept_names_are_plain(name: str, stem: str) -> None:
    assert add.plain(name) == stem


def test_what_cannot_be_kept_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise CheckpointError("the disk is full; choose another place")

    app = by_path(open_page(), folder.parent / "nets" / "one" / "best.th")
    monkeypatch.setattr("camdrop.checkpoints.save", full)
    press(app, "Keep")
    assert errors(app) == ["the disk is full; choose another place"] and chosen(app) == ["best.th"]


def test_forgotten_ones_leave_the_choice(folder: Path) -> None:
    app = open_page()
    for name in ("one", "two"):
        by_path(app, folder.parent / "nets" / name / "best.th")
    press(app, "Forget")
    assert chosen(app) == ["two/best.th"] == list(app.session_state["uploads"])
    press(app, "Forget")
    assert chosen(app) == ["tiny"] and not app.warning and not errors(app)


def test_a_page_with_one_checkpoint_follows(folder: Path) -> None:
    described(folder, 1)
    app = AppTest.from_file(APP, default_timeout=60)
    app.switch_page("pages/mask_lab.py")
    settled(app.run())
    app.file_uploader[0].upload("best.th", headerless_file(1), "application/octet-stream").run()
    assert settled(app).session_state["live.checkpoint"] == "best.th"
    press(app, "Keep")
    assert app.session_state["live.checkpoint"] == "best"
    app.file_uploader[0].upload("best.th", headerless_file(2), "application/octet-stream").run()
    press(app, "Forget")
    assert app.session_state["live.checkpoint"] == "tiny"  # CamDrop's, as at first
