"""Every method on CIFAR-10 with one GPU: ResNet-110 and ResNet-20, several seeds, the paper's ablations.

    python scripts/gpu_job.py --data folder:DIR --minutes 60 --out OUT

Each run is `python -m camdrop train --preset …` in `runs/gpu/NAME`, and several share the GPU (--at-once). When the
time is up, all get SIGTERM and write their state, and the same command goes on with them where they were: for a GPU
that one has for a while at a time.

OUT gets the configuration, metrics, status and half-precision checkpoints of all runs as one archive in parts:
`cat OUT/pack.* | tar xJ -C results/runs` puts them where the report finds them. With --states also state.pt, to go on
elsewhere.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAIN = {  # the most important first: γ 0.9, r 8 at every site, as in the paper
    "baseline": "baseline", "dropblock": "dropblock",
    "predicted": "camdrop:label=predicted:reading=matched:channels=all:position_fraction=0.5", "camdrop": "camdrop",
    "dropout": "dropout", "droppath": "droppath", "spatialdropout": "spatialdropout",
}  # fmt: skip
MORE = {
    "matched": "camdrop:reading=matched", "official": "camdrop:reading=official", "random": "camdrop:label=random",
    "prose": f"camdrop:position_fraction={1 - 1 / 64}",
}  # fmt: skip
ABLATIONS = {
    "mean": "camdrop:guide=mean", "all": "camdrop:channels=all", "no-label": "camdrop:guide=mean:channels=all",
    **{f"fraction-{f}": f"camdrop:channel_fraction={1 / f}" for f in (16, 4, 2)},
}  # fmt: skip
SEEDS = (0, 1, 2)
PART = 15 * 2**20  # bytes of a file that comes back


def jobs(epochs: int, short: int) -> dict[str, list[str]]:
    """Name → arguments of `camdrop train`, the most important first."""
    found: dict[str, list[str]] = {}

    def add(model: str, name: str, method: str, seed: int, length: int) -> None:
        arguments = ["--preset", f"cifar-{model}", "--epochs", str(length), "--seed", str(seed), "--method", method]
        found[f"{model}-{name}-{length}epochs-seed{seed}"] = arguments

    for seed in SEEDS:
        for name, method in MAIN.items():
            add("resnet110", name, method, seed, epochs)
    for seed in SEEDS:
        for name, method in (MAIN | MORE).items():
            add("resnet20", name, method, seed, epochs)
    for name, method in (("camdrop", "camdrop"), *ABLATIONS.items()):
        add("resnet110", name, method, 0, short)
    return found


def state_of(folder: Path) -> str:
    from camdrop.runs import RunError, load_run

    try:
        return load_run(folder).state
    except RunError:
        return "new"


def begin(folder: Path, arguments: list[str], common: list[str]) -> subprocess.Popen[bytes]:
    again = ["--resume"] if state_of(folder) != "new" else [*arguments, *common]
    command = [sys.executable, "-m", "camdrop", "train", "--run", str(folder), *again]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def pack(runs: Path, out: Path, states: bool) -> None:
    """All runs but for what only resuming needs, unless `states`; their checkpoints in half precision."""
    from camdrop.checkpoints import load, save

    whole = runs / "pack.tar.xz"
    with tarfile.open(whole, "w:xz", preset=1) as archive:
        for folder in sorted(path for path in runs.iterdir() if (path / "config.json").exists()):
            for weights in folder.glob("*/best.safetensors"):
                checkpoint = load(weights)
                half = weights.with_name("half.safetensors")
                save(half, checkpoint.model, checkpoint.meta, half=True)
                archive.add(half, f"{folder.name}/{weights.parent.name}/best.safetensors")
            for name in ("config.json", "metrics.jsonl", "status.json", *(["state.pt"] if states else [])):
                if (folder / name).exists():
                    archive.add(folder / name, f"{folder.name}/{name}")
    out.mkdir(parents=True, exist_ok=True)
    data = whole.read_bytes()
    for i in range(0, len(data), PART):
        (out / f"pack.{i // PART:02d}").write_bytes(data[i : i + PART])
    print(f"packed {len(data) / 2**20:.1f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="as for camdrop train: folder:DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="of training, before packing")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--short-epochs", type=int, default=40, help="of the ablations")
    parser.add_argument("--at-once", type=int, default=9, help="processes that share the GPU")
    parser.add_argument("--only", default="", help="only runs whose name contains this")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "gpu")
    parser.add_argument("--states", action="store_true", help="pack the states too, to go on elsewhere")
    parser.add_argument("--rest", nargs=argparse.REMAINDER, default=[], help="further options of camdrop train")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    end = time.monotonic() + 60 * args.minutes
    waiting = {n: a for n, a in jobs(args.epochs, args.short_epochs).items() if args.only in n}
    waiting = {n: a for n, a in waiting.items() if state_of(args.runs / n) != "finished"}
    common, running = ["--data", args.data, *args.rest], dict[str, subprocess.Popen[bytes]]()
    failed: set[str] = set()
    while (waiting or running) and time.monotonic() < end:
        while waiting and len(running) < args.at_once:
            name = next(iter(waiting))
            running[name] = begin(args.runs / name, waiting.pop(name), common)
        for name in [n for n, process in running.items() if process.poll() is not None]:
            code = running.pop(name).returncode
            print(f"{name}: {'done' if code == 0 else f'ended with {code}, see its log'}", flush=True)
            failed |= {name} if code else set()
        time.sleep(0.5)
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    for name, process in running.items():
        process.wait()
        print(f"{name}: stopped, goes on at the next call", flush=True)
    pack(args.runs, args.out, args.states)
    left = len(running) + len(waiting) + len(failed)
    print(f"{left} runs are left", flush=True)


if __name__ == "__main__":
    main()
