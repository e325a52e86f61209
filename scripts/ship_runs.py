"""Copy finished races into `results/runs`, small enough to ship: no networks, no heatmaps, a point an epoch.

    python scripts/ship_runs.py runs/fashion-noise-seed* --out results/runs

What the report shows needs no more; curves of these runs have a point at the end of each epoch.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path


def ship(folder: Path, out: Path) -> int:
    """Copy a run into the folder `out`; how many bytes it has there. ValueError for a run that is not finished."""
    if json.loads((folder / "status.json").read_text())["state"] != "finished":
        raise ValueError(f"{folder} is not finished; resume it first")
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lasting = [r for r in records if r["kind"] != "point" or "validation_error" in r or "unmasked_train_error" in r]
    target = out / folder.name
    target.mkdir(parents=True)
    for name in ("config.json", "status.json"):
        shutil.copy(folder / name, target / name)
    (target / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lasting))
    return sum(path.stat().st_size for path in target.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "results" / "runs")
    args = parser.parse_args()
    for folder in args.runs:
        print(f"{folder.name}: {ship(folder, args.out) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
