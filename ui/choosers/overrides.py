"""The dialog of metadata overrides: a person sets the class names, normalisation and data set of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from camdrop.policy import policy
from ui.choosers.image import TITLES
from ui.fragments import callback
from ui.words import literal

if TYPE_CHECKING:
    from camdrop.checkpoints import Checkpoint
    from camdrop.checkpoints.metadata import Meta

_NONE, _HAND = "Another", "Numbers by hand"


@st.dialog("What the network is", width="medium")
def override(name: str, networks: dict[str, Checkpoint], folder: Path) -> None:
    """Ask for the metadata of `networks[name]`, replace it there, and store it in `folder`."""
    from camdrop.checkpoints import CheckpointError
    from camdrop.checkpoints.format import with_meta
    from camdrop.checkpoints.metadata import NO_HEADER
    from camdrop.checkpoints.overrides import amend, read_class_names, remember

    checkpoint = networks[name]
    meta = checkpoint.meta
    key = f"override.{st.session_state['overrides.opened']}"  # each opening starts from the current metadata
    st.text(name)
    if meta.notes.startswith(NO_HEADER):
        st.info("What the file does not say is by convention for such a network: check it.", icon=":material/help:")
        st.text(meta.notes.removeprefix(NO_HEADER).replace("; ", "\n"))
    with st.container(horizontal=True):
        dataset = _choose_dataset(meta, key)
        size = st.number_input("Image size", 1, 4096, meta.image_size, key=f"{key}.size", width=140, help="In pixels")
        pools = bool(meta.stem) and st.checkbox(
            "Max pooling behind the stem",
            meta.stem == "3x3-pool",
            key=f"{key}.pools",
            help="Whether a max pooling follows the first convolution (3×3): it has no weights that could tell.",
        )
    mean, std = _choose_normalisation(meta, key)
    classes = _choose_names(meta, key)
    problem = st.empty()  # above the button, since a laptop's screen ends below it
    if st.button("Use this", type="primary", key=f"{key}.use"):
        try:
            amended = amend(
                meta,
                classes=read_class_names(classes.encode(), "The field"),
                mean=_numbers(mean, meta.in_channels),
                std=_numbers(std, meta.in_channels),
                image_size=size,
                dataset=dataset,
                stem=meta.stem and ("3x3-pool" if pools else "3x3"),
            )
        except CheckpointError as error:
            problem.error(literal(error), icon=":material/error:")
            return
        networks[name] = with_meta(checkpoint, amended)
        try:
            if policy().keeps:
                remember(folder, networks[name])
        except CheckpointError as error:
            st.toast(literal(error), icon=":material/warning:", duration="long")
        st.rerun()


def _choose_dataset(meta: Meta, key: str) -> str:
    """Choose among the data sets with as many classes; a choice fills in the class names."""
    from camdrop.data import INFO

    fitting = [name for name in TITLES if len(INFO[name].classes) == meta.num_classes]
    options = list(dict.fromkeys([meta.dataset, *fitting, ""]))

    @callback
    def fill() -> None:
        if chosen := st.session_state[f"{key}.dataset"]:
            st.session_state[f"{key}.names"] = "\n".join(INFO[chosen].classes if chosen in INFO else meta.classes)

    return st.selectbox(
        "Data set",
        options,
        key=f"{key}.dataset",
        format_func=lambda name: TITLES.get(name, name) or _NONE,
        on_change=fill,
        width=220,
        help="Whose classes these are: its images come with their true class. Choosing one fills in its class names.",
    )


def _choose_normalisation(meta: Meta, key: str) -> tuple[str, str]:
    """Choose mean and standard deviation, as text."""
    from camdrop.checkpoints.recognition import CIFAR_NORMALISATION
    from camdrop.data import INFO

    fitting = [(TITLES[name], INFO[name]) for name in TITLES if INFO[name].channels == meta.in_channels]
    known = {title: (info.mean, info.std) for title, info in fitting}
    if meta.in_channels == 3:
        known["CIFAR-10, std within images"] = CIFAR_NORMALISATION
    known |= {f"Pixels from {low} to 1": ((mean,) * meta.in_channels, (std,) * meta.in_channels)
              for low, mean, std in (("0", 0.0, 1.0), ("−1", 0.5, 0.5))}  # fmt: skip
    now = (meta.mean, meta.std)
    if now not in known.values():
        known = {"As it is": now} | known
    with st.container(horizontal=True):
        chosen = st.selectbox(
            "Normalisation",
            [*known, _HAND],
            list(known.values()).index(now),
            key=f"{key}.normalisation",
            width=220,
            help="What was subtracted from the pixels, and what they were divided by, in training.",
        )
        mean, std = (", ".join(map(str, part)) for part in known.get(chosen, now))
        hand = chosen == _HAND
        shown = "hand" if hand else chosen
        mean = st.text_input("Mean", mean, key=f"{key}.mean.{shown}", disabled=not hand, width=200)
        std = st.text_input("Standard deviation", std, key=f"{key}.std.{shown}", disabled=not hand, width=200)
    return mean, std


def _choose_names(meta: Meta, key: str) -> str:
    """Ask for the class names, as text: typed, or from a file."""
    from camdrop.checkpoints import CheckpointError
    from camdrop.checkpoints.overrides import read_class_names

    store = st.session_state
    store.setdefault(f"{key}.names", "\n".join(meta.classes))

    @callback
    def read() -> None:
        file = store[f"{key}.file"]
        try:
            if file is not None:
                store[f"{key}.names"] = "\n".join(read_class_names(file.getvalue(), file.name))
            store.pop(f"{key}.problem", None)
        except CheckpointError as error:
            store[f"{key}.problem"] = str(error)

    text = st.text_area("Class names, one a line, in the order of the outputs", key=f"{key}.names", height=200)
    count = sum(1 for line in text.splitlines() if line.strip())
    st.caption(f"{count:,} of {meta.num_classes:,} classes have a name.")
    st.file_uploader(
        "… or from a file",
        type=["txt", "json", "yaml", "yml", "csv", "tsv", "py", "names"],
        key=f"{key}.file",
        on_change=read,
        help="One name a line, or JSON, Python, YAML or CSV, such as transformers' config.json or YOLO's data.yaml.",
    )
    if problem := store.get(f"{key}.problem"):
        st.error(literal(problem), icon=":material/error:")
    return text


def _numbers(text: str, channels: int) -> tuple[float, ...]:
    """Read numbers separated by commas or spaces; a single one applies to all channels."""
    from camdrop.checkpoints import CheckpointError

    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise CheckpointError(f"{text!r} are no numbers: write such as 0.485, 0.456, 0.406.") from None
    return numbers * channels if len(numbers) == 1 else numbers
