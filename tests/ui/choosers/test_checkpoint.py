"""Which checkpoints the browser goes to by itself."""

import dataclasses
import os
from pathlib import Path

import pytest

from camdrop.checkpoints import Checkpoint, save
from tests.support.checkpoint_files import network
from ui.choosers import checkpoint as chooser


@pytest.fixture
def several(tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkpoints are: `a` to `e` of one build, `c` for other classes, and `deep` of another architecture."""
    monkeypatch.setattr(chooser, "FOLDER", tmp_path)
    monkeypatch.setattr(chooser, "run_checkpoints", dict)
    for seed, name in enumerate("abcde"):
        classes = tuple("0123456789") if name == "c" else checkpoint.meta.classes
        save(
            tmp_path / f"{name}.safetensors", network(seed=seed), dataclasses.replace(checkpoint.meta, classes=classes)
        )
    deep = dataclasses.replace(checkpoint.meta, architecture="resnet20")
    save(tmp_path / "deep.safetensors", network("resnet20"), deep)
    return tmp_path


def test_alike_are_those_of_the_same_build_and_the_nearest_come_first(several: Path) -> None:
    metas = chooser.at_hand()
    assert list(metas) == ["a", "b", "c", "d", "e", "deep"]
    assert list(chooser.alike("d", metas)) == ["d", "e", "b", "a"]
    assert list(chooser.alike("c", metas)) == ["c"]
    assert list(chooser.alike("deep", metas)) == ["deep"]


def test_alike_are_few_and_open_in_a_moment(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metas = chooser.at_hand()
    monkeypatch.setattr(chooser, "_NEAR", 2)
    assert list(chooser.alike("a", metas)) == ["a", "b"]
    monkeypatch.setattr(chooser, "_SMALL", (several / "a.safetensors").stat().st_size - 1)
    assert list(chooser.alike("a", metas)) == ["a"]  # itself in any case


def test_alike_leaves_out_one_whose_file_is_gone(several: Path) -> None:
    metas = chooser.at_hand()
    (several / "b.safetensors").unlink()
    assert list(chooser.alike("a", metas)) == ["a", "d", "e"]


def test_a_version_changes_with_the_file(several: Path) -> None:
    before = chooser.versions(["a", "b", "none"])
    path = several / "b.safetensors"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    after = chooser.versions(["a", "b", "none"])
    assert (before["a"], before["none"]) == (after["a"], after["none"]) and before["b"] != after["b"]


def test_a_version_changes_with_what_was_added(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(seed: int, method: str) -> object:
        meta = dataclasses.replace(chooser.at_hand()["a"], method=method)
        monkeypatch.setattr(chooser.add, "added", lambda: {"mine": Checkpoint(network(seed=seed), meta)})
        return chooser.versions(["mine"])["mine"]

    assert version(1, "camdrop") == version(1, "camdrop")
    assert len({repr(version(1, "camdrop")), repr(version(2, "camdrop")), repr(version(1, "dropblock"))}) == 3
