"""Two gloo processes on this machine train as one process with the doubled batch."""

import pytest
import torch

from camdrop.checkpoints import load
from camdrop.training.distributed import Team
from tests.support.command import train
from tests.support.shades import shades


def test_parts_of_a_batch_cover_it_once():
    whole = torch.arange(10)
    assert [whole[Team(rank, 3).part(10)].tolist() for rank in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert Team().part(10) == slice(0, 10) and Team().is_main and not Team(1, 2).is_main
    assert Team().mean(whole) is whole and Team().broadcast("x") == "x"


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(tmp_path):
    data = shades(tmp_path / "data", train=40, test=5)
    options = ("--data", data, "--method", "baseline", "--epochs", "2", "--lr", "0.05",
               "--crop", "1", "--validation", "0.2", "--device", "cpu", "--threads", "1")  # fmt: skip
    one = train(tmp_path / "one", 1, *options, "--batch-size", "16")
    two = train(tmp_path / "two", 2, *options, "--batch-size", "8")
    assert len(one) == len(two) == 8 + 1
    for a, b in zip(one[:-1], two[:-1], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4) and a["train_error"] == b["train_error"]
    weights = [load(tmp_path / name / "baseline" / "last.safetensors").model.state_dict() for name in ("one", "two")]
    for key, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][key], rtol=1e-3, atol=1e-4)
