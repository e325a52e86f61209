"""What `camdrop attack`, `compare`, `bounds` and `leakage` found (--json in files) beside the paper, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from camdrop.analysis.heatmap_metrics import MEASURES, Estimate
from camdrop.analysis.leakage import ALL
from camdrop.data import short_name
from camdrop.report.layout import json_files
from camdrop.runs.records import label
from camdrop.training.config import Contender, make_method

Json = dict[str, Any]
T = TypeVar("T")

# Table 7: error and success rates of targeted PGD on ImageNet, ResNet-50.
ATTACKED = (("ResNet-50 on ImageNet", 82.21, 30.89), ("the same with CamDrop", 65.73, 20.16))
COMMANDS = {
    kind: f"python -m camdrop {kind} {what} --json > results/{kind}/NAME.json"
    for kind, what in (
        ("attack", "checkpoints/CHECKPOINT… --data DATA"),
        ("compare", "checkpoints/CHECKPOINT… --data DATA"),
        ("bounds", "checkpoints/CHECKPOINT --data DATA"),
        ("leakage", "checkpoints/CHECKPOINT --data DATA --method METHOD"),
    )
}


def attacks(folders: Sequence[Path]) -> str:
    """Table 7: the paper's rates, and those of the files of `camdrop attack` in the folders."""
    lines = head("", "Clean error", "Error rate", "Success rate", "Images")
    lines += [row(f"Paper: {name}", "", f"{e:.2f}", f"{s:.2f}", "") for name, e, s in ATTACKED]
    found, problems = _each(folders, "attack", lambda said: _rows(said, said["results"], _rates))
    notes = ["In percent; in brackets: 95 % confidence intervals.", *problems]
    return _joined([*lines, *(line for rows in found for line in rows)], notes, "attack")


def _rates(found: Json) -> list[str]:
    return [*(_interval(found, rate) for rate in ("clean_error", "error_rate", "success_rate")), f"{found['n']:,}"]


def attack_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each file with both, CamDrop's success rate after the baseline's, and whether the intervals overlap."""

    def verdict(said: Json) -> str | None:
        plain, guided = _by_method(said, "baseline"), _by_method(said, "camdrop")
        if plain is None or guided is None:
            return None
        lower = guided["success_rate_high"] < plain["success_rate_low"]
        higher = guided["success_rate_low"] > plain["success_rate_high"]
        word = "lower" if lower else "higher" if higher else "no clear difference"
        return f"{short_name(said['data'])}: {plain['success_rate']:.1f} → {guided['success_rate']:.1f}, {word}"

    return [word for word in _each(folders, "attack", verdict)[0] if word]


def looks(folders: Sequence[Path]) -> str:
    """What Figure 3 asserts, measured: the files of `camdrop compare` in the folders, paired by image."""
    means = head("", *(name.capitalize() for name in MEASURES), "Images")
    apart = head("Minus the first of its data", *(name.capitalize() for name in MEASURES))
    found, problems = _each(folders, "compare", lambda said: (_mean_rows(said), _difference_rows(said)))
    if not found:
        return _joined([], ["No comparison of ours is recorded yet.", *problems], "compare")
    means += [line for rows, _ in found for line in rows]
    apart += [line for _, rows in found for line in rows]
    words = "; ".join(f"{name}: {what}" for name, what in MEASURES.items())
    notes = [
        f"Means with 95 % confidence intervals; differences are of the same images, so that their intervals are "
        f"narrower; bold where 0 is outside. {words[0].upper()}{words[1:]}.",
        *problems,
    ]
    return _joined([*means, "", *apart], notes, "compare")


def _mean_rows(said: Json) -> list[str]:
    def means(found: Json) -> list[str]:
        return [*(str(Estimate(**found[name])) for name in MEASURES), f"{said['n']:,}"]

    return _rows(said, said["results"], means)


def _difference_rows(said: Json) -> list[str]:
    def differences(found: Json) -> list[str]:
        return [_signed(Estimate(**found["minus_first"][name])) for name in MEASURES]

    return _rows(said, said["results"][1:], differences)


def look_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each file that has both, by how much CamDrop's heatmaps cover more of the image than the baseline's."""

    def verdict(said: Json) -> str | None:
        guided = _by_method(said, "camdrop")
        if guided is None or said["results"][0].get("method") != "baseline":
            return None
        return f"{short_name(said['data'])}: {_signed(Estimate(**guided['minus_first']['coverage']))}"

    return [word for word in _each(folders, "compare", verdict)[0] if word]


def bounds(folders: Sequence[Path]) -> str:
    """Eq. 15 and 16, measured: the files of `camdrop bounds` in the folders."""
    found, problems = _each(folders, "bounds", _bounds_table)
    notes = problems if found else ["No measurement of ours is recorded yet.", *problems]
    lines = [line for table in found for line in (*table, "")]
    return _joined(lines[:-1], notes, "bounds")


def _bounds_table(said: Json) -> list[str]:
    layers: dict[str, dict[bool, Json]] = {}
    for chain in said["chains"]:
        layers.setdefault(chain["layer"], {})[chain["rescaled"]] = chain
    held = min(chain["gradient_below_bound"] for chain in said["chains"])
    t = said["traditional"]
    lines = [
        f"**{_name(said)}**, {short_name(said['data'])}, {said['images']} images, each {said['parameter']}, "
        f"γ {said['keep_prob']:g}, r {said['block_size']}, t = {t}, c = CamDrop ({said['reading']}). Eq. 15 holds for "
        f"{'every pair' if held == 1 else f'{100 * held:.2f} %'} of an image and a {said['parameter']}.",
        "",
        *head("Layer", "c ≤ t ≤ none", "not rescaled", "t ÷ none", "c ÷ none", "dropped by t", "by c"),
    ]
    for name, chain in layers.items():
        scaled = chain[True]
        lines.append(row(
            name, f"{100 * scaled['holds']:.1f} %", f"{100 * chain[False]['holds']:.1f} %",
            *(f"{scaled['ratio'][mask]:.3f}" for mask in ("traditional", "guided")),
            *(f"{100 * scaled['dropped'][mask]:.2f} %" for mask in ("traditional", "guided")),
        ))  # fmt: skip
    return lines


