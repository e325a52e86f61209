"""Where things lie: in a repository, and without one."""

from pathlib import Path

import platformdirs
import pytest

from camdrop import shipped as folders
from tests.support import ROOT


def test_in_a_repository_all_lies_beside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMDROP_RUNS", raising=False)
    assert folders.in_repository()
    assert folders.shipped("app.py") == ROOT / "app.py"
    assert folders.own("runs") == ROOT / "runs"


def test_without_one_what_comes_along_is_in_the_package_and_the_rest_where_users_data_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAMDROP_CHECKPOINTS", raising=False)
    package = tmp_path / "site-packages" / "camdrop"
    (package / "share" / "checkpoints").mkdir(parents=True)
    monkeypatch.setattr(folders, "_PACKAGE", package)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / "home" / name)
    assert not folders.in_repository()
    assert folders.shipped("checkpoints") == package / "share" / "checkpoints"
    assert folders.own("checkpoints") == tmp_path / "home" / "camdrop" / "checkpoints"
    assert not folders.shipped("results").exists()


def test_a_variable_names_ones_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path / "sets"))
    assert folders.own("data") == tmp_path / "sets"
