"""What the commands attack, compare and bounds wrote becomes tables and verdicts."""

import copy
import dataclasses
import json
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch
from scipy.stats import ttest_rel

from camdrop import report
from camdrop.analysis.bound_summary import Chain, over_layers
from camdrop.analysis.heatmap_metrics import MEASURES
from camdrop.checkpoints import load, save
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
    (tmp_path / "attack-torn.json").write_text(
        json.dumps({"data": "x", "over_seeds": [{"seeds": [0, 1]}], "results": [rates(1, 1)]})
    )
    assert "attack-torn.json cannot be read (KeyError)" in json_results.attacks([tmp_path])
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
    assert f"| layer3.0.conv2 | {100 * chain['holds']:.1f}\u00a0% | {100 * plain['holds']:.1f}\u00a0% |" in text
    assert "t = dropblock, c = CamDrop (paper). Eq. 15 holds for every pair" in text
    held = f"{100 * chain['holds']:.0f}\u00a0%"
    assert json_results.bound_verdicts([tmp_path]) == [
        f"fashion-resnet8-camdrop: {held} to {held} of the pairs, by layer"
    ]
    assert "cannot be read" not in text + json_results.attacks([tmp_path]) + json_results.looks([tmp_path])


@pytest.fixture(scope="module")
def of_two_seeds(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two networks of the race `noise`, each once more as if another seed had made it."""
    folder, paths = tmp_path_factory.mktemp("networks"), []
    for method in ("baseline", "camdrop"):
        shipped = load(ROOT / "checkpoints" / f"fashion-noise-resnet8-{method}.safetensors")
        for seed in (0, 1):
            model = copy.deepcopy(shipped.model)
            with torch.no_grad():
                model.fc.weight.add_(0.02 * seed * torch.randn(model.fc.weight.shape, generator=torch.Generator()))
            path = folder / f"{method}-seed{seed}.safetensors"
            save(path, model, dataclasses.replace(shipped.meta, seed=seed, recipe=shipped.meta.recipe | {"seed": seed}))
            paths.append(str(path))
    return paths


@pytest.mark.slow
def test_networks_that_differ_in_the_seed_are_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], of_two_seeds: list[str]
) -> None:
    said = {}
    for kind, options in (
        ("attack", ["--limit", "40", "--reach-epsilon"]),
        ("compare", ["--limit", "6"]),
        ("bounds", ["--images", "4", "--layers", "layer3.0.conv1,layer3.0.conv2", "--block-size", "4"]),
    ):
        cli([kind, *of_two_seeds, *options, "--data", "fashion-sample", "--json"], standalone_mode=False)
        (tmp_path / f"{kind}.json").write_text(capsys.readouterr().out)
        said[kind] = json.loads((tmp_path / f"{kind}.json").read_text())
        assert [(g["method"], g["seeds"], g["who"]) for g in said[kind]["over_seeds"]] == [
            ("baseline", [0, 1], None), ("camdrop", [0, 1], "predicted"),
        ]  # fmt: skip
    trained = "ResNet-8, fashion-sample, 1,000 images, 40\u00a0% label noise, 30 epochs, the last tested"
    assert said["attack"]["over_seeds"][0]["trained"] == trained

    rates = [row["success_rate"] for row in said["attack"]["results"]]
    group = said["attack"]["over_seeds"][1]
    assert group["success_rate"]["mean"] == pytest.approx(mean(rates[2:]))
    assert group["success_rate"]["std"] == pytest.approx(stdev(rates[2:]))
    expected = ttest_rel(rates[2:], rates[:2])
    assert group["minus_first"]["success_rate"]["p"] == pytest.approx(expected.pvalue, nan_ok=True)
    text = json_results.attacks([tmp_path])
    assert "| CamDrop, 2 seeds, fashion-sample, step ε ÷ iterations | " in text
    assert "step 2.5 (ε ÷ iterations)" in text and f"Trained on {trained}: Baseline; CamDrop: CamDrop γ 0.9 r 4" in text
    (word,) = json_results.attack_words([tmp_path])
    assert (word.word, word.seeds) == ("not tested at this scale", 2)

    covered = [row["coverage"]["mean"] for row in said["compare"]["results"]]
    text = json_results.looks([tmp_path])
    assert f"| Baseline, 2 seeds, fashion-sample | {mean(covered[:2]):.3f} ± {stdev(covered[:2]):.3f} |" in text
    assert "| CamDrop, 2 seeds, fashion-sample | " in text.partition("Minus the first")[2]

    chains = said["bounds"]["results"][0]["chains"]
    held = mean(chain["holds"] for chain in chains if chain["rescaled"])
    first = over_layers([Chain(**chain, histogram={}, points={}) for chain in chains])
    assert first["holds"] == pytest.approx(held) and said["bounds"]["over_seeds"][0]["holds"]["n"] == 2
    assert "| Baseline, 2 seeds | " in json_results.bounds([tmp_path])
    assert len(json_results.bound_words([tmp_path])) == 2
    assert "cannot be read" not in report.markdown_report([tmp_path])
