"""How to train the cells of a sweep on a core: races of one, a race of many in lockstep, or networks stacked by
torch.func.vmap: python -m bench.sweep --threads 1"""

import argparse

import torch
import torch.nn.functional as F
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from bench.report import environment, interleaved, median, ratio, table
from camdrop import data
from camdrop.resnet import build
from camdrop.runs.sweep import RECIPE
from camdrop.training import Race, pick_device
from camdrop.training.config import Contender


def stacked(split: data.Split, info: data.DataInfo, cells: int, steps: int):
    """All cells as one model with a leading axis, the best that vmap can do: no masks, no crops, plain SGD."""
    models = [build(RECIPE.model, len(info.classes), info.channels).train() for _ in range(cells)]
    parameters, buffers = stack_module_state(models)
    velocity = {name: torch.zeros_like(value) for name, value in parameters.items()}
    base = models[0].to("meta")

    def loss(parameters, buffers, x, y):
        return F.cross_entropy(functional_call(base, (parameters, buffers), (x,)), y)

    step = vmap(grad_and_value(loss), in_dims=(0, 0, None, None))
    size = RECIPE.batch_size
    x = data.normalise(split.images, info.mean, info.std)

    def run() -> None:
        for i in range(steps):
            some = slice(i * size, (i + 1) * size)
            gradients, _ = step(parameters, buffers, x[some], split.labels[some])
            with torch.no_grad():
                for name, value in parameters.items():
                    velocity[name].mul_(RECIPE.momentum).add_(gradients[name] + RECIPE.weight_decay * value)
                    value.sub_(0.01 * velocity[name])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="steps of each cell a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    info, device = data.INFO["mnist"], pick_device("cpu")
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (RECIPE.batch_size * args.steps, 1, 28, 28), dtype=torch.uint8, generator=draw)
    split = data.Split(images, torch.randint(0, 10, (len(images),), generator=draw))
    whole = data.Dataset(info, split, split)

    def races(each: int):
        found = [
            Race(whole, RECIPE, [Contender(f"cell {i}") for i in range(each)], device)
            for _ in range(args.cells // each)
        ]  # fmt: skip

        def run() -> None:
            for race in found:
                race.done = 0
                for _ in range(args.steps):
                    race.step()

        return run

    calls = {
        "races of one": races(1),
        "one race": races(args.cells),
        "vmap": stacked(split, info, args.cells, args.steps),
    }
    print(environment(), f"{args.cells} cells, {RECIPE.model}, batch {RECIPE.batch_size}, 1×28×28\n", sep="\n")
    times = interleaved(calls, rounds=args.rounds, warmup=1)
    count = args.cells * args.steps * RECIPE.batch_size
    print(table([
        {
            "cells as": name,
            "images/s": f"{count / median(seconds):.0f}",
            "time / races of one": f"{ratio(times, name, 'races of one'):.2f}",
            "n": len(seconds),
        }
        for name, seconds in times.items()
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
