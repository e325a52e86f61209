"""Runs fall into the paper's tables by their configuration."""

import json
import re
import shlex
from pathlib import Path

import pytest

from camdrop import report
from camdrop.cli import app as cli
from camdrop.report import html_report, paper_tables
from camdrop.runs import sweep
from camdrop.runs.records import Follower
from camdrop.training.config import PRESETS, Recipe, contender, make_recipe
from tests.support import ROOT
from tests.support.finished_runs import finish

PAPER = (ROOT.parent / "shared" / "paper.md").resolve()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    finish(tmp_path / "a", "baseline,dropblock,camdrop,camdrop:reading=official", [10.0, 9.0, 11.0, 8.5])
    finish(tmp_path / "b", "baseline,camdrop", [12.0, 13.0], seed=1)
    finish(tmp_path / "alone", "baseline", [14.0], seed=2)  # falls into the column of the others
    finish(tmp_path / "longer", "camdrop,camdrop:guide=mean", [7.0, 6.0], epochs=9)
    finish(tmp_path / "fast", "baseline,camdrop:schedule=inverse", [50.0, 40.0], learning_rate=2.0)
    finish(tmp_path / "partial", "baseline,camdrop:stages=layer3", [1.0, 1.0])
    return tmp_path


def test_cells_gather_seeds_and_settings(root: Path) -> None:
    found = report.find([root])
    ours = paper_tables.columns(paper_tables.TABLES[1], found)
    (setting,) = ours
    assert (setting.data, setting.recipe) == ("cifar10", Recipe("resnet20", epochs=2))
    cells = ours[setting]
    assert sorted(cells["ResNet-110"].errors)[1:] == [12.0, 14.0] and str(cells["+ DropBlock"]) == "9.00"
    assert sorted(cells["+ CamDrop"].errors) == [11.0, 13.0]
    assert str(cells["+ CamDrop"]) == "12.00 ± 1.41"
    assert cells["+ CamDrop, official"].errors == (8.5,)
    assert cells["+ CamDrop"].devices == ("a GPU",) and cells["+ CamDrop"].rates == "γ 0.9 r 8"


def test_true_and_predicted_stand_side_by_side_with_what_they_share(tmp_path: Path) -> None:
    lines = "baseline,dropblock,camdrop,camdrop:guide=mean,camdrop:label=predicted,camdrop:label=predicted:guide=mean"
    lines += ",camdrop:guide=mean:channels=all,camdrop:label=random"
    matched = "camdrop:reading=matched:position_fraction=0.5:channels=all:label=predicted"
    for seed in (0, 1, 2):
        errors = [30.0 + seed, 29.0, 50.0, 51.0 + 2 * seed, 28.0, 27.0, 26.0, 25.0, 24.0 + seed]
        finish(tmp_path / f"s{seed}", f"{lines},{matched}", errors, seed=seed, images=1000, label_noise=0.4)
    found = report.find([tmp_path])
    ours = paper_tables.columns(paper_tables.TABLES[1], found)
    head = "ResNet-20, cifar10, 1,000 images, 40\u00a0% label noise, 2 epochs"
    assert [setting.title for setting in ours] == [f"{head}, true class", f"{head}, predicted class"]
    true, predicted = ours.values()
    assert true["+ CamDrop"].mean == 50 and predicted["+ CamDrop"].mean == 28
    assert true["ResNet-110"].errors == predicted["ResNet-110"].errors == (30.0, 31.0, 32.0)
    assert predicted["+ CamDrop, matched, positions 0.5, all channels"].by_seed == {0: 24.0, 1: 25.0, 2: 26.0}
    ours = paper_tables.columns(paper_tables.TABLES[2], found)
    assert [str(setting.variant) for setting in ours] == ["true class, paper", "predicted class, paper"]
    assert all(cells["Average guided, all channels: no label"].mean == 26 for cells in ours.values())
    text = report.table(paper_tables.TABLES[1], found)
    assert "| Baseline | 5.58 | 31.00 ± 1.00 | 31.00 ± 1.00 |" in text and "| Paper: ResNet-110 |" in text
    assert "| Paired | 1: − baseline | 1: − DropBlock | 2: − baseline | 2: − DropBlock |" in text
    # 24 − 30, 25 − 31, 26 − 32: no spread at all; 24, 25, 26 less 29: −4 ± 1, of which t = 6.93 and p = 0.020.
    row = "| + CamDrop, matched, positions 0.5, all channels | – | –"
    assert f"{row} | **−6.00 (p < 0.001, n = 3)** | **−4.00 (p = 0.020, n = 3)**" in text
    said = report.overview([tmp_path], found)
    # The predicted class: 28 is 1 below DropBlock's 29, and 3 ± 1 below the baseline, of which p = 0.035.
    both = "predicted class · predicted class, matched, positions 0.5, all channels"
    words = f"**reproduced**: S1, 3 seeds ({both})", "**not reproduced**: S1, 3 seeds (true class)"
    assert ". ".join(words) in said and f"\n- **S1**: {head}\n" in said
    numbers = json.loads(report.json_report([tmp_path]))["tables"][0]["columns"][1]
    cell = numbers["cells"]["+ CamDrop, matched, positions 0.5, all channels"]
    assert (cell["errors"], cell["seeds"], cell["std"]) == ([24.0, 25.0, 26.0], [0, 1, 2], 1.0)
    assert cell["minus"]["DropBlock"]["p"] == pytest.approx(0.0202, abs=1e-4)


