"""Variants of known networks that are public, each made by the code or the library that its files come from."""

import json

import pytest
import safetensors.torch
import timm
import torch
import torch.nn.functional as F
from timm.models import save_for_hf
from torch import nn
from torchvision import models

from camdrop.checkpoints import CheckpointError, Meta, list_checkpoints, load, save
from camdrop.checkpoints.format import with_meta
from camdrop.checkpoints.recognition import CIFAR_NORMALISATION
from camdrop.data import INFO
from camdrop.resnet import build
from tests.support.checkpoint_files import images, torch_bytes

pytestmark = pytest.mark.slow
IMAGENET = INFO["imagenet"]


def agrees(found, model, channels=3):
    x = images(channels, 32)
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), model(x), rtol=1e-4, atol=1e-4)


def lively(model):
    """Evaluation mode, where every number of a batch norm matters."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def small(make, pooling=False, classes=10, channels=3):
    """torchvision's network with the stem for small images, as it is widely changed by hand."""
    torch.manual_seed(0)
    model = make(num_classes=classes)
    at = next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    model.set_submodule(at, nn.Conv2d(channels, 64, 3, 1, 1, bias=False))
    if not pooling:
        model.set_submodule("features.pool0" if make is models.densenet121 else "maxpool", nn.Identity())
    return lively(model)


SMALL = {"resnet18": models.resnet18, "densenet121": models.densenet121}


@pytest.mark.parametrize("name", SMALL)
def test_a_stem_for_small_images(tmp_path, name):
    """With the names of torchvision max pooling may follow or not: that is said, and the other can be had."""
    model = small(SMALL[name])
    found = load(torch_bytes({"net": model.state_dict(), "acc": 95.4}), name="ckpt.pth")
    meta = found.meta
    agrees(found, model)
    assert meta.architecture.endswith(name) and (meta.stem, meta.image_size, meta.dataset) == ("3x3", 32, "cifar10")
    assert (meta.mean, meta.std) == CIFAR_NORMALISATION
    assert "no max pooling was assumed behind the 3×3 stem, but some networks have it" in meta.notes
    pooled = with_meta(found, Meta(**{**vars(meta), "stem": "3x3-pool"}))
    other = small(SMALL[name], pooling=True)
    other.load_state_dict(model.state_dict())
    agrees(pooled, other)
    for checkpoint, expected in ((found, model), (pooled, other)):
        save(tmp_path / "a.safetensors", checkpoint.model, checkpoint.meta)
        agrees(again := load(tmp_path / "a.safetensors"), expected)
        assert again.meta == checkpoint.meta == list_checkpoints(tmp_path).found[0][1]


class Kuangliu(nn.Module):
    """The ResNets of the most copied training code for CIFAR-10."""

    def __init__(self, blocks):
        super().__init__()
        trunk = small(models.resnet18 if sum(blocks) == 8 else models.resnet34, classes=10)
        for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(trunk, name))
        self.linear = trunk.fc

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(F.avg_pool2d(x, 4).flatten(1))


@pytest.mark.parametrize("blocks", [(2, 2, 2, 2), (3, 4, 6, 3)])
def test_names_that_leave_no_doubt(blocks):
    model = Kuangliu(blocks).eval()
    state = {f"module.{k.replace('downsample', 'shortcut')}": v for k, v in model.state_dict().items()}
    found = load(torch_bytes({"net": state, "acc": 95.1, "epoch": 199}), name="ckpt.pth")
    agrees(found, model)
    assert found.meta.stem == "3x3" and "pooling" not in found.meta.notes


def test_all_at_once():
    """A grey 3×3 stem, dropout before a classifier without bias, a trunk by another name, in a Lightning module."""
    model = small(models.resnet18, channels=1)
    model.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(512, 7, bias=False)).eval()
    state = {("head" + k[2:] if k.startswith("fc.") else f"encoder.{k}"): v for k, v in model.state_dict().items()}
    found = load(torch_bytes({"state_dict": state | {"criterion.weight": torch.ones(7)}}), name="last.ckpt")
    agrees(found, model, 1)
    assert (found.meta.num_classes, found.meta.in_channels, found.meta.mean) == (7, 1, (0.0,))
    assert "the classifier has no bias, so it was taken for a plain linear layer" in found.meta.notes


def test_other_stems_are_named():
    model = models.resnet18(num_classes=4)
    model.conv1 = nn.Conv2d(3, 64, 5, 1, 2, bias=False)
    with pytest.raises(CheckpointError, match=r"conv1\.weight is 64×3×5×5 instead of 64×3×7×7"):
        load(torch_bytes(model.state_dict()))
    for wrong in ("7x7", "3x3"):
        with pytest.raises(ValueError, match="stem must be"):
            build("resnet8" if wrong == "3x3" else "resnet18", stem=wrong)


def transformers(model):
    """The state of a ResNet of torchvision by the names of `transformers.ResNetForImageClassification`."""
    parts = {"conv": "convolution", "bn": "normalization"}
    state = {}
    for key, value in model.state_dict().items():
        name = key.split(".")
        if name[0].startswith("layer"):
            at = f"resnet.encoder.stages.{int(name[0][5:]) - 1}.layers.{name[1]}"
            if name[2] == "downsample":
                inner = f"shortcut.{'normalization' if name[3] == '1' else 'convolution'}"
            else:
                inner = f"layer.{int(name[2][-1]) - 1}.{parts[name[2][:-1]]}"
            state[f"{at}.{inner}.{name[-1]}"] = value
        elif name[0] == "fc":
            state[f"classifier.1.{name[-1]}"] = value
        else:
            state[f"resnet.embedder.embedder.{parts[name[0][:-1]]}.{name[-1]}"] = value
    return state


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_resnets_of_transformers(tmp_path, name):
    """Names of classes, normalisation and size stand in the JSON files beside the weights."""
    torch.manual_seed(0)
    model = lively(getattr(models, name)(num_classes=3))
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(transformers(model), path, {"format": "pt"})
    found = load(path)
    agrees(found, model)
    assert found.meta.architecture.endswith(name) and found.meta.classes == ("0", "1", "2")
    (tmp_path / "config.json").write_text(
        json.dumps({"id2label": {"0": "cat", "2": "tench", "1": "dog"}, "depths": [3]})
    )
    says = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"shortest_edge": 160}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(says))
    meta = list_checkpoints(tmp_path).found[0][1]
    assert meta.classes == ("cat", "dog", "tench") and load(path).meta == meta
    assert (meta.mean, meta.std, meta.image_size) == ((0.5,) * 3, (0.25,) * 3, 160)
    assert meta.notes == "no header: class names and normalisation are the file's"
    for damage in (b"{", b"\xff", b"[" * 10**5, b" " * (1 << 21)):
        (tmp_path / "config.json").write_bytes(damage)
        assert load(path).meta.classes == ("0", "1", "2")


def test_a_network_of_timm_with_its_config(tmp_path):
    """As timm publishes them: weights and config.json side by side."""
    model = lively(timm.create_model("resnet34", num_classes=2))
    save_for_hf(model, tmp_path, model_args={"num_classes": 2}, safe_serialization="both")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"label_names": ["ant", "bee"]}))
    for path in (tmp_path / "model.safetensors", tmp_path / "pytorch_model.bin"):
        agrees(found := load(path), model)
        assert found.meta.classes == ("ant", "bee") and found.meta.mean == IMAGENET.mean
