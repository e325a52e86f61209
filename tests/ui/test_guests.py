"""A shared server: whatever its policy forbids is tried. tests/browser/test_shared.py tries what needs a real one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from camdrop import runs
from camdrop.policy import policy
from camdrop.runs import owners, scheduler, sweep
from camdrop.training.config import Contender, Recipe
from tests.support.app_test import errors, open_page
from tests.support.checkpoint_files import make_checkpoint
from ui import guests
from ui.choosers.data_set import choose_data_set
from ui.fragments import callback
from ui.panels import race_setup, run_actions, sweeps

pytestmark = pytest.mark.slow  # it opens pages

CONFIG = runs.RunConfig("fashion-sample", Recipe("resnet8", epochs=1), (Contender("baseline"),), "cpu", 1)
ACTIONS = {"Stop", "Resume", "Rename", "Delete", "Delete for good"}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runs of a shared server, which starts none."""
    get_option = st.get_option
    monkeypatch.setenv("CAMDROP_SHARED", "1")
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(st, "get_option", lambda name: policy().server_options.get(name, get_option(name)))
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    monkeypatch.setattr(race_setup, "forecast", lambda config: "")
    monkeypatch.setattr(sweeps, "forecast", lambda plan: "")
    monkeypatch.setattr(guests, "_here", set())
    st.cache_resource.clear()
    (tmp_path / "runs").mkdir()
    yield tmp_path / "runs"
    st.cache_resource.clear()  # else the next test would be of this session, as AppTest has only one


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button} | {popover.proto.popover.label for popover in app.get("popover")}


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def test_a_run_is_its_sessions_alone_and_its_links(root: Path) -> None:
    app = open_page("race")
    assert any("for 10 minutes at most" in caption.value for caption in app.caption)
    mine = press(app, "Start")
    (run,) = runs.list_runs(root)
    words = " ".join(element.proto.text for element in mine.get("progress"))
    assert "Waiting, number 1 in the queue" in words and ACTIONS & labels(mine) == {"Stop", "Rename", "Delete"} | {
        "Delete for good"
    }
    token = mine.query_params["token"]
    for stranger in (
        open_page("race", run=run.name),
        open_page("race", run=run.name, token="guessed"),
        open_page("runs"),
    ):
        assert not ACTIONS & labels(stranger) and "Take away" in labels(stranger)
        assert stranger.query_params.get("token") != token
    again = press(open_page("race", run=run.name, token=token), "Stop")  # after the page was loaded anew
    assert runs.load_run(run.folder).state == "stopped" and "Resume" in labels(again)
    press(again, "Delete for good")
    assert runs.list_runs(root) == []


def test_nothing_of_others_or_the_servers_can_be_changed(root: Path) -> None:
    runs.create(root / "race", CONFIG)
    owners.set_owner(root / "race", "of somebody else")
    runs.create(root / "the server's", CONFIG)
    (root / "broken").mkdir()
    (root / "broken" / "config.json").write_text("{")
    sweep.create(root / "plane", sweep.Plan())
    scheduler.submit(root / "plane")
    for app in (open_page("runs"), open_page("sweep", sweep="plane"), open_page("race", run="the server's")):
        assert not ACTIONS & labels(app)
    runs.folder.set_state(runs.load_run(root / "race"), "running")
    with runs.locked(root / "race"):
        assert "Knobs" not in labels(open_page("race", run="race"))
    for name in ("race", "the server's", "broken", "plane"):  # and if a button were there
        folder = root / name
        for act in (runs.stop, runs.delete, run_actions.resume, sweep.stop, sweep.delete):
            st.session_state["problems"] = []
            run_actions.change(folder, act)
            assert "somebody else's" in st.session_state["problems"][0]
        run_actions.change(folder, run_actions._rename, "new", None)
        assert folder.exists() and not (root / "new").exists()


