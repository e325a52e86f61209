"""The container, as far as it can be checked without one: what it copies, and what it starts."""

import json
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from camdrop.policy import policy
from scripts.wheel import SHARE
from tests.support import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()
SAID = [line.partition(" ") for line in LINES if line and line[0] != "#"]


def said(word: str) -> list[str]:
    return [rest for name, _, rest in SAID if name == word]


def test_it_has_what_the_wheel_is_made_of_and_nothing_that_this_machine_made():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == {*SHARE, "camdrop", "scripts", "pyproject.toml", "README.md", "LICENSE"}


def test_it_runs_shared_within_a_hosts_memory_and_not_as_root(monkeypatch: pytest.MonkeyPatch):
    variables = dict(pair.split("=") for line in said("ENV") for pair in line.split())
    for name, value in variables.items():
        if name.startswith("CAMDROP_"):
            monkeypatch.setenv(name, value)
    assert policy().shared and policy().memory < 16 and variables["XDG_DATA_HOME"] == said("VOLUME")[0] == "/data"
    assert said("USER") == ["camdrop"] and json.loads(said("CMD")[0]) == ["camdrop", "app", "--headless"]


def test_its_healthcheck_is_python_and_its_pytorch_is_what_the_project_asks_for():
    (check,) = said("HEALTHCHECK")
    name, option, code = json.loads(check.partition("CMD ")[2])
    assert (name, option) == ("python", "-c") and compile(code, "HEALTHCHECK", "exec")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (install,) = (line for line in said("RUN") if "--index-url" in line)
    found = {str(Requirement(text)) for text in re.findall(r"'(.*?)'", install)}
    assert found == {str(Requirement(text)) for text in wanted if text.startswith("torch")}