def test_a_race_of_the_predicted_class_alone_is_a_column(tmp_path: Path) -> None:
    finish(tmp_path / "a", "baseline,dropblock,camdrop:label=predicted:reading=matched", [3.0, 2.0, 1.0])
    ((setting, cells),) = paper_tables.columns(paper_tables.TABLES[1], report.find([tmp_path])).items()
    assert setting.title.endswith("predicted class") and cells["+ CamDrop, matched"].errors == (1.0,)
    said = shlex.split(paper_tables.filling(paper_tables.TABLES[1], setting, cells, "runs/more") or "")
    assert said[said.index("--methods") + 1].endswith("camdrop:label=predicted")


def test_runs_are_read_again_only_where_a_file_has_changed(root: Path) -> None:
    found = report.find([root])
    assert report.find([root]) is found
    finish(root / "new", "baseline", [1.0])
    assert len(report.find([root])) == len(found) + 1


def test_the_command_for_empty_cells_makes_the_same_kind_of_run(root: Path) -> None:
    table = paper_tables.TABLES[1]
    ((setting, cells),) = paper_tables.columns(table, report.find([root])).items()
    said = shlex.split(paper_tables.filling(table, setting, cells, "runs/more"))
    assert (
        said[:3] == ["python", "-m", "camdrop"]
        and said[said.index("--methods") + 1] == "dropout,droppath,spatialdropout"
    )
    assert (said[said.index("--model") + 1], said[said.index("--epochs") + 1]) == ("resnet20", "2")
    assert paper_tables.filling(table, setting, dict.fromkeys((row.title for row in table.rows), None), "x") is None
    assert "Its empty cells: `python -m camdrop race --run runs/table1-1 --data cifar10" in report.table(
        table, report.find([root])
    )


def test_the_order_of_the_paper_is_counted_in_pairs(root: Path) -> None:
    table = paper_tables.TABLES[1]
    cell = lambda error: paper_tables.Cell((error,), (), "", ())  # noqa: E731
    cells = {"ResNet-110": cell(10.0), "+ DropBlock": cell(9.0), "+ CamDrop": cell(9.5)}
    assert paper_tables.in_order(table, cells) == (2, 3)  # CamDrop < DropBlock is missing
    assert paper_tables.in_order(table, {"+ CamDrop": cell(9.5)}) == (0, 0)


def test_whether_the_paper_s_best_row_is_ours() -> None:
    table = paper_tables.TABLES[2]
    cell = lambda *errors: paper_tables.Cell(errors, (), "", ())  # noqa: E731
    verdict = lambda mean, cam: paper_tables.best_is_best(table, {"Average guided": mean, "CAM guided": cam})  # noqa: E731
    assert verdict(cell(5.0), cell(4.9)) == "yes" and verdict(cell(5.0), cell(5.1)) == "no"
    assert verdict(cell(5.0, 6.0), cell(4.9)) == "yes"  # one seed of the two cannot tell how sure it is
    # Standard errors of 0.5 each make 2 · √0.5 = 1.41.
    assert verdict(cell(5.0, 6.0), cell(4.0, 5.0)) == "level" and verdict(cell(5.0, 6.0), cell(3.5, 4.5)) == "yes"
    assert verdict(cell(3.0, 4.0), cell(5.0, 6.0)) == "no"
    assert paper_tables.best_is_best(table, {"CAM guided": cell(1.0)}) is None


def test_table_2_and_5_take_their_own_runs(root: Path) -> None:
    found = report.find([root])
    (cells,) = paper_tables.columns(paper_tables.TABLES[2], found).values()
    assert {title: cell.errors for title, cell in cells.items()} == {"CAM guided": (7.0,), "Average guided": (6.0,)}
    (cells,) = paper_tables.columns(paper_tables.TABLES[5], found).values()
    assert {t: c.errors for t, c in cells.items()} == {
        "ResNet-110, lr 2.0": (50.0,),
        "with CamDrop, inversely": (40.0,),
    }
    assert not paper_tables.columns(paper_tables.TABLES[3], found)


