import time

import pytest
import torch

from camdrop.data import INFO
from camdrop.masks import CamDrop
from camdrop.training.config import Contender, Recipe
from camdrop.training.speed import seconds_per_image


@pytest.mark.slow
def test_it_measures_the_median_step_per_image_and_leaves_the_threads_alone(monkeypatch):
    """A clock that each convolution moves by a millisecond, so that the machine's own load plays no part."""
    clock, forward = [0.0], torch.nn.Conv2d.forward

    def tick(module, x):
        clock[0] += 0.001
        return forward(module, x)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", tick)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    threads = torch.get_num_threads()
    cpu, info = torch.device("cpu"), INFO["fashion-sample"]
    for model, convolutions in (("resnet8", 7), ("resnet32", 31)):
        recipe = Recipe(model, epochs=1, batch_size=16)
        seconds = seconds_per_image(recipe, info, Contender("c", CamDrop()), cpu, 1)
        assert seconds == pytest.approx(convolutions * 0.001 / 16)
    assert torch.get_num_threads() == threads
