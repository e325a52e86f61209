"""`camdrop app`: what it hands to Streamlit, and what it refuses; tests/browser/test_wheel.py starts it."""

import os
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
    options = ["--server.address=localhost", f"--server.port={port}", "--server.headless=true"]
    assert started == ["streamlit", "run", str(ROOT / "app.py"), *options]
    said = capsys.readouterr().out.splitlines()
    assert said == [f"data: {ROOT / 'data'}", f"checkpoints: {ROOT / 'checkpoints'}", f"runs: {tmp_path / 'r'}"]


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.7", "::", "lab.example.org"])
def test_an_address_for_others_needs_shared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("CAMDROP_SHARED", "")
    assert start(monkeypatch, f"--address={address}") == (2, [])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and address in said and "add --shared" in said


@pytest.mark.parametrize("way", ["option", "variable"])
def test_shared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: int, way: str) -> None:
    monkeypatch.setenv("CAMDROP_SHARED", "1" if way == "variable" else "")
    monkeypatch.setenv("CAMDROP_MAX_MINUTES", "3")
    monkeypatch.setenv("CAMDROP_DATA", "")
    status, started = start(monkeypatch, f"--port={port}", *(["--shared"] if way == "option" else []))
    options = {"address=0.0.0.0", "maxUploadSize=64", "enableXsrfProtection=true", "enableCORS=true"}
    assert status == 0 and {f"--server.{option}" for option in options} < set(started)
    assert "shared: 40 people at once, 1 training at a time for 3 minutes at most" in capsys.readouterr().out
    assert os.environ["CAMDROP_SHARED"] == "1"  # where the pages and the trainings read it


@pytest.mark.parametrize("variable", ["SHARED", "MAX_RUNS", "MAX_MEMORY"])
def test_a_limit_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.setenv(f"CAMDROP_{variable}", "much")
    assert start(monkeypatch) == (2, [])
    assert f"CAMDROP_{variable} must be" in capsys.readouterr().err


def test_an_address_that_is_not_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMDROP_SHARED", "1")
    assert start(monkeypatch, "--address=192.0.2.1") == (2, [])
    assert "cannot be used at 192.0.2.1" in capsys.readouterr().err
    assert start(monkeypatch, "--address=no such name") == (2, [])
    assert "no such name" in capsys.readouterr().err


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
