"""What `camdrop attack`, `compare` and `bounds` found (their --json in files) beside the paper, as Markdown.

Networks of a file that differ in their seed alone are one line: mean ± standard deviation over the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from camdrop.analysis.attacks import PGD
from camdrop.analysis.heatmap_metrics import MEASURES, Estimate
from camdrop.analysis.seeds import Paired, Spread
from camdrop.data import short_name
from camdrop.figures.numbers import NBSP, number, percent
from camdrop.report.groups import (
    against_first,
    difference,
    guided_after_baseline,
    legend,
    over_seeds,
    plus_minus,
    title,
)
from camdrop.report.result_files import Json, by_method, each, head, joined, network, row
from camdrop.report.verdicts import Verdict, verdict

# Table 7: error and success rates of targeted PGD on ImageNet, ResNet-50.
ATTACKED = (("ResNet-50 on ImageNet", 82.21, 30.89), ("the same with CamDrop", 65.73, 20.16))
_RATES = ("clean_error", "error_rate", "success_rate")
_HEADS = {name: name.capitalize() for name in MEASURES} | {"coverage": "Above half of the maximum"}
EXPLAINED = {_HEADS[name]: what for name, what in MEASURES.items()}  # on hover
_CHAIN = ("holds", "holds_unrescaled", "traditional", "guided", "dropped_traditional", "dropped_guided")


def attacks(folders: Sequence[Path]) -> str:
    """Table 7: the paper's rates, and those of the files of `camdrop attack` in the folders."""
    lines = head("", "Clean error", "Error rate", "Success rate", "Images")
    lines += [row(f"Paper: {name}", "", f"{e:.2f}", f"{s:.2f}", "") for name, e, s in ATTACKED]
    found, problems = each(folders, "attack", _attack)
    found.sort(key=lambda file: file[0])
    notes = [
        "In percent; in brackets: 95 % confidence intervals; of several networks, mean ± standard deviation over their "
        "seeds, and behind it the difference to the first, paired by the seed, with the p-value of its t-test.",
        *dict.fromkeys(note for _, _, notes in found for note in notes if note), *problems,
    ]  # fmt: skip
    return joined([*lines, *(line for _, rows, _ in found for line in rows)], notes, "attack")


def _attack(said: Json) -> tuple[int, list[str], tuple[str, str]]:
    """How unlike the paper's attack that of a file is, its rows, and its notes."""
    return len(_unlike_the_paper(said)), _attack_rows(said), (_attack_note(said), legend(said))


def _attack_rows(said: Json) -> list[str]:
    images, data = f"{said['results'][0]['n']:,}", _attacked(said)
    if groups := over_seeds(said):
        cells = ((g, [plus_minus(g, name) + difference(g, name) for name in _RATES]) for g in groups)
        return [row(f"{title(group)}, {data}", *rates, images) for group, rates in cells]
    return _rows(said, said["results"], _rates)


def _rates(found: Json) -> list[str]:
    return [*(_interval(found, rate) for rate in _RATES), f"{found['n']:,}"]


def _attack_note(said: Json) -> str:
    return f"{', '.join(_unlike_the_paper(said)).capitalize() or 'As in the paper'}: {PGD(**said.get('attack', {}))}."


def _attacked(said: Json) -> str:
    """The data, and what of the attack is not as in the paper."""
    return ", ".join([short_name(said["data"]), *_unlike_the_paper(said)])


def _unlike_the_paper(said: Json) -> list[str]:
    pgd = PGD(**said.get("attack", {}))
    other = ["random start"] if pgd.random_start else []
    other += ["step ε ÷ iterations"] if pgd.reach_epsilon else []
    other += [] if (pgd.epsilon, pgd.step, pgd.iterations) == (5, 1, 2) and pgd.targeted else ["another attack"]
    return other


def attack_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each file with both, CamDrop's success rate after the baseline's, and whether the intervals overlap."""

    def verdicts(said: Json) -> list[str]:
        if groups := over_seeds(said):
            before = plus_minus(groups[0], "success_rate", 1)
            return [
                f"{_attacked(said)}, {group['name']}: {before} → {plus_minus(group, 'success_rate', 1)}"
                for group in guided_after_baseline(groups)
            ]
        plain, guided = by_method(said, "baseline"), by_method(said, "camdrop")
        if plain is None or guided is None:
            return []
        lower = guided["success_rate_high"] < plain["success_rate_low"]
        higher = guided["success_rate_low"] > plain["success_rate_high"]
        word = "lower" if lower else "higher" if higher else "no clear difference"
        return [f"{short_name(said['data'])}: {plain['success_rate']:.1f} → {guided['success_rate']:.1f}, {word}"]

    return [word for words in each(folders, "attack", verdicts)[0] for word in words]


def attack_words(folders: Sequence[Path]) -> list[Verdict]:
    """For each file and each CamDrop in it, whether its success rate is below the baseline's."""
    return _words(folders, "attack", lambda group: [against_first(group, "success_rate")], _attacked)


