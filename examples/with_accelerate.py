"""Fine-tuning in Accelerate: `accelerate launch examples/with_accelerate.py --data DIR --pretrained --steps 1000`."""

from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from accelerate import Accelerator
from pictures import batches, pictures, resnet18

from camdrop import attach
from camdrop.masks import CamDrop


def main(
    data: Annotated[str | None, typer.Option(help="folder with train/<class>/*; by default the sample")] = None,
    library: Annotated[str, typer.Option(help="torchvision or timm")] = "torchvision",
    pretrained: bool = False,
    size: Annotated[int, typer.Option(help="side of the images in pixels")] = 64,
    batch_size: int = 32,
    steps: int = 100,
    mixed_precision: Annotated[str, typer.Option(help="no, bf16 or fp16")] = "no",
) -> None:
    accelerator = Accelerator(mixed_precision=mixed_precision)
    images, classes = pictures(data, size)
    model = resnet18(library, classes, pretrained).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model, optimizer, loader = accelerator.prepare(model, optimizer, batches(images, batch_size))

    with attach(model, CamDrop(keep_prob=0.9, block_size=3)) as guide:
        step = 0
        while step < steps:
            for x, y in loader:
                with guide.targets(y):
                    loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                accelerator.backward(loss)
                optimizer.step()
                step += 1
                if step % 10 == 0 or step == steps:
                    accelerator.print(f"step {step}: loss {loss:.3f}")
                if step == steps:
                    break


if __name__ == "__main__":
    typer.run(main)
