"""Suffixes in capitals are those in small letters, and what a command cannot serve is one sentence."""

import numpy as np
import pytest
from PIL import Image

from camdrop.checkpoints import Meta, save
from tests.support.checkpoint_files import network
from tests.support.command import run

CHECKPOINT = "checkpoints/fashion-resnet8-camdrop.safetensors"


@pytest.fixture
def image(tmp_path):
    Image.new("L", (28, 28), 90).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("name", ["HEAT.PNG", "heat.Png", "MAP.NPY", "map.npy"])
def test_cam_writes_the_file_that_was_named(tmp_path, monkeypatch, capsys, image, name):
    assert run(monkeypatch, "cam", CHECKPOINT, image, "--out", tmp_path / "out" / name) == 2  # no such folder
    assert "camdrop:" in capsys.readouterr().err
    assert run(monkeypatch, "cam", CHECKPOINT, image, "--out", tmp_path / name) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.png", name])
    if name.lower().endswith("npy"):
        assert np.load(tmp_path / name).shape == (28, 28)
    else:
        assert Image.open(tmp_path / name).size[0] >= 28


@pytest.mark.parametrize("name", ["R.MD", "r.Json"])
def test_reports(tmp_path, monkeypatch, name):
    assert run(monkeypatch, "report", "--runs", tmp_path, "--out", tmp_path / name) == 0
    assert (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize("channels", [2, 4])
def test_cam_of_a_network_of_other_channels_is_a_sentence(tmp_path, monkeypatch, capsys, image, channels):
    save(tmp_path / "n.safetensors", network("resnet8", 5, channels), Meta("resnet8", 5, channels))
    assert run(monkeypatch, "cam", tmp_path / "n.safetensors", image, "--out", tmp_path / "x.png") == 2
    said = capsys.readouterr().err
    assert f"takes images of {channels} channels, but files of images are grey or RGB" in said and said.count("\n") == 1