def looks(folders: Sequence[Path]) -> str:
    """What Figure 3 asserts, measured: the files of `camdrop compare` in the folders, paired by image or by seed."""
    means = head("", *_HEADS.values(), "Images")
    apart = head("Minus the first of its data", *_HEADS.values())
    found, problems = each(folders, "compare", lambda said: (_mean_rows(said), _difference_rows(said), legend(said)))
    if not found:
        return joined([], ["No comparison of ours is recorded yet.", *problems], "compare")
    means += [line for rows, *_ in found for line in rows]
    apart += [line for _, rows, _ in found for line in rows]
    words = "; ".join(f"{_HEADS[name]}: {what}" for name, what in MEASURES.items())
    notes = [
        "Of several seeds: mean ± standard deviation over the networks, and the difference paired by the seed with its "
        "95 % interval over the networks. Of one network alone: 95 % intervals over its images, which say nothing of "
        "another network trained alike; differences are of the same images. Bold where 0 is outside. "
        f"{words}.",
        *filter(None, (words for *_, words in found)), *problems,
    ]  # fmt: skip
    return joined([*means, "", *apart], notes, "compare")


def _mean_rows(said: Json) -> list[str]:
    if groups := over_seeds(said):
        cells = ((group, [plus_minus(group, name, 3) for name in MEASURES]) for group in groups)
        return [row(_on(title(group), said), *numbers, f"{said['n']:,}") for group, numbers in cells]

    def means(found: Json) -> list[str]:
        return [*(str(Estimate(**found[name])) for name in MEASURES), f"{said['n']:,}"]

    return _rows(said, said["results"], means)


def _difference_rows(said: Json) -> list[str]:
    if groups := over_seeds(said):
        tests = ((group, [against_first(group, name) for name in MEASURES]) for group in groups[1:])
        return [
            row(_on(title(group), said), *("–" if d is None else _signed(d) for d in found)) for group, found in tests
        ]

    def differences(found: Json) -> list[str]:
        return [_signed(Estimate(**found["minus_first"][name])) for name in MEASURES]

    return _rows(said, said["results"][1:], differences)


def look_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each file that has both, by how much CamDrop's heatmaps cover more of the image than the baseline's."""

    def verdicts(said: Json) -> list[str]:
        data = short_name(said["data"])
        if groups := over_seeds(said):
            tests = ((group, against_first(group, "coverage")) for group in guided_after_baseline(groups))
            return [f"{data}, {group['name']}: {_signed(test)}" for group, test in tests if test]
        guided = by_method(said, "camdrop")
        if guided is None or said["results"][0].get("method") != "baseline":
            return []
        return [f"{data}: {_signed(Estimate(**guided['minus_first']['coverage']))}"]

    return [word for words in each(folders, "compare", verdicts)[0] for word in words]


def look_words(folders: Sequence[Path]) -> list[Verdict]:
    """For each file and each CamDrop in it, whether its heatmaps cover more of the image than the baseline's."""
    more = lambda group: [-test if (test := against_first(group, "coverage")) else None]  # noqa: E731
    return _words(folders, "compare", more, lambda said: short_name(said["data"]))


def bounds(folders: Sequence[Path]) -> str:
    """Eq. 15 and 16, measured: the files of `camdrop bounds` in the folders."""
    found, problems = each(folders, "bounds", lambda said: [_bounds_groups(said)] if over_seeds(said) else [
        _bounds_table(said | one) for one in said.get("results", [said])
    ])  # fmt: skip
    notes = problems if found else ["No measurement of ours is recorded yet.", *problems]
    lines = [line for tables in found for table in tables for line in (*table, "")]
    return joined(lines[:-1], notes, "bounds")


def _bounds_groups(said: Json) -> list[str]:
    """A line for each group of networks: means over the layers, then over the seeds."""
    lines = [
        f"**{short_name(said['data'])}**, {_measured(said)}: means over all layers of a network, ± the standard "
        f"deviation over the seeds; *not rescaled*: without the factor of Eq. 10. {legend(said)}",
        "",
        *head("Trained with", "c ≤ t ≤ none", "not rescaled", "t ÷ none", "c ÷ none", "dropped by t", "by c"),
    ]
    for group in over_seeds(said):
        shares = {
            name: f"{plus_minus(group, name, 1, 100)}{NBSP}%"
            for name in _CHAIN
            if name not in ("traditional", "guided")
        }
        cells = (shares.get(name) or plus_minus(group, name, 3) for name in _CHAIN)
        lines.append(row(title(group), *cells))
    return lines