@pytest.mark.parametrize(("page", "key"), [("race", "race.data"), ("sweep", "sweep.data")])
def test_a_data_set_is_no_path(root: Path, tmp_path: Path, page: str, key: str) -> None:
    for spec in (f"folder:{tmp_path}", "imagenet:/", str(tmp_path)):  # no widget offers it, but one may send it
        app = open_page(page)
        assert app.selectbox(key).proto.accept_new_options is False
        app.selectbox(key).options.append(spec)
        app.selectbox(key).set_value(spec).run()
        press(app, "Start")
    found = [run.config.data for run in runs.list_runs(root)] + [one.plan.data for one in sweep.list_sweeps(root)]
    assert set(found) == {"fashion-sample"}
    with pytest.MonkeyPatch.context() as patch:  # and if Streamlit let it through
        patch.setattr(st, "selectbox", lambda *_, **options: f"folder:{tmp_path}")
        assert choose_data_set(["mnist"], key="x", help="", folder="") == "mnist"


def test_nothing_is_added_by_path_or_kept(lab, tmp_path: Path) -> None:
    app = lab.open("explore")
    way = next(group for group in app.button_group if group.label == "Add by")
    assert list(way.options) == ["File", "torchvision"] and not {"Keep", "Open"} & labels(app)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The paths that are opened or listed meanwhile."""
    paths: list[str] = []
    listening = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event in ("open", "os.listdir", "os.scandir"):
            paths.append(str(arguments[0]))

    sys.addaudithook(hook)
    yield paths
    listening = False


def test_no_link_reaches_a_file_outside_of_its_folder(root: Path, opened: list[str], lab) -> None:
    outside = root.parent / "outside"
    (outside / "baseline").mkdir(parents=True)
    make_checkpoint(outside)
    make_checkpoint(outside / "baseline")
    runs.create(outside / "run", CONFIG)
    sweep.create(outside / "sweep", sweep.Plan())
    names = [f"../outside/{name}" for name in ("run", "sweep", "baseline", "best")]
    names += [*(str(outside / name) for name in ("run", "best")), "run:../outside/baseline", f"run:{outside}/baseline"]
    names += ["../outside", f"folder:{outside}", "..%2Foutside%2Frun", "."]
    opened.clear()
    open_page(
        "explore",
        checkpoints=names,
        **dict.fromkeys(("image", "image_from", "image_class", "class", "stage"), names[0]),
    )
    open_page("runs", runs=names, curves=names, search=names[0])
    for name in ("../outside/run", str(outside / "run")):
        open_page("race", run=name, curves=names, token=name)
    for name in ("../outside/sweep", str(outside / "sweep")):
        open_page("sweep", sweep=name, measure=name)
    for name in ("../outside/best", "run:../outside/baseline", str(outside / "best")):
        open_page("mask_lab", checkpoint=name, site=name, method=name, label=name, image_from=name)
    assert opened and [path for path in opened if "outside" in path] == []


def test_where_there_is_no_room_there_is_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMDROP_MAX_SESSIONS", "1")
    assert open_page("runs").title and not errors(open_page("race"))  # of one session, as AppTest has only one
    assert len(guests._here) == 1
    for variable, value, words in (
        ("CAMDROP_MAX_SESSIONS", "1", "All 1 places on this server are taken"),
        ("CAMDROP_MAX_MEMORY", "0.01", "The memory of this server is used up"),
    ):
        st.cache_resource.clear()  # a new session
        guests._here.add(object())
        monkeypatch.setenv(variable, value)
        app = open_page("runs")
        assert len(errors(app)) == 1 and words in errors(app)[0] and not app.title
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMDROP_SHARED", "1")
        assert "used up" in guests.memory_problem()
        st.session_state["problems"] = []
        callback(run_actions.begin)("x", lambda folder: None)
        assert "used up" in st.session_state["problems"][0] and list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("shared", "option", "value", "words"),
    [
        ("0", "server.address", "0.0.0.0", "start it by: camdrop app --shared"),
        ("0", "server.address", None, "start it by: camdrop app --shared"),
        ("1", "server.maxUploadSize", 200, "start it by: camdrop app --shared"),
        ("1", "server.enableXsrfProtection", False, "start it by: camdrop app --shared"),
    ],
)
def test_a_server_that_was_started_otherwise_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, shared: str, option: str, value: object, words: str
) -> None:
    as_it_should = st.get_option
    monkeypatch.setenv("CAMDROP_SHARED", shared)
    monkeypatch.setattr(st, "get_option", lambda name: value if name == option else as_it_should(name))
    app = open_page("explore")
    assert len(errors(app)) == 1 and words in errors(app)[0] and not app.title
