"""A race whose networks ship: python scripts/make_checkpoints.py NAME OPTIONS OF CAMDROP RACE

Runs it in runs/NAME, or goes on with it, and puts the best weights of each contender, in half precision, into
checkpoints/NAME-METHOD.safetensors, with the test error of the weights as stored. Of two CamDrops, the one that the
true label guides is NAME-camdrop-leaky.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

from camdrop.checkpoints import load, save
from camdrop.data import load_dataset
from camdrop.masks import CamDrop
from camdrop.runs import load_run
from camdrop.training import evaluate
from camdrop.training.config import Contender, method_name

ROOT = Path(__file__).resolve().parent.parent


def suffix(contender: Contender, contenders: tuple[Contender, ...]) -> str:
    """What tells a network of a race from the others of its set, at the end of its file's name."""
    name = method_name(contender.method)
    labels = [c.method.label for c in contenders if isinstance(c.method, CamDrop)]
    leaky = isinstance(contender.method, CamDrop) and contender.method.label == "true" and len(labels) > 1
    return f"{name}-leaky" if leaky else name


def main() -> None:
    name, *options = sys.argv[1:]
    folder = ROOT / "runs" / name
    begun = (folder / "config.json").exists()
    if not begun or load_run(folder).state != "finished":
        command = [sys.executable, "-m", "camdrop", "race", "--run", str(folder)]
        subprocess.run([*command, *(["--resume"] if begun else options)], cwd=ROOT, check=True)
    config = load_run(folder).config
    contenders, data = config.contenders, load_dataset(config.data)
    for contender in contenders:
        best = load(folder / contender.name / "best.safetensors")
        target = ROOT / "checkpoints" / f"{name}-{suffix(contender, contenders)}.safetensors"
        save(target, best.model, best.meta, half=True)
        stored = load(target)
        tested = evaluate(stored.model, data.test, data.info)["top1_error"]
        meta = dataclasses.replace(best.meta, test_error=tested)
        save(target, best.model, meta, half=True)
        print(target, f"{meta.test_error:.2f} % on {meta.test_images:,} test images")


if __name__ == "__main__":
    main()
