"""What the three loops share: images of two folders deep (train/<class>/*), and a ResNet-18 of either library."""

import timm
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from camdrop.data import load_dataset


def pictures(folder: str | None, size: int) -> tuple[Dataset, int]:
    """Images (3, size, size) with class numbers, and how many classes; without a folder the bundled sample."""
    prepare = [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    if folder:
        cut = [v2.ToImage(), v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()]
        data = ImageFolder(f"{folder}/train", v2.Compose([*cut, *prepare]))
        return data, len(data.classes)
    sample = load_dataset("fashion-sample")
    images = v2.Resize(size)(sample.train.images[:512].expand(-1, 3, -1, -1))
    return TensorDataset(v2.Compose(prepare)(images), sample.train.labels[:512]), len(sample.info.classes)


def batches(data: Dataset, size: int) -> DataLoader:
    return DataLoader(data, size, shuffle=True, drop_last=True)


def resnet18(library: str, classes: int, pretrained: bool) -> nn.Module:
    """ResNet-18 with a new classifier; `pretrained` downloads the weights for ImageNet."""
    if library == "timm":
        return timm.create_model("resnet18", pretrained=pretrained, num_classes=classes)
    model = torchvision.models.resnet18(weights="DEFAULT" if pretrained else None)
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model
