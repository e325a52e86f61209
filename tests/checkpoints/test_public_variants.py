"""Variants of known networks that are public, each made by the code or the library that its files come from."""

import json

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models import save_for_hf
from torch import nn
from torchvision import models
from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

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


BASIC = {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}
NAMES = {0: "cat", 1: "dog", 2: "tench"}


def by_transformers(folder, **config):
    """A network of transformers, saved by it into a folder, and the file of its weights."""
    torch.manual_seed(0)
    model = lively(ResNetForImageClassification(ResNetConfig(id2label=NAMES, **config)))
    model.save_pretrained(folder)
    return model, folder / "model.safetensors"


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("resnet18", {**BASIC, "depths": [2, 2, 2, 2]}),
        ("resnet50", {}),
        ("resnet18", {**BASIC, "depths": [2, 2, 2, 2], "num_channels": 1}),
    ],
)
def test_the_resnets_of_transformers(tmp_path, name, config):
    """Names of classes, normalisation and size stand in the JSON files beside the weights."""
    model, path = by_transformers(tmp_path, **config)
    channels = config.get("num_channels", 3)
    x, found = images(channels, 32), load(path)
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), model(x).logits, rtol=1e-4, atol=1e-4)
    assert (found.meta.architecture, found.meta.classes) == (name, tuple(NAMES.values()))
    size = {"shortest_edge": 160}
    ConvNextImageProcessor(image_mean=[0.5] * channels, image_std=[0.25] * channels, size=size).save_pretrained(
        tmp_path
    )
    meta = list_checkpoints(tmp_path).found[0][1]
    assert load(path).meta == meta and meta.classes == tuple(NAMES.values())
    assert (meta.mean, meta.std, meta.image_size) == ((0.5,) * channels, (0.25,) * channels, 160)
    assert meta.notes == "no header: class names and normalisation are the file's"
    ConvNextImageProcessor(do_normalize=False, size=size).save_pretrained(tmp_path)
    assert (load(path).meta.mean, load(path).meta.std) == ((0.0,) * channels, (1.0,) * channels)
    for damage in (b"{", b"\xff", b"[" * 10**5, b" " * (1 << 21)):
        (tmp_path / "config.json").write_bytes(damage)
        assert load(path).meta.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hidden_act": "gelu"}, 'hidden_act: "gelu"'),
        ({"downsample_in_bottleneck": True}, "downsample_in_bottleneck: true"),
        ({"downsample_in_first_stage": True}, "downsample_in_first_stage: true"),
    ],
)
def test_the_same_weights_that_compute_otherwise_are_refused(tmp_path, config, words):
    _, path = by_transformers(tmp_path, **config)
    with pytest.raises(
        CheckpointError, match=f"has the weights of resnet50, but is said to compute otherwise .{words}"
    ):
        load(path)
    ours = build("resnet18", 2)
    save(tmp_path / "ours.safetensors", ours, Meta("resnet18", 2, 3))  # what its neighbour does is nothing to it
    agrees(load(tmp_path / "ours.safetensors"), ours.eval())


@pytest.mark.parametrize(
    ("model_args", "words"),
    [({"act_layer": "silu"}, 'act_layer: "silu"'), ({"output_stride": 16}, "output_stride: 16")],
)
def test_a_network_of_timm_that_computes_otherwise_is_refused(tmp_path, model_args, words):
    model = timm.create_model("resnet18", **model_args)
    save_for_hf(model, tmp_path, model_args=model_args, safe_serialization=True)
    with pytest.raises(CheckpointError, match=words):
        load(tmp_path / "model.safetensors")


def test_a_network_of_timm_with_its_config(tmp_path):
    """As timm publishes them: weights and config.json side by side."""
    model = lively(timm.create_model("resnet34", num_classes=2))
    save_for_hf(model, tmp_path, model_args={"num_classes": 2}, safe_serialization="both")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"label_names": ["ant", "bee"]}))
    for path in (tmp_path / "model.safetensors", tmp_path / "pytorch_model.bin"):
        agrees(found := load(path), model)
        assert found.meta.classes == ("ant", "bee") and found.meta.mean == IMAGENET.mean