def _measured(said: Json) -> str:
    return (
        f"{said['images']} images, each {said['parameter']}, γ {said['keep_prob']:g}, r {said['block_size']}, "
        f"t = {said['traditional']}, c = CamDrop ({said['reading']})"
    )


def _bounds_table(said: Json) -> list[str]:
    layers: dict[str, dict[bool, Json]] = {}
    for chain in said["chains"]:
        layers.setdefault(chain["layer"], {})[chain["rescaled"]] = chain
    held = min(chain["gradient_below_bound"] for chain in said["chains"])
    lines = [
        f"**{network(said)}**, {short_name(said['data'])}, {_measured(said)}. Eq. 15 holds for "
        f"{'every pair' if held == 1 else percent(held, '.2f')} of an image and a {said['parameter']}.",
        "",
        *head("Layer", "c ≤ t ≤ none", "not rescaled", "t ÷ none", "c ÷ none", "dropped by t", "by c"),
    ]
    for name, chain in layers.items():
        scaled = chain[True]
        lines.append(row(
            name, percent(scaled['holds'], '.1f'), percent(chain[False]['holds'], '.1f'),
            *(f"{scaled['ratio'][mask]:.3f}" for mask in ("traditional", "guided")),
            *(percent(scaled['dropped'][mask], '.2f') for mask in ("traditional", "guided")),
        ))  # fmt: skip
    return lines


def bound_verdicts(folders: Sequence[Path]) -> list[str]:
    """For each network, or group of them, at how many of the pairs the chain of Eq. 16 holds."""

    def verdicts(said: Json) -> list[str]:
        if groups := over_seeds(said):
            return [f"{group['name']}: {plus_minus(group, 'holds', 0, 100)}{NBSP}% of the pairs" for group in groups]
        found = []
        for one in said.get("results", [said]):
            held = [chain["holds"] for chain in one["chains"] if chain["rescaled"]]
            found.append(
                f"{network(one)}: {percent(min(held), '.0f')} to {percent(max(held), '.0f')} of the pairs, by layer"
            )
        return found

    return [word for words in each(folders, "bounds", verdicts)[0] for word in words]


def bound_words(folders: Sequence[Path]) -> list[Verdict]:
    """For each group of networks, whether its bounds stand in the order of Eq. 16, in the mean over the layers."""
    names = ("traditional_minus_none", "guided_minus_traditional")

    def read(said: Json) -> list[Verdict]:
        if groups := over_seeds(said):
            found = ((group, [Spread(**group[name]).test() for name in names]) for group in groups)
            return [Verdict(verdict(tests), g["trained"], g["name"], len(g["seeds"])) for g, tests in found]
        return [Verdict(verdict([]), network(one), "", 1) for one in said.get("results", [said])]

    return [word for words in each(folders, "bounds", read)[0] for word in words]


def _words(
    folders: Sequence[Path],
    kind: str,
    tests: Callable[[Json], list[Paired | None]],
    data: Callable[[Json], str],
) -> list[Verdict]:
    """A verdict for each CamDrop that stands beside a baseline in a file."""

    def read(said: Json) -> list[Verdict]:
        if groups := over_seeds(said):
            return [
                Verdict(verdict(tests(g)), _trained(g, data(said)), g["name"], len(g["seeds"]))
                for g in guided_after_baseline(groups)
            ]
        pair = said["results"][0].get("method") == "baseline" and by_method(said, "camdrop")
        return [Verdict(verdict([]), data(said), "", 1)] if pair else []

    return [word for words in each(folders, kind, read)[0] for word in words]


def _trained(group: Json, data: str) -> str:
    """What a group was trained on, and on what it was measured where that is not the same."""
    name, *other = data.split(", ")
    return ", ".join([group["trained"], *([] if name in group["trained"].split(", ") else [f"on {name}"]), *other])


def _on(name: str, said: Json) -> str:
    return f"{name}, {short_name(said['data'])}"


def _rows(said: Json, results: Sequence[Json], cells: Callable[[Json], list[str]]) -> list[str]:
    """A line for each of the results of a file, which begins with its network and data set."""
    return [row(f"{network(found)}, {short_name(said['data'])}", *cells(found)) for found in results]


def _interval(found: Json, rate: str) -> str:
    return f"{found[rate]:.2f} [{found[f'{rate}_low']:.2f}, {found[f'{rate}_high']:.2f}]"


def _signed(d: Estimate | Paired) -> str:
    """A difference with its interval, bold where that does not hold 0."""
    words = "{} ({} to {})".format(*(number(value, "+.3f") for value in (d.mean, d.low, d.high)))
    return f"**{words}**" if d.low > 0 or d.high < 0 else words
