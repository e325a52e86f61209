"""What the documents say is what the code does: formats against what is written, places against what is there."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from camdrop import runs
from camdrop.analysis.attacks import PGD, Tally
from camdrop.analysis.bound_summary import Chain
from camdrop.analysis.heatmap_metrics import MEASURES, Estimate
from camdrop.analysis.leakage import Readable, Share
from camdrop.analysis.seeds import Paired, Spread, over_seeds
from camdrop.checkpoints import Meta
from camdrop.masks import CamDrop, DropBlock
from camdrop.report import json_report
from camdrop.runs import owners, sweep
from camdrop.runs.trainer import train
from camdrop.training.config import Contender, Recipe
from tests.support import ROOT
from tests.support.finished_runs import finish
from tests.support.imports import MODULES, arrows, between_rooms
from tests.support.shades import shades

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/formats.md")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def tables(text: str) -> dict[str, list[list[str]]]:
    """By heading, the tables below it; of each the names in its first column."""
    found: dict[str, list[list[str]]] = {}
    section: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if heading := re.match(r"#+ (.*)", line):
            section = found.setdefault(heading[1], [])
        if line.startswith("| ---"):
            section.append([])
        elif inside and (name := re.match(r"\| `(.*?)` \|", line)):
            section[-1].append(name[1])
        inside = line.startswith("|")
    return found


FORMATS = tables(read("docs/formats.md"))


def fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of record: two contenders, one of which has its knobs turned until it diverges."""
    data = shades(tmp_path_factory.mktemp("shades"), train=10, test=5)
    recipe = Recipe("resnet8", epochs=3, batch_size=8, crop=1, flip=False, validation=0.2)
    contenders = (Contender("baseline"), Contender("dropblock", DropBlock(block_size=3)))
    folder = tmp_path_factory.mktemp("runs") / "run"
    runs.create(folder, runs.RunConfig(data, recipe, contenders, "cpu", 1, bounds=True, leakage=True))
    runs.record_guess(folder, "dropblock")

    def turn(record: dict[str, object]) -> None:
        if record["step"] == 2:
            runs.turn_knobs(folder, "dropblock", {"learning_rate": 1e30, "keep_prob": 0.5, "block_size": 2})

    assert train(folder, listen=turn).state == "finished"
    return folder


def test_the_header_of_a_checkpoint() -> None:
    assert FORMATS["Checkpoints"] == [fields(Meta)]


@pytest.mark.slow
def test_the_files_of_a_run(run: Path) -> None:
    tree = re.findall(r"```\n(.*?)```", read("docs/formats.md"), re.DOTALL)[0]
    said = {re.sub(r"\d+", "N", word) for word in re.findall(r"[\w.]+", tree)}
    for path in run.rglob("*"):
        name = "camdrop" if path.is_dir() and (path / "last.safetensors").exists() else path.name
        assert re.sub(r"\d+", "N", name) in said, path


def test_the_configuration_of_a_run(run: Path) -> None:
    config, recipe, contender = FORMATS["config.json"]
    written = json.loads((run / "config.json").read_text())
    assert set(config) == set(written) and recipe == fields(Recipe) == list(written["recipe"])
    assert {name for c in written["contenders"] for name in c} == set(contender)


def test_the_status_of_a_run(run: Path) -> None:
    assert [sorted(json.loads((run / "status.json").read_text()))] == [
        sorted(table) for table in FORMATS["status.json"]
    ]


def test_the_records_of_a_run(run: Path) -> None:
    common, *by_kind = FORMATS["metrics.jsonl"]
    written: dict[str, set[str]] = {}
    for record in runs.read_metrics(run)[0]:
        written.setdefault(record["kind"], set()).update(record)
    said = {kind: {*common, *names} for kind, names in zip(("point", "knob", "end", "result"), by_kind, strict=True)}
    assert written == said


def test_the_records_that_ship_hold_nothing_else() -> None:
    said = {name for names in FORMATS["metrics.jsonl"] for name in names}
    for path in (ROOT / "results" / "runs").iterdir():
        assert {name for record in runs.read_metrics(path)[0] for name in record} <= said, path


def test_the_guess_of_a_run(run: Path) -> None:
    assert [list(json.loads((run / "guess.json").read_text()))] == FORMATS["guess.json"]


def test_the_owner_of_a_run(tmp_path: Path) -> None:
    owners.set_owner(tmp_path, "secret")
    assert [list(json.loads((tmp_path / owners.FILE).read_text()))] == FORMATS[owners.FILE]


