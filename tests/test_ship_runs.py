"""The script that makes finished runs small enough to ship."""

import json
import runpy
from pathlib import Path

import pytest

from camdrop import report
from camdrop.report.paper_tables import TABLES, columns
from tests.support import ROOT
from tests.support.finished_runs import finish


def test_a_shipped_run_has_a_point_an_epoch_and_the_same_table(tmp_path: Path) -> None:
    ship = runpy.run_path(str(ROOT / "scripts" / "ship_runs.py"))["ship"]
    run = finish(tmp_path / "runs" / "race", "baseline,camdrop", [10.0, 9.0])
    with (run.folder / "metrics.jsonl").open("a") as file:
        for step in range(8):
            file.write(json.dumps({"kind": "point", "contender": "camdrop", "step": step, "epoch": step / 4}) + "\n")
    (run.folder / "camdrop").mkdir()
    size = ship(run.folder, tmp_path / "shipped")
    files = {path.name: path for path in (tmp_path / "shipped" / "race").iterdir()}
    assert set(files) == {"config.json", "status.json", "metrics.jsonl"}
    assert size == sum(path.stat().st_size for path in files.values())
    assert len(files["metrics.jsonl"].read_text().splitlines()) == 4
    tables = [list(columns(TABLES[1], report.find([tmp_path / place])).values()) for place in ("runs", "shipped")]
    assert tables[0] == tables[1]
    (run.folder / "status.json").write_text('{"state": "stopped"}')
    with pytest.raises(ValueError, match="is not finished"):
        ship(run.folder, tmp_path / "again")
