"""The heatmap history of a race: where its networks look at a few images, epoch by epoch; and its knobs."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import streamlit as st

from camdrop import runs
from camdrop.figures import NEUTRAL, lut
from camdrop.masks import CamDrop, DropBlock
from camdrop.runs import Run, RunError
from camdrop.runs.history import frame_files, read_frame, read_probes
from camdrop.runs.records import label, turned
from camdrop.training.config import Contender
from ui.components.pictures import Heat, Panel, Raster, Tiles, pictures
from ui.components.slider import live_slider
from ui.fragments import callback, fragment
from ui.panels import races
from ui.words import literal

_BEAT = 0.4  # seconds a frame stays while the history plays
_COLUMNS = 2  # of images


@functools.lru_cache(maxsize=256)
def _frame(path: Path, changed: int) -> dict[str, np.ndarray]:
    return {name: heatmaps.astype(np.float32) for name, heatmaps in read_frame(path).items()}


def show(run: Run, pace: float | None) -> None:
    """The frames so far, with a slider over the epochs and play. Beyond the newest frame it follows the race.

    It looks for new frames every `pace` seconds; never if that is None.
    """
    playing = bool(st.session_state.get("history.play"))
    fragment(_frames, run_every=_BEAT if playing else pace)(run, playing)


def _frames(run: Run, playing: bool) -> None:
    try:
        records = races.records(run)
    except RunError:
        return  # the page says it above
    st.subheader("Where they look")
    frames = frame_files(run.folder)
    store, count = st.session_state, len(frames)
    newest = store.get(f"history.newest.{run.name}", 0)
    shown = store.get("live.frame", 1)
    if playing and shown >= count:
        store["history.play"] = False
    if bool(store.get("history.play")) != playing:
        st.rerun()  # this fragment's pace is set outside of it
    if playing:
        store["live.frame"] = shown + 1
    elif shown >= newest and "frame" not in st.query_params:
        store["live.frame"] = max(1, count)
    store[f"history.newest.{run.name}"] = count
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Stop" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            key="history.button",
            on_click=_play,
            args=(not playing, count),
            disabled=count < 2,
        )
        with st.container(width=420):
            last = max(1, count)
            at = live_slider("Epoch", key="frame", min=1, max=max(2, last), step=1, default=last, disabled=count < 2)
    if not frames:
        st.caption(
            "The heatmap history begins with the first epoch: heatmaps of images that none of the networks trains on."
        )
        return
    moment, path = list(frames.items())[min(int(at), count) - 1]
    epochs = {r["step"]: r["epoch"] for r in records if r["kind"] == "point"}
    epoch = f"after epoch {epochs.get(moment, 0):.1f}".removesuffix(".0")
    try:
        maps = _frame(path, _changed(path))
        pixels = _probes(run.folder, _changed(run.folder / "probes.npz"))
    except RunError as error:
        st.error(literal(error), icon=":material/broken_image:")
        return
    height, width = pixels.shape[1:3]
    tiles = Tiles(len(pixels), _COLUMNS, width, height, 1)
    picture, lines = Raster(_mosaic(pixels)), Raster(_between(pixels))
    alt = "The images of the heatmap history"
    knobs = turned(records)
    panels = [Panel("Images", alt, [picture, lines], id="images", subtitle="held out", tiles=tiles)]
    for contender in run.config.contenders:
        name, layers = label(contender, knobs.get(contender.name)), list[Raster | Heat]([picture])
        if len(maps.get(contender.name, ())) == len(pixels):
            own = np.stack([cv2.resize(m / max(float(m.max()), 1e-6), (width, height)) for m in maps[contender.name]])
            layers.append(Heat(_mosaic(own), lut("viridis"), 0.0, 1.0, 0.6))
        words = f"Where {name} looks in these images, {epoch}"
        panels.append(Panel(name, words, [*layers, lines], id=contender.name, subtitle=epoch, tiles=tiles))
    pictures(panels, key="history", columns=min(5, len(panels)), min_width=150, max_width=330)


@functools.lru_cache(maxsize=16)
def _probes(folder: Path, changed: int) -> np.ndarray:
    """The images of the history (n, H, W, 1 or 3)."""
    return np.ascontiguousarray(read_probes(folder).transpose(0, 2, 3, 1))


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _mosaic(tiles: np.ndarray) -> np.ndarray:
    """Tiles (n, H, W, …) side by side in rows, with a cell between them."""
    rows = -(-len(tiles) // _COLUMNS)
    n, height, width = tiles.shape[:3]
    out = np.zeros((rows * _COLUMNS, height + 1, width + 1, *tiles.shape[3:]), tiles.dtype)
    out[:n, :height, :width] = tiles
    grid = out.reshape(rows, _COLUMNS, height + 1, width + 1, *tiles.shape[3:]).swapaxes(1, 2)
    mosaic = grid.reshape(rows * (height + 1), _COLUMNS * (width + 1), *tiles.shape[3:])[:-1, :-1]
    return mosaic[..., 0] if tiles.shape[3:] == (1,) else mosaic


def _between(tiles: np.ndarray) -> np.ndarray:
    """What is between the tiles of a mosaic, in grey, as an image to lay over it."""
    gaps = _mosaic(np.ones(tiles.shape[:3], np.uint8)) == 0
    return (gaps[..., None] * np.array([*NEUTRAL, 255])).astype(np.uint8)


@callback
def _play(on: bool, count: int) -> None:
    st.session_state["history.play"] = on
    if on and st.session_state.get("live.frame", count) >= count:
        st.session_state["live.frame"] = 0


def knobs(run: Run) -> None:
    """Learning rate, γ and r of each contender, to be turned while it runs: all of a contender's at one press."""
    asked = runs.asked_knobs(run.folder)
    for contender in run.config.contenders:
        key = f"knob.{run.name}.{contender.name}."
        with st.form(key + "form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
            st.markdown(f"**{label(contender)}**", width=220)
            values = _knobs_of(run, contender, asked.get(contender.name, {}), key)
            st.form_submit_button("Turn", on_click=_turn, args=(run, contender, values, key))


@callback
def _turn(run: Run, contender: Contender, before: dict[str, float], key: str) -> None:
    wanted = {name: st.session_state[key + name] for name in before if st.session_state[key + name] != before[name]}
    if wanted:
        runs.turn_knobs(run.folder, contender.name, wanted)


def _knobs_of(run: Run, contender: Contender, asked: dict[str, float], key: str) -> dict[str, float]:
    """The widgets of a contender, and what they stood at before they were touched."""
    values: dict[str, float] = {"learning_rate": asked.get("learning_rate", run.config.recipe.learning_rate)}
    st.number_input(
        "Learning rate (peak)", 0.0, value=float(values["learning_rate"]), step=0.01, format="%.4g",
        key=key + "learning_rate", width=150,
    )  # fmt: skip
    if contender.method is not None:
        values["keep_prob"] = asked.get("keep_prob", contender.method.keep_prob)
        st.slider("γ", 0.0, 1.0, float(values["keep_prob"]), 0.01, key=key + "keep_prob", width=220)
    if isinstance(contender.method, DropBlock | CamDrop):
        values["block_size"] = asked.get("block_size", contender.method.block_size)
        st.slider("r", 1, 16, int(values["block_size"]), key=key + "block_size", width=220)
    return values
