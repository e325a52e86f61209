"""Fine-tuning in plain PyTorch: `python examples/plain.py --data DIR --pretrained --steps 1000`."""

from typing import Annotated

import torch
import torch.nn.functional as F
import typer
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
) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, classes = pictures(data, size)
    loader = batches(images, batch_size)
    model = resnet18(library, classes, pretrained).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    with attach(model, CamDrop(keep_prob=0.9, block_size=3)) as guide:
        step = 0
        while step < steps:
            for x, y in loader:
                x, y = x.to(device), y.to(device)
                with guide.targets(y):
                    loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
                if step % 10 == 0 or step == steps:
                    dropped = torch.stack([mask.dropped.mean() for mask in guide.masks.values()]).mean()
                    print(f"step {step}: loss {loss:.3f}, dropped {dropped:.3%}")
                if step == steps:
                    break


if __name__ == "__main__":
    typer.run(main)
