"""What the commands attack, compare, bounds and leakage wrote becomes tables and verdicts."""

import json
from pathlib import Path

import pytest

from camdrop.analysis.heatmap_metrics import MEASURES
from camdrop.cli import app as cli
from camdrop.report import json_results
from tests.support import ROOT

NETWORKS = [str(ROOT / "checkpoints" / f"fashion-resnet8-{method}.safetensors") for method in ("baseline", "camdrop")]


def rates(success: float, half: float) -> dict[str, float]:
    said = {f"{rate}{end}": 10.0 for rate in ("clean_error", "error_rate") for end in ("", "_low", "_high")}
    return said | {"success_rate": success, "success_rate_low": success - half, "success_rate_high": success + half}


@pytest.mark.parametrize(("success", "word"), [(24.0, "no clear difference"), (20.0, "lower"), (31.0, "higher")])
def test_attacks_differ_where_their_intervals_do_not_meet(tmp_path: Path, success: float, word: str) -> None:
    rows = [
        {"checkpoint": f"x/{method}.safetensors", "method": method, "n": 1000} | rates(mean, 2.0)
        for method, mean in (("baseline", 25.0), ("camdrop", success))
    ]
    (tmp_path / "attack-a.json").write_text(json.dumps({"data": "folder:/data/birds/", "results": rows}))
    assert json_results.attack_verdicts([tmp_path]) == [f"birds: 25.0 → {success:.1f}, {word}"]
    text = json_results.attacks([tmp_path])
    assert f"| camdrop, birds | 10.00 [10.00, 10.00] | 10.00 [10.00, 10.00] | {success:.2f} [" in text


def test_differences_are_paired_and_bold_where_zero_is_outside(tmp_path: Path) -> None:
    estimate = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    apart = {"mean": 0.02, "low": 0.01, "high": 0.03, "n": 9}
    level = {"mean": -0.02, "low": -0.05, "high": 0.01, "n": 9}
    means = dict.fromkeys(MEASURES, estimate)
    rows = [
        {"checkpoint": "a.safetensors", "method": "baseline", "minus_first": dict.fromkeys(MEASURES, level)} | means,
        {"checkpoint": "b.safetensors", "method": "camdrop", "minus_first": dict.fromkeys(MEASURES, level)} | means
        | {"minus_first": dict.fromkeys(MEASURES, level) | {"coverage": apart}},
    ]  # fmt: skip
    (tmp_path / "compare.json").write_text(json.dumps({"data": "mnist", "n": 9, "results": rows}))
    (tmp_path / "compare-torn.json").write_text('{"data": "mnist", "results": [{}]')
    text = json_results.looks([tmp_path])
    assert "| b, mnist | **+0.020 (+0.010 to +0.030)** | −0.020 (−0.050 to +0.010) |" in text
    assert "| a, mnist | 0.500 (0.400–0.600) |" in text and "compare-torn.json cannot be read" in text
    assert json_results.look_verdicts([tmp_path]) == ["mnist: **+0.020 (+0.010 to +0.030)**"]


def test_what_the_commands_write_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, arguments in (
        ("attack", [*NETWORKS, "--limit", "20"]),
        ("compare", [*NETWORKS, "--limit", "4"]),
        ("bounds", [NETWORKS[1], "--images", "4", "--layers", "layer3.0.conv2", "--block-size", "4"]),
    ):
        cli([kind, *arguments, "--data", "fashion-sample", "--json"], standalone_mode=False)
        (tmp_path / f"{kind}.json").write_text(capsys.readouterr().out)
    assert (
        json_results.attacks([tmp_path]).count("fashion-sample") == 2
        and len(json_results.attack_verdicts([tmp_path])) == 1
    )
    assert json_results.looks([tmp_path]).count("| fashion-resnet8-camdrop, fashion-sample |") == 2
    text = json_results.bounds([tmp_path])
    chain, plain = json.loads((tmp_path / "bounds.json").read_text())["chains"]
    assert f"| layer3.0.conv2 | {100 * chain['holds']:.1f} % | {100 * plain['holds']:.1f} % |" in text
    assert "t = dropblock, c = CamDrop (paper). Eq. 15 holds for every pair" in text
    assert json_results.bound_verdicts([tmp_path]) == [
        f"fashion-resnet8-camdrop: {100 * chain['holds']:.0f} % to {100 * chain['holds']:.0f} % of the pairs, by layer"
    ]
    cli(
        ["leakage", NETWORKS[1], "--data", "fashion-sample", "--images", "60", "--by", "all", "--json"],
        standalone_mode=False,
    )
    (tmp_path / "leakage.json").write_text(capsys.readouterr().out)
    whole = json.loads((tmp_path / "leakage.json").read_text())["groups"]["all sites"]
    leaks, accuracy = json_results.leaks([tmp_path]), whole["accuracy"]
    shown = f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"
    assert f"fashion-sample: CamDrop γ 0.9 r 7 true class reading official | {shown} |" in leaks.replace("\xa0", " ")
    assert f"| {100 * whole['obeys']['chance']:.1f} | 60 | {whole['where_wrong']['n']} |" in leaks
    assert json_results.leak_verdicts([tmp_path]) == [
        f"fashion-resnet8-camdrop obeys its masks in {100 * whole['obeys']['value']:.1f} % (chance 10)"
    ]
    assert "cannot be read" not in leaks + text + json_results.attacks([tmp_path]) + json_results.looks([tmp_path])


def test_what_the_networks_that_ship_tell() -> None:
    """Masks of the true class tell it, also where the network errs; others do not, and only one network obeys."""
    said = {path.stem: json.loads(path.read_text()) for path in (ROOT / "results" / "leakage").glob("*.json")}
    whole = {name.removeprefix("fashion-noise-"): found["groups"]["all sites"] for name, found in said.items()}
    assert whole["camdrop-leaky"]["obeys"]["value"] >= 0.5 and whole["camdrop"]["obeys"]["value"] <= 0.15
    for name, where in ((name, found["where_wrong"]["value"]) for name, found in whole.items()):
        tells = name in ("camdrop-leaky", "camdrop-true", "baseline-true")
        assert where >= 0.8 if tells else where <= 0.25, name
