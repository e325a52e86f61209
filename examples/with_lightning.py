"""Fine-tuning in Lightning: `python examples/with_lightning.py --data DIR --pretrained --steps 1000`."""

from contextlib import ExitStack
from typing import Annotated

import lightning
import torch
import torch.nn.functional as F
import typer
from pictures import batches, pictures, resnet18
from torch import nn

from camdrop import attach
from camdrop.masks import CamDrop, Method


class Classifier(lightning.LightningModule):
    """A network with masks for as long as it is fitted."""

    def __init__(self, model: nn.Module, method: Method) -> None:
        super().__init__()
        self.model, self.method, self.attached = model, method, ExitStack()

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.guide = self.attached.enter_context(attach(self.model, self.method))

    def teardown(self, stage: str) -> None:
        self.attached.close()

    def training_step(self, batch: tuple, index: int) -> torch.Tensor:
        x, y = batch
        with self.guide.targets(y):
            loss = F.cross_entropy(self.model(x), y)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)


def main(
    data: Annotated[str | None, typer.Option(help="folder with train/<class>/*; by default the sample")] = None,
    library: Annotated[str, typer.Option(help="torchvision or timm")] = "torchvision",
    pretrained: bool = False,
    size: Annotated[int, typer.Option(help="side of the images in pixels")] = 64,
    batch_size: int = 32,
    steps: int = 100,
) -> None:
    images, classes = pictures(data, size)
    model = Classifier(resnet18(library, classes, pretrained), CamDrop(keep_prob=0.9, block_size=3))
    trainer = lightning.Trainer(max_steps=steps, logger=False, enable_checkpointing=False, enable_model_summary=False)
    trainer.fit(model, batches(images, batch_size))
    print(f"step {trainer.global_step}: loss {trainer.callback_metrics['loss']:.3f}")


if __name__ == "__main__":
    typer.run(main)