def test_state_and_heatmaps_of_a_run(run: Path) -> None:
    assert [list(torch.load(run / "state.pt", weights_only=True))] == FORMATS["state.pt"]
    with np.load(run / "probes.npz") as probes:
        assert (probes["images"].dtype, probes["labels"].dtype) == (np.uint8, np.int64)
    heats = runs.read_heatmap_history(run)
    assert set(heats[2]) == {"baseline", "dropblock"} and heats[2]["baseline"].dtype == np.float16


def test_sweeps(tmp_path: Path) -> None:
    plan, status, cell = FORMATS["Sweep folders"]
    assert plan == fields(sweep.Plan) and cell == fields(sweep.Cell)
    sweep.set_state(tmp_path, "queued")
    assert list(json.loads((tmp_path / "status.json").read_text())) == status


def test_json_results() -> None:
    parts = re.split(r"^#+ (\w+)\n", read("docs/formats.md"), flags=re.MULTILINE)
    kinds = ("attack", "compare", "bounds", "leakage")
    said = {kind: set(re.findall(r"`(\w+)`", parts[parts.index(kind) + 1])) for kind in (*kinds, "over_seeds")}
    assert said["attack"] >= {*fields(PGD), *Tally(1).numbers()}
    assert said["compare"] >= {*MEASURES, *fields(Estimate)}
    assert FORMATS["bounds"][1] == [name for name in fields(Chain) if name not in ("histogram", "points")]
    groups = said.pop("over_seeds")
    assert groups >= {
        *fields(Spread),
        *fields(Paired),
        *over_seeds({0: Meta("resnet8", 2, 1)}, {0: {}}, lambda _: {})[0],
    }
    assert said["leakage"] >= {*fields(Readable), *fields(Share)}
    said["leakage"] |= {*fields(CamDrop), *fields(Estimate)}
    for kind, names in said.items():
        paths = list((ROOT / "results" / kind).glob("*.json"))
        assert paths, kind
        for path in paths:
            found = json.loads(path.read_text())
            if kind == "leakage":  # by sites, whose names are the network's
                found |= {"groups": list(found["groups"].values())}
            assert keys(found) <= names | groups, path


def test_the_report_as_json(tmp_path: Path) -> None:
    lines = (
        "baseline,dropblock,camdrop:channels=all,camdrop:channels=all:label=predicted,camdrop:guide=mean:channels=all"
    )
    for seed in (0, 1):
        finish(tmp_path / f"run{seed}", lines, [9.0 + seed, 8.0, 7.0, 6.0, 5.0], seed=seed)
    said = json.loads(json_report([tmp_path]))
    text = (
        read("docs/formats.md").partition("## The report as JSON")[2]
        + read("docs/formats.md").partition("### over_")[2]
    )
    titles = {row["title"] for table in said["tables"] for row in table["rows"]}
    assert said["guides"] and keys(said) - titles <= set(re.findall(r"`([\w ]+)`", text)) | set(fields(Recipe))


def keys(value: object) -> set[str]:
    """All names in a JSON value, however deep."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_places_that_a_document_names_are_there(name: str) -> None:
    text = read(name)
    paths = re.findall(r"`((?:camdrop|ui|pages|tests|docs|scripts|bench|examples|results|checkpoints)/[\w./-]*)`", text)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    found = [ROOT / path for path in paths] + [(ROOT / name).parent / link for link in links]
    assert found and [path for path in found if not path.exists()] == []


def test_the_plan_has_every_package_and_its_arrows() -> None:
    text = read("docs/architecture.md")
    (plan,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    drawn: dict[str, set[str]] = {}
    for a, b in re.findall(r"^ *(\w+) --> (\w+)$", plan, re.MULTILINE):
        drawn.setdefault(a, set()).add(b)
    real = between_rooms(arrows(MODULES))
    for room, others in real.items():
        assert others <= below(drawn, room), room
    assert all(b in real[a] for a, others in drawn.items() for b in others)
    packages = [
        path for root in ("camdrop", "ui") for path in (ROOT / root).iterdir() if (path / "__init__.py").exists()
    ]
    assert all(f"`{path.relative_to(ROOT)}/`" in text for path in packages)


def below(drawn: dict[str, set[str]], room: str) -> set[str]:
    """All that can be reached from a room by the arrows."""
    return {found for other in drawn.get(room, ()) for found in {other, *below(drawn, other)}}
