"""The app from a wheel, installed where there is no repository."""

import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from scripts.wheel import SHARE
from tests.support import ROOT
from tests.support.browser import serve_by


@pytest.fixture(scope="module")
def camdrop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `camdrop` of a fresh environment, which has the wheel and sees the packages of the tests."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in (*SHARE, "camdrop", "scripts", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = wheels.glob("camdrop-*.whl")
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/*/site-packages")
    (packages / "tests.pth").write_text("\n".join(site.getsitepackages()))
    subprocess.run([*pip, "--python", str(place / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)])
    return place / "bin" / "camdrop"


def test_explore_shows_heatmaps(camdrop: Path, page: Page, tmp_path: Path) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path / "data")}
    with serve_by([str(camdrop), "app", "--headless"], "--port", cwd=tmp_path, env=env) as address:
        page.goto(address)
        page.set_default_timeout(60_000)
        expect(page.get_by_role("button", name="Remove fashion-noise-resnet8-baseline")).to_be_visible()
        expect(page.get_by_role("img", name="Where fashion-noise-resnet8-camdrop looks for Bag")).to_be_visible()
