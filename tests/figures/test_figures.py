"""Pictures against pixels worked out by hand, and colours against simulated colour blindness."""

import base64
import itertools
import subprocess
import sys

import cv2
import numpy as np
import pytest

from camdrop import figures
from camdrop.figures import CANDIDATE, DOMINANT, DROPPED, INVALID, NEUTRAL, SEED, VALID
from camdrop.figures.plots import bound_boxes, under_the_bound


def array(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def yes(*rows: tuple[int, ...]) -> np.ndarray:
    return np.array(rows, bool)


@pytest.mark.parametrize("name", [*figures.COLORMAPS, figures.DIFFERENCE])
def test_a_colour_map_is_256_colours_that_nobody_can_change(name: str):
    colours = figures.lut(name)
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    assert len(np.unique(colours, axis=0)) > 120
    with pytest.raises(ValueError, match="read-only"):
        colours[0] = 0


def test_colour_maps_are_rgb_from_low_to_high():
    assert figures.lut("viridis")[[0, 255]].tolist() == [[68, 1, 84], [253, 231, 37]]  # purple to yellow
    assert figures.lut("jet")[0].tolist() == [0, 0, 128]
    assert figures.lut("difference")[[0, 127, 128, 255]].tolist() == [[5, 48, 97], [247] * 3, [247] * 3, [103, 0, 31]]


def test_uniform_maps_rise_in_lightness_and_the_difference_falls_on_both_sides_of_white():
    def lightness(name: str) -> np.ndarray:
        rgb = figures.lut(name)[None].astype(np.float32) / 255
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, :, 0]

    for name, note in figures.COLORMAPS.items():
        rises = bool((np.diff(lightness(name)) > -0.35).all())
        assert rises == note.startswith("perceptually uniform"), name
    signed = lightness("difference")
    assert (np.diff(signed[:128]) > -0.35).all() and (np.diff(signed[128:]) < 0.35).all()
    np.testing.assert_allclose(signed, signed[::-1], atol=9)


def test_an_unknown_colour_map_is_named_with_what_is_allowed():
    with pytest.raises(ValueError, match=r"colormap must be one of viridis, .*difference, got 'parula'"):
        figures.lut("parula")


def test_css():
    assert figures.css(DROPPED) == "#e69f00"
    assert figures.css((0, 10, 255)) == "#000aff"


def test_limits():
    a, b = array((0, 2), (-1, 1)), array((5, 4))
    assert figures.limits([a]) == (-1, 2)
    assert figures.limits([a, b]) == (-1, 5)
    assert figures.limits([a], symmetric=True) == (-2, 2)
    assert figures.limits([-b, a], symmetric=True) == (-5, 5)
    assert figures.limits([np.zeros((2, 2))], symmetric=True) == (-1, 1)


def test_colourise_cuts_to_its_range_and_rounds_half_up():
    heat = np.array([[-3, 1], [1.5, 2], [1 + 1.001 / 510, 99]])
    steps = [[0, 0], [128, 255], [1, 255]]  # halves go up, as they do in JavaScript
    assert (figures.colourise(heat, low=1, high=2) == figures.lut("viridis")[[*steps]]).all()


def test_colourise_with_an_empty_range():
    painted = figures.colourise(array((1, 2, 3)), low=2, high=2)
    assert (painted == figures.lut("viridis")[[[0, 0, 255]]]).all()


def test_a_difference_of_zero_is_white():
    low, high = figures.limits([array((-1, 3))], symmetric=True)
    painted = figures.colourise(array((0, 3, -3)), colormap="difference", low=low, high=high)
    assert painted.tolist() == [[[247] * 3, [103, 0, 31], [5, 48, 97]]]


def test_overlay_blends():
    image = np.array([[[10, 20, 30], [255, 255, 255]]], np.uint8)
    heat = array((0, 1))
    first, last = (68, 1, 84), (253, 231, 37)
    painted = figures.overlay(image, heat, low=0, high=1, opacity=0.25)
    expected = [
        [int(0.75 * i + 0.25 * c + 0.5) for i, c in zip(p, q, strict=True)]
        for p, q in zip(image[0], (first, last), strict=True)
    ]
    assert painted.dtype == np.uint8 and painted.tolist() == [expected]
    assert (figures.overlay(image, heat, low=0, high=1, opacity=0) == image).all()
    assert figures.overlay(image, heat, low=0, high=1, opacity=1).tolist() == [[list(first), list(last)]]


def test_overlay_resizes_the_values_and_not_the_colours():
    image = np.zeros((1, 4, 3), np.uint8)
    painted = figures.overlay(image, array((0, 1)), low=0, high=1, opacity=1)
    assert (painted[0] == figures.lut("viridis")[[0, 64, 191, 255]]).all()  # 0, ¼, ¾, 1


@pytest.mark.parametrize("scale", [1, 3])
def test_png_can_be_read_back(scale: int):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    read = cv2.imdecode(np.frombuffer(figures.png(picture, scale), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert (read == np.kron(picture, np.ones((scale, scale, 1), np.uint8))).all()
    grey = cv2.imdecode(np.frombuffer(figures.png(picture[..., 0], scale), np.uint8), cv2.IMREAD_UNCHANGED)
    assert (grey == np.kron(picture[..., 0], np.ones((scale, scale), np.uint8))).all()


def test_data_url_is_the_png():
    picture = np.full((2, 2, 3), 7, np.uint8)
    head, _, body = figures.data_url(picture, 2).partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(body) == figures.png(picture, 2)


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 3)), np.zeros((2, 2, 2), np.uint8), np.zeros(2, np.uint8)])
def test_png_refuses_what_is_no_picture(bad: np.ndarray):
    with pytest.raises(ValueError, match="picture must be uint8"):
        figures.png(bad)


