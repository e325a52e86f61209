"""Every colour of the project, one meaning each, distinct to colour-blind people too."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]

# Heatmaps: name → what to tell a person who chooses.
COLORMAPS = {
    "viridis": "perceptually uniform",
    "cividis": "perceptually uniform, the same for colour-blind eyes",
    "inferno": "perceptually uniform, from black",
    "magma": "perceptually uniform, from black",
    "turbo": "rainbow, smooth but not perceptually uniform",
    "jet": "as in the classical CAM papers, not perceptually uniform",
}
DIFFERENCE = "difference"  # signed values: blue is less, red is more, white is zero (limits symmetric about 0)

# What a mask does (Okabe–Ito palette, but for a darker red).
DROPPED: Colour = (230, 159, 0)  # a unit that is dropped: orange, as in the paper's Figure 1
SEED: Colour = (180, 40, 10)  # where a block grows from (Eq. 9)
CANDIDATE: Colour = (0, 114, 178)  # where a seed may fall
DOMINANT: Colour = (86, 180, 233)  # dominant positions and channels (Eq. 6, 8)
VALID: Colour = (184, 190, 194)  # a centre whose whole block lies inside the map
INVALID: Colour = (104, 110, 115)
NEUTRAL: Colour = (128, 134, 139)  # gaps, and units of which there is nothing to say

# Lines and marks of the methods, each with a contrast of 3 or more on the light and on the dark page.
METHOD_COLOURS: dict[str, Colour] = {
    "baseline": (128, 128, 128),
    "dropout": (220, 70, 220),
    "spatialdropout": (50, 160, 90),
    "dropblock": (50, 80, 250),
    "droppath": (220, 120, 0),
    "camdrop": (210, 0, 40),
}

DARKEST, LIGHTEST = 24, 232  # features in grey

# Colorbrewer's RdBu, from blue.
_BLUE_RED = (
    *((5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240), (247, 247, 247)),
    *((253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31)),
)


def css(colour: Colour) -> str:
    """A colour as CSS and Plotly write it, `#e69f00`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def method_css(method: str) -> str:
    """The colour of a method's lines and marks, as CSS."""
    return css(METHOD_COLOURS[method])


@cache
def lut(colormap: str) -> npt.NDArray[np.uint8]:
    """The colours (256, 3) of one of `COLORMAPS` or of `DIFFERENCE`, from low to high. ValueError for other names."""
    if colormap == DIFFERENCE:
        # Two halves of 128, so that the steps on either side of zero are both exactly white.
        half = np.linspace(0, 5, 128)
        anchors = np.array(_BLUE_RED, np.float64)
        rows = [np.interp(np.concatenate([half, half + 5]), np.arange(11), channel) for channel in anchors.T]
        colours = np.rint(np.stack(rows, 1)).astype(np.uint8)
    elif colormap in COLORMAPS:
        ramp = np.arange(256, dtype=np.uint8)[:, None]
        colours = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{colormap.upper()}"))[:, 0, ::-1].copy()
    else:
        raise ValueError(f"colormap must be one of {', '.join([*COLORMAPS, DIFFERENCE])}, got {colormap!r}")
    colours.setflags(write=False)
    return colours
