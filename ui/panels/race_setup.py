"""Setting up a race: data set, network, contenders, budget; and what that takes on this machine."""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from pathlib import Path
from typing import Any

import streamlit as st

from camdrop import runs
from camdrop.data import INFO, DataInfo, DataWarning, load_dataset, short_name
from camdrop.figures.numbers import percent
from camdrop.report.paper_tables import preset_methods
from camdrop.resnet import ARCHITECTURES
from camdrop.runs import Run, RunConfig
from camdrop.runs.records import unique_names
from camdrop.runs.seeds import next_seeds
from camdrop.runs.trainer import OBEDIENCE_IMAGES
from camdrop.schedules import LR_SCHEDULES
from camdrop.training import OVERHEAD, evaluated, pick_device
from camdrop.training.config import (
    PRESETS,
    SELECTIONS,
    Contender,
    Recipe,
    contender,
    make_recipe,
    preset_block_size,
)
from camdrop.training.speed import seconds_per_image
from ui.choosers.data_set import choose_data_set
from ui.fragments import callback
from ui.panels import race_contenders
from ui.panels.races import duration, relatives
from ui.panels.run_actions import begin
from ui.words import literal

SIZES = {"fashion-sample": 6_000, "fashion-mnist": 60_000, "mnist": 60_000, "cifar10": 50_000}
DEFAULT = "noise"  # the preset that the page opens with
_THREADS = max(1, (os.cpu_count() or 2) // 2)  # the others are for the page


def setup() -> RunConfig | None:
    """The controls of a new race, and the configuration that they say; None, with the reason, if it makes no sense."""
    store = st.session_state
    if "race.contenders" not in store:
        for key, value in _filled_in(DEFAULT).items():
            store.setdefault(key, value)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data = choose_data_set(
            list(SIZES), key="race.data", folder="train/CLASS/ and test/CLASS/",
            help="Bundled: fashion-sample. The others are downloaded once.",
        )  # fmt: skip
        network = st.selectbox("Network", list(ARCHITECTURES), key="race.network", width=140, persist_state="session")
        unit = st.segmented_control(
            "Budget", ["minutes", "epochs"], required=True, key="race.unit", persist_state="session"
        )
        if unit == "minutes":
            budget = st.number_input("Minutes", 0.1, None, 2.0, 0.5, "%.3g", key="race.minutes", width=120,
                                     persist_state="session")  # fmt: skip
        else:
            budget = st.number_input("Epochs", 1, 100_000, key="race.epochs", width=120, persist_state="session")
        seed = st.number_input("Seed", 0, 2**31, 0, key="race.seed", width=120, persist_state="session")
        with st.popover("Recipe", icon=":material/tune:", help="Learning rate, batch size, augmentation …"):
            given = _recipe()
            bounds = st.toggle(
                "Measure gradient bounds", key="race.bounds", persist_state="session",
                help="Eq. 13–15 and saturated units, after each epoch; of data sets with at most 100 classes.",
            )  # fmt: skip
            leakage = st.toggle(
                "Measure whether networks obey their masks", key="race.leakage", persist_state="session",
                help="After each epoch: shown masks drawn for a random class, how often does a network answer that "
                "class? One that does so more often than by chance reads the label off its mask.",
            )  # fmt: skip
    contenders = race_contenders.choose_contenders(network)
    given |= {"model": network, "seed": seed, unit or "minutes": budget}
    try:
        recipe = make_recipe(None, given)
        config = RunConfig(
            data, recipe, tuple(unique_names(contenders)), None, _THREADS,
            bounds=bounds, leakage=leakage,
        )  # fmt: skip
    except ValueError as error:
        st.error(literal(error), icon=":material/error:")
        return None
    if not contenders:
        st.info("A race needs a contender: press Add.", icon=":material/arrow_upward:")
        return None
    if len({c.name for c in config.contenders}) < len(contenders):
        st.error("Two contenders are the same: change one, or remove it.", icon=":material/error:")
        return None
    store["race.config"] = config
    return config


def _filled_in(preset: str) -> dict[str, Any]:
    """What a preset sets: values of the widgets' keys. Contenders stay as they are where it names none."""
    recipe = dataclasses.asdict(make_recipe(preset, {}))
    values = {f"race.{part}": recipe[part] for part in ("epochs", *_RECIPE)}
    values |= {"race.network": recipe["model"], "race.unit": "epochs", "race.leakage": preset == DEFAULT}
    methods = preset_methods(preset)
    if methods is None:
        return values
    shared = {"block_size": preset_block_size(preset)}
    return values | race_contenders.filled_in([contender(text, shared) for text in methods.split(",")])


_RECIPE = (
    "images", "label_noise", "learning_rate", "lr_schedule", "batch_size", "weight_decay", "label_smoothing",
    "validation", "selection", "crop", "flip",
)  # fmt: skip


def _recipe() -> dict[str, Any]:
    """The rarer parts of a recipe, by their names in `Recipe`; at first they are those of the preset `DEFAULT`."""

    @callback
    def fill_in() -> None:
        if name := st.session_state["race.preset"]:
            st.session_state.update(_filled_in(name))

    st.selectbox(
        "Preset", list(PRESETS), index=None, key="race.preset", on_change=fill_in, placeholder="Choose to fill in",
        help="noise: few images, many with wrong labels, as this page opens. Those for CIFAR and ImageNet are the "
        "paper's: 400 epochs, learning rate ÷ 10 after 150, 250 and 350; 105 epochs, ÷ 10 after 50, 80 and 100.",
    )  # fmt: skip
    keep: Any = {"persist_state": "session"}
    return {
        "images": st.number_input(
            "Train on so many images", 2, None, None, 100, key="race.images", placeholder="all",
            help="As many of each class as can be, of those that are not held out. Empty: all.", **keep,
        ),
        "label_noise": st.number_input(
            "Labels drawn anew", 0.0, 1.0, step=0.05, key="race.label_noise",
            help="Share of the training images that get a class drawn uniformly in place of the true one. Validation "
            "and test images keep their true labels.", **keep,
        ),
        "learning_rate": st.number_input(
            "Learning rate", 0.0, None, step=0.01, format="%.4g", key="race.learning_rate", **keep
        ),
        "lr_schedule": st.segmented_control(
            "Its schedule", list(reversed(LR_SCHEDULES)), required=True, key="race.lr_schedule",
            help="onecycle for short runs; step and imagenet-step: ÷ 10 three times, as in the paper", **keep,
        ),
        "batch_size": st.number_input("Batch size", 2, 4096, key="race.batch_size", **keep),
        "weight_decay": st.number_input(
            "Weight decay", 0.0, 1.0, step=1e-4, format="%.4g", key="race.weight_decay", **keep
        ),
        "label_smoothing": st.number_input("Label smoothing", 0.0, 0.9, step=0.05, key="race.label_smoothing", **keep),
        "validation": st.number_input(
            "Held out for validation", 0.0, 0.9, step=0.05, key="race.validation",
            help="Share of the training images. Without any, the best checkpoint is that of the least training error.",
            **keep,
        ),
        "selection": st.segmented_control(
            "Checkpoint that is tested", SELECTIONS, required=True, key="race.selection",
            help="best: that of the least validation error; last: that of the last epoch.", **keep,
        ),
        "crop": st.number_input("Random crop, pixels", 0, 16, key="race.crop", **keep),
        "flip": st.toggle("Random mirror images", key="race.flip", **keep),
    }  # fmt: skip


@callback
def start(config: RunConfig, key: str, guess: str | None) -> None:
    """Put a race in the queue, with the guess at who wins if there is one, and show it."""
    data = short_name(config.data)
    stem = "".join(c if c.isalnum() or c in " .+-_" else "-" for c in f"{data} {config.recipe.model}")

    def make(folder: Path) -> None:
        runs.create(folder, config)
        if guess:
            runs.record_guess(folder, guess)

    race_contenders.forget_guess()
    st.session_state[key] = begin(stem[-60:].lstrip(" .+-"), make)


@callback
def more_seeds(run: Run, count: int) -> None:
    """The same race with the next seeds that none of its kind has, put in the queue."""
    for config in next_seeds(run.config, [other.config for other in relatives(run)], count):
        begin(f"{run.name[:60]} seed {config.recipe.seed}", functools.partial(runs.create, config=config))


@st.cache_data(show_spinner=False, max_entries=8)
def read_size(spec: str) -> tuple[DataInfo, int, str]:
    """What a data set is, how many images it trains on, and its notes in Markdown. ValueError where it has none."""
    if spec in SIZES:
        return INFO[spec], SIZES[spec], ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # they are shown
        data = load_dataset(spec, splits=("train",))
    return data.info, len(data.train), "".join(f"\n\n:small[:material/info: {literal(note)}]" for note in data.notes)


@st.cache_data(show_spinner=False, max_entries=64)
def _speed(recipe: Recipe, info: DataInfo, contender: Contender) -> float:
    return seconds_per_image(recipe, info, contender, pick_device(), _THREADS)


def forecast(config: RunConfig) -> str:
    """What a race will take here, measured, and notes on its data. ValueError for a data set that cannot be read."""
    info, count, notes = read_size(config.data)
    recipe = config.recipe
    # What changes the speed of a step, and nothing else, so that it is measured once.
    plain = Recipe(recipe.model, epochs=1, batch_size=recipe.batch_size, crop=recipe.crop, flip=recipe.flip)
    image = sum(_speed(plain, info, dataclasses.replace(c, name="timed")) for c in config.contenders)
    held = int(count * recipe.validation)
    train = count - held
    if recipe.images is not None:
        if recipe.images > train:
            raise ValueError(f"There are only {train:,} images to train on, not {recipe.images:,}: see Recipe.")
        train = recipe.images
    many = "network" if len(config.contenders) == 1 else "networks"
    speed = f"Measured here: {1 / image:,.0f} images a second through {len(config.contenders)} {many}"
    said = f" **{percent(recipe.label_noise, 'g')} of their labels are drawn anew.**" if recipe.label_noise else ""
    said += notes
    obedience = OBEDIENCE_IMAGES / 2 if config.leakage else 0.0  # a forward pass with masks is half of a step
    epoch = (train + evaluated(train, held) + obedience) * image * OVERHEAD
    if recipe.minutes is not None:
        epochs = 60 * recipe.minutes / epoch
        return f"{speed}, so **{recipe.minutes:g} min are about {epochs:.2g} epochs** of {train:,} images.{said}"
    assert recipe.epochs is not None
    time = duration(recipe.epochs * epoch)
    return f"{speed}, so **{recipe.epochs} epochs of {train:,} images take about {time}**.{said}"