def test_greys_of_each_map_and_of_a_shared_range():
    maps = np.stack([array((0, 1), (2, 4)), array((-1, -1), (-1, -1))])
    assert figures.greys(maps).tolist() == [[[24, 76], [128, 232]], [[24, 24], [24, 24]]]
    assert figures.greys(maps, -1, 4).tolist() == [[[66, 107], [149, 232]], [[24, 24], [24, 24]]]
    assert figures.greys(maps[0].astype(np.float16), 1, 2).tolist() == [[24, 24], [232, 232]]


def test_positions_picture():
    picture = figures.positions_picture(yes((0, 1), (0, 0)), array((0, 4), (1, 2)))
    assert picture.tolist() == [[[24] * 3, list(DOMINANT)], [[76] * 3, [128] * 3]]


def test_candidates_picture():
    picture = figures.candidates_picture(yes((0, 1, 1)), yes((0, 0, 1)))
    assert picture.tolist() == [[list(INVALID), list(VALID), list(CANDIDATE)]]


def test_greys_span_each_map_or_the_range_given():
    feature = array((0, 1), (2, 4))
    assert figures.greys(feature).tolist() == [[24, 76], [128, 232]]
    assert figures.greys(feature, 0, 8)[1, 1] == 128


def test_channel_grid_by_hand():
    features = np.stack([array((0, 1)), array((0, 4)), array((2, 2))])
    grid = figures.channel_grid(features, np.array([1, 2, 0]), yes(0, 1, 0), columns=2)
    m, g, dark, light = list(DOMINANT), list(NEUTRAL), [24] * 3, [232] * 3
    assert grid.pixels.tolist() == [
        [dark, light, g, dark, dark, g],
        [m, m, g, g, g, g],  # channel 1 is dominant: underlined
        [dark, light, g, g, g, g],
        [g, g, g, g, g, g],
    ]
    maps = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint8)
    assert grid.place(maps).tolist() == [[3, 4, 0, 5, 6, 0], [0] * 6, [1, 2, 0, 0, 0, 0], [0] * 6]
    assert (len(grid.order), grid.columns, grid.width, grid.height, grid.gap) == (3, 2, 2, 1, 1)
    shared = figures.channel_grid(features, np.array([0]), shared=True, gap_colour=(1, 2, 3))
    assert shared.pixels.tolist() == [[dark, [76] * 3, [1, 2, 3]], [[1, 2, 3]] * 3]


@pytest.mark.parametrize(("channels", "height", "width"), [(7, 5, 9), (16, 32, 32), (5, 56, 48)])
def test_channel_grid_holds_the_picture_of_each_channel_where_its_geometry_says(channels: int, height: int, width: int):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(channels, height, width)).astype(np.float32)
    maps = rng.integers(0, 102, features.shape, np.uint8)
    order = rng.permutation(channels)
    grid = figures.channel_grid(features, order, rng.random(channels) < 0.3, columns=4)
    assert grid.gap == max(1, width // 16)
    for i, channel in enumerate(order):
        x, y = (width + grid.gap) * (i % grid.columns), (height + grid.gap) * (i // grid.columns)
        place = np.s_[y : y + height, x : x + width]
        assert (grid.pixels[place] == figures.greys(features[channel])[..., None]).all()
        assert (grid.place(maps)[place] == maps[channel]).all()


# Machado, Oliveira and Fernandes 2009, at full severity, for linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "tritan": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def linear(colour: figures.Colour) -> np.ndarray:
    c = np.array(colour) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(colour: figures.Colour, kind: str) -> np.ndarray:
    seen = np.clip(BLINDNESS[kind] @ linear(colour), 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055).astype(np.float32)
    return cv2.cvtColor(encoded[None, None], cv2.COLOR_RGB2LAB)[0, 0]


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_that_share_a_picture_are_told_apart(kind: str):
    together = [
        [INVALID, VALID, CANDIDATE, SEED],
        [NEUTRAL, DROPPED, SEED],
        [DROPPED, DOMINANT, NEUTRAL],
        list(figures.METHOD_COLOURS.values()),
    ]
    for colours in together:
        for a, b in itertools.combinations(colours, 2):
            assert np.linalg.norm(lab(a, kind) - lab(b, kind)) > 20, (a, b)


@pytest.mark.parametrize("page", [(255, 255, 255), (0x11, 0x17, 0x1C)])
def test_lines_of_the_methods_stand_out_on_light_and_dark(page: figures.Colour):
    for name, colour in figures.METHOD_COLOURS.items():
        low, high = sorted((float(LUMINANCE @ linear(colour)), float(LUMINANCE @ linear(page))))
        assert (high + 0.05) / (low + 0.05) >= 3, name


def test_pictures_need_no_plotly():
    code = "import sys, camdrop.figures; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_logarithmic_axes_of_few_decades_have_more_ticks() -> None:
    def points(high: float) -> dict[str, np.ndarray]:
        return {"baseline": np.array([[0.5, high], [0.5, 0.001]]), "camdrop": np.zeros((2, 1))}

    narrow, wide = (under_the_bound(points(high))["layout"] for high in (9.0, 900.0))
    assert (narrow["xaxis"]["dtick"], wide["xaxis"]["dtick"], narrow["yaxis"]["dtick"]) == ("D2", 1, 1)
    boxes = bound_boxes(["a"], {"baseline": [[0, 0.1, 0.2, 0.3, 2]]}, "bound")["layout"]["yaxis"]
    assert boxes["dtick"] == "D2"  # nothing below the foot, which is half of 0.1
    assert under_the_bound({"baseline": np.zeros((2, 0))})["layout"]["xaxis"]["type"] == "log"
