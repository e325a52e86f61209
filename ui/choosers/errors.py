"""The errors of networks on the images at hand, measured when asked for and kept with the networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from camdrop.figures.numbers import percent
from ui.asked import asked

if TYPE_CHECKING:
    from camdrop.checkpoints import Checkpoint
    from camdrop.data import DataInfo, Split


def offer_errors(
    chosen: Sequence[tuple[str, Checkpoint]], split: Split, info: DataInfo, progress: Callable[[str, float], object]
) -> None:
    """A button that measures, with progress, and a line for each network that was measured on these images."""
    from camdrop.analysis.explanations import errors, is_measured, known_classes

    known = int(known_classes(split, info).sum())
    if not known:
        return
    help = "Of all images here whose true class is known"
    with asked("Measure errors", key="errors", icon=":material/percent:", help=help) as now:
        for name, checkpoint in chosen:
            if now or is_measured(checkpoint, info):
                wrong = int(errors(name, checkpoint, split, info, progress).sum())
                st.text(f"{name}: error {percent(wrong / known, '.1f')} of {known:,} images")
