"""The paper's tables and figures beside ours, as Markdown: what the page Results shows, and `python -m camdrop report`.

camdrop/report/html.py makes the same an HTML page, with the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camdrop.data import short_name
from camdrop.data.text import markdown_text
from camdrop.figures.numbers import in_percent, unbroken
from camdrop.report import json_results, race_sections, table_sections
from camdrop.report.finished import Found, find
from camdrop.report.guides import guides
from camdrop.report.layout import places
from camdrop.report.leaks import leak_verdicts, leaks
from camdrop.report.paper_tables import TABLES, columns
from camdrop.report.published_code import PUBLISHED_CODE
from camdrop.report.result_files import row
from camdrop.report.verdicts import RULE, Verdict, in_words
from camdrop.runs.sweep import Sweep, list_sweeps

TITLE = "CamDrop Lab: the paper's results and ours"
PROTOCOL = (
    "Errors in percent. The paper reports the median of the best five results on the test set, after 400 epochs. Ours "
    "choose their best checkpoint on images held out of the training set, or take the last where the column says so, "
    "touch the test set once, and are trained for the budget that the column names; ± is the standard deviation over "
    "seeds. Compare within a column."
)
WHY = (
    "**Why CamDrop as in the paper falls behind here.** Its masks are drawn with the true label, so where they cut "
    "tells the label. With masks at every site, a small network soon learns to read it there: its training error, with "
    "masks, is below the baseline's, its validation error, without, far above (Figure 2). [Who guides the "
    "masks](#guides) has the classes that tell nothing, and how much a network obeys its masks. The reading "
    "*official*, that of the authors' [public code](#published-code), drops so little that the network is all but the "
    "baseline. The paper does not speak of this; whether its 400 epochs of a ResNet-110 overcome it, our budgets "
    "cannot tell."
)
_NARROW = 2  # columns of ours of a table that may share its line with another
SWEEP_COMMAND = "python -m camdrop sweep --data mnist --run runs/sweep"


@dataclass(frozen=True)
class Section:
    """A table or figure of the paper: `body` is Markdown; `half` sections stand in pairs where there is room."""

    anchor: str
    title: str
    body: str
    half: bool = False


def sections(folders: Sequence[Path], found: Found | None = None) -> list[Section]:
    """All tables and figures that are measured, in the paper's order; then what is ours."""
    found = find(folders) if found is None else found
    narrow = all(len(columns(TABLES[n], found)) <= _NARROW for n in (2, 3, 4, 5))
    tables = {
        n: Section(
            f"table-{n}", f"Table {n}. {paper.title}", table_sections.table(paper, found), narrow and n in (2, 3, 4, 5)
        )
        for n, paper in TABLES.items()
    }  # fmt: skip
    figure_2 = Section("figure-2", "Figure 2. Training error and validation error", race_sections.races(found))
    figure_3 = Section("figure-3", "Figure 3. Where networks look", json_results.looks(folders))
    measured = "\n\n".join(filter(None, [race_sections.tensions(found), json_results.bounds(folders)]))
    bounds = Section("equation-16", "Equations 13 to 16. Bounds of the gradients", measured)
    figure_4 = Section("figure-4", "Figure 4. Learning rate and retaining rate", sweeps(folders))
    attacks = Section("table-7", "Table 7. Targeted PGD", json_results.attacks(folders))
    who = Section("guides", "Who guides the masks, and where", guides(found))
    told = Section("leakage", "Leakage. What masks tell of the label", leaks(folders))
    code = Section("published-code", "What the published code does", PUBLISHED_CODE)
    before, after = [tables[n] for n in (2, 3, 4, 5)], [tables[6], attacks]
    return [tables[1], figure_2, *before, who, figure_3, bounds, figure_4, *after, told, code]


