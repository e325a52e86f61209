"""Kill a training at random moments and resume it until it is over: python -m tests.support.kills FOLDER

It prints how often it was killed. The processes are forks of this one, which has run nothing: forks of a process whose
autograd has started threads cannot train.
"""

import multiprocessing
import random
import sys
from pathlib import Path

import torch

from camdrop import runs
from camdrop.checkpoints import load
from camdrop.runs.trainer import train

MOST = 8


def main(folder: Path) -> int:
    context, rng, kills = multiprocessing.get_context("fork"), random.Random(0), 0
    torch.set_num_threads(1)
    while True:
        process = context.Process(target=train, args=(folder,), kwargs={"resume": True})
        process.start()
        process.join(rng.uniform(0.02, 0.6) if kills < MOST else None)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        run = runs.load_run(folder)
        records, _ = runs.read_metrics(folder)
        assert [r["step"] for r in records] == sorted(r["step"] for r in records)
        for checkpoint in folder.glob("*/*.safetensors"):
            load(checkpoint)
        if run.state == "finished":
            return kills
        assert run.state in ("queued", "stopped"), run.message


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
