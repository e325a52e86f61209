"""Live sliders and pictures under AppTest, by means of support/ui_app.py: what a page's own tests rely on."""

import json
import struct

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support import ROOT
from tests.support.ui_app import IMAGE, ramp

APP = ROOT / "tests/support/ui_app.py"


def values(app: AppTest) -> str:
    assert not app.exception, app.exception
    return app.text[0].value


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({}, "gamma=0.9 size=8 rate=0.1"),
        ({"gamma": "0.333", "size": "4", "rate": "0.012345"}, "gamma=0.33 size=4 rate=0.0123"),
        ({"gamma": "7", "size": "-2", "rate": "0"}, "gamma=1.0 size=1 rate=0.001"),
        ({"gamma": "abc", "size": "nan", "rate": "inf"}, "gamma=0.9 size=8 rate=0.1"),
        ({"gamma": "", "size": "4.6", "rate": "1e1"}, "gamma=0.9 size=5 rate=10.0"),
    ],
)
def test_link_gives_the_values_clamped_and_snapped(link: dict[str, str], expected: str) -> None:
    app = AppTest.from_file(str(APP))
    app.query_params.update(link)
    assert values(app.run()).startswith(expected)


def test_page_sets_a_slider_through_session_state() -> None:
    app = AppTest.from_file(str(APP)).run()
    app.session_state["live.gamma"] = 0.25
    assert values(app.run()).startswith("gamma=0.25")
    assert values(app.run()).startswith("gamma=0.25")
    revision = [json.loads(element.proto.json)["revision"] for element in app.get("bidi_component")[:4]]
    assert revision == [1, 0, 0, 0]  # the browser starts over for gamma alone


def test_pictures_travel_as_a_header_and_bytes() -> None:
    app = AppTest.from_file(str(APP)).run()
    data = app.get("bidi_component")[4].proto.bytes
    (size,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + size])
    start = 4 + size + -size % 4

    def blob(name: str) -> bytes:
        offset, length = header["blobs"][name]
        return data[start + offset : start + offset + length]

    raster, heat = header["panels"][0]["layers"]
    assert np.array_equal(np.frombuffer(blob(raster["pixels"]), np.uint8).reshape(IMAGE.shape), IMAGE)
    low, high = heat["span"]
    restored = low + (high - low) * np.frombuffer(blob(heat["values"]), "<u2").reshape(4, 4) / 65535
    assert np.allclose(restored, ramp(0.9), atol=0.9 / 65535)
    assert heat["opacity"] == {"key": "opacity", "value": 0.5}
    voxels = header["panels"][2]["layers"][0]
    assert np.flatnonzero(np.frombuffer(blob(voxels["below"]), np.uint8) == 60).tolist() == [16, 17, 20, 21]
    assert voxels["gamma"] == heat["opacity"]
