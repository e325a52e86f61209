"""A race whose networks ship: python scripts/make_checkpoints.py NAME OPTIONS OF CAMDROP RACE

Runs it in runs/NAME, or goes on with it, and puts the best weights of each contender, in half precision, into
checkpoints/NAME-METHOD.safetensors.
"""

import subprocess
import sys
from pathlib import Path

from camdrop.checkpoints import load, save
from camdrop.runs import load_run
from camdrop.training.config import method_name

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    name, *options = sys.argv[1:]
    folder = ROOT / "runs" / name
    begun = (folder / "config.json").exists()
    if not begun or load_run(folder).state != "finished":
        command = [sys.executable, "-m", "camdrop", "race", "--run", str(folder)]
        subprocess.run([*command, *(["--resume"] if begun else options)], cwd=ROOT, check=True)
    for contender in load_run(folder).config.contenders:
        best = load(folder / contender.name / "best.safetensors")
        target = ROOT / "checkpoints" / f"{name}-{method_name(contender.method)}.safetensors"
        save(target, best.model, best.meta, half=True)
        print(target, f"{best.meta.test_error:.2f} % on {best.meta.test_images:,} test images")


if __name__ == "__main__":
    main()
