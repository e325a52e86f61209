"""Other people's networks, and what is asked of them when masks are attached."""

import timm
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

from camdrop.masks import CamDrop

METHOD = CamDrop(keep_prob=0.5, block_size=2)


def foreign(name, classes=7):
    """`timm/resnet18` or `torchvision/resnet18` with random weights, in evaluation mode."""
    torch.manual_seed(0)
    library, name = name.split("/")
    if library == "timm":
        # A ResNet of timm starts with branches that give 0, where there is nothing to see of masks and gradients.
        options = {"zero_init_last": False} if name.startswith(("resnet", "regnet")) else {}
        return timm.create_model(name, num_classes=classes, **options).eval()
    return torchvision.models.get_model(name, weights=None, num_classes=classes).eval()


def batch(n=4, size=64, classes=7):
    draw = torch.Generator().manual_seed(3)
    return torch.randn(n, 3, size, size, generator=draw), torch.randint(classes, (n,), generator=draw)


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def same_masks(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k].keep, b[k].keep) for k in a)


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def restored(model):
    tables = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")
    return not any(
        getattr(m, table) or m._forward_hooks_always_called for m in model.modules() for table in tables
    ) and not any("forward" in vars(m) for m in model.modules())


def tiny(classes=7):
    """torchvision's ResNet with one block a stage and few channels: quick, and all of the structure."""
    torch.manual_seed(0)
    model = torchvision.models.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=classes)
    model.conv1, model.bn1, model.inplanes = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), 8
    for i in range(1, 5):
        setattr(model, f"layer{i}", model._make_layer(BasicBlock, 4 * 2**i, 1, stride=1 if i == 1 else 2))
    model.fc = nn.Linear(64, classes)
    return model.eval()
