"""Links that no page has written: every number and choice comes into range, or is the default, on every page."""

import re

import pytest

from tests.support import ROOT
from tests.support.lab_pages import Pages

SOURCES = {path: path.read_text("utf-8") for folder in ("pages", "ui") for path in (ROOT / folder).rglob("*.py")}
KEYS = sorted(
    {key for text in SOURCES.values() for key in re.findall(r'\bkey="([a-z_0-9]+)"', text)}
    | {f"tour_{name}" for name in re.findall(r'(?:Choice|Slider)\("(\w+)"', SOURCES[ROOT / "ui/panels/lessons.py"])}
    | {"image_from", "image_class", "image_show"}
)
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
VALUES = ("", "1e309")


def test_numbers_and_segments_in_links_are_made_in_one_place():
    for path, text in SOURCES.items():
        for kind in ("number_input", "segmented_control"):
            for call in re.findall(rf"st\.{kind}\((?:[^()]|\([^()]*\))*\)", text):
                assert "query-params" not in call or path.name == "select.py", (path, call)


def test_the_keys_are_found():
    assert {"seed", "rank", "images", "attack_seed", "lesson", "t", "tour_class", "gamma", "stage", "label"} <= set(
        KEYS
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_no_link_breaks_a_page(page: str, lab: Pages, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path))
    monkeypatch.setattr("ui.panels.race_setup.seconds_per_image", lambda *_: 0.001)
    monkeypatch.setattr("ui.panels.sweeps.seconds_per_image", lambda *_: 0.001)
    for turn in range(len(VALUES)):
        app = lab.open(page, **{key: VALUES[(turn + i) % len(VALUES)] for i, key in enumerate(KEYS)})
        for number in app.number_input:
            if None not in (number.min, number.value, number.max):
                assert number.min <= number.value <= number.max
