"""Setting up a race: data set, network, contenders, budget; and what that takes on this machine."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import streamlit as st

from camdrop import runs
from camdrop.data import INFO, DataInfo, load_dataset, short_name
from camdrop.masks import CHANNELS, GUIDES, LABELS, METHODS, READINGS
from camdrop.report.paper_tables import preset_methods
from camdrop.resnet import ARCHITECTURES, KINDS
from camdrop.runs import Run, RunConfig, RunError, scheduler
from camdrop.runs.records import label, unique_names
from camdrop.schedules import KEEP_SCHEDULES, LR_SCHEDULES
from camdrop.training import OVERHEAD, pick_device
from camdrop.training.config import (
    PRESETS,
    Contender,
    Recipe,
    contender,
    make_method,
    make_recipe,
    method_name,
    preset_block_size,
)
from camdrop.training.speed import seconds_per_image
from ui.choosers.run_checkpoints import root
from ui.panels.races import duration

SIZES = {"fashion-sample": 6_000, "fashion-mnist": 60_000, "mnist": 60_000, "cifar10": 50_000}
DEFAULT = "noise"  # the preset that the page opens with
_R = 4  # of a contender that is added, as in the default race
_MEASURED = 500 + 250  # images at most, beside those held out, that each epoch ends with: unmasked error, obedience
_THREADS = max(1, (os.cpu_count() or 2) // 2)  # the others are for the page


def setup() -> RunConfig | None:
    """The controls of a new race, and the configuration that they say; None, with the reason, if it makes no sense."""
    store = st.session_state
    if "race.contenders" not in store:
        for key, value in _filled_in(DEFAULT).items():
            store.setdefault(key, value)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data = st.selectbox(
            "Data set", list(SIZES), key="race.data", width=200, persist_state="session", accept_new_options=True,
            help="Bundled: fashion-sample. The others are downloaded once. Your own: write folder:DIR, where DIR has "
            "train/CLASS/ and test/CLASS/ with images.",
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
    contenders = _contenders(tuple(f"layer{i + 1}" for i in range(len(ARCHITECTURES[network].blocks))))
    given |= {"model": network, "seed": seed, unit or "minutes": budget}
    try:
        recipe = make_recipe(None, given)
        config = RunConfig(
            str(data or "fashion-sample"), recipe, tuple(unique_names(contenders)), None, _THREADS,
            bounds=bounds, leakage=leakage,
        )  # fmt: skip
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
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
    contenders = [contender(text, shared) for text in methods.split(",")]
    values["race.contenders"] = list(range(len(contenders)))
    values["race.methods"] = {i: method_name(c.method) for i, c in enumerate(contenders)}
    for i, c in enumerate(contenders):
        values |= _set_to(i, c)
    return values


def _set_to(number: int, contender: Contender) -> dict[str, Any]:
    """Values of the widgets' keys by which the settings of a number say this contender."""
    options = {} if contender.method is None else dataclasses.asdict(contender.method)
    options |= {"schedule": contender.schedule}
    options |= {"stages": list(contender.stages or ()), "kinds": list(contender.kinds or ())}
    return {f"race.{number}.{part}": value for part, value in options.items()}


_RECIPE = (
    "images", "label_noise", "learning_rate", "lr_schedule", "batch_size", "weight_decay", "label_smoothing",
    "validation", "crop", "flip",
)  # fmt: skip


def _recipe() -> dict[str, Any]:
    """The rarer parts of a recipe, by their names in `Recipe`; at first they are those of the preset `DEFAULT`."""

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
        "crop": st.number_input("Random crop, pixels", 0, 16, key="race.crop", **keep),
        "flip": st.toggle("Random mirror images", key="race.flip", **keep),
    }  # fmt: skip


def _contenders(stages: tuple[str, ...]) -> list[Contender]:
    """The chips: each opens to its settings. `stages` are those of the network."""
    store = st.session_state
    numbers: list[int] = store["race.contenders"]
    names: dict[int, str] = store["race.methods"]
    chosen = []
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Contenders", width="content")
        for number in numbers:
            contender = _contender(number, names[number], stages)
            with st.popover(label(contender), key=f"race.chip.{number}"):
                _settings(number, names[number], stages)
                st.button(
                    "Remove", key=f"race.remove.{number}", icon=":material/close:", on_click=_remove, args=(number,)
                )
            chosen.append(contender)
        with st.popover("Add", icon=":material/add:"):
            for name in ("baseline", *METHODS):
                title = "Baseline (no dropout)" if name == "baseline" else METHODS[name].__name__
                st.button(title, key=f"race.add.{name}", on_click=_add, args=(name,), width="stretch")
    return chosen


def _add(name: str) -> None:
    number = max(st.session_state["race.contenders"], default=-1) + 1
    st.session_state["race.methods"][number] = name
    st.session_state["race.contenders"].append(number)
    st.session_state.update(_set_to(number, contender(name, {"block_size": _R})))


def _remove(number: int) -> None:
    st.session_state["race.contenders"].remove(number)


