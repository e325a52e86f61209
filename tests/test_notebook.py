"""The example notebook, cell by cell; what it shows is what its file holds."""

import base64
import io
import json

import pytest
from PIL import Image

from tests.support import ROOT
from tests.support.notebooks import run

PATH = ROOT / "examples" / "heatmaps_and_masks.ipynb"


def size(output: dict[str, dict[str, str]]) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))).size


@pytest.mark.slow
def test_heatmap_steps_and_masks_show_themselves() -> None:
    held, now = json.loads(PATH.read_text("utf-8")), run(PATH)
    shown = []
    for before, after in zip(held["cells"], now["cells"], strict=True):
        assert before["source"] == after["source"] and len(before.get("outputs", [])) == len(after.get("outputs", []))
        for old, new in zip(before.get("outputs", []), after.get("outputs", []), strict=True):
            assert old.get("text") == new.get("text")
            if "data" in new:
                assert size(old) == size(new)
                shown.append(size(new))
    assert len(shown) == 4 and shown[1] == (6 * 160 + 5 * 16, 160 + 28)
