"""The event files hold what the run recorded."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from camdrop.runs.tensorboard import event_log


def point(step, **values):
    return {"kind": "point", "contender": "camdrop", "step": step, "epoch": step / 4, **values}


def curve(folder, name):
    events = EventAccumulator(str(folder / "events" / "camdrop")).Reload()
    return [(e.step, e.value) for e in events.Scalars(name)]


def test_records_become_curves_and_a_resumed_run_replaces_its_last_steps(tmp_path):
    with event_log(tmp_path, "tensorboard") as write:
        for step in (1, 2, 3):
            write(point(step, loss=2.0 / step, validation_error=None))
    with event_log(tmp_path, "tensorboard") as write:
        write(point(3, loss=0.25))
        write({"kind": "result", "contender": "camdrop", "step": 4, "test_error": 12.5})
    assert curve(tmp_path, "loss") == [(1, 2.0), (2, 1.0), (3, 0.25)]
    assert curve(tmp_path, "result/test_error") == [(4, 12.5)]


def test_another_kind_is_a_sentence_and_none_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="--log must be tensorboard, got 'wandb'"), event_log(tmp_path, "wandb"):
        pass
    with event_log(tmp_path, None) as write:
        write(point(1, loss=1.0))
    assert not list(tmp_path.iterdir())