def _contender(number: int, name: str, stages: tuple[str, ...]) -> Contender:
    """A contender as its settings say."""
    store, key = st.session_state, f"race.{number}."
    if name == "baseline":
        return Contender("baseline")
    options = {field.name: store[key + field.name] for field in dataclasses.fields(METHODS[name])}
    at = tuple(s for s in stages if s in (store.get(key + "stages") or ()))
    kinds = tuple(k for k in KINDS if k in (store.get(key + "kinds") or ()))
    return Contender(name, make_method(name, options), store[key + "schedule"], at or None, kinds or None)


def _settings(number: int, name: str, stages: tuple[str, ...]) -> None:
    """The widgets of a contender's settings."""
    key, keep = f"race.{number}.", dict[str, Any](persist_state="session")
    if name == "baseline":
        st.caption("No dropout.")
        return
    st.slider("Keep rate γ", 0.0, 1.0, step=0.01, key=key + "keep_prob", width=260, **keep)
    if name in ("dropblock", "camdrop"):
        st.slider("Block size r", 1, 16, key=key + "block_size", width=260, **keep)
    choices: list[tuple[str, str, tuple[str, ...], str]] = [
        ("γ over the run", "schedule", KEEP_SCHEDULES, "linear: 1 → γ, inverse: γ → 1 (Table 5)")
    ]
    if name == "camdrop":
        st.number_input("Channel fraction", 0.005, 1.0, step=0.005, format="%.3f", key=key + "channel_fraction", **keep)
        st.number_input(
            "Position fraction", 0.005, 1.0, None, 0.05, "%.3f", key=key + "position_fraction", placeholder="1/r²",
            help="Share of the positions, those with the largest activation, where a block may begin. Empty: 1/r² "
            "(Eq. 6).", **keep,
        )  # fmt: skip
        choices += [
            ("Class that guides", "label", LABELS, "With the true one, as in the paper, the mask tells the label. The "
             "one that the network predicts, or one drawn at random, tells no more than the image does."),
            ("Reading of the paper", "reading", READINGS, "How likely a candidate becomes a seed: see the mask lab"),
            ("Guide", "guide", GUIDES, "The class activation map, or the mean of all channels (Table 2)"),
            ("Channels", "channels", CHANNELS, "Those with the largest α, or all of them (Table 3)"),
        ]  # fmt: skip
    for title, part, values, why in choices:
        st.segmented_control(title, values, required=True, key=key + part, help=why, **keep)
    st.pills(
        "Only in these stages", stages, selection_mode="multi", key=key + "stages",
        help="None chosen: all three of a CIFAR network, the last two of an ImageNet network.", **keep,
    )  # fmt: skip
    st.pills(
        "Only at these sites", KINDS, selection_mode="multi", key=key + "kinds",
        help="conv: after a convolution; branch: after the last one of a block; skip: on the skip connection. "
        "None chosen: all of them (DropPath: branch).", **keep,
    )  # fmt: skip


def start(config: RunConfig, key: str) -> None:
    """Make the run folder, put it in the queue, and show it: a callback."""
    data = short_name(config.data)
    stem = "".join(c if c.isalnum() or c in " .+-_" else "-" for c in f"{data} {config.recipe.model}")[-60:].lstrip(
        " .+-"
    )
    try:
        name, n = stem, 2
        while (root() / name).exists():
            name, n = f"{stem} {n}", n + 1
        runs.create(root() / name, config)
        scheduler.submit(root() / name)
        scheduler.launch(root())
        st.session_state[key] = name
    except (RunError, OSError) as error:
        st.session_state["race.problem"] = str(error)


def again(run: Run, key: str) -> None:
    """The same race with the next seed: a callback."""
    recipe = dataclasses.replace(run.config.recipe, seed=run.config.recipe.seed + 1)
    start(dataclasses.replace(run.config, recipe=recipe), key)


@st.cache_data(show_spinner=False, max_entries=8)
def _read_size(spec: str) -> tuple[DataInfo, int]:
    data = load_dataset(spec, splits=("train",))
    return data.info, len(data.train)


@st.cache_data(show_spinner=False, max_entries=64)
def _speed(recipe: Recipe, info: DataInfo, contender: Contender) -> float:
    return seconds_per_image(recipe, info, contender, pick_device(), _THREADS)


def forecast(config: RunConfig) -> str:
    """What a race will take here, measured: one sentence. ValueError for a data set that cannot be read."""
    info, count = (INFO[config.data], SIZES[config.data]) if config.data in SIZES else _read_size(config.data)
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
    noise = f" **{100 * recipe.label_noise:g} % of their labels are drawn anew.**" if recipe.label_noise else ""
    if recipe.minutes is not None:
        epochs = 60 * recipe.minutes / (train * image * OVERHEAD)
        return f"{speed}, so **{recipe.minutes:g} min are about {epochs:.2g} epochs** of {train:,} images.{noise}"
    assert recipe.epochs is not None
    # A forward pass is about a third of a step.
    seconds = recipe.epochs * (train + (held + min(train, _MEASURED)) / 3) * image * OVERHEAD
    return f"{speed}, so **{recipe.epochs} epochs of {train:,} images take about {duration(seconds)}**.{noise}"
