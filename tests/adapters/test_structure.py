"""A network is what its parts are, wherever they are declared and whatever they hold today."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from camdrop import attach, drop_sites
from camdrop.adapters.inspection import features_and_weights, inspect
from camdrop.adapters.wrapped import Wrapped
from camdrop.cam import class_activation_map
from camdrop.resnet import build
from tests.support.other_networks import METHOD, batch, foreign, restored, tiny

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")


class Net(nn.Module):
    """Two convolutions, any pooling and any head; what is declared first is called last."""

    def __init__(self, pool=None, head=None, stem=None, channels=3):
        super().__init__()
        torch.manual_seed(0)
        self.head = head or nn.Linear(16, 5)
        self.last = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.first = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.stem, self.pool = stem, pool or nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = x if self.stem is None else self.stem(x)
        return self.head(self.pool(self.last(self.first(x))).flatten(1))


class Scale(nn.Module):
    def __init__(self, buffer=False):
        super().__init__()
        value = torch.ones(16)
        self.register_buffer("scale", value) if buffer else setattr(self, "scale", nn.Parameter(value))

    def forward(self, x):
        return x * self.scale


class GeM(nn.Module):
    """Generalised mean pooling (Radenović et al. 2018), which is the average at p = 1."""

    def __init__(self, p=1.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, x):
        return x.clamp(min=1e-6).pow(self.p).mean((2, 3)).pow(1 / self.p)


class Attention(nn.Module):
    """Attention pooling, whose weights are even as long as its convolution is zero."""

    def __init__(self):
        super().__init__()
        self.score = nn.Conv2d(16, 1, 1)
        nn.init.zeros_(self.score.weight)

    def forward(self, x):
        weights = self.score(x).flatten(2).softmax(2)
        return (x.flatten(2) * weights).sum(2)


class Named(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def before_linear(*layers):
    return Net(head=nn.Sequential(*layers, nn.Linear(16, 5)))


NO_AVERAGE = {
    "a batch norm": (lambda: before_linear(nn.BatchNorm1d(16)), r"\(head\.0, BatchNorm1d\)"),
    "one without weights": (lambda: before_linear(nn.Dropout(), nn.BatchNorm1d(16, affine=False)), "BatchNorm1d"),
    "one on 1×1 maps": (lambda: Net(pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(16))), "BatchNorm2d"),
    "a scale": (lambda: before_linear(Scale()), r"\(head\.0, Scale\)"),
    "a scale in a buffer": (lambda: before_linear(Scale(buffer=True)), "Scale"),
    "a learned slope": (lambda: before_linear(nn.PReLU(init=1.0)), "PReLU"),
    "a norm": (lambda: before_linear(nn.LayerNorm(16)), "LayerNorm"),
    "generalised mean": (lambda: Net(pool=GeM()), "GeM"),
    "attention": (lambda: Net(pool=Attention()), "pool"),
    "a limit": (lambda: before_linear(nn.ReLU6()), "no average"),
    "another limit": (lambda: Net(pool=Named(lambda x: x.mean((2, 3)).clamp(-9, 9))), "no average"),
}


def train_a_little(model):
    """What training does to whatever a network holds."""
    model.train()(torch.randn(8, 3, 64, 64) * 2 + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


@pytest.mark.parametrize("kind", NO_AVERAGE)
def test_what_is_no_average_is_refused_fresh_and_trained(kind):
    make, words = NO_AVERAGE[kind]
    model = make()
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"no average.*{words}|{words}"):
            drop_sites(model)
        train_a_little(model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm/resnet18", "torchvision/mobilenet_v2"])
def test_a_batch_norm_before_the_classifier_of_well_known_networks(name):
    model = foreign(name)
    classifier = "fc" if "resnet" in name else "classifier"
    width = 512 if "resnet" in name else 1280
    setattr(model, classifier, nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, 4)))
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"no average \({classifier}\.0, BatchNorm1d\)"):
            inspect(model)
        model.train()(torch.randn(4, 3, 64, 64))


AVERAGES = {
    "dropout": lambda: before_linear(nn.Dropout(0.5), nn.Identity()),
    "a ReLU of what is not negative": lambda: before_linear(nn.ReLU(), nn.Dropout()),
    "a sum over a count": lambda: Net(pool=Named(lambda x: x.flatten(2).sum(-1) / x[0, 0].numel())),
    "einsum": lambda: Net(pool=Named(lambda x: torch.einsum("nchw->nc", x) / (x.shape[2] * x.shape[3]))),
    "twice": lambda: Net(pool=Named(lambda x: x.mean(3).mean(2))),
    "TorchScript": lambda: Net(pool=torch.jit.script(nn.AdaptiveAvgPool2d(1))),
}


@pytest.mark.parametrize("kind", AVERAGES)
def test_what_is_an_average_is_served_fresh_and_trained(kind):
    model = AVERAGES[kind]()
    for _ in range(2):
        x = torch.randn(2, 3, 64, 64)
        features, weight, scores = features_and_weights(model.eval(), x)
        bias = model.get_submodule(inspect(model).classifier).bias
        maps = class_activation_map(features, weight, torch.tensor([3, 3]))
        torch.testing.assert_close(maps.mean((1, 2)) + bias[3], scores[:, 3], rtol=1e-4, atol=1e-5)
        train_a_little(model)


def test_a_diverged_network_is_called_so():
    model = tiny()
    nn.init.constant_(model.layer3[0].conv1.weight, torch.nan)
    with pytest.raises(ValueError, match="ResNet computes NaN or infinity before fc: has its training diverged"):
        inspect(model)


class Focus(nn.Module):
    """YOLOv5's stem: four pixels become channels."""

    def forward(self, x):
        return torch.cat([x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)], 1)


