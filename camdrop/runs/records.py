"""The records of a run: follow them, sum them up in a table, compare them, write the command that repeats the run."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from camdrop.masks import METHODS, CamDrop
from camdrop.runs.folder import Run, RunConfig, RunError, read_metrics
from camdrop.training import KNOBS
from camdrop.training.config import Contender, Recipe, method_name

Record = dict[str, Any]

SIGNS = {"keep_prob": "γ", "block_size": "r"}
KNOB_SIGNS = SIGNS | {"learning_rate": "learning rate"}
_DETAILS = {  # option → its usual value, and the words for another
    "reading": ("paper", "reading {}"),
    "guide": ("cam", "guide {}"),
    "channels": ("dominant", "{} channels"),
    "channel_fraction": (1 / 8, "{:g} of channels"),
    "position_fraction": (None, "{:g} of positions"),
}


class Follower:
    """Reads the records of a run folder as they come, and again from the start where a resumed run has cut some off."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.records = folder, list[Record]()
        self._offset, self._tail = 0, b""

    def update(self) -> list[Record]:
        """All records so far. RunError if the file is damaged."""
        path = self.folder / "metrics.jsonl"
        if not path.exists() or self._read_tail(path) != self._tail:
            self.records, self._offset, self._tail = [], 0, b""
        try:
            news, self._offset = read_metrics(self.folder, self._offset)
        except ValueError:
            raise RunError(f"{path} is damaged: a line in it is no record; delete the run, or that line") from None
        if news:
            self.records = [*self.records, *news]
            self._tail = self._read_tail(path)
        return self.records

    def _read_tail(self, path: Path) -> bytes:
        with path.open("rb") as file:
            file.seek(max(0, self._offset - 200))
            return file.read(min(200, self._offset))


@dataclass(frozen=True)
class Result:
    """The latest numbers of a contender. Errors are in percent; `seconds` is the time of its steps alone."""

    contender: Contender
    train_error: float | None = None
    unmasked_train_error: float | None = None
    validation_error: float | None = None
    test_error: float | None = None
    top5_error: float | None = None  # of the test images
    dropped: float | None = None
    obeys: float | None = None
    images_per_second: float | None = None
    seconds: float = 0.0
    epoch: float = 0.0
    ended: str | None = None
    knobs: dict[str, float] = field(default_factory=dict, hash=False)  # those turned, with their last values

    @property
    def name(self) -> str:
        """The contender for people, with the knobs that were turned."""
        return label(self.contender, self.knobs)

    @property
    def error(self) -> float | None:
        """The test error; before the test, the validation error."""
        return self.validation_error if self.test_error is None else self.test_error

    @property
    def gap(self) -> float | None:
        """Validation minus training error, in points."""
        if self.train_error is None or self.validation_error is None:
            return None
        return self.validation_error - self.train_error


def results(run: Run, records: Sequence[Record]) -> list[Result]:
    """A result for each contender: its last records, and after the test the errors of its best checkpoint."""
    rows, by_name, knobs = [], dict[str, list[Record]](), turned(records)
    for record in records:
        by_name.setdefault(record["contender"], []).append(record)
    for contender in run.config.contenders:
        own = by_name.get(contender.name, [])
        points = [record for record in own if record["kind"] == "point"]
        known: Record = {}
        seconds, before = 0.0, 0
        for point in points:
            known |= {k: v for k, v in point.items() if v is not None}
            if point.get("images_per_second"):
                seconds += (point["step"] - before) * run.config.recipe.batch_size / point["images_per_second"]
            before = point["step"]
        for record in own:
            if record["kind"] == "result":
                known |= record | {"epoch": record["best_epoch"]}
        fields = (
            "train_error",
            "unmasked_train_error",
            "validation_error",
            "test_error",
            "top5_error",
            "dropped",
            "obeys",
            "images_per_second",
            "epoch",
        )
        reason = next((record["reason"] for record in own if record["kind"] == "end"), None)
        numbers = {k: known[k] for k in fields if k in known}
        rows.append(Result(contender, seconds=seconds, ended=reason, knobs=knobs.get(contender.name, {}), **numbers))
    return rows


