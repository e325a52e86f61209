"""The parts of the page Sweep: setting one up, and how it stands."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

import streamlit as st

from camdrop.data import DataInfo, short_name
from camdrop.figures.plots import sweep_heatmap, sweep_surface
from camdrop.masks import METHODS, READINGS
from camdrop.runs import RunError, sweep
from camdrop.runs.sweep import KEEP_PROBS, LEARNING_RATES, RECIPE, Plan, Sweep
from camdrop.training import pick_device
from camdrop.training.config import Contender
from camdrop.training.speed import seconds_per_image
from ui import guests
from ui.choosers.data_set import choose_data_set
from ui.choosers.run_checkpoints import root
from ui.fragments import callback
from ui.panels.race_setup import SIZES, read_size
from ui.panels.races import duration, state_words
from ui.panels.run_actions import begin, change, resume
from ui.words import literal

MEASURES = {"Validation error": "validation_error", "Training error": "train_error"}


def setup() -> Plan | None:
    """The controls of a new sweep, and the plan that they say; None, with the reason, if it makes no sense."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data = choose_data_set(
            list(SIZES), key="sweep.data", folder="train/CLASS/ and test/CLASS/", help="The paper's is mnist."
        )
        method = st.selectbox("Method", list(reversed(METHODS)), key="sweep.method", width=160)
        images = st.number_input("Training images", 100, 1_000_000, 6000, 500, key="sweep.images", width=150)
        epochs = st.number_input("Epochs", 1, 1000, 1, key="sweep.epochs", width=110)
        with st.popover("More", icon=":material/tune:", help="The two axes, block size, reading, seed"):
            rates = st.text_input("Learning rates", ", ".join(f"{v:g}" for v in LEARNING_RATES), key="sweep.rates")
            keeps = st.text_input("Retaining rates γ", ", ".join(f"{v:g}" for v in KEEP_PROBS), key="sweep.keeps")
            r = st.slider("Block size r", 1, 16, 7, key="sweep.r")
            reading = st.segmented_control(
                "Reading of the paper", READINGS, default=READINGS[0], required=True, key="sweep.reading"
            )
            seed = st.number_input("Seed", 0, 2**31, 0, key="sweep.seed")
    try:
        axes = [tuple(float(part) for part in text.split(",")) for text in (rates, keeps)]
    except ValueError:
        st.error("Learning rates and retaining rates are numbers with commas between them.", icon=":material/error:")
        return None
    try:
        recipe = dataclasses.replace(RECIPE, epochs=epochs, seed=seed)
        return Plan(data, recipe, axes[0], axes[1], method, r, str(reading), images)
    except ValueError as error:
        st.error(literal(error), icon=":material/error:")
        return None


@st.cache_data(show_spinner=False, max_entries=16)
def _speed(info: DataInfo, method: str) -> float:
    return seconds_per_image(RECIPE, info, Contender("timed", METHODS[method]()), pick_device("cpu"), 1)


def forecast(plan: Plan) -> str:
    """What the sweep takes here, by some real steps, and notes on its data. ValueError where these cannot be read."""
    assert plan.recipe.epochs is not None
    info, here, notes = read_size(plan.data)
    cores, count = os.cpu_count() or 1, min(plan.images or here, here)
    seconds = len(plan.cells) * count * plan.recipe.epochs * _speed(info, plan.method) / cores
    time = duration(1.1 * seconds)
    return f"{len(plan.cells)} trainings of {count:,} images, {cores} at a time: **about {time}**.{notes}"


@callback
def start(plan: Plan) -> None:
    """Make the folder, put it on the waiting list, show it."""
    data = "".join(c if c.isalnum() or c in ".-_" else "-" for c in short_name(plan.data))
    make = functools.partial(sweep.create, plan=plan)
    st.session_state["sweep"] = begin(f"sweep {plan.method} {data}", make)


def _delete(folder: Path) -> None:
    sweep.delete(folder)
    st.session_state.pop("sweep", None)


def manage(found: Sweep) -> None:
    """Stop, resume, delete."""
    if not guests.is_mine(found.folder):
        return
    if found.state in ("running", "queued"):
        st.button("Stop", icon=":material/stop:", on_click=change, args=(found.folder, sweep.stop))
    elif found.state != "finished":
        st.button("Resume", icon=":material/play_arrow:", on_click=change, args=(found.folder, resume))
    with st.popover("Delete", icon=":material/delete:", disabled=found.state == "running"):
        st.write(f"Delete {literal(found.folder.name)} with its {len(found.cells)} cells?")
        st.button("Delete for good", type="primary", on_click=change, args=(found.folder, _delete))


def progress(found: Sweep) -> None:
    """State and bar, and what went wrong."""
    plan, done = found.plan, len(found.cells)
    total = len(plan.cells)
    words = [state_words(found), f"{done} of {total} cells"]
    broken = [sum(cell.state == state for cell in found.cells.values()) for state in ("diverged", "failed")]
    words += [f"{n} {state}" for n, state in zip(broken, ("diverged", "failed"), strict=True) if n]
    words.append(literal(found))
    st.progress(done / total, " · ".join(words))
    if found.message and found.state in ("failed", "stopped"):
        st.error(literal(found.message), icon=":material/error:")
    why = {cell.message for cell in found.cells.values() if cell.state == "failed"}
    for reason in sorted(why)[:3]:
        st.warning(f"A cell failed: {literal(reason)}", icon=":material/warning:")


def figures(found: Sweep, measure: str) -> None:
    """The heatmap to read values from; and if they are asked for, both views of Figure 4, which take a second."""
    rates, keeps, errors = found.learning_rates, found.keep_probs, found.grid(MEASURES[measure])
    st.caption(f"**{measure} of every cell**, in percent; × has diverged")
    st.plotly_chart(sweep_heatmap(rates, keeps, errors, found.marks()), key="heatmap")
    if not st.toggle("As surfaces, as the paper draws them", key="surfaces", bind="query-params"):
        return
    for place, (front, what) in zip(st.columns(2), (("rate", "learning"), ("keep", "retaining")), strict=True):
        with place:
            st.caption(f"**Figure 4 ({'a' if front == 'rate' else 'b'})**: the {what} rate in front; higher is better")
            figure = sweep_surface(rates, keeps, errors, front=front, keep=found.folder.name)
            st.plotly_chart(figure, key=f"surface.{front}")


def broken() -> dict[str, str]:
    """Folders of sweeps that cannot be read, with the reason."""
    found = {}
    for path in root().glob("*/sweep.json"):
        try:
            sweep.load_sweep(path.parent)
        except RunError as error:
            found[path.parent.name] = str(error)
    return found