def test_table_6_takes_the_imagenet_family_alone(root: Path) -> None:
    finish(root / "large", "baseline,dropout,camdrop,camdrop:reading=official", [30.0, 29.5, 29.0, 28.0],
           model="resnet18", learning_rate=2.0)  # fmt: skip
    found = report.find([root])
    (cells,) = paper_tables.columns(paper_tables.TABLES[6], found).values()
    assert cells["+ CamDrop"].errors == (29.0,) and cells["+ CamDrop"].also == (1.0,)
    assert cells["+ CamDrop, official"].errors == (28.0,)
    assert paper_tables.in_order(paper_tables.TABLES[6], cells) == (2, 3)  # the paper's dropout is worse than nothing
    for number in (1, 5):
        assert all(s.recipe.model == "resnet20" for s in paper_tables.columns(paper_tables.TABLES[number], found))
    assert "| + CamDrop | 22.93 (top-5 6.67) | 29.00 (top-5 1) |" in report.markdown_report([root])


def test_a_contender_whose_knobs_were_turned_is_no_evidence(tmp_path: Path) -> None:
    run = finish(tmp_path / "a", "baseline,dropblock,camdrop", [10.0, 9.0, 8.0])
    knob = {"kind": "knob", "contender": run.config.contenders[1].name, "step": 3, "epoch": 1.0, "keep_prob": 0.5}
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(knob) + "\n")
    found = report.find([tmp_path])
    (cells,) = paper_tables.columns(paper_tables.TABLES[1], found).values()
    assert set(cells) == {"ResNet-110", "+ CamDrop"} and report.race_runs(found) == []


def test_figure_4_in_numbers(tmp_path: Path) -> None:
    plan = sweep.Plan(learning_rates=(0.1, 1.0, 3.0), keep_probs=(1.0, 0.9))
    sweep.create(tmp_path / "s", plan)
    assert "No sweep of ours" in report.sweeps([tmp_path])
    sweep.append(tmp_path / "s", sweep.Cell(3.0, 0.9, "diverged", 90.0, 90.0))
    assert sweep.load_sweep(tmp_path / "s").saved_and_lost() == ("0 of 0", "0 of 0")  # nothing yet to compare it with
    assert "saves 0" not in report.overview([tmp_path])
    errors = {(0.1, 1.0): 10.0, (0.1, 0.9): 60.0, (1.0, 1.0): 49.0, (1.0, 0.9): 20.0, (3.0, 1.0): 90.0}
    for (rate, keep), error in errors.items():
        sweep.append(tmp_path / "s", sweep.Cell(rate, keep, "done", error, error))
    text = report.sweeps([tmp_path])
    assert "at the rates 0.1, 1. Where it does not, masks save 0 of 1 cells; where it does, they lose 1 of 2." in text
    assert "CamDrop (paper), fashion-sample: saves 0 of 1 cells, loses 1 of 2" in report.overview([tmp_path])
    assert "| 0.1 | 10.0 | 60.0 |" in text and "| 3 | 90.0 | 90.0 × |" in text


@pytest.mark.skipif(not PAPER.exists(), reason="the paper does not come with the repository")
def test_the_paper_s_numbers_are_in_the_paper() -> None:
    text = PAPER.read_text()
    numbers = set(re.findall(r"\d+\.\d+", text))
    for table in paper_tables.TABLES.values():
        for row in table.rows:
            assert f"{row.paper:.2f}" in numbers
            if table.also == "top-5":
                assert f"{row.paper_also:.2f}" in numbers


def test_presets_name_recipe_and_contenders() -> None:
    for table in paper_tables.TABLES.values():
        assert table.preset in PRESETS and f"--preset {table.preset} " in table.command
        assert paper_tables.preset_methods(table.preset) == table.methods
        assert len({contender(text, {}) for text in table.methods.split(",")}) == len(table.rows) + len(table.arms)
    assert paper_tables.preset_methods("fashion") is None and paper_tables.preset_methods(None) is None
    recipe = make_recipe("table5", {"epochs": 3})
    assert (recipe.model, recipe.epochs, recipe.learning_rate, recipe.lr_schedule) == ("resnet110", 3, 2.0, "step")


