"""The pages Race and Runs in good and bad states."""

import dataclasses
import json
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from camdrop import runs
from camdrop.masks import CamDrop
from camdrop.report.paper_tables import preset_methods
from camdrop.runs import scheduler
from camdrop.runs.trainer import train
from camdrop.training.config import NOISE_METHODS, Contender, Recipe, contender, make_recipe
from tests.support.app_test import open_page
from tests.support.shades import shades
from ui.panels import race_setup

pytestmark = pytest.mark.slow  # the page measures how fast this machine trains

CONTENDERS = (Contender("baseline"), Contender("camdrop", CamDrop(keep_prob=0.8, block_size=3)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return shades(tmp_path_factory.mktemp("shades"), train=50, test=10)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def finished(root: Path, data: str) -> runs.Run:
    recipe = Recipe("resnet8", epochs=2, batch_size=10, crop=1, flip=False, validation=0.2)
    runs.create(root / "shades", runs.RunConfig(data, recipe, CONTENDERS, "cpu", 1))
    return train(root / "shades")


def said(app: AppTest) -> str:
    shown = [*app.markdown, *app.info, *app.warning, *app.error, *app.caption]
    words = [*(e.value for e in shown), *(e.proto.text for e in app.get("progress"))]
    for table in app.table:
        words += [*table.value.columns, *(str(cell) for cell in table.value.to_numpy().ravel())]
    return " ".join(words).replace("\u00a0", " ")


def test_a_race_is_set_up_measured_and_put_in_the_queue(root, monkeypatch):
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    app = open_page("race", session={"race.unit": "minutes"})
    assert re.search(r"Measured here: [\d,]+ images a second through 4 networks, so \*\*2 min are about", said(app))
    app.number_input("race.minutes").set_value(0.5)
    app.slider("race.2.keep_prob").set_value(0.7)
    app.button("race.remove.1").click()
    app.run()
    app.button("race.remove.3").click().run()
    app.button("race.add.camdrop").click().run()
    assert not app.exception
    app.slider("race.3.block_size").set_value(3).run()
    next(b for b in app.button if b.label == "Start").click().run()
    (run,) = runs.list_runs(root)
    ours = "reading=matched channels=all"
    assert run.state == "queued" and run.config.recipe.minutes == 0.5
    assert [c.name for c in run.config.contenders] == [
        "baseline", f"camdrop keep_prob=0.7 block_size=4 position_fraction=0.5 {ours} label=predicted",
        "camdrop keep_prob=0.9 block_size=3 position_fraction=None reading=paper channels=dominant label=true",
    ]  # fmt: skip
    assert app.selectbox("run").value == run.name and "Waiting" in said(app)
    next(b for b in app.button if b.label == "Stop").click().run()
    assert runs.load_run(run.folder).state == "stopped" and not app.exception


def test_the_page_opens_with_the_race_in_which_dropout_matters(root, monkeypatch):
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    app = open_page("race")
    assert re.search(r"\*\*30 epochs of 1,000 images take about .*\*\*40\s% of their labels", said(app))
    next(b for b in app.button if b.label == "Start").click().run()
    config = runs.list_runs(root)[0].config
    assert config.recipe == make_recipe("noise", {}) and config.data == "fashion-sample" and config.leakage
    methods = [contender(text, {}).method for text in NOISE_METHODS.split(",")]
    assert [c.method for c in config.contenders] == methods and not app.exception


def test_a_guess_is_kept_and_comes_back_beside_who_won(root, monkeypatch):
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    app = open_page("race")
    guess = next(group for group in app.button_group if group.label == "Which will win?")
    assert guess.options == ["Baseline", "DropBlock", "CamDrop (predicted class)", "CamDrop (true class)"]
    guess.set_value(1).run()
    next(b for b in app.button if b.label == "Start").click().run()
    (run,) = runs.list_runs(root)
    assert run.guess == run.config.contenders[1].name and "guess: DropBlock" in said(app)
    app.selectbox("run").set_value("New race").run()
    next(b for b in app.button if b.label == "Start").click().run()
    assert sorted(other.guess for other in runs.list_runs(root)) == ["", run.guess] and not app.exception


def test_contenders_for_the_question_of_the_label_are_a_click_away(root, monkeypatch):
    monkeypatch.setattr(race_setup, "forecast", lambda config: "")
    app = open_page("race")
    ready = {b.label: b for b in app.button if (b.key or "").startswith("race.ready.")}
    assert [b.disabled for b in ready.values()] == [True, False, False, False, True]
    for title in ("CamDrop, true class at the last map", "CamDrop, no class", "CamDrop, random class"):
        next(b for b in app.button if b.label == title).click().run()
    *_, last, nobody, random = app.session_state["race.config"].contenders
    alike = {"block_size": 4, "reading": "matched", "channels": "all", "position_fraction": 0.5}
    assert last.method == CamDrop(**alike) and (last.stages, last.kinds) == (("layer3.0",), ("branch", "skip"))
    assert nobody.method == CamDrop(**alike, guide="mean") and random.method == CamDrop(**alike, label="random")
    app.selectbox("race.network").set_value("resnet20").run()
    assert app.session_state["race.config"].contenders[4].stages == ("layer3.2",) and not app.exception


def test_two_more_seeds_are_a_click_and_then_in_the_table(finished, monkeypatch):
    monkeypatch.setattr(scheduler, "launch", lambda root: [])
    app = open_page("race", run="shades")
    assert "one seed cannot say" in said(app)
    next(b for b in app.button if b.label == "Run it with two more seeds").click().run()
    added = [run for run in runs.list_runs(finished.folder.parent) if run.state == "queued"]
    assert sorted((run.name, run.config.recipe.seed) for run in added) == [("shades seed 1", 1), ("shades seed 2", 2)]
    assert next(b for b in app.button if b.label == "Run it with two more seeds").disabled and not app.exception
    for run in added:
        train(run.folder, resume=True)
    text = said(open_page("race", run="shades"))
    assert "(3 seeds)" in text and "To Baseline (paired t-test)" in text and "(n = 3)" in text
    assert "mean test error over 3 seeds" in text and "**Against Baseline, seed by seed** (n = 3)" in text


def test_the_mask_lab_opens_with_the_knobs_of_the_race(finished):
    app = open_page("race", run="shades")
    queries = [parse_qs(e.proto.query_string) for e in app.get("page_link")]
    query = next(query for query in queries if "checkpoint" in query)
    assert query["checkpoint"] == ["run:shades/camdrop"]
    lab = open_page("mask_lab", **{key: values[0] for key, values in query.items()})
    assert (lab.session_state["live.gamma"], lab.session_state["live.r"]) == (0.8, 3)


def test_turned_knobs_are_told_everywhere(finished):
    name = finished.config.contenders[1].name
    knob = {"kind": "knob", "step": 3, "epoch": 1.0, "contender": name, "keep_prob": 0.5, "block_size": 2}
    with (finished.folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(knob) + "\n")
    app = open_page("race", run="shades")
    turned = "CamDrop γ 0.8 r 3 true class turned to γ 0.5 r 2"
    assert turned in said(app) and f"# by hand, and not repeated: {turned}" in app.code[0].value
    curves = next(json.loads(e.proto.json) for e in app.get("bidi_component") if "panels" in (e.proto.json or ""))
    assert turned in {trace["name"] for trace in curves["panels"][0]["traces"]}
    assert next(b for b in app.button if b.label == "Run it with two more seeds").disabled
    assert turned in open_page("runs").dataframe[0].value["Contenders"][0]


def test_a_preset_sets_all_that_it_names(root, monkeypatch):
    monkeypatch.setattr(race_setup, "forecast", lambda config: "")  # their networks are large
    app = open_page("race")
    app.selectbox("race.preset").set_value("table4").run()
    config = app.session_state["race.config"]
    assert config.recipe == make_recipe("table4", {}) and not config.leakage
    wanted = [contender(text, {"block_size": 8}).method for text in preset_methods("table4").split(",")]
    assert [c.method for c in config.contenders] == wanted
    app.selectbox("race.preset").set_value("noise").run()
    config = app.session_state["race.config"]
    assert config.recipe == make_recipe("noise", {}) and config.leakage and not app.exception
    assert [c.method.label for c in config.contenders if isinstance(c.method, CamDrop)] == ["predicted", "true"]


def test_more_images_than_there_are_is_a_sentence(root):
    app = open_page("race")
    app.number_input("race.images").set_value(6000).run()
    assert "There are only 5,400 images to train on, not 6,000" in said(app) and not app.exception


def test_settings_that_make_no_sense_are_a_sentence(root):
    app = open_page("race")
    app.button("race.add.dropblock").click().run()
    assert "Two contenders are the same" in said(app)
    for number in (0, 1, 2, 3, 4):
        app.button(f"race.remove.{number}").click().run()
    assert "press Add" in said(app) and not [b for b in app.button if b.label == "Start"]
    app = open_page("race", session={"race.data": "folder:/no/such/place"})
    assert "/no/such/place" in said(app) and not app.exception


def test_a_finished_race_has_its_table_and_what_to_take_away(finished):
    app = open_page("race", run="shades", curves="Loss")
    text = said(app)
    assert "Finished" in text and "CamDrop γ 0.8 r 3" in text and "Test error" in text
    assert "--methods baseline,camdrop:keep_prob=0.8:block_size=3" in app.code[0].value
    curves = next(json.loads(e.proto.json) for e in app.get("bidi_component") if "panels" in (e.proto.json or ""))
    assert [panel["title"] for panel in curves["panels"]] == ["Loss"]
    assert curves["panels"][0]["traces"][0]["customdata"] == list(range(1, 17))
    assert {b.label for b in app.get("download_button")} >= {"Checkpoints (ZIP)", "Metrics (CSV)"}
    app.text_input("name.shades").set_value("../x").run()
    app.button("rename.go.shades").click().run()
    assert "a run's name is made of" in said(app)
    app.button("delete.go.shades").click().run()
    assert not finished.folder.exists() and app.selectbox("run").value == "New race" and not app.exception


def test_buttons_and_table_are_of_one_moment(finished, monkeypatch):
    states, load = ["running"], runs.load_run
    monkeypatch.setattr(
        runs, "load_run", lambda folder: dataclasses.replace(load(folder), state=states.pop() if states else "stopped")
    )
    app = open_page("race", run="shades")
    assert not app.exception and not states and "Stopped" in said(app)
    labels = {button.label for button in app.button}
    assert "Resume" in labels and "Stop" not in labels


@pytest.mark.parametrize("page", ["race", "runs"])
def test_garbage_in_the_link_and_broken_folders_are_a_sentence(finished, page):
    (finished.folder.parent / "broken").mkdir()
    (finished.folder.parent / "broken" / "config.json").write_text('{"data":')
    link = {"run": "<script>", "runs": "nothing", "curves": "abc", "frame": "x", "log": "?", "search": "%"}
    text = said(open_page(page, **link))
    assert "which is not here" in text
    assert page == "race" or "cannot be read as a run" in text
    (finished.folder / "metrics.jsonl").write_text("no record\n")
    assert "is damaged" in said(open_page(page, run="shades", runs="shades"))


def test_runs_without_any_and_with_one(root, request):
    assert "No race was run here yet" in said(open_page("runs"))
    request.getfixturevalue("finished")
    app = open_page("runs")
    frame = app.dataframe[0].value
    assert frame["Name"].tolist() == ["shades"] and frame["State"].tolist() == ["finished"]
    app.text_input("search").set_value("resnet110").run()
    assert app.dataframe[0].value.empty and not app.exception
