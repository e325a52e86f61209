"""The network among what else a file holds, with one tolerance for every family, and the true reason where it fails."""

import collections
import io
import re

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision import models

from camdrop.checkpoints import CheckpointError, list_checkpoints, load, save
from camdrop.resnet import build
from tests.support.checkpoint_files import images, network, sentence, torch_bytes

FAMILIES = {  # a network with four classes, and the name of its classifier
    "resnet8": (lambda: network("resnet8", 4, 3), "fc"),
    "mnasnet0_5": (lambda: models.mnasnet0_5(num_classes=4), "classifier.1"),
    "shufflenet_v2_x0_5": (lambda: models.shufflenet_v2_x0_5(num_classes=4), "fc"),
    "mobilenet_v2": (lambda: models.mobilenet_v2(num_classes=4), "classifier.1"),
}
MORE = {
    "resnet18": (lambda: build("resnet18", 4), "fc"),
    "densenet121": (lambda: models.densenet121(num_classes=4), "classifier"),
    "efficientnet_b0": (lambda: models.efficientnet_b0(num_classes=4), "classifier.1"),
    "regnet_y_400mf": (lambda: models.regnet_y_400mf(num_classes=4), "fc"),
    "resnet34": (lambda: models.resnet34(num_classes=4), "fc"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    make, head = FAMILIES[request.param]
    torch.manual_seed(0)
    return request.param, make().eval(), head


def renamed(model, head, trunk="", classifier=None):
    """The state with another prefix for the trunk, and another name for the classifier."""
    return {
        (classifier or trunk + head) + key[len(head) :] if key.startswith(head + ".") else trunk + key: value
        for key, value in model.state_dict().items()
    }


def as_it_was(raw, name, model, channels=3, classes=4):
    found = load(raw, name="their.ckpt")
    assert found.meta.architecture.removeprefix("torchvision:") == name
    assert (found.meta.num_classes, found.meta.in_channels) == (classes, channels)
    x = images(channels, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), model(x), rtol=1e-4, atol=1e-4)
    return found


LAYOUTS = {
    "encoder and head": ("encoder.", "head"),
    "dropout before the classifier": ("", "classifier_head.2"),
    "one below the other": ("module.model.backbone.", "module.model.classifier.1"),
    "beside each other": ("net.features_extractor.", "net.out.linear"),
    "the classifier outside": ("_orig_mod.body.", "predict"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_of_every_family(family, layout):
    name, model, head = family
    trunk, classifier = LAYOUTS[layout]
    as_it_was(torch_bytes({"state_dict": renamed(model, head, trunk, classifier)}), name, model)


@pytest.mark.parametrize("channels", [1, 4])
def test_image_channels_of_every_family(family, channels, tmp_path):
    name, _, head = family
    model = FAMILIES[name][0]()
    at, stem = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    other = nn.Conv2d(
        channels, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=stem.bias is not None
    )
    parent, _, last = at.rpartition(".")
    setattr(model.get_submodule(parent), last, other)
    found = as_it_was(torch_bytes(model.eval().state_dict()), name, model, channels)
    save(tmp_path / "a.safetensors", found.model, found.meta)  # and back
    as_it_was((tmp_path / "a.safetensors").read_bytes(), name, model, channels)
    assert list_checkpoints(tmp_path).found[0][1] == found.meta and head


@pytest.mark.parametrize("name", MORE)
def test_all_at_once_in_more_families(name):
    make, head = MORE[name]
    torch.manual_seed(0)
    model = make().eval()
    state = renamed(model, head, "model.encoder.", "model.head.1") | {"model.loss.weight": torch.ones(4)}
    as_it_was(torch_bytes({"state_dict": state | {f"teacher.{k}": v * 0 for k, v in state.items()}}), name, model)


BESIDE = {
    "weights of classes": {"criterion.weight": torch.ones(4)},
    "a loss of its own": {"loss_fn.log_vars": torch.zeros(7), "arcface_loss.weight": torch.zeros(4, 1280)},
    "metrics": {
        "train_acc.tp": torch.zeros(4),
        "valid_metrics.MulticlassF1Score.fn": torch.zeros(4),
        "kappa.confmat": torch.zeros(4, 4, dtype=torch.long),
        "val_auroc.thresholds": torch.linspace(0, 1, 11),
        "best.value": torch.tensor(0.0),
    },
    "normalisation": {"pixel_mean": torch.zeros(1, 3, 1, 1), "normalize.std": torch.ones(3)},
    "a queue": {"queue": torch.zeros(128, 4096), "queue_ptr": torch.zeros(1, dtype=torch.long)},
    "counts": {"n_averaged": torch.tensor(3), "total_ops": torch.zeros(1), "ema.num_updates": torch.tensor(3)},
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_stands_beside_every_family(family, kind, prefix):
    name, model, _ = family
    state = {prefix + k: v for k, v in model.state_dict().items()}
    for whole in (state | BESIDE[kind], BESIDE[kind] | state):
        found = as_it_was(torch_bytes({"state_dict": whole}), name, model)
        some = "a tensor" if len(BESIDE[kind]) == 1 else f"{len(BESIDE[kind])} tensors"
        assert re.search(rf"{some} beside the network (was|were) left out", found.meta.notes)
    assert "left out" not in load(torch_bytes(state)).meta.notes


@pytest.mark.parametrize(
    ("mine", "other"),
    [("model.", "model_ema.module."), ("student.", "teacher."), ("", "ema."), ("encoder_q.", "encoder_k.")],
)
def test_twins_of_every_family(family, mine, other):
    """The one that is trained, in whichever order they come."""
    name, model, head = family
    torch.manual_seed(1)
    twin = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in model.state_dict().items()}
    first = {mine + k: v for k, v in model.state_dict().items()}
    second = {other + k: v for k, v in twin.items()}
    for whole in (first | second, second | first):
        found = as_it_was(torch_bytes({"state_dict": whole}), name, model)
        assert "more than one network" in found.meta.notes
    apart = renamed(model, head, "a.trunk.", "a.fc") | {
        k: v * 0 for k, v in renamed(model, head, "b.trunk.", "b.fc").items()
    }
    as_it_was(torch_bytes(apart), name, model)


def test_an_average_by_torch_and_another_teacher():
    model = network("resnet8", 4, 3)
    average = AveragedModel(model)
    as_it_was(torch_bytes(average.state_dict()), "resnet8", model)
    teacher = {f"teacher.{k}": v for k, v in models.resnet18(num_classes=4).state_dict().items()}
    student = {f"student.{k}": v for k, v in model.state_dict().items()}
    as_it_was(torch_bytes(teacher | student), "resnet8", model)


STRANGE = {  # what is no surroundings: a part that the images went through
    "a neck": ({"neck.weight": torch.zeros(64, 64), "neck.bias": torch.zeros(64)}, "two linear layers|also has"),
    "a batch norm": (
        {"bn_neck.running_mean": torch.zeros(1280), "bn_neck.weight": torch.ones(1280)},
        "also has bn_neck",
    ),
    "attention": ({"cbam.conv.weight": torch.zeros(1, 2, 7, 7)}, "also has cbam"),
    "a second classifier": ({"aux_head.weight": torch.zeros(9, 1280)}, "also has aux_head"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_parts_that_the_images_went_through_are_not_left_out(family, kind):
    _, model, _ = family
    extra, words = STRANGE[kind]
    with pytest.raises(CheckpointError, match=words):
        load(torch_bytes(model.state_dict() | extra))


def test_a_batch_norm_or_two_layers_before_the_classifier(family):
    name, _, head = family
    model = FAMILIES[name][0]()
    width = model.get_submodule(head).in_features
    parent, _, last = head.rpartition(".")
    for layers, words in (
        ((nn.BatchNorm1d(width), nn.Linear(width, 4)), rf"batch norm \({head}\.0\) between its pooling and {head}\.1"),
        ((nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 4)), rf"ends in two linear layers \({head}\.0, {head}\.2\)"),
        ((nn.Identity(),), rf"no usable {head}\.weight: it ends in {width} features, but no linear layer reads them"),
    ):
        setattr(model.get_submodule(parent), last, nn.Sequential(*layers))
        text = sentence(torch_bytes(model.state_dict()), name="their.pth")
        with pytest.raises(CheckpointError, match=words):
            load(torch_bytes(model.state_dict()))
        assert "copy or download it again" not in text and text.startswith(f"their.pth looks like {name}")


def test_two_layers_of_which_the_first_has_the_classifiers_name():
    model = network("resnet8", 4, 3)
    state = model.state_dict() | {"fc.weight": torch.zeros(32, 64), "fc.bias": torch.zeros(32)}
    with pytest.raises(CheckpointError, match=r"ends in two linear layers \(fc, fc2\)"):
        load(torch_bytes(state | {"fc2.weight": torch.zeros(4, 32), "fc2.bias": torch.zeros(4)}))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18d", r"2\+2\+2\+2 blocks.*a stem of several convolutions.*timm:NAME|stem|conv1"),
        ("seresnet18", r"also has layer1\.0\.se|squeeze"),
        ("resnet26", r"a ResNet of 2\+2\+2\+2 blocks with 3 convolutions each"),
        ("efficientnet_b0", r"a network of timm \(EfficientNet or MobileNet: conv_stem\.weight …\).*export timm:NAME"),
        ("regnety_002", r"a network of timm \(RegNet: s1\.b1"),
        ("convnext_atto", r"a network of timm \(ConvNeXt"),
        ("resnetv2_50", r"a network of timm \(ResNetV2"),
        ("vit_tiny_patch16_224", "a transformer"),
    ],
)
def test_variants_of_timm_are_told_apart(name, words):
    with pytest.raises(CheckpointError, match=words):
        load(torch_bytes(timm.create_model(name, num_classes=4).state_dict()))


def archive(save_to):
    file = io.BytesIO()
    save_to(file)
    return file.getvalue()


FILES = {
    "NumPy archive": (lambda f: np.savez(f, a=np.zeros(3)), r"is a NumPy archive \(\.npz\)"),
    "compressed NumPy archive": (lambda f: np.savez_compressed(f, w=np.zeros(3), b=np.zeros(1)), "is a NumPy archive"),
    "NumPy array": (lambda f: np.save(f, np.zeros(3)), "is a single NumPy array"),
    "exported program": (
        lambda f: torch.export.save(torch.export.export(nn.Conv2d(3, 3, 1), (torch.zeros(1, 3, 4, 4),)), f),
        r"is a program by torch\.export",
    ),
    "HDF5": (lambda f: f.write(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file, as of Keras"),
    "gzip": (lambda f: f.write(b"\x1f\x8b\x08\0" + bytes(99)), r"is compressed \(gzip\); unpack it"),
    "ONNX": (lambda f: f.write(b"\x08\x08\x12\x07pytorch\x1a\x052.9.0" + bytes(99)), "is an ONNX program"),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_of_other_programs_each_get_their_own_reason(kind):
    write, words = FILES[kind]
    with pytest.raises(CheckpointError, match=words):
        load(archive(write))
    assert sentence(archive(write), name="file.bin").startswith("file.bin is ")


def test_old_files_without_counters_of_every_family(family):
    name, model, _ = family
    state = collections.OrderedDict(
        (f"module.{k}", v) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")
    )
    as_it_was(torch_bytes(state, _use_new_zipfile_serialization=False), name, model)
