"""Results are found side by side in a folder, and by their kind in subfolders, as `results/` has them."""

from pathlib import Path

import pytest

from camdrop import report
from camdrop.report.layout import json_files, places
from camdrop.runs import sweep
from tests.support import ROOT
from tests.support.finished_runs import finish

KINDS = {"runs", "sweeps", "attack", "compare", "bounds", "leakage"}


def names(paths: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


def test_json_files_lie_beside_runs_or_in_a_folder_of_their_kind(tmp_path: Path) -> None:
    for name in ("attack.json", "attack-mine.json", "compare.json", "attack/cifar10.json", "attack/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert names(json_files([tmp_path], "attack"), tmp_path) == [
        "attack/cifar10.json",
        "attack-mine.json",
        "attack.json",
    ]
    assert names(json_files([tmp_path], "bounds"), tmp_path) == []
    assert names(json_files([tmp_path / "attack"], "attack"), tmp_path) == ["attack/cifar10.json"]


@pytest.mark.parametrize("file", ["config.json", "sweep.json"])
def test_a_run_or_sweep_that_is_named_after_a_kind_is_no_folder_of_results(tmp_path: Path, file: str) -> None:
    (tmp_path / "bounds").mkdir()
    (tmp_path / "bounds" / file).write_text("{}")
    assert json_files([tmp_path], "bounds") == [] and places([tmp_path], "bounds") == [tmp_path]


def test_runs_and_sweeps_are_found_in_both_places(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "runs"):
        finish(folder / f"race-in-{folder.name}", "baseline,camdrop", [10.0, 9.0])
    for folder in (tmp_path, tmp_path / "sweeps"):
        sweep.create(folder / f"sweep-in-{folder.name}", sweep.Plan(learning_rates=(0.1,), keep_probs=(1.0,)))
        sweep.append(folder / f"sweep-in-{folder.name}", sweep.Cell(0.1, 1.0, "done", 1.0, 1.0))
    assert {run.name for run, _ in report.find([tmp_path])} == {f"race-in-{tmp_path.name}", "race-in-runs"}
    found = {found.folder.name for found in report.find_sweeps([tmp_path])}
    assert found == {f"sweep-in-{tmp_path.name}", "sweep-in-sweeps"}


def test_what_ships_is_sorted_by_kind_under_names_without_spaces() -> None:
    shipped = ROOT / "results"
    assert {path.name for path in shipped.iterdir()} == KINDS | {"tour"}
    assert not [path for path in shipped.rglob("*") if " " in path.name]
    assert len(report.find([shipped])) == sum(path.is_dir() for path in (shipped / "runs").iterdir())
    assert len(report.find_sweeps([shipped])) == sum(path.is_dir() for path in (shipped / "sweeps").iterdir())
