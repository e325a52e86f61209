"""Other people's checkpoints, laid out as their repositories do, and files that are none."""

import collections
import io
import warnings
import zipfile

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

from camdrop.checkpoints import CheckpointError, load
from camdrop.data import INFO
from camdrop.resnet import build
from tests.support.checkpoint_files import images, network, sentence, torch_bytes

IMAGENET = (INFO["imagenet"].mean, INFO["imagenet"].std)
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def renamed(model, prefix="", linear="fc", shortcut="downsample"):
    """The model's state by the names of another repository."""
    state = collections.OrderedDict()
    for key, value in model.state_dict().items():
        other = key.replace("downsample.", f"{shortcut}.")
        state[prefix + (f"{linear}.{key[3:]}" if key.startswith("fc.") else other)] = value
    return state


def old(state):
    """As PyTorch wrote it before 0.4.1: without batch counters."""
    return collections.OrderedDict((k, v) for k, v in state.items() if not k.endswith("num_batches_tracked"))


def parameters(state):
    return {k: nn.Parameter(v, v.is_floating_point()) for k, v in state.items()}


LAYOUTS = {  # shortcut, prefix, classifier, shortcut's name, wrapping, normalisation
    "akamaster": ("pad", "module.", "linear", "", lambda s: {"state_dict": s, "best_prec1": 91.73}, IMAGENET),
    "akamaster, old": ("pad", "module.", "linear", "", lambda s: {"state_dict": old(s), "best_prec1": 91}, IMAGENET),
    "akamaster, option B": ("conv", "module.", "linear", "shortcut", lambda s: {"epoch": 9, "state_dict": s}, CIFAR),
    "chenyaofo": ("conv", "", "fc", "downsample", lambda s: s, CIFAR),
    "kuangliu": ("conv", "module.", "linear", "shortcut", lambda s: {"net": s, "acc": 93.1, "epoch": 7}, CIFAR),
    "compiled": ("pad", "_orig_mod.", "fc", "", lambda s: {"model": s, "args": {"lr": 0.1}}, CIFAR),
    "lightning": ("pad", "model.", "classifier", "", lambda s: {"state_dict": s, "loops": {}, "callbacks": {}}, CIFAR),
    "averaged": ("pad", "module.", "fc", "", lambda s: {"n_averaged": torch.tensor(5), **s}, CIFAR),
    "profiled": ("pad", "", "fc", "", lambda s: {**s, "total_ops": torch.zeros(1)}, CIFAR),
    "nested": ("pad", "module.model._orig_mod.", "head.fc", "", lambda s: {"params": {"ema": s}}, CIFAR),
    "parameters": ("pad", "", "fc", "", parameters, CIFAR),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout, legacy):
    shortcut, prefix, linear, down, wrap, normalisation = LAYOUTS[layout]
    model, path = network("resnet8", 10, 3, shortcut), tmp_path / "model.th"
    state = wrap(renamed(model, prefix, linear, down))
    path.write_bytes(torch_bytes(state, _use_new_zipfile_serialization=not legacy))
    loaded = load(path)
    assert torch.equal(loaded.model(images(3, 32)), model(images(3, 32)))
    meta = loaded.meta
    assert (meta.architecture, meta.num_classes, meta.in_channels, meta.shortcut) == ("resnet8", 10, 3, shortcut)
    assert (meta.dataset, meta.classes, meta.image_size) == ("cifar10", INFO["cifar10"].classes, 32)
    assert (meta.mean, meta.std) == normalisation


def test_backbone_and_classifier_side_by_side():
    model = network("resnet8", 10, 3)
    state = {("module." if k.startswith("fc.") else "module.backbone.") + k: v for k, v in model.state_dict().items()}
    assert torch.equal(load(torch_bytes(state)).model(images(3, 32)), model(images(3, 32)))


def test_training_state_beside_the_weights():
    model = network("resnet8", 10, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model.train()(images(3, 32)).sum().backward()
    optimizer.step()
    whole = {"optimizer": optimizer.state_dict(), "model_state_dict": model.state_dict(), "epoch": 3}
    loaded = load(torch_bytes(whole))
    assert torch.equal(loaded.model(images(3, 32)), model.eval()(images(3, 32)))


def test_of_two_equal_states_the_first_counts():
    first, second = network(), network(seed=1)
    loaded = load(torch_bytes({"state_dict": first.state_dict(), "state_dict_ema": second.state_dict()}))
    assert torch.equal(loaded.model(images()), first(images()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "name", "classes"),
    [("torchvision", "resnet18", 1000), ("torchvision", "resnet50", 5), ("timm", "resnet18", 5)],
)
def test_the_libraries_own_networks(tmp_path, library, name, classes):
    torch.manual_seed(0)
    if library == "timm":
        theirs = timm.create_model(name, pretrained=False, num_classes=classes).eval()
        path = tmp_path / "model.safetensors"
        safetensors.torch.save_file(theirs.state_dict(), path, {"format": "pt"})
    else:
        theirs = getattr(torchvision.models, name)(weights=None, num_classes=classes).eval()
        path = tmp_path / "model.pth"
        torch.save(theirs.state_dict(), path)
    loaded = load(path)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(images(3, 32)), theirs(images(3, 32)), rtol=1e-5, atol=1e-5)
    meta = loaded.meta
    assert (meta.architecture, meta.num_classes, meta.shortcut, meta.image_size) == (name, classes, "conv", 224)
    assert (meta.mean, meta.std) == IMAGENET
    assert meta.dataset == ("imagenet" if classes == 1000 else "")
    assert meta.classes[3] == (INFO["imagenet"].classes[3] if classes == 1000 else "3")


