"""Race, Runs and Results beside runs of which something is damaged: a sentence for each, and the others stay usable."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from camdrop.runs import RunError, load_run
from tests.support.app_test import errors, open_page, press
from tests.support.finished_runs import finish
from tests.support.lab_pages import Pages
from ui.fragments import prepared

DAMAGES: dict[str, Callable[[Path], object]] = {
    "paused": lambda run: (run / "status.json").write_text('{"state": "paused"}'),
    "text": lambda run: (run / "status.json").write_text('{"state": "running", "total": "many"}'),
    "endless": lambda run: (run / "status.json").write_text('{"state": "stopped", "seconds": 1e999}'),
    "number": lambda run: (run / "config.json").write_text(
        json.dumps(json.loads((run / "config.json").read_text()) | {"data": 5})
    ),
    "record": lambda run: (run / "metrics.jsonl").write_text('{"kind": "point", "contender": "baseline"}\n'),
    "words": lambda run: (run / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text().replace("8.0", '"8"')),
    "frame": lambda run: next((run / "film").glob("*.npz")).write_bytes(b"PK\x03\x04"),
    "stranger": lambda run: (run / "film" / "notes.npz").write_bytes(b""),
    "probes": lambda run: (run / "probes.npz").unlink(),
    "cut": lambda run: (run / "probes.npz").write_bytes((run / "probes.npz").read_bytes()[:200]),
    "empty": lambda run: ((run / "baseline").mkdir(), (run / "baseline" / "best.safetensors").write_bytes(b"")),
}
SAID = {
    "paused": "state must be one of",
    "number": "data must be a text",
    "frame": "is damaged",
    "probes": "is missing",
}


def make(folder: Path) -> Path:
    finish(folder, "baseline,camdrop", [9.0, 8.0])
    (folder / "film").mkdir()
    np.savez(folder / "film" / "0000009.npz", camdrop=np.zeros((8, 4, 4), np.float16))
    np.savez(folder / "probes.npz", images=np.zeros((8, 1, 28, 28), np.uint8))
    return folder


@pytest.mark.slow
def test_pages_stay_usable(tmp_path: Path, lab: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path))
    monkeypatch.setattr("ui.panels.race_setup.seconds_per_image", lambda *_: 0.001)
    for name, damage in DAMAGES.items():
        damage(make(tmp_path / name))
    make(tmp_path / "whole")
    (tmp_path / "attack.json").write_text('{"results": [{"n": "many"}], "data": 5}')
    for name in DAMAGES:
        app = lab.open("race", run=name)
        texts = " ".join(element.value for element in [*app.error, *app.markdown, *app.warning])
        assert SAID.get(name, "") in texts
    app = lab.open("runs", runs=[*DAMAGES, "whole"])  # type: ignore[arg-type]
    refused = [error.value for error in app.error]
    assert len(refused) >= 5 and all(any(f"/{name}" in error for error in refused) for name in ("paused", "number"))
    assert "whole" in list(app.dataframe[0].value["Name"])
    app = lab.open("results")
    assert any("attack" in part.proto.body and "cannot be read" in part.proto.body for part in app.get("html"))
    app = lab.open("race", run="whole")
    shutil.rmtree(tmp_path / "whole")
    assert any("whole" in said for said in errors(press(app, "Delete for good")))
    with pytest.raises(RunError):
        prepared(lambda: load_run(tmp_path / "number"))()
    app = open_page("race", {"problems": st.session_state.pop("problems")})
    assert any("data must be a text" in said for said in errors(app))
