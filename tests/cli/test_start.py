"""`camdrop app`: what it hands to Streamlit, and what it refuses; tests/browser/test_wheel.py starts it."""

import runpy
import socket
import sys
from importlib import util
from pathlib import Path

import pytest

from camdrop import cli
from tests.support import ROOT


def start(monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[int, list[str]]:
    """Its exit status, and the command line that Streamlit would have got."""
    started: list[str] = []
    monkeypatch.setattr(sys, "argv", ["camdrop", "app", *args])
    monkeypatch.setattr(runpy, "run_module", lambda name, **_: started.extend((name, *sys.argv[1:])))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), started


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def test_folders_and_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int
) -> None:
    for name in ("RUNS", "DATA", "CHECKPOINTS"):
        monkeypatch.setenv(f"CAMDROP_{name}", "")  # and back to what it was after the test
    status, started = start(monkeypatch, f"--port={port}", "--runs", str(tmp_path / "r"), "--headless")
    assert status == 0
    assert started == ["streamlit", "run", str(ROOT / "app.py"), f"--server.port={port}", "--server.headless=true"]
    said = capsys.readouterr().out.splitlines()
    assert said == [f"data: {ROOT / 'data'}", f"checkpoints: {ROOT / 'checkpoints'}", f"runs: {tmp_path / 'r'}"]


def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert start(monkeypatch, f"--port={number}") == (2, [])
    assert f"port {number} cannot be used" in (said := capsys.readouterr().err) and "--port" in said


def test_without_streamlit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    find = util.find_spec
    monkeypatch.setattr("camdrop.cli.start.find_spec", lambda name: None if name == "streamlit" else find(name))
    assert start(monkeypatch) == (2, [])
    assert "pip install 'camdrop[app]'" in capsys.readouterr().err