@pytest.mark.parametrize(
    ("classes", "channels", "dataset", "first", "size", "mean"),
    [
        (10, 1, "", "0", 28, (0.0,)),
        (100, 3, "", "0", 32, CIFAR[0]),
        (10, 3, "cifar10", "airplane", 32, CIFAR[0]),
        (10, 4, "", "0", 32, (0.0,) * 4),
    ],
)
def test_what_a_file_without_header_is_taken_for(classes, channels, dataset, first, size, mean):
    meta = load(torch_bytes(network("resnet8", classes, channels).state_dict())).meta
    assert (meta.num_classes, meta.in_channels) == (classes, channels)
    assert (meta.dataset, meta.classes[0], meta.image_size, meta.mean) == (dataset, first, size, mean)
    assert "convention" in meta.notes


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"])
def test_every_depth_is_told_apart(name):
    assert load(torch_bytes(build(name).state_dict())).meta.architecture == name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype):
    model = network().to(dtype)
    loaded = load(torch_bytes(model.state_dict())).model
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded(images()), model.float()(images()))


def test_checksums_may_be_left_out():
    raw = torch_bytes(network().state_dict())
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        sums = [entry.CRC for entry in archive.infolist() if entry.CRC]
    for crc in sums:
        raw = raw.replace(crc.to_bytes(4, "little"), bytes(4))
    assert load(raw).meta.architecture == "resnet8"


def blocks(counts, convs):
    """Names of a ResNet with so many blocks a stage and convolutions a block."""
    return {
        f"layer{i + 1}.{j}.conv{k + 1}.weight": torch.zeros(1, 1, 1, 1)
        for i, count in enumerate(counts)
        for j in range(count)
        for k in range(convs)
    }


STEM = (16, 1, 3, 3)
NETWORKS = {
    "ViT": (
        lambda: timm.create_model("vit_tiny_patch16_224", depth=1, embed_dim=24, num_heads=2).state_dict(),
        r"fits no architecture: it holds a transformer \(blocks\.0\.attn\.qkv\.weight …\), which has no class act",
    ),
    "ResNet-34": (lambda: blocks((3, 4, 6, 3), 2), r"a ResNet of 3\+4\+6\+3 blocks with 2 convolutions each"),
    "bottlenecks for CIFAR": (lambda: blocks((9, 9, 9), 3), r"a ResNet of 9\+9\+9 blocks with 3 convolutions each"),
}
TENSORS = {
    "wider": ({"layer1.0.conv1.weight": torch.zeros(32, 16, 3, 3)}, "is 32×16×3×3 instead of 16×16×3×3"),
    "missing": (
        {"layer2.0.bn1.bias": None},
        r"looks like resnet8, but lacks layer2\.0\.bn1\.bias; it is damaged, or a variant",
    ),
    "two missing": ({"bn1.bias": None, "bn1.weight": None}, r"lacks bn1\.weight and 1 more;"),
    "no stem": ({"conv1.weight": None}, r"has no usable conv1\.weight"),
    "no classifier": ({"fc.weight": None, "fc.bias": None}, r"has no usable fc\.weight"),
    "flat classifier": ({"fc.weight": torch.zeros(640)}, r"fc\.weight is 640 instead of 640×64"),
    "another bias": ({"fc.bias": torch.zeros(3)}, r"fc\.bias is 3 instead of 10"),
    "empty classifier": ({"fc.weight": torch.zeros(0, 64)}, "num_classes must be at least 1"),
    "two classifiers": ({"head.weight": torch.zeros(3, 64)}, r"also has head\.weight"),
    "attention": ({"layer1.0.se.weight": torch.zeros(3)}, r"also has layer1\.0\.se\.weight"),
    "integers": ({"conv1.weight": torch.zeros(STEM, dtype=torch.int8)}, r"holds conv1\.weight as int8; save"),
    "complex": ({"conv1.weight": torch.zeros(STEM, dtype=torch.complex64)}, "as complex64"),
    "sparse": ({"conv1.weight": torch.zeros(STEM).to_sparse()}, "save the network as plain"),
    "no numbers": ({"conv1.weight": torch.zeros(STEM, device="meta")}, "save the network as plain"),
    "NaN": ({"bn1.running_mean": torch.full((16,), torch.nan)}, r"holds NaN or infinity in bn1\.running_mean"),
    "large": ({"fc.bias": torch.full((10,), 1e300, dtype=torch.float64)}, r"holds NaN or infinity in fc\.bias"),
    "claims": ({"conv1.weight": torch.zeros(1).expand(16, 10**5, 3, 3)}, r"claims 14400000 numbers for conv1\.weight"),
    "odd name": ({"x\n\x1b[31m" + "y" * 900: torch.zeros(1)}, r"also has x \[31my*…$"),
}


@pytest.mark.parametrize("kind", NETWORKS | TENSORS)
def test_networks_that_do_not_fit(monkeypatch, kind):
    monkeypatch.setattr("camdrop.checkpoints.format.LIMIT", 50 << 20)
    if kind in NETWORKS:
        make, words = NETWORKS[kind]
        state = make()
    else:
        changes, words = TENSORS[kind]
        state = {k: v for k, v in (network().state_dict() | changes).items() if v is not None}
    raw = torch_bytes({"state_dict": state})
    assert sentence(raw, name="their.pth").startswith("their.pth ")
    with pytest.raises(CheckpointError, match=words):
        load(raw)


def test_quantised_networks_do_not_fit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weight = torch.quantize_per_tensor(torch.zeros(STEM), 0.1, 0, torch.qint8)
        raw = torch_bytes(network().state_dict() | {"conv1.weight": weight})
    assert "conv1.weight as qint8" in sentence(raw)