def turned(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """By contender, the knobs that somebody turned while it trained, with their last values.

    Such a contender is no evidence for its configuration.
    """
    found: dict[str, dict[str, float]] = {}
    for record in records:
        if record["kind"] == "knob":
            found.setdefault(record["contender"], {}).update({k: record[k] for k in KNOBS if k in record})
    return found


def knob_words(knobs: Mapping[str, float]) -> str:
    """What turned knobs stand at, such as `turned to γ 0.85 r 2`."""
    return " ".join(["turned to", *(f"{sign} {knobs[name]:g}" for name, sign in KNOB_SIGNS.items() if name in knobs)])


@dataclass(frozen=True)
class Spread:
    """Errors (percent) of runs that differ only in their seed, and these seeds where they are known."""

    errors: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()

    @property
    def by_seed(self) -> dict[int, float]:
        return dict(zip(self.seeds, self.errors, strict=False))

    def __str__(self) -> str:
        if len(self.errors) < 2:
            return ""
        return f"{mean(self.errors):.2f} ± {stdev(self.errors):.2f} ({len(self.errors)} seeds)"


def over_seeds(run: Run, others: Sequence[tuple[Run, Sequence[Record]]]) -> dict[str, Spread]:
    """Test errors by contender over `run` and those of `others` that differ from it only in the seed.

    `others` are runs with their records, and may contain `run`; each seed counts once. Contenders whose knobs were
    turned are left out.
    """
    errors: dict[str, dict[int, float]] = {}
    for other, records in others:
        if same_but_seed(run.config, other.config):
            for row in results(other, records):
                if row.test_error is not None and not row.knobs:
                    errors.setdefault(row.contender.name, {})[other.config.recipe.seed] = row.test_error
    return {name: Spread(tuple(by_seed.values()), tuple(by_seed)) for name, by_seed in errors.items()}


def same_but_seed(a: RunConfig, b: RunConfig) -> bool:
    """Whether two configurations differ at most in the seed."""
    return dataclasses.replace(a, recipe=dataclasses.replace(a.recipe, seed=b.recipe.seed)) == b


def label(contender: Contender, knobs: Mapping[str, float] | None = None) -> str:
    """A contender for people, such as `CamDrop γ 0.9 r 7 true class reading official`, with the turned knobs."""
    method, parts = contender.method, [brief(contender)]
    if isinstance(method, CamDrop):
        values = ((getattr(method, name), usual, words) for name, (usual, words) in _DETAILS.items())
        parts += [words.format(value) for value, usual, words in values if value != usual]
    if method is not None:
        parts += [contender.schedule] if contender.schedule != "constant" else []
        parts += ["at " + ", ".join(names) for names in (contender.stages, contender.kinds) if names]
    return " ".join([*parts, *([knob_words(knobs)] if knobs else [])])


def brief(contender: Contender) -> str:
    """The beginning of a contender's `label`: method, γ, r, and the class that guides."""
    method = contender.method
    parts = ["Baseline" if method is None else type(method).__name__]
    parts += [f"{sign} {getattr(method, name):g}" for name, sign in SIGNS.items() if hasattr(method, name)]
    parts += [f"{method.label} class"] if isinstance(method, CamDrop) and method.guided_by_class else []
    return " ".join(parts)


def short_names(contenders: Sequence[Contender]) -> dict[Contender, str]:
    """The method of each, with the class that guides it or in full where that is what tells them apart."""
    names = shortest([(_kind(c), _guided_kind(c), label(c)) for c in contenders])
    return dict(zip(contenders, names, strict=True))


def shortest(options: Sequence[Sequence[str]]) -> list[str]:
    """Of the ever longer names of each thing the first that no other thing has at its length; else the last."""
    levels = list(zip(*options, strict=True))
    return [
        next((name for name, others in zip(names, levels, strict=True) if others.count(name) == 1), names[-1])
        for names in options
    ]


def _kind(contender: Contender) -> str:
    return "Baseline" if contender.method is None else type(contender.method).__name__


def _guided_kind(contender: Contender) -> str:
    method = contender.method
    if isinstance(method, CamDrop):
        return f"CamDrop ({f'{method.label} class' if method.guided_by_class else 'no class'})"
    return _kind(contender)


def command(config: RunConfig, folder: str, knobs: Mapping[str, Mapping[str, float]] | None = None) -> str:
    """The command line that repeats a run in `folder`, but for the `knobs` (see `turned`), which a remark names."""
    parts = ["python -m camdrop race", "--run", shlex.quote(folder), "--data", shlex.quote(config.data)]
    texts = []
    for contender in config.contenders:
        texts.append(":".join([method_name(contender.method), *(f"{k}={v}" for k, v in _changed(contender).items())]))
    parts += ["--methods", shlex.quote(",".join(texts))]
    usual = Recipe(config.recipe.model, epochs=1)
    for name, flag in _FLAGS.items():
        value = getattr(config.recipe, name)
        if value is not None and (value != getattr(usual, name) or name in ("model", "epochs")):
            parts += [f"--{'' if value else 'no-'}flip"] if name == "flip" else [flag, str(value)]
    for flag, value in (("--device", config.device), ("--threads", config.threads)):
        parts += [] if value is None else [flag, str(value)]
    switches = (("--compile", config.compiled), ("--bounds", config.bounds), ("--leakage", config.leakage))
    parts += [flag for flag, on in switches if on]
    by_hand = "; ".join(label(c, knobs[c.name]) for c in config.contenders if knobs and c.name in knobs)
    return " ".join([*parts, *([f"# by hand, and not repeated: {by_hand}"] if by_hand else [])])


def _changed(contender: Contender) -> dict[str, Any]:
    """The options of a contender that differ from the defaults; a baseline has none."""
    if contender.method is None:
        return {}
    usual = dataclasses.asdict(type(contender.method)()) | {"schedule": "constant"}
    options = dataclasses.asdict(contender.method) | {"schedule": contender.schedule}
    where = {"stages": contender.stages, "sites": contender.kinds}
    return {k: v for k, v in options.items() if v != usual[k]} | {k: "+".join(v) for k, v in where.items() if v}


_FLAGS = {
    "model": "--model", "epochs": "--epochs", "minutes": "--minutes", "batch_size": "--batch-size",
    "learning_rate": "--lr", "lr_schedule": "--lr-schedule", "weight_decay": "--weight-decay",
    "label_smoothing": "--label-smoothing", "crop": "--crop", "flip": "--flip", "validation": "--validation",
    "seed": "--seed", "images": "--images", "label_noise": "--label-noise",
    "selection": "--selection",
}  # fmt: skip


def metrics_csv(records: Sequence[Record]) -> str:
    """All records as CSV, a column for each name in them."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v if not isinstance(v, dict | list) else json.dumps(v) for k, v in r.items()} for r in records)
    return out.getvalue()


def unique_names(contenders: Sequence[Contender]) -> list[Contender]:
    """The contenders, named by their methods; where methods are equal, also by the options that differ."""
    names = [method_name(c.method) for c in contenders]
    for name in {n for n in names if names.count(n) > 1 and n in METHODS}:
        alike = [i for i, n in enumerate(names) if n == name]
        options = [_all_options(contenders[i]) for i in alike]
        differ = [k for k in options[0] if len({str(o[k]) for o in options}) > 1]
        for i, own in zip(alike, options, strict=True):
            names[i] = " ".join([name, *(f"{k}={own[k]}" for k in differ)])
    return [dataclasses.replace(c, name=n) for c, n in zip(contenders, names, strict=True)]


def _all_options(contender: Contender) -> dict[str, Any]:
    options = {} if contender.method is None else dataclasses.asdict(contender.method)
    where = {"stages": contender.stages, "sites": contender.kinds}
    return (
        options
        | {"schedule": contender.schedule}
        | {k: "+".join(names) if names else "all" for k, names in where.items()}
    )
