"""CamDrop's and DropBlock's masks against torchvision's and timm's DropBlock, forward pass: python -m bench.masks"""

import argparse

import torch
from timm.layers.drop import drop_block_2d
from torchvision.ops import drop_block2d

from bench.report import environment, interleaved, median, ratio, table
from camdrop.masks import CamDrop, DropBlock

SIZES = {
    "CIFAR stage 1": (128, 16, 32, 32),
    "CIFAR stage 2": (128, 32, 16, 16),
    "CIFAR stage 3": (128, 64, 8, 8),
    "ResNet-50 stage 1": (16, 256, 56, 56),
    "ResNet-50 stage 2": (16, 512, 28, 28),
    "ResNet-50 stage 3": (16, 1024, 14, 14),
    "ResNet-50 stage 4": (16, 2048, 7, 7),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block-size", type=int, default=7, help="odd, since torchvision knows no even block")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    r, rows = args.block_size, []
    print(environment("torchvision", "timm"), f"r = {r}, γ = 0.9, {args.rounds} interleaved rounds\n", sep="\n")
    for name, shape in SIZES.items():
        x, alpha = torch.randn(shape), torch.randn(shape[:2])
        camdrop, dropblock = CamDrop(block_size=r), DropBlock(block_size=r)
        times = interleaved(
            {
                "camdrop": lambda m=camdrop, x=x, a=alpha: m.sample(x, alpha=a).apply(x),
                "dropblock": lambda m=dropblock, x=x: m.sample(x).apply(x),
                "torchvision": lambda x=x: drop_block2d(x, 0.1, r),
                "timm": lambda x=x: drop_block_2d(x, 0.1, r, couple_channels=False),  # a block per channel, as ours
                "copy": lambda x=x: (x.sum(), x * 2),  # the limit: read twice, write once
            },
            rounds=args.rounds,
            warmup=3,
        )
        ms = {k: 1e3 * median(v) for k, v in times.items()}
        rows.append(
            {"size": name, "shape": "×".join(map(str, shape))}
            | {f"{k} ms": f"{v:.2f}" for k, v in ms.items()}
            | {f"CamDrop / {peer}": f"{ratio(times, 'camdrop', peer):.3f}" for peer in ("torchvision", "timm", "copy")}
        )
    print(table(rows))


if __name__ == "__main__":
    main()
