"""Records of races become Plotly traces."""

from dataclasses import replace
from itertools import pairwise

from plotly.graph_objects import Figure

from camdrop.report.curves import BOUNDS, MEASURES, Curve, offered, panels, side_by_side
from camdrop.runs import RunConfig
from camdrop.training.config import Contender, Recipe

RECORDS = [
    {"kind": "point", "step": step, "epoch": step / 100, "train_error": 100 - step / 10, "dropped": 0.01,
     "validation_error": 50.0 if step % 500 == 0 else None}
    for step in range(1, 1001)
] + [
    {"kind": "knob", "step": 500, "epoch": 5.0, "keep_prob": 0.8},
    {"kind": "end", "step": 1000, "epoch": 10.0, "reason": "diverged"},
]  # fmt: skip


def test_traces_have_the_recorded_values_and_marks() -> None:
    drawn = panels([Curve("CamDrop", "camdrop", RECORDS)], [*list(MEASURES)[:2], "Share dropped"])
    assert [(panel["title"], panel["unit"]) for panel in drawn] == [
        ("Training error", "%"), ("Validation error", "%"), ("Share dropped", "%")
    ]  # fmt: skip
    line, knob, end = drawn[0]["traces"]
    # 1000 points are thinned to 250, means of four neighbours; a share becomes percent.
    assert len(line["x"]) == 250 and line["x"][0] == 0.025 and line["y"][0] == 100 - 0.25 and line["customdata"][0] == 4
    assert drawn[1]["traces"][0]["y"] == [50.0, 50.0] and set(drawn[2]["traces"][0]["y"]) == {1.0}
    assert knob["text"] == ["<b>γ 0.8</b>"] and end["hovertext"] == ["diverged"]
    assert [trace["showlegend"] for trace in drawn[0]["traces"]] == [True, False, False]
    assert not drawn[1]["traces"][0]["showlegend"]


def test_words_at_marks_do_not_overprint() -> None:
    turns = [{"kind": "knob", "step": n, "epoch": n / 100, "keep_prob": 0.5} for n in (100, 150, 200, 400, 401)]
    knob = panels([Curve("CamDrop", "camdrop", [*RECORDS, *turns])], ["Loss", "Training error"])[1]["traces"][1]
    shown = [x for x, words in zip(knob["x"], knob["text"], strict=True) if words]
    assert len(knob["x"]) == 6 and all(knob["hovertext"]) and min(b - a for a, b in pairwise(shown)) >= 2


def test_contenders_of_one_method_differ_in_their_dashes() -> None:
    first, second = (
        trace["line"] for trace in panels([Curve(n, "camdrop", RECORDS) for n in "ab"], ["Loss"])[0]["traces"]
        if "line" in trace
    )  # fmt: skip
    assert first["color"] == second["color"] and first["dash"] != second["dash"]


def test_measures_are_offered_where_they_are_recorded() -> None:
    recipe = Recipe("resnet8", epochs=2)
    config = RunConfig("fashion-sample", recipe, (Contender("baseline"),))
    assert offered(config, []) == [*MEASURES, "Training error without masks"]  # the first epoch will record it
    assert offered(config, RECORDS) == list(MEASURES)  # an older run
    asked = replace(config, leakage=True, bounds=True)
    found = offered(asked, [{"kind": "point", "epoch": 1.0, "unmasked_train_error": 3.0, "obeys": 12.0}])
    assert found == [*MEASURES, "Training error without masks", "Obeys its masks", *BOUNDS]
    point = {"kind": "point", "step": 9, "epoch": 1.0, "unmasked_train_error": 3.0, "obeys": 12.0}
    drawn = panels([Curve("CamDrop", "camdrop", [point])], ["Training error without masks", "Obeys its masks"])
    assert [(panel["unit"], panel["traces"][0]["y"]) for panel in drawn] == [("%", [3.0]), ("%", [12.0])]


def test_two_panels_make_one_figure() -> None:
    figure = side_by_side(panels([Curve("CamDrop", "camdrop", RECORDS)], list(MEASURES)[:2]))
    drawn = Figure(figure)
    assert {trace.xaxis for trace in drawn.data} == {"x", "x2"}
    assert [note.text for note in drawn.layout.annotations] == ["<b>Training error</b>", "<b>Validation error</b>"]