CALLED_FIRST = {  # the network, and the channels of the images that it takes
    "declared last": (Net, 3),
    "one channel": (lambda: Net(channels=1), 1),
    "five channels": (lambda: Net(channels=5), 5),
    "pixels as channels": (lambda: Net(stem=Focus(), channels=12), 3),
    "grey pixels as channels": (lambda: Net(stem=nn.PixelUnshuffle(2), channels=4), 1),
    "grey made colour": (lambda: Net(stem=Named(lambda x: x.repeat(1, 3, 1, 1))), 1),
}


@pytest.mark.parametrize("kind", CALLED_FIRST)
def test_the_first_convolution_is_the_first_that_is_called(kind):
    make, channels = CALLED_FIRST[kind]
    model = make().eval()
    assert [site.name for site in drop_sites(model)] == ["first.0", "last.0"]
    assert inspect(model).in_channels == channels
    x = torch.randn(2, channels, 64, 64)
    wrapped = Wrapped("torchvision:net", make().eval())
    assert wrapped.in_channels == channels
    torch.testing.assert_close(wrapped(x), model(x))
    y = torch.tensor([0, 4])
    with attach(model.train(), METHOD) as guide, guide.targets(y):
        model(x)
    assert guide.masks.keys() == {"first.0", "last.0"}


def test_stride_is_in_pixels_of_the_image():
    assert [site.stage for site in drop_sites(Net(stem=Focus(), channels=12))] == ["stride 4", "stride 8"]


class Neck(nn.Module):
    """torchvision's trunk behind a layer of 1×1 that is declared before it."""

    def __init__(self, trunk, width):
        super().__init__()
        self.reduce, self.trunk, self.fc = nn.Conv2d(width, 32, 1), trunk, nn.Linear(32, 4)

    def forward(self, x):
        return self.fc(input=torch.relu(self.reduce(self.trunk(x))).mean((2, 3)))


@pytest.mark.slow
def test_necks_of_well_known_trunks():
    for trunk, width in (
        (torchvision.models.mobilenet_v2(weights=None).features, 1280),
        (torchvision.models.shufflenet_v2_x0_5(weights=None), None),
        (timm.create_model("resnet18", num_classes=0, global_pool=""), 512),
    ):
        if width is None:
            width, trunk = 1024, nn.Sequential(*list(trunk.children())[:-1])
        model = Neck(trunk, width).eval()
        inspection = inspect(model)
        assert (inspection.last_map, inspection.rectify, inspection.in_channels) == ("reduce", True, 3)
        assert "reduce" in {site.name for site in drop_sites(model)}


def scripted_part():
    model = tiny()
    model.layer2 = torch.jit.script(model.layer2)
    return model


def traced_part():
    model = tiny()
    model.relu = torch.jit.trace(nn.ReLU(), torch.zeros(1, 3, 4, 4))
    return model


@pytest.mark.parametrize(("make", "gone"), [(scripted_part, "layer2"), (traced_part, "nothing")])
def test_a_part_that_takes_no_hooks_is_left_out_and_no_more(make, gone):
    model = make()
    assert {s.name for s in drop_sites(model)} == {
        site.name for site in drop_sites(tiny()) if not site.name.startswith(gone)
    }
    x, y = batch(size=64)
    with attach(model.train(), METHOD) as guide, guide.targets(y):
        model(x)
    assert any(mask.dropped.any() for mask in guide.masks.values())
    assert restored(model.layer4)


def test_networks_without_numbers_or_hooks_get_a_sentence():
    with torch.device("meta"):
        empty = [tiny(), Net()]
    half = tiny()
    half.layer4.to("meta")
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(2))
    for model, words in (
        *((model, "lies on the meta device, where there are no numbers: load its weights first") for model in empty),
        (half, "lies on the meta device"),
        (lazy, "has lazy layers, which have no weights yet: run one batch through it first"),
        (torch.jit.script(tiny()), "is a TorchScript program, which takes no hooks"),
    ):
        for ask in (drop_sites, lambda model: attach(model, METHOD).__enter__()):
            with pytest.raises(ValueError, match=words) as error:
                ask(model)
            assert "\n" not in str(error.value)
    assert build("resnet8").drop_sites  # ours know theirs without numbers
