"""torchvision's networks are known by their weights, and come with them."""

import dataclasses
import hashlib
import io
import urllib.error
import urllib.request

import pytest
import torch
from torchvision import models

from camdrop.adapters.inspection import inspect
from camdrop.checkpoints import CheckpointError, load
from camdrop.checkpoints.pretrained import fetch
from camdrop.checkpoints.torchvision_models import conventions, names, recognise, skeleton

SMALL = [
    "densenet121",
    "efficientnet_b0",
    "mnasnet0_5",
    "mobilenet_v2",
    "regnet_x_400mf",
    "resnet34",
    "shufflenet_v2_x0_5",
]


def shapes(name: str, classes: int = 1000, prefix: str = "") -> dict[str, tuple[int, ...]]:
    return {prefix + key: tuple(t.shape) for key, t in skeleton(name, classes).state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, "googlenet", "inception_v3"])
def test_what_the_list_offers_can_be_served(name):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    assert name in names()
    assert inspect(models.get_model(name, weights=None, num_classes=10, **options)).places


def test_what_the_list_leaves_out():
    families = ("alexnet", "vgg", "squeezenet", "mobilenet_v3", "convnext", "vit", "swin", "maxvit")
    left_out = set(models.list_models(module=models)) - set(names())
    assert all(name.startswith(families) or name == "regnet_y_128gf" for name in left_out)  # of 2.6 GB


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, "resnext50_32x4d", "wide_resnet50_2", "googlenet", "inception_v3", "swin_t"])
def test_a_network_is_known_by_its_weights(name):
    found = recognise(dict(sorted(shapes(name, 7, "module.").items())))
    assert found is not None and (found.name, found.num_classes) == (name, 7)
    assert found.names == {key: f"module.{key}" for key in shapes(name)}


@pytest.mark.slow
def test_old_spellings_and_what_is_left_over():
    modern = shapes("densenet121")
    old = {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2"): shape
        for key, shape in modern.items()
        if not key.endswith("num_batches_tracked")
    }
    found = recognise(old)
    assert found is not None and found.name == "densenet121" and found.names.keys() < modern.keys()
    with_aux = shapes("googlenet") | {"aux1.fc2.weight": (1000, 1024), "aux1.fc2.bias": (1000,)}
    found = recognise(with_aux)
    assert found is not None and found.name == "googlenet" and "aux1.fc2.weight" not in found.names
    assert recognise(modern | {"features.norm6.weight": (1024,)}) is None
    assert recognise(modern | {"features.norm5.weight": (1025,)}) is None
    assert recognise({"a": (3, 4)}) is None and recognise({"a.b": ()}) is None


def test_a_file_of_weights_alone():
    torch.manual_seed(0)
    net = models.densenet121(weights=None, num_classes=1000).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, file := io.BytesIO())
    found = load(file, name="theirs.pth")
    assert (found.meta.architecture, found.meta.image_size) == ("torchvision:densenet121", 224)
    assert found.meta.dataset == "imagenet" and found.meta.classes[207] == "golden retriever"
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), net(x), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_vision_transformer_gets_a_sentence():
    torch.save(models.vit_b_16(weights=None, num_classes=3).state_dict(), file := io.BytesIO())
    with pytest.raises(CheckpointError) as error:
        load(file, name="vit.pth")
    assert str(error.value) == (
        "vit.pth cannot be shown: VisionTransformer has no convolutional feature map before the pooling that "
        "heads.head reads; class activation maps need a CNN that ends in global average pooling and one linear layer"
    )


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """torchvision's address gives a network that was drawn here; nothing is in the cache."""
    torch.manual_seed(0)
    torch.save(models.mnasnet0_5(weights=None).state_dict(), file := io.BytesIO())
    data = file.getvalue()
    known = models.get_model_weights
    weights = known("mnasnet0_5").DEFAULT
    url = f"http://here/mnasnet-{hashlib.sha256(data).hexdigest()[:10]}.pth"

    class FakeWeights:
        DEFAULT = dataclasses.replace(weights.value, url=url)

    class Answer(io.BytesIO):
        headers = {"Content-Length": str(len(data))}  # noqa: RUF012

    monkeypatch.setattr(models, "get_model_weights", lambda name: FakeWeights if name == "mnasnet0_5" else known(name))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: Answer(data))
    return tmp_path / "checkpoints" / url.rsplit("/", 1)[1]


def test_weights_are_downloaded_once(hub, monkeypatch):
    shares: list[float] = []
    found = fetch("mnasnet0_5", shares.append)
    assert found.path == hub and shares[-1] == 1.0 and shares == sorted(shares)
    assert found.meta.test_error == pytest.approx(32.266) and found.meta.architecture == "torchvision:mnasnet0_5"
    assert [path.name for path in hub.parent.iterdir()] == [hub.name]

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert torch.equal(fetch("mnasnet0_5").model.fc.weight, found.model.fc.weight)
    hub.unlink()
    with pytest.raises(CheckpointError) as error:
        fetch("mnasnet0_5")
    assert "The weights of mnasnet0_5 cannot be downloaded (no network: Name or service not known)" in str(error.value)
    assert str(hub.name) in str(error.value) and not list(hub.parent.iterdir())


def test_damage_on_the_way(hub, monkeypatch):
    class Answer(io.BytesIO):
        headers = {}  # noqa: RUF012

    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: Answer(b"no network's weights"))
    with pytest.raises(CheckpointError, match=r"cannot be downloaded \(what the server sent is damaged\)"):
        fetch("mnasnet0_5")
    assert not hub.exists()


def test_names_that_are_not_offered():
    with pytest.raises(CheckpointError, match="torchvision has no network 'vit_b_16' with class activation maps"):
        fetch("vit_b_16")


def test_conventions_are_those_of_the_weights():
    assert conventions("efficientnet_v2_l") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 480)
    assert conventions("inception_v3")[2] == 299
