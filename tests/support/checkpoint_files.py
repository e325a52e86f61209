"""Networks and files that the tests of checkpoints share."""

import io
import os
import warnings

import pytest
import torch
from torch import nn

from camdrop.checkpoints import Checkpoint, CheckpointError, Meta, load, save
from camdrop.data import INFO
from camdrop.resnet import build

META = Meta(
    architecture="resnet8",
    num_classes=10,
    in_channels=1,
    shortcut="pad",
    dataset="fashion-mnist",
    classes=INFO["fashion-mnist"].classes,
    mean=(0.286,),
    std=(0.353,),
    image_size=28,
    method="camdrop",
    method_options={"keep_prob": 0.9, "position_fraction": None, "reading": "paper"},
    recipe={"batch_size": 128, "learning_rate": 0.1, "milestones": [10, 15], "flip": True},
    epochs=20,
    seed=7,
    train_error=5.5,
    validation_error=None,
    test_error=7.25,
    test_images=10_000,
    device="CPU, 2 threads",
    versions={"torch": "2.9"},
    created="2025-01-31",
    notes="α and “quotes”",
)


FASHION_METHODS = ("baseline", "dropblock", "camdrop")


def network(name="resnet8", num_classes=10, in_channels=1, shortcut=None, seed=0):
    """A network whose every number matters: its batch norms have weights and statistics of their own."""
    torch.manual_seed(seed)
    model = build(name, num_classes, in_channels, shortcut)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            module.num_batches_tracked.fill_(11)
    return model.eval()


def fashion(seed, method="camdrop"):
    """A checkpoint for Fashion-MNIST that this method trained, as its header says."""
    return Checkpoint(network(seed=seed), Meta(**{**vars(META), "method": method, "method_options": {}}))


def make_checkpoint(folder):
    """A ResNet-8 for Fashion-MNIST with random weights, saved as `tiny`."""
    torch.manual_seed(3)
    info = INFO["fashion-mnist"]
    model = build("resnet8", 10, 1)
    meta = Meta(
        "resnet8",
        10,
        1,
        dataset=info.name,
        classes=info.classes,
        mean=info.mean,
        std=info.std,
        image_size=info.size,
        method="camdrop",
    )
    save(folder / "tiny.safetensors", model, meta)
    return load(folder / "tiny.safetensors")


def headerless_file(seed):
    """Five classes of colour images, of which nobody can know the names."""
    return torch_bytes({"state_dict": network("resnet8", 5, 3, seed=seed).state_dict()})


def cifar_resnet20():
    return network("resnet20", in_channels=3, seed=3)


def cifar_resnet20_file():
    """That network as a common public repository writes it."""
    state = {f"module.{key.replace('fc.', 'linear.')}": value for key, value in cifar_resnet20().state_dict().items()}
    return torch_bytes({"state_dict": state, "best_prec1": 91.7})


def images(channels=1, size=28):
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


def torch_bytes(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


class Bomb:
    """Unpickled carelessly, it makes the file `canary`."""

    def __init__(self, canary, shell=False):
        self.canary, self.shell = str(canary), shell

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",)) if self.shell else (open, (self.canary, "w"))


def sentence(source, **options):
    """The error of loading `source`, of which nothing else must be heard."""
    with warnings.catch_warnings(record=True) as heard, pytest.raises(CheckpointError) as caught:
        warnings.simplefilter("always")
        load(source, **options)
    assert [str(w.message) for w in heard] == []
    text = str(caught.value)
    assert text.isprintable() and len(text) <= 600
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return text
