"""Run folders as finished races leave them."""

import json
from pathlib import Path

from camdrop import runs
from camdrop.training.config import Recipe, contender


def finish(folder: Path, methods: str, errors: list[float], **recipe: object) -> runs.Run:
    """A run folder as a finished race leaves it, with these test errors."""
    contenders = tuple(contender(text, {"keep_prob": 0.9, "block_size": 8}) for text in methods.split(","))
    runs.create(folder, runs.RunConfig("cifar10", Recipe(**({"model": "resnet20", "epochs": 2} | recipe)), contenders))
    lines = [
        {"kind": "point", "contender": c.name, "step": 9, "epoch": 2.0, "train_error": error / 2,
         "validation_error": error}
        for c, error in zip(contenders, errors, strict=True)
    ]  # fmt: skip
    lines += [
        {"kind": "result", "contender": c.name, "step": 9, "epoch": 2, "test_error": error, "top5_error": 1.0,
         "validation_error": error, "train_error": error / 2, "best_epoch": 2}
        for c, error in zip(contenders, errors, strict=True)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "status.json").write_text(json.dumps({"state": "finished", "step": 9, "total": 9, "device": "a GPU"}))
    return runs.load_run(folder)
