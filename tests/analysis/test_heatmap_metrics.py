"""Evidence: numbers over images against a loop by hand, and the contact sheet's pixels."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from camdrop.analysis import heatmap_metrics
from camdrop.cam import class_activation_map, statistics, upsample
from camdrop.cli import app as cli
from camdrop.data import Split, load_dataset, normalise
from camdrop.figures import limits, overlay
from tests.support.checkpoint_files import make_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def checkpoint(folder):
    return make_checkpoint(folder)


@pytest.fixture(scope="module")
def sample():
    return load_dataset("fashion-sample", splits=("test",))


def test_estimate_by_hand():
    found = heatmap_metrics.estimate(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    half = 1.959964 * math.sqrt((4 + 1 + 0 + 9) / 3) / 2
    assert found.mean == 3 and found.n == 4
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert heatmap_metrics.estimate(torch.tensor([2.0])).high == math.inf


def test_draw_repeats_and_says_what_is_wrong(sample):
    a, b = (heatmap_metrics.draw(sample.test, 20, 3) for _ in range(2))
    assert torch.equal(a.images, b.images) and len(a) == 20
    assert not torch.equal(a.labels, heatmap_metrics.draw(sample.test, 20, 4).labels)
    assert len(heatmap_metrics.draw(a, None)) == 20
    with pytest.raises(ValueError, match=r"limit must be at least 1.*got 0"):
        heatmap_metrics.draw(a, 0)


def test_measures_are_those_of_each_heatmap(checkpoint, sample):
    few, shares = heatmap_metrics.draw(sample.test, 3), []
    found = heatmap_metrics.measure(checkpoint.model, few, sample.info, progress=shares.append)
    assert shares == pytest.approx([1 / 3, 2 / 3, 1]) and set(found) == set(heatmap_metrics.MEASURES)
    for i in range(3):
        x = normalise(few.images[i : i + 1], sample.info.mean, sample.info.std)
        features = checkpoint.model.stages(x)["layer3"]
        heat = upsample(class_activation_map(features, checkpoint.model.fc.weight, few.labels[i : i + 1]), (28, 28))[0]
        known = statistics(heat)
        assert found["coverage"][i] == pytest.approx(known.coverage) and found["regions"][i] == known.regions
        assert 0 <= found["deletion"][i] <= 1 and 0 <= found["insertion"][i] <= 1


def test_contact_sheet_has_images_above_heatmaps(checkpoint, sample):
    few = Split(sample.test.images[:3], sample.test.labels[:3])
    sheet = heatmap_metrics.contact_sheet([(checkpoint.model, sample.info)] * 2, few, tile=56, gap=4, opacity=0.5)
    assert sheet.shape == (3 * 60 - 4, 3 * 60 - 4, 3) and (sheet[56:60] == 255).all()
    image = few.images[1].expand(3, -1, -1).permute(1, 2, 0).numpy().repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(sheet[:56, 60:116], image)
    x = normalise(few.images, sample.info.mean, sample.info.std)
    heat = heatmap_metrics.heatmaps(checkpoint.model, x, few.labels)[1].detach().numpy()
    low, high = limits([heat])
    np.testing.assert_array_equal(sheet[60:116, 60:116], overlay(image, heat, opacity=0.5, low=low, high=high))
    np.testing.assert_array_equal(sheet[60:116], sheet[120:176])


def test_command_compares_with_the_first(folder, checkpoint, tmp_path, capsys):
    path, again, sheet = str(folder / "tiny.safetensors"), tmp_path / "again.safetensors", tmp_path / "sheet.png"
    shutil.copy(path, again)
    base = [
        "compare",
        path,
        str(again),
        "--data",
        "fashion-sample",
        "--limit",
        "4",
        "--sheet",
        str(sheet),
        "--images",
        "2",
    ]
    cli([*base, "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert said["n"] == 4 and len(said["results"]) == 2 and sheet.read_bytes().startswith(b"\x89PNG")
    assert said["results"][1]["minus_first"]["entropy"] == {"mean": 0, "low": 0, "high": 0, "n": 4}
    cli(base, standalone_mode=False)
    assert "coverage" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"--sheet must end in \.png"):
        cli([*base[:-3], "x.jpg"], standalone_mode=False)
