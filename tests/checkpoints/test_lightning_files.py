"""Checkpoints as Lightning writes them while it trains: loss weights, metric states, averages and hyperparameters."""

import argparse
from pathlib import Path

import lightning
import pytest
import torch
import torchmetrics
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, StochasticWeightAveraging, WeightAveraging
from torch import nn
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models

from camdrop.checkpoints import load
from tests.support.checkpoint_files import images

pytestmark = pytest.mark.slow
CLASSES = ("ant", "bee", "wasp")


class Module(lightning.LightningModule):
    """A classifier as people write it: its network is `model`, the rest stands beside it."""

    def __init__(self, options: argparse.Namespace, classes: tuple[str, ...] = CLASSES) -> None:
        super().__init__()
        self.save_hyperparameters()
        torch.manual_seed(0)
        self.model = getattr(models, options.network)(num_classes=len(classes))
        self.criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]))
        self.accuracy = torchmetrics.Accuracy("multiclass", num_classes=len(classes))
        self.accuracy.persistent(True)
        self.confusion = torchmetrics.ConfusionMatrix("multiclass", num_classes=len(classes))
        self.confusion.persistent(True)
        self.register_buffer("mean", torch.tensor([0.5, 0.5, 0.5]))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        x, y = batch
        said = self.model(x)
        self.accuracy(said, y), self.confusion(said, y)
        self.log("accuracy", self.accuracy, on_epoch=True)
        return self.criterion(said, y)

    def configure_optimizers(self) -> object:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)]


EXTRAS: dict[str, list[Callback]] = {
    "as it comes": [],
    "SWA": [StochasticWeightAveraging(swa_lrs=1e-3, swa_epoch_start=1)],
    "EMA": [WeightAveraging(avg_fn=get_ema_avg_fn(0.9))],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("extra", "network"), zip(EXTRAS, ("mobilenet_v2", "resnet18", "resnet18"), strict=True))
def test_what_lightning_saves_opens(tmp_path: Path, extra: str, network: str) -> None:
    options = argparse.Namespace(network=network, root=Path("data"), lr=1e-3, tags=["a", "b"])
    module = Module(options)
    torch.manual_seed(1)
    data = DataLoader(TensorDataset(torch.randn(8, 3, 32, 32), torch.arange(8) % 3), 4)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[*EXTRAS[extra], ModelCheckpoint(tmp_path, "best", monitor="accuracy", mode="max", save_last=True)],
    )  # fmt: skip
    trainer.fit(module, data)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    expected = getattr(models, network)(num_classes=3).eval()
    expected.load_state_dict({k.removeprefix("model."): v for k, v in kept.items() if k.startswith("model.")})
    x = images(3, 32)
    for path in tmp_path.glob("*.ckpt"):
        found = load(path)
        assert found.meta.architecture.endswith(network) and found.meta.classes == CLASSES
        if path.stem == "last":
            with torch.no_grad():
                torch.testing.assert_close(found.model(x), expected(x), rtol=1e-4, atol=1e-4)
