"""What differs on Windows, by standing in for it; CONTRIBUTING.md has the list. It has not been run there."""

import ast
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from camdrop.cli import main
from camdrop.cli.start import _try
from camdrop.data.files import write_atomic
from camdrop.report.result_files import loaded
from camdrop.runs import scheduler
from tests.support.imports import MODULES, modules_imported

ABSENT = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "syslog"}
POSIX = {"kill", "killpg", "fork", "forkpty", "setsid", "setpgid", "getuid", "geteuid", "getpgid", "mkfifo", "uname",
         "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "alarm"}  # fmt: skip


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "setpriority")
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0x00004000, raising=False)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_is_used_that_windows_lacks(name: str) -> None:
    assert not {module.split(".")[0] for module in modules_imported(MODULES[name])} & ABSENT
    used = {(ast.unparse(node.value), node.attr) for node in ast.walk(MODULES[name]) if isinstance(node, ast.Attribute)}
    assert not {(owner, attribute) for owner, attribute in used if owner in ("os", "signal") and attribute in POSIX}


def test_a_training_is_a_process_apart(windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, object] = {}

    def start(arguments: list[str], **given: object) -> SimpleNamespace:
        options.update(given)
        return SimpleNamespace(pid=1)

    monkeypatch.setattr(subprocess, "Popen", start)
    scheduler._spawn(tmp_path, ["python"])
    assert options["creationflags"] == 0x08004000 and "start_new_session" not in options
    assert str(options["env"]["PYTHONPATH"]).split(os.pathsep)[0]  # type: ignore[index]


@pytest.mark.parametrize(("refusals", "written"), [(3, True), (1000, False)])
def test_a_file_that_somebody_reads_is_replaced_a_little_later(
    windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, written: bool
) -> None:
    replace, left = os.replace, [refusals]

    def refuse(source: Path, target: Path) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(13, "in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr("camdrop.data.files.time.sleep", lambda seconds: None)
    if written:
        write_atomic(tmp_path / "status.json", "new")
        assert (tmp_path / "status.json").read_text() == "new"
    else:
        with pytest.raises(PermissionError):
            write_atomic(tmp_path / "status.json", "new")
    assert len(list(tmp_path.iterdir())) == written


def test_a_port_that_is_taken_is_seen(windows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows lets a socket with SO_REUSEADDR have a port that another one listens at."""
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "setsockopt", lambda self, *options: asked.append(options), raising=False)
    _try("127.0.0.1", 0)
    assert asked == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_results_are_read_as_powershell_redirects_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"γ": 0.9}, ensure_ascii=False), encoding)
    assert loaded(tmp_path / "x.json", 0) == {"γ": 0.9}


def test_a_redirected_command_prints_in_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setattr(sys, "argv", ["camdrop", "sweep", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    file.flush()
    assert "γ" in file.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]