def test_report_as_markdown_and_html(root: Path, tmp_path: Path) -> None:
    rates = {f"{k}{s}": 12.0 for k in ("clean_error", "error_rate", "success_rate") for s in ("", "_low", "_high")}
    said = {
        "data": "cifar10",
        "results": [{"checkpoint": "x/cifar10-resnet20-camdrop.safetensors", "n": 1000, **rates}],
    }
    (root / "attack.json").write_text(json.dumps(said))
    (root / "attack-broken.json").write_text("{")
    text = report.markdown_report([root])
    assert "| + CamDrop | 4.19 | 12.00 ± 1.41 |" in text
    assert "2 of 3 pairs of rows" not in text and "of 3 pairs of rows stand in the paper's order" in text
    assert "| with CamDrop, inversely | 6.29 (training 0.000166) | 40.00 (training 20) |" in text
    assert (
        "| cifar10-resnet20-camdrop, cifar10 | 12.00 [12.00, 12.00] |" in text
        and "attack-broken.json cannot be" in text
    )
    assert text.count("Run it: `python -m camdrop race --preset table") == 6
    assert "Run it: `python -m camdrop race --preset imagenet --data imagenet:DIR" in text
    assert "| 1: ResNet-20, cifar10, 2 epochs |" in text and "1 to 3 seeds" in text


def test_the_overview_says_what_became_of_each_claim(root: Path) -> None:
    text = report.overview([root])
    assert text.count("](#") == 13 and all(f'id="{anchor}"' in report.markdown_report([root]) for anchor in links(text))
    assert "| CamDrop has the least error of six (4.19\N{NO-BREAK SPACE}%) | in 0 of 1 settings; 1 of 3 pairs" in text
    assert "both in 0 of 1 races" in text  # of DropBlock and CamDrop: 4.5 and 5.5, 9 and 11\u00a0%
    assert text.count("not run yet") == 10  # in Table 5, the best row of the paper


def test_bounds_of_a_race_are_its_last(root: Path) -> None:
    finish(root / "bounds", "baseline,camdrop", [10.0, 11.0])
    config = json.loads((root / "bounds" / "config.json").read_text())
    (root / "bounds" / "config.json").write_text(json.dumps(config | {"bounds": True}))
    with (root / "bounds" / "metrics.jsonl").open("a") as file:
        for name, epoch, bound in (
            ("baseline", 1, 9.0),
            ("camdrop", 1, 8.0),
            ("baseline", 2, 3.0),
            ("camdrop", 2, 2.0),
        ):
            point = {"kind": "point", "contender": name, "step": epoch, "epoch": epoch, "gradient_bound": bound}
            file.write(json.dumps(point | {"unmasked_bound": 2.5, "saturated": 0.25, "validation_error": 7.0}) + "\n")
    text = report.tensions(report.find([root]))
    assert "| Baseline | 3.00 | 2.50 | 25.0\u00a0% | 7.0 |" in text
    assert "| CamDrop γ 0.9 r 8 true class | 2.00 | 2.50 |" in text
    assert "after 2 epochs of cifar10, resnet20" in text
    assert "bounds: Baseline 25\u00a0%, CamDrop γ 0.9 r 8 true class 25\u00a0%" in report.overview([root])


def links(text: str) -> list[str]:
    return re.findall(r"\]\(#(.*?)\)", text)


def test_the_page_has_the_pictures(root: Path, tmp_path: Path) -> None:
    from plotly.graph_objects import Figure

    plan = sweep.Plan(learning_rates=(0.1, 1.0), keep_probs=(1.0, 0.9))
    sweep.create(root / "s", plan)
    sweep.append(root / "s", sweep.Cell(0.1, 0.9, "diverged", 90.0, 91.0))
    text = html_report([root], tmp_path / "no checkpoints")
    assert '<td style="text-align:right">4.19</td>' in text and '<h2 id="table-1">' in text
    figures = [json.loads(data) for data in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    assert len(figures) == 3 + 3 and all(Figure(figure) for figure in figures)
    heat = figures[5]["data"][0]
    assert heat["z"] == [[None, 91.0], [None, None]] and heat["text"][0][1] == "91.0 ×"
    assert "<img" not in text


def test_without_plotly_the_page_says_so(root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("camdrop.report.html._plotly", lambda: "")
    text = html_report([root], tmp_path)
    assert "The picture needs Plotly" in text and "application/json" not in text


def test_command_writes_the_report_or_says_what_is_wrong(root: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.html"
    cli(["report", "--out", str(out), "--runs", str(root)], standalone_mode=False)
    assert out.read_text().startswith("<!doctype html>") and "from 6 finished runs" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"\.md or \.html"):
        cli(["report", "--out", "x.pdf", "--runs", str(root)], standalone_mode=False)
    with pytest.raises(ValueError, match="no folder"):
        cli(["report", "--out", str(out), "--runs", str(tmp_path / "none")], standalone_mode=False)


def test_damaged_records_are_left_out(root: Path) -> None:
    (root / "a" / "metrics.jsonl").write_text("no record\n")
    assert "a" not in {run.name for run, _ in report.find([root])} and Follower(root / "b").update()
