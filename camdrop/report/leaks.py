"""What `camdrop leakage` found (its --json in files), as Markdown: how much of the label masks tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from camdrop.analysis.leakage import ALL
from camdrop.data import short_name
from camdrop.figures.numbers import percent, unbroken
from camdrop.report.result_files import Json, each, head, joined, network, row
from camdrop.runs.records import label
from camdrop.training.config import Contender, make_method


def leaks(folders: Sequence[Path]) -> str:
    """What masks tell of the label: the files of `camdrop leakage` in the folders."""
    found, problems = each(folders, "leakage", lambda said: (_leak_row(said), _readable_by_stage(said)))
    if not found:
        return joined([], ["No measurement of ours is recorded yet.", *problems], "leakage")
    lines = head(
        "Masks at all sites of training", "Readable", "chance", "Readable where the network errs", "chance", "Obeys",
        "chance", "Images", "errors",
    )  # fmt: skip
    lines += [line for line, _ in found]
    stages = dict.fromkeys(stage for _, (_, shares) in found for stage in shares)
    lines += ["", *head("Readable by stage", *stages)]
    lines += [row(name, *(shares.get(stage, "–") for stage in stages)) for _, (name, shares) in found]
    notes = [
        "In percent; in brackets: 95 % confidence intervals. *Readable*: how often a probe (multinomial logistic "
        "regression, fitted on the masks of two thirds of the images, asked about the others) names the true class "
        "from the masks alone. Masks of a predicted or random class may do so as far as they show the image; where the "
        "network errs, masks that tell no more than its answer are at chance or below. A network whose features are "
        "better than its answers, such as one that has learnt wrong labels by heart, may show more of the image in its "
        "masks than it knows. Chance is the most frequent class. "
        "*Obeys*: how often the network answers a random class for which its masks are drawn.",
        *problems,
    ]
    return joined(lines, notes, "leakage")


def _leak_row(said: Json) -> str:
    whole = said["groups"][ALL]
    measured = (whole["accuracy"], whole["where_wrong"], whole["obeys"])
    cells = [cell for share in measured for cell in (_share(share), f"{100 * share['chance']:.1f}")]
    return row(_masks_name(said), *cells, f"{said['images']:,}", f"{whole['where_wrong']['n']:,}")


def _share(found: Json) -> str:
    """A share with its interval, on one line."""
    words = "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * found[key] for key in ("value", "low", "high")))
    return unbroken(words)


def _readable_by_stage(said: Json) -> tuple[str, dict[str, str]]:
    """The name of the masks, and how readable they are by stage: groups with a dot are single sites."""
    groups = {name: found for name, found in said["groups"].items() if "." not in name}
    return _masks_name(said), {name: f"{100 * found['accuracy']['value']:.1f}" for name, found in groups.items()}


def _masks_name(said: Json) -> str:
    masks = label(Contender("masks", make_method(said["method"], said["options"])))
    return f"{network(said)}, {short_name(said['data'])}: {masks}"


def leak_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each network asked with masks as it was trained, how often it obeys them."""

    def verdict(said: Json) -> str | None:
        obeys = said["groups"][ALL]["obeys"]
        words = (
            f"{network(said)} obeys its masks in {percent(obeys['value'], '.1f')} (chance {100 * obeys['chance']:.0f})"
        )
        return words if said["own"] else None

    return [word for word in each(folders, "leakage", verdict)[0] if word]
