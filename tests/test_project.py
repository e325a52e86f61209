"""What the README and the rules of the house promise."""

import re
import tomllib

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
