"""What the README and the rules of the house promise."""

import re
import subprocess
import sys
import tomllib

import pytest
import typer.main
import yaml

import camdrop
from camdrop.cli import app
from tests.support import ROOT


def test_requirements_are_the_packages_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = {line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"}
    assert listed == {*project["dependencies"], *project["optional-dependencies"]["app"]}
    assert all(">=" in line for line in listed)


def test_the_readmes_example_runs(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, _ = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )  # the other: test_examples
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.count("tensor(") == 3


def test_the_readme_shows_the_two_commands_and_pictures_that_are_there():
    text = (ROOT / "README.md").read_text()
    assert "make app" in text and "make test" in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) >= 3 and all((ROOT / picture).is_file() for picture in pictures)


COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/formats.md", "scripts/gpu_job.py"])
def test_commands_that_are_written_down_exist_with_their_options(name):
    text = (ROOT / name).read_text("utf-8")
    said = re.findall(r"-m camdrop (\w+)((?: \\\n|[^`\n|])*)", text)
    for command, arguments in said:
        known = {option for parameter in COMMANDS[command].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", arguments)) <= known, (command, arguments)
    assert said or name == "CONTRIBUTING.md"


def test_the_version_is_told_once_and_costs_no_import_of_pytorch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "camdrop.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", camdrop.__version__)
    code = "import camdrop, sys; print(camdrop.__version__, 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.split() == [camdrop.__version__, "False"]


@pytest.mark.slow
def test_networks_are_read_without_pytorchs_compiler():
    code = "import camdrop.checkpoints, camdrop.analysis, camdrop.runs, sys; print('torch._dynamo' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_the_wheel_says_that_it_is_typed():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "py.typed" in data["camdrop"] and (ROOT / "camdrop" / "py.typed").read_bytes() == b""


def test_the_citation_has_what_its_format_asks_for():
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert said.keys() >= {"cff-version", "message", "title", "authors"} and said["cff-version"] == "1.2.0"
    assert said["version"] == camdrop.__version__ and said["license"] == "MIT"
    (paper,) = said["references"]
    assert paper.keys() >= {"type", "title", "authors"} and paper["doi"] == "10.1145/3357384.3357999"
    assert [author["family-names"] for author in paper["authors"]] == ["Wang", "Wang", "Li", "Lin"]


def test_the_workflow_calls_make_test():
    said = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    assert {"run": "make test"} in said["jobs"]["test"]["steps"]
