"""The tour: every lesson has its picture, every link restores the state that the picture shows."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support import ROOT
from tests.support.lab_pages import Pages, texts
from ui.choosers.checkpoint import open_checkpoint
from ui.components.pictures import Heat, Panel, say
from ui.panels.lessons import LESSONS, Slider
from ui.panels.tour import measure_bounds

SET = ("camdrop-leaky", "camdrop", "baseline")
NUMBERS = range(1, len(LESSONS) + 1)
OTHER = ["Sneaker", "0.6", "7", "Sandal", "official", "false", "40", "9"]  # a value of each control, not the default


@pytest.fixture
def tour(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """The app with the checkpoints that ship."""
    return Pages(ROOT / "checkpoints", monkeypatch)


def link(app: AppTest) -> tuple[str, dict[str, list[str]]]:
    """Where the lesson's link leads: a page's file and its query."""
    address = urlsplit(app.get("link_button")[0].proto.url)
    return address.path.removeprefix("./") or "explore", parse_qs(address.query)


def choice(app: AppTest, key: str) -> str | list[str]:
    """What a page shows for a parameter of its link, as the link would say it."""
    store = app.session_state
    value = store[f"live.{key}"] if f"live.{key}" in store else store[key]
    if isinstance(value, list | tuple):
        return [str(part) for part in value]
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_a_link_leads_to_the_state_of_the_lesson(tour: Pages, number: int) -> None:
    lesson, value = LESSONS[number - 1], OTHER[number - 1]
    app = tour.open("tour", lesson=str(number), **{f"tour_{lesson.control.parameter}": value})
    assert app.subheader[0].value == f"{number} · {lesson.title}" and not app.info and not app.error
    page, query = link(app)
    assert query[lesson.control.parameter] == [value]
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page(f"pages/{page}.py")
    for key, values in query.items():
        app.query_params[key] = values
    app.run()
    assert not app.exception and not app.error
    for key, values in query.items():
        shown = choice(app, key)
        assert (shown if isinstance(shown, list) else [shown]) == values, key


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_the_picture_moves_with_the_control(tour: Pages, number: int) -> None:
    control = LESSONS[number - 1].control
    drawn = []
    for value in (control.default if isinstance(control, Slider) else control.options[0], OTHER[number - 1]):
        app = tour.open("tour", lesson=str(number), **{f"tour_{control.parameter}": str(value)})
        panels = tour.panels.get(f"tour.{number}", {})
        drawn.append(str([(panel.alt, panel.rows, panel.lines) for panel in panels.values()]))
        if number == 6:
            drawn[-1] = app.get("plotly_chart")[0].proto.spec
        assert not any(panel.download or panel.equation for panel in panels.values())
    assert drawn[0] != drawn[1]


def seen(tour: Pages, number: int, value: str) -> tuple[dict[str, Panel], dict[str, dict[str, Panel]]]:
    """The panels of a lesson, and those of the page that it links to."""
    lesson = LESSONS[number - 1]
    app = tour.open("tour", lesson=str(number), **{f"tour_{lesson.control.parameter}": value})
    page, query = link(app)
    assert all(len(values) == 1 for values in query.values())
    tour.open(page, **{key: values[0] for key, values in query.items()})
    return tour.panels[f"tour.{number}"], tour.panels


@pytest.mark.slow
@pytest.mark.parametrize(("number", "groups"), [(2, ["blocks"]), (4, ["strip", "message"])])
def test_pictures_are_those_of_the_page_that_is_linked(tour: Pages, number: int, groups: list[str]) -> None:
    here, there = seen(tour, number, OTHER[number - 1])
    linked = {name: panel for group in groups for name, panel in there[group].items()}
    assert {name: say(panel.alt) for name, panel in here.items() if name != "leak-free"} == {
        name: say(panel.alt) for name, panel in linked.items()
    }
    assert all(texts(here[name]) == texts(panel) for name, panel in linked.items())


@pytest.mark.slow
@pytest.mark.parametrize("label", ["Bag", "Sneaker", "Sandal", "Trouser"])
def test_lesson_4_ends_with_an_answer_that_turns_and_one_that_stays(tour: Pages, label: str) -> None:
    tour.open("tour", lesson="4", tour_label=label)
    first = {name: tour.panels["tour.4"][name].rows[0].label for name in ("without", "with", "leak-free")}
    assert first == {"without": "Bag", "with": label, "leak-free": "Bag"}
    dropped, draws = (texts(tour.panels["tour.4"][name]) for name in ("masked", "leak-free"))
    assert number_in(dropped["dropped"]) > 0  # there is a hole to see, with each label
    assert label == "Bag" or draws[f"Draws that end in {label}"].startswith("0 of")
    if label != "Bag":
        return
    errors = {name: open_checkpoint(f"fashion-noise-resnet8-{name}").meta.test_error for name in SET}
    assert list(errors.values()) == pytest.approx([57.1, 27.9, 40.1])


def test_lesson_1_draws_the_map_of_explore(tour: Pages) -> None:
    here, there = seen(tour, 1, "Sneaker")
    (a,), (b,) = (
        [layer.values for layer in panels["network fashion-resnet8-baseline"].layers if isinstance(layer, Heat)]
        for panels in (here, there["board"])
    )
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_lessons_3_and_5_say_the_shares_of_the_lab(tour: Pages) -> None:
    here, there = seen(tour, 3, "7")
    assert texts(here["numbers"])["Share dropped"] == texts(there["numbers"]["numbers"])["Share dropped"]
    here, there = seen(tour, 5, "official")
    assert texts(here["camdrop"]) == texts(there["sites"]["stages"])


def number_in(text: str) -> float:
    return float(re.findall(r"[\d.]+", text)[0])


@pytest.mark.slow
def test_what_the_answers_say_can_be_seen(tour: Pages) -> None:
    """The numbers of the answers to lessons 1, 2, 3, 5 and 8."""
    tour.open("tour", lesson="1")
    assert tour.panels["tour.1"]["network fashion-resnet8-baseline"].lines[0].endswith(" to 24.4")
    assert tour.panels["tour.1"]["network fashion-resnet8-baseline"].lines[1].startswith("Mean: ")
    tour.open("tour", lesson="1", tour_class="Sneaker")
    assert tour.panels["tour.1"]["network fashion-resnet8-baseline"].lines[0] == "Sneaker: −7.8 to 6.1"
    tour.open("tour", lesson="2")
    dropped = {name: number_in(texts(p)["dropped"]) for name, p in tour.panels["tour.2"].items() if name != "cam"}
    assert dropped["DropPath"] == 100 and 0 < dropped["CamDrop"] < 2
    assert all(9 <= dropped[name] <= 11 for name in ("Dropout", "DropBlock"))
    for r in "1248":
        tour.open("tour", lesson="3", tour_r=r)
        assert 9 < number_in(texts(tour.panels["tour.3"]["numbers"])["Share dropped"]) < 12
    shares = {}
    for reading in ("paper", "official", "matched"):
        tour.open("tour", lesson="5", tour_reading=reading)
        rows = texts(tour.panels["tour.5"]["camdrop"])
        shares[reading] = sum(number_in(rows[stage]) for stage in ("layer1", "layer2", "layer3")) / 3
    assert shares["official"] < shares["paper"] < 1.25 < shares["matched"] < 10
    tour.open("tour", lesson="8")
    assert tour.panels["tour.8"]["fashion-resnet8-camdrop"].subtitle == "Holds"
    image, attacked = (tour.panels["tour.8"][name].layers for name in ("image", "fashion-resnet8-camdrop"))
    change = np.abs(np.int16(image[0].pixels) - attacked[0].pixels)
    assert len(attacked) == 1 and 0 < change.max() <= 2  # the attacked image itself, by two steps of 1
    tour.open("tour", lesson="8", tour_iterations="12")
    assert tour.panels["tour.8"]["fashion-resnet8-baseline"].subtitle == "Answers the target"


def shipped(kind: str, name: str) -> dict[str, Any]:
    return json.loads((ROOT / "results" / kind / f"{name}.json").read_text())


@pytest.mark.slow
def test_lesson_6_draws_what_is_measured() -> None:
    def near(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:  # another processor rounds otherwise
        pairs = [(ours[kind][name], theirs[kind][name]) for kind in theirs for name in theirs[kind]]
        return all(sum(a) == sum(b) and sum(abs(x - y) for x, y in zip(a, b, strict=True)) < 20 for a, b in pairs)

    counts = shipped("tour", "bounds")
    assert near(measure_bounds(), counts)
    after = {name: sum(count[21:]) / sum(count) for name, count in counts["rescaled"].items()}
    assert all(f"{100 * share:.0f} %" in LESSONS[5].answer for share in after.values())
    assert np.argmax(counts["rescaled"]["camdrop"]) == 21  # its 1 % is in sight


def test_lessons_7_and_8_say_what_results_says() -> None:
    wide = [found["coverage"]["mean"] for found in shipped("compare", "fashion")["results"]]
    fooled = [found["success_rate"] for found in shipped("attack", "fashion")["results"]]
    over_seeds = {g["network"]: g["success_rate"]["mean"] for g in shipped("attack", "fashion-noise")["over_seeds"]}
    seeds = [next(mean for name, mean in over_seeds.items() if name.startswith(start)) for start in
             ("Baseline", "DropBlock", "CamDrop γ 0.9 r 4 predicted")]  # fmt: skip
    for number, numbers in ((7, [100 * share for share in wide]), (8, fooled), (8, seeds)):
        assert all(f"{value:.1f}" in LESSONS[number - 1].answer for value in numbers), (number, numbers)
    more = shipped("compare", "fashion")["results"][2]["minus_first"]["coverage"]
    words = "by {mean:.1f} points (95 % interval {low:.1f} to {high:.1f})"
    assert words.format(**{name: 100 * value for name, value in more.items()}) in LESSONS[6].answer


def test_next_and_back_and_bad_links(tour: Pages) -> None:
    app = tour.open("tour", lesson="99")
    assert app.subheader[0].value.startswith("1 ·") and [button.label for button in app.button] == ["Next"]
    for number in NUMBERS[1:]:
        next(button for button in app.button if button.label == "Next").click().run()
        assert not app.exception and app.subheader[0].value.startswith(f"{number} ·")
        assert app.query_params["lesson"] == [str(number)] or app.query_params["lesson"] == str(number)
    assert [button.label for button in app.button] == ["Back"]
    app.button[0].click().run()
    assert app.subheader[0].value.startswith("7 ·")


def test_a_lesson_begins_with_its_control_as_at_first(tour: Pages) -> None:
    app = tour.open("tour", lesson="3", tour_gamma="0.4", tour_r="7")
    next(button for button in app.button if button.label == "Back").click().run()
    assert choice(app, "tour_gamma") == "0.9"
    app.session_state["live.tour_gamma"] = 0.5
    app.button_group(key="lesson").set_value(4).run()
    app.button_group(key="lesson").set_value(2).run()
    assert choice(app, "tour_gamma") == "0.9"


def test_without_checkpoints_the_text_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Pages(tmp_path, monkeypatch).open("tour", lesson="4")
    assert "make checkpoints" in app.info[0].value and app.expander[0].label == "Answer"


def test_lessons_quote_the_results_that_ship():
    """Lesson 7 those of Figure 3, lesson 8 those of Table 7."""
    from camdrop.report.groups import against_first, over_seeds

    def shipped(name: str) -> dict[str, Any]:
        return json.loads((ROOT / "results" / f"{name}.json").read_text())

    heatmaps, attack = LESSONS[6].answer, LESSONS[7].answer
    shares = [100 * one["coverage"]["mean"] for one in shipped("compare/fashion")["results"]]
    assert "{:.1f} % (baseline), {:.1f} % (DropBlock) and {:.1f} % (CamDrop)".format(*shares) in heatmaps
    alone = shipped("compare/fashion")["results"][2]["minus_first"]["coverage"]
    points = [100 * alone[name] for name in ("mean", "low", "high")]
    assert "by {:.1f} points (95 % interval {:.1f} to {:.1f})".format(*points) in heatmaps
    test = against_first(over_seeds(shipped("compare/fashion-noise"))[3], "coverage")
    points = [100 * value for value in (test.mean, test.low, test.high)]
    words = "by {:.1f} points (95 % interval over the networks {:.1f} to {:.1f})".format(*points)
    assert words.replace("-", "−") in heatmaps

    rates = [one["success_rate"] for one in shipped("attack/fashion")["results"]]
    assert "in {:.1f} (baseline), {:.1f} (DropBlock) and {:.1f} % (CamDrop)".format(*rates) in attack
    groups = {one["network"]: one["success_rate"] for one in over_seeds(shipped("attack/fashion-noise"))}
    baseline, _, blocks, predicted = list(groups.values())[:4]
    assert {one["n"] for one in (baseline, blocks, predicted)} == {5} and "five seeds" in attack
    three = (one["mean"] for one in (baseline, blocks, predicted))
    assert "{:.1f} % for the baseline, {:.1f} for DropBlock and {:.1f} for CamDrop".format(*three) in attack
