"""Who guides CamDrop's masks, and where they act: the true class, the predicted one, a random one, nobody.

Only contenders whose masks take all channels are compared: without a class there is nothing to choose channels by.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from camdrop.analysis.seeds import spread
from camdrop.data import INFO
from camdrop.masks import CamDrop
from camdrop.report.cells import Cell, Setting, cell, who_guides
from camdrop.report.finished import Found
from camdrop.report.paper_tables import references
from camdrop.report.result_files import head, row
from camdrop.resnet import ARCHITECTURES
from camdrop.runs.records import Result, label
from camdrop.training.config import Contender

WHO = ("true", "predicted", "random", "nobody")
WHERE = ("all sites", "last map")
WORDS = (
    "In percent, mean ± standard deviation over the seeds: the test error, and *obeys*, how often a network answers a "
    "random class for which its masks are drawn. *Last map*: masks at the last block's branch and skip, behind which "
    "nothing can read them. *Nobody*: the mean of the channels in place of a class (`guide=mean`)."
)
_GUIDES = ("camdrop", "camdrop:label=predicted", "camdrop:label=random", "camdrop:guide=mean")
COMMAND = (
    "python -m camdrop race --preset noise --leakage --seed 0 --run runs/guides-seed0 --block-size 4 --reading matched "
    "--position-fraction 0.5 --channels all --methods "
    + ",".join(["baseline", "dropblock", *_GUIDES, *(f"{name}:stages=layer3:sites=branch+skip" for name in _GUIDES)])
)


@dataclass(frozen=True)
class Guided:
    """Test errors of contenders that differ in who guides and where alone, and how often they obey their masks."""

    setting: Setting
    words: str  # what they have in common
    cells: dict[tuple[str, str], Cell]  # by who and where
    obeys: dict[tuple[str, str], tuple[float, ...]]
    others: dict[str, Cell]  # the baseline's and DropBlock's

    @property
    def chance(self) -> float | None:
        """How often a network obeys by chance, in percent; None for data of which we do not know the classes."""
        return 100 / len(INFO[self.setting.data].classes) if self.setting.data in INFO else None


@functools.lru_cache(maxsize=2)
def guided(found: Found) -> tuple[Guided, ...]:
    """For each setting and reading, the contenders with all channels, where there are two guides or more."""
    grouped: dict[tuple[Setting, CamDrop], dict[tuple[str, str], dict[int, tuple[Result, str]]]] = {}
    for run, rows in found.results:
        recipe = run.config.recipe
        setting = Setting(run.config.data, dataclasses.replace(recipe, seed=0))
        for result in rows:
            method, where = result.contender.method, _where(result.contender, recipe.model)
            if isinstance(method, CamDrop) and method.channels == "all" and where and result.test_error is not None:
                who = who_guides(method) or ""
                alike = dataclasses.replace(method, label="true", guide="cam")
                seeds = grouped.setdefault((setting, alike), {}).setdefault((who, where), {})
                seeds[recipe.seed] = (result, run.device)
    said = []
    for (setting, method), parts in grouped.items():
        if len({who for who, _ in parts}) > 1:
            words = label(Contender("camdrop", method)).replace(" true class", "")
            obeys = {
                at: tuple(r.obeys for r, _ in seeds.values() if r.obeys is not None) for at, seeds in parts.items()
            }
            cells = {at: cell(seeds) for at, seeds in parts.items()}
            said.append(Guided(setting, words, cells, obeys, references(found).get(setting, {})))
    return tuple(sorted(said, key=lambda g: (-len(g.cells), -max(c.seeds for c in g.cells.values()), g.words)))


def _where(c: Contender, model: str) -> str | None:
    """All sites, or the last map: the end of the last stage, where that has one block alone; None for others."""
    if c.schedule != "constant":
        return None
    if not c.stages and not c.kinds:
        return WHERE[0]
    blocks = ARCHITECTURES[model].blocks
    last = c.stages == (f"layer{len(blocks)}",) and blocks[-1] == 1
    return WHERE[1] if last and set(c.kinds or ()) == {"branch", "skip"} else None


def guides(found: Found) -> str:
    """The tables as Markdown."""
    parts = [_table(one) for one in guided(found)]
    if not parts:
        parts = ["No run of ours has masks of two guides or more and all channels."]
    return "\n\n".join([*parts, WORDS, f"Run it: `{COMMAND}`"])


def _table(one: Guided) -> str:
    places = [where for where in WHERE if any(at == where for _, at in one.cells)]
    chance = "" if one.chance is None else f" (chance {one.chance:.3g})"
    heads = [text for where in places for text in (f"{where}: error", f"obeys{chance}", "seeds")]
    lines = head("Who guides", *heads)
    for who in (who for who in WHO if any(name == who for name, _ in one.cells)):
        cells = [text for where in places for text in _cells(one, who, where)]
        lines.append(row(f"{who} class" if who != "nobody" else who, *cells))
    for name, other in one.others.items():
        lines.append(row(f"({name})", str(other), "", str(other.seeds), *[""] * (3 * len(places) - 3)))
    return "\n".join([f"**{one.words}** · {one.setting.words}", "", *lines])


def _cells(one: Guided, who: str, where: str) -> Sequence[str]:
    found = one.cells.get((who, where))
    if found is None:
        return ("–", "–", "–")
    obeys = one.obeys[who, where]
    return (str(found), spread(obeys).words(1) if obeys else "–", str(found.seeds))
