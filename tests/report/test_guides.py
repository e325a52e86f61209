"""Who guides the masks, and where: from records of races."""

import json
from pathlib import Path

from camdrop import report
from camdrop.cli.options import listed
from camdrop.report.guides import COMMAND, guided, guides
from camdrop.training.config import contender
from tests.support.finished_runs import finish

LAST = ":stages=layer3:sites=branch+skip"
LINES = [
    "baseline", "dropblock", "camdrop:channels=all", "camdrop:channels=all:label=random",
    "camdrop:channels=all:guide=mean", f"camdrop:channels=all{LAST}", f"camdrop:channels=all:guide=mean{LAST}",
    "camdrop", "camdrop:label=random", "camdrop:channels=all:stages=layer2:sites=branch+skip",
]  # fmt: skip


def race(folder: Path, seed: int, model: str = "resnet8") -> None:
    run = finish(
        folder,
        ",".join(LINES),
        [30.0, 20.0, 80.0 + seed, 21.0, 22.0, 31.0, 32.0, 1.0, 1.0, 1.0],
        seed=seed,
        model=model,
    )
    with (folder / "metrics.jsonl").open("a") as file:
        for c, obeys in zip(
            run.config.contenders, (None, 9.0, 90.0 + seed, 11.0, 10.0, 10.0, 10.0, 50.0, 9.0, 9.0), strict=True
        ):
            if obeys:
                point = {"kind": "point", "contender": c.name, "step": 9, "epoch": 2.0, "obeys": obeys}
                file.write(json.dumps(point) + "\n")


def test_cells_are_of_who_and_where(tmp_path: Path) -> None:
    for seed in (0, 1):
        race(tmp_path / f"s{seed}", seed)
    found = report.find([tmp_path])
    (one,) = guided(found)
    assert one.words == "CamDrop γ 0.9 r 8 all channels" and one.chance == 10
    assert {at: cell.mean for at, cell in one.cells.items()} == {
        ("true", "all sites"): 80.5, ("random", "all sites"): 21, ("nobody", "all sites"): 22,
        ("true", "last map"): 31, ("nobody", "last map"): 32,
    }  # fmt: skip
    text = guides(found)
    assert "| true class | 80.50 ± 0.71 | 90.5 ± 0.7 | 2 | 31.00 ± 0.00 | 10.0 ± 0.0 | 2 |" in text
    assert "| random class | 21.00 ± 0.00 | 11.0 ± 0.0 | 2 | – | – | – |" in text
    assert "| (DropBlock) | 20.00 ± 0.00 |  | 2 |" in text and "obeys (chance 10)" in text
    assert "ResNet-8, cifar10, 2 epochs" in text
    said = json.loads(report.json_report([tmp_path]))["guides"][0]
    assert said["cells"][0]["who"] == "true" and said["cells"][0]["obeys"]["mean"] == 90.5
    assert said["others"]["DropBlock"]["mean"] == 20


def test_the_end_of_a_deep_stage_is_not_the_last_map(tmp_path: Path) -> None:
    """Behind a block of the last stage comes another, which could read the mask."""
    race(tmp_path / "deep", 0, "resnet20")
    (one,) = guided(report.find([tmp_path]))
    assert {where for _, where in one.cells} == {"all sites"}


def test_without_runs_it_says_how_to_make_one(tmp_path: Path) -> None:
    text = guides(report.find([tmp_path]))
    assert text.startswith("No run of ours") and f"`{COMMAND}`" in text
    lines = listed(COMMAND.rpartition("--methods ")[2]) or ()
    assert len({contender(line, {"channels": "all"}) for line in lines}) == 10
