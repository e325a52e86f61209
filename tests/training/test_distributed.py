"""Two gloo processes on this machine train as one process with the doubled batch."""

import pytest
import torch
from torch import nn

from camdrop.checkpoints import load
from camdrop.resnet import build
from camdrop.training.distributed import Team, share_statistics
from tests.support.command import train
from tests.support.shades import shades


def test_parts_of_a_batch_cover_it_once():
    whole = torch.arange(10)
    assert [whole[Team(rank, 3).part(10)].tolist() for rank in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert Team().part(10) == slice(0, 10) and Team().is_main and not Team(1, 2).is_main
    assert Team().mean(whole) is whole and Team().broadcast("x") == "x"


@pytest.mark.parametrize("device, kind", [("cuda", nn.SyncBatchNorm), ("cpu", nn.BatchNorm2d), ("mps", nn.BatchNorm2d)])
def test_batch_norm_shares_its_statistics_by_pytorch_on_cuda_and_by_ours_elsewhere(device, kind):
    model = build("resnet8", shortcut="conv")
    weights, batch_norms = (
        dict(model.named_parameters()),
        [n for n, m in model.named_modules() if type(m) is nn.BatchNorm2d],
    )
    share_statistics(model, torch.device(device))  # no tensor is moved there
    shared = [model.get_submodule(name) for name in batch_norms]
    assert len(shared) == 9 and all(isinstance(m, kind) and type(m) is not nn.BatchNorm2d for m in shared)
    after = dict(model.named_parameters())
    assert weights.keys() == after.keys() and all(weights[name] is after[name] for name in weights)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model.eval()(x), build_like(model)(x))


def build_like(model):
    """The same network with batch normalisation as it comes."""
    plain = build("resnet8", shortcut="conv")
    plain.load_state_dict(model.state_dict())
    return plain.eval()


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
