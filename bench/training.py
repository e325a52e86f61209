"""Our training loop against the usual public CIFAR script, and each method's step against no dropout:
python -m bench.training"""

import argparse
import time

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.report import environment, interleaved, median, ratio, table
from camdrop import data
from camdrop.resnet import build
from camdrop.training import Race, pick_device
from camdrop.training.config import Recipe, contender

_MATCHED = "reading=matched:channels=all:position_fraction=0.5:block_size=4"
METHODS = (
    *("dropout", "spatialdropout", "dropblock", "droppath"),
    *("camdrop", "camdrop:label=random", "camdrop:label=predicted"),
    *(f"camdrop:label={label}:{_MATCHED}" for label in ("random", "predicted")),
)


class Pictures(Dataset):
    """Images as PIL pictures with the usual transforms, as torchvision's CIFAR10 gives them."""

    def __init__(self, split: data.Split, info: data.DataInfo) -> None:
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in split.images]
        self.labels = split.labels.tolist()
        steps = [transforms.RandomCrop(info.size, padding=4), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(info.mean, info.std)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.pictures[i]), self.labels[i]


def plain_loop(split: data.Split, info: data.DataInfo, model_name: str, steps: int, device: torch.device):
    """The usual script: DataLoader with two workers, cross-entropy, SGD, the loss read at every step."""
    model = build(model_name, len(info.classes), info.channels).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(
        Pictures(split, info), 128, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )

    def run() -> None:
        model.train()
        total = 0.0
        for i, (x, y) in enumerate(loader):
            if i == steps:
                break
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device, info = pick_device(args.device), data.INFO["cifar10"]
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (128 * args.steps, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = data.Split(images, torch.randint(0, 10, (len(images),), generator=generator))
    whole = data.Dataset(info, split, split)
    recipe = Recipe(args.model, epochs=10_000, learning_rate=0.01, validation=0.0)

    def ours(method: str):
        race = Race(whole, recipe, [contender(method, {})], device)

        def run() -> None:
            for _ in range(args.steps):
                race.step()
            race.runners[0].pop_metrics(race.progress)

        return run

    print(environment("torchvision"), f"{args.model}, batch 128, {args.steps} steps a round, on {device}\n", sep="\n")
    begin = time.perf_counter()
    calls = {m: ours(m) for m in ("baseline", *METHODS)}
    calls["usual script"] = plain_loop(split, info, args.model, args.steps, device)
    times = interleaved(calls, rounds=args.rounds, warmup=1)
    images_a_round = 128 * args.steps
    rows = [
        {
            "loop": name,
            "images/s": f"{images_a_round / median(seconds):.0f}",
            "time / baseline": f"{ratio(times, name, 'baseline'):.2f}",
            "time / usual script": f"{ratio(times, name, 'usual script'):.2f}",
            "n": len(seconds),
        }
        for name, seconds in times.items()
    ]
    print(table(rows), f"\n{time.perf_counter() - begin:.0f} s", sep="\n")


if __name__ == "__main__":
    main()
