import pytest
import torch

from camdrop.data import INFO
from camdrop.masks import CamDrop
from camdrop.training.config import Contender, Recipe
from camdrop.training.speed import seconds_per_image


@pytest.mark.slow
def test_it_measures_a_larger_network_as_slower_and_leaves_the_threads_alone():
    threads = torch.get_num_threads()
    cpu, info = torch.device("cpu"), INFO["fashion-sample"]
    small, large = (
        seconds_per_image(Recipe(model, epochs=1, batch_size=16), info, Contender("c", CamDrop()), cpu, 1)
        for model in ("resnet8", "resnet32")
    )
    assert 0 < small < large < 10
    assert torch.get_num_threads() == threads