def bound_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each file, at how few and how many of the pairs the chain of Eq. 16 holds, over the layers."""

    def verdict(said: Json) -> str:
        low, high = (
            pick(chain["holds"] for chain in said["chains"] if chain["rescaled"]) for pick in (min, max)
        )  # fmt: skip
        return f"{_name(said)}: {100 * low:.0f} % to {100 * high:.0f} % of the pairs, by layer"

    return _each(folders, "bounds", verdict)[0]


def leaks(folders: Sequence[Path]) -> str:
    """What masks tell of the label: the files of `camdrop leakage` in the folders."""
    found, problems = _each(folders, "leakage", lambda said: (_leak_row(said), _readable_by_stage(said)))
    if not found:
        return _joined([], ["No measurement of ours is recorded yet.", *problems], "leakage")
    lines = head(
        "Masks at all sites of training", "Readable", "chance", "Readable where the network errs", "chance", "Obeys",
        "chance", "Images", "errors",
    )  # fmt: skip
    lines += [line for line, _ in found]
    stages = dict.fromkeys(stage for _, (_, shares) in found for stage in shares)
    lines += ["", *head("Readable by stage", *stages)]
    lines += [row(name, *(shares.get(stage, "–") for stage in stages)) for _, (name, shares) in found]
    notes = [
        "In percent; in brackets: 95 % confidence intervals. *Readable*: how often a probe (multinomial logistic "
        "regression, fitted on the masks of two thirds of the images, asked about the others) names the true class "
        "from the masks alone. Masks of a predicted or random class may do so as far as they show the image; where the "
        "network errs, masks that tell no more than that are at chance or below. Chance is the most frequent class. "
        "*Obeys*: how often the network answers a random class for which its masks are drawn.",
        *problems,
    ]
    return _joined(lines, notes, "leakage")


def _leak_row(said: Json) -> str:
    whole = said["groups"][ALL]
    measured = (whole["accuracy"], whole["where_wrong"], whole["obeys"])
    cells = [cell for share in measured for cell in (_share(share), f"{100 * share['chance']:.1f}")]
    return row(_masks_name(said), *cells, f"{said['images']:,}", f"{whole['where_wrong']['n']:,}")


def _share(found: Json) -> str:
    """A share with its interval, on one line."""
    words = "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * found[key] for key in ("value", "low", "high")))
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _readable_by_stage(said: Json) -> tuple[str, dict[str, str]]:
    """The name of the masks, and how readable they are by stage: groups with a dot are single sites."""
    groups = {name: found for name, found in said["groups"].items() if "." not in name}
    return _masks_name(said), {name: f"{100 * found['accuracy']['value']:.1f}" for name, found in groups.items()}


def _masks_name(said: Json) -> str:
    masks = label(Contender("masks", make_method(said["method"], said["options"])))
    return f"{_name(said)}, {short_name(said['data'])}: {masks}"


def leak_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each network asked with masks as it was trained, how often it obeys them."""

    def verdict(said: Json) -> str | None:
        obeys = said["groups"][ALL]["obeys"]
        words = f"{_name(said)} obeys its masks in {100 * obeys['value']:.1f} % (chance {100 * obeys['chance']:.0f})"
        return words if said["own"] else None

    return [word for word in _each(folders, "leakage", verdict)[0] if word]


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def head(*heads: str) -> list[str]:
    """The head of a Markdown table: the first column is words, the others numbers."""
    return [row(*heads), row(":--", *["--:"] * (len(heads) - 1))]


def _rows(said: Json, results: Sequence[Json], cells: Callable[[Json], list[str]]) -> list[str]:
    """A line for each of the results of a file, which begins with its network and data set."""
    return [row(f"{_name(found)}, {short_name(said['data'])}", *cells(found)) for found in results]


def _each(folders: Sequence[Path], kind: str, read: Callable[[Json], T]) -> tuple[list[T], list[str]]:
    """What `read` makes of each file of a kind, and a line for each file that it cannot read."""
    found, problems = [], []
    for path in json_files(folders, kind):
        try:
            found.append(read(json.loads(path.read_text())))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            problems.append(f"{path.parent.name}/{path.name} cannot be read ({type(error).__name__}).")
    return found, problems


def _joined(lines: Sequence[str], notes: Sequence[str], kind: str) -> str:
    parts = ["\n".join(lines)] if lines else []
    return "\n\n".join([*parts, *notes, f"Run it: `{COMMANDS[kind]}`"])


def _name(found: Json) -> str:
    return Path(found["checkpoint"]).stem


def _by_method(said: Json, method: str) -> Json | None:
    return next((found for found in said["results"] if found.get("method") == method), None)


def _interval(found: Json, rate: str) -> str:
    return f"{found[rate]:.2f} [{found[f'{rate}_low']:.2f}, {found[f'{rate}_high']:.2f}]"


def _signed(d: Estimate) -> str:
    """A difference with its interval, bold where that does not hold 0."""
    words = f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f})".replace("-", "−")
    return f"**{words}**" if d.low > 0 or d.high < 0 else words