def overview(folders: Sequence[Path], found: Found | None = None) -> str:
    """What the paper claims, and what became of it here: a line for each of `sections`, with links to them."""
    found = find(folders) if found is None else found
    lines = [row("", "The paper", "Here", "Verdict"), row(":--", ":--", ":--", ":--")]
    settings: dict[str, str] = {}  # what a verdict was found on → what the table calls it

    def short(setting: str) -> str:
        return settings.setdefault(setting, f"S{len(settings) + 1}")

    def line(anchor: str, name: str, claim: str, here: str, verdicts: Sequence[Verdict]) -> None:
        link = unbroken(name)
        lines.append(row(f"[{link}](#{anchor})", claim, here or "not run yet", in_words(verdicts, short)))

    def table_line(n: int) -> None:
        paper = TABLES[n]
        here, verdicts = table_sections.agreement(paper, found), table_sections.verdicts(paper, found)
        line(f"table-{n}", f"Table {n}", table_sections.claim(paper), here, verdicts)

    for n in range(1, 6):
        table_line(n)
        if n == 1:
            claim = "CamDrop has a higher training error than DropBlock, and a lower validation error"
            verdicts = race_sections.crossing_verdicts(found)
            line("figure-2", "Figure 2", claim, race_sections.crossing(found), verdicts)
    claim = "CamDrop's network looks at more of what matters (here: share of the image above half of the maximum)"
    line(
        "figure-3", "Figure 3", claim, "; ".join(json_results.look_verdicts(folders)), json_results.look_words(folders)
    )
    claim = "Masks tighten the bound of each gradient, CamDrop's most: c ≤ t ≤ none"
    here = "; ".join(json_results.bound_verdicts(folders))
    line("equation-16", "Eq. 16", claim, here, json_results.bound_words(folders))
    claim = "Masks in training keep units out of saturation (here: zero after ReLU)"
    verdicts = race_sections.saturation_verdicts(found)
    line("equation-16", "Section 3.4", claim, race_sections.saturation(found), verdicts)
    claim = "CamDrop saves high learning rates at which nothing is learnt without it"
    whole = [sweep for sweep in find_sweeps(folders) if len(sweep.cells) == len(sweep.plan.cells)]
    saved = (
        f"{markdown_text(sweep.title)}: saves {{}} cells, loses {{}}".format(*sweep.saved_and_lost()) for sweep in whole
    )
    verdicts = [Verdict("not tested at this scale", sweep.title, "", 1) for sweep in whole]
    line("figure-4", "Figure 4", claim, "; ".join(saved), verdicts)
    table_line(6)
    before, after = (success for *_, success in json_results.ATTACKED)
    claim = f"CamDrop lowers the success rate of attacks, {before:.1f} → {in_percent(after)}"
    here = "; ".join(json_results.attack_verdicts(folders))
    line("table-7", "Table 7", claim, here, json_results.attack_words(folders))
    claim = "Not spoken of: a mask that the true label guides tells the label"
    lines.append(row("[Leakage](#leakage)", claim, "; ".join(leak_verdicts(folders)) or "not run yet", "no claim"))
    where = [f"- **{name}**: {setting}" for setting, name in settings.items()]
    return "\n".join([*lines, "", *where, "", RULE])


def sweeps(folders: Sequence[Path]) -> str:
    """Figure 4 as numbers: the validation errors of the sweeps in the folders."""
    parts = [sweep_table(found) for found in find_sweeps(folders)] or ["No sweep of ours is recorded yet."]
    return "\n\n".join([*parts, f"Run it: `{SWEEP_COMMAND}`"])


def find_sweeps(folders: Sequence[Path]) -> list[Sweep]:
    """The sweeps in the folders that have cells, of each folder those on the paper's MNIST first."""
    found = [
        sorted(list_sweeps(place), key=lambda sweep: (short_name(sweep.plan.data) != "mnist", sweep.folder.name))
        for place in places(folders, "sweeps")
    ]
    return [sweep for sweeps in found for sweep in sweeps if sweep.cells]


def sweep_table(found: Sweep) -> str:
    """A sweep's validation errors in percent, and what they say of the paper's claim."""
    plan = found.plan
    heads = [f"{keep:g}" for keep in plan.keep_probs]
    lines = [
        f"**{markdown_text(str(found))}.** {found.verdict()}",
        "",
        row("lr \\ γ", *heads),
        row("--:", *("--:" for _ in heads)),
    ]
    for rate in plan.learning_rates:
        lines.append(row(f"{rate:g}", *(str(found.cells.get((rate, keep), "–")) for keep in plan.keep_probs)))
    return "\n".join(lines)


def markdown_report(folders: Sequence[Path]) -> str:
    """The whole report."""
    found = find(folders)
    parts = [f"# {TITLE}", PROTOCOL, overview(folders, found), WHY]
    for section in sections(folders, found):
        parts += [f'<a id="{section.anchor}"></a>', f"## {section.title}", section.body]
    return "\n\n".join(parts) + "\n"
