"""Choosing checkpoints: those that ship, those of runs (`run:NAME/CONTENDER`), and uploads.

With the pictures of ui/gallery.py, what pages start from.

Every choice but an upload is in the link. Call these inside a fragment: they load PyTorch when they are first called.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from ui.gallery import TITLES, Picture, choose_picture, fit
from ui.run_checkpoints import run_checkpoints

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from camdrop.checkpoints import Checkpoint
    from camdrop.meta import Meta

__all__ = [
    "FOLDER",
    "Picture",
    "choose_checkpoint",
    "choose_checkpoints",
    "choose_picture",
    "describe",
    "fit",
    "method_label",
    "open_checkpoint",
]

FOLDER = Path(__file__).resolve().parent.parent / "checkpoints"

_MOST_UPLOADS = 6  # checkpoints a session keeps; a ResNet-50 has 0.1 GB


def method_label(meta: Meta) -> str:
    """How a network was trained, such as `CamDrop γ 0.9 r 7`."""
    from camdrop.masks import METHODS

    if not meta.method:
        return "Method unknown"
    if meta.method not in METHODS:
        return meta.method.capitalize()
    options = meta.method_options
    signs = {"keep_prob": "γ", "block_size": "r"}
    parts = [f"{sign} {options[name]:g}" for name, sign in signs.items() if isinstance(options.get(name), int | float)]
    return " ".join([METHODS[meta.method].__name__, *parts])


def describe(meta: Meta) -> str:
    """What a network is, such as `CamDrop γ 0.9 r 7 · ResNet-8 · Fashion-MNIST · error 7.4 %`."""
    parts = [method_label(meta), meta.architecture.replace("resnet", "ResNet-")]
    if meta.dataset:
        parts.append(TITLES.get(meta.dataset, meta.dataset))
    if meta.test_error is not None:
        parts.append(f"error {meta.test_error:.1f} %")
    return " · ".join(parts)


def open_checkpoint(name: str) -> Checkpoint:
    """A checkpoint by its name: a file's in the folder, without its suffix, or an upload's of this session.

    Those in the folder are loaded once for all sessions. CheckpointError where there is none, or it is damaged.
    """
    from camdrop.checkpoints import CheckpointError

    uploads: dict[str, Checkpoint] = st.session_state.get("uploads", {})
    if name in uploads:
        return uploads[name]
    path = next((path for path, _ in _shipped(FOLDER) if path.stem == name), None) or run_checkpoints().get(name)
    if path is None:
        raise CheckpointError(f"There is no checkpoint {name!r} here: choose another, or add its file.")
    return _load(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=12, show_spinner="Opening the checkpoint …")
def _load(path: Path, changed: int) -> Checkpoint:
    import torch

    from camdrop.checkpoints import load

    torch.set_num_threads(1)  # sessions share the cores; threads that wait for each other cost up to a hundredfold
    return load(path)


def _shipped(folder: Path) -> list[tuple[Path, Meta]]:
    return _listing(folder, folder.stat().st_mtime_ns)[0] if folder.is_dir() else []


def _of_runs() -> dict[str, Meta]:
    paths = run_checkpoints()
    return {name: meta for name, best in paths.items() for path, meta in _shipped(best.parent) if path == best}


@functools.lru_cache(maxsize=256)
def _listing(folder: Path, changed: int) -> tuple[list[tuple[Path, Meta]], list[tuple[Path, str]]]:
    from camdrop.checkpoints import list_checkpoints

    return list_checkpoints(folder)


def choose_checkpoint(label: str, *, key: str) -> tuple[str, Checkpoint] | None:
    """A select box of the checkpoints at hand, with a place to add others; None (and the reason on the page) if none.

    `key` is the link's parameter.
    """
    place, metas, added = _offer(key, st.container(horizontal=True, vertical_alignment="bottom"))
    if not metas:
        return None
    if added:
        st.session_state[key] = added[-1]
    names = list(metas)
    preferred = next((i for i, name in enumerate(names) if metas[name].method == "camdrop"), 0)
    name = place.selectbox(label, names, 0 if added else preferred, key=key, bind="query-params")
    return next(iter(_open([name])), None) if name else None


def choose_checkpoints(
    label: str, *, key: str, most: int = 4, row: DeltaGenerator | None = None
) -> list[tuple[str, Checkpoint]]:
    """A choice of one to `most` checkpoints at hand, with a place to add others; [] if there is none.

    By default those of the first data set and architecture, at most three. `key` is the link's parameter; `row` a
    horizontal container for the controls, by default one of its own.
    """
    row = row or st.container(horizontal=True, vertical_alignment="bottom")
    place, metas, added = _offer(key, row, 720)  # pixels: four names beside each other
    if not metas:
        return []
    first = next(iter(metas.values()))
    alike = [name for name, meta in metas.items() if _kind(meta) == _kind(first)]
    if added:
        # Networks that look at other images take the place of those chosen; others join them.
        kind = _kind(metas[added[0]])
        chosen = [name for name in st.session_state.get(key) or [] if name in metas and _kind(metas[name]) == kind]
        st.session_state[key] = list(dict.fromkeys([*chosen, *added]))[-most:]
    names = place.multiselect(
        label,
        list(metas),
        None if added else alike[: min(3, most)],  # Streamlit wants a default or a value, not both
        key=key,
        bind="query-params",
        max_selections=most,
        placeholder=f"Choose one to {most} checkpoints",
    )
    if not names:
        st.info("Choose at least one checkpoint above to see where it looks.", icon=":material/arrow_upward:")
    return _open(names)


def _kind(meta: Meta) -> tuple[str, int, int]:
    return meta.dataset, meta.num_classes, meta.in_channels


def _open(names: list[str]) -> list[tuple[str, Checkpoint]]:
    from camdrop.checkpoints import CheckpointError

    opened = []
    for name in names:
        try:
            checkpoint = open_checkpoint(name)
        except CheckpointError as error:
            st.error(str(error), icon=":material/broken_image:")
            continue
        if checkpoint.meta.in_channels in (1, 3):
            opened.append((name, checkpoint))
        else:
            st.error(
                f"{name} takes images of {checkpoint.meta.in_channels} channels, but images here are grey or RGB: "
                "choose a checkpoint of 1 or 3 channels.",
                icon=":material/broken_image:",
            )
    return opened


def _offer(
    key: str, row: DeltaGenerator, width: Literal["stretch"] | int = "stretch"
) -> tuple[DeltaGenerator, dict[str, Meta], list[str]]:
    """In `row`, a place for the choice and the button to add checkpoints; what there is then, and what was added."""
    from camdrop.checkpoints import SUFFIXES

    problems: list[str] = []
    place = row.container(width=width)
    with row.popover("Add", icon=":material/add:", help="Your own checkpoints, or other people's"):
        files = st.file_uploader(
            "Checkpoints of ResNets",
            type=[suffix.removeprefix(".") for suffix in SUFFIXES],
            accept_multiple_files=True,
            key=f"{key}.files",
            help="Ours (.safetensors), or other people's state dictionaries (.pt, .pth, .th …). Architecture, classes "
            "and channels are read from the file; nothing in it is executed. An upload stays in this session, and "
            "cannot be in the link.",
        )
        added = _take_in(files, problems)
    metas = {path.stem: meta for path, meta in _shipped(FOLDER)} | _of_runs()
    metas |= {name: checkpoint.meta for name, checkpoint in st.session_state.get("uploads", {}).items()}
    problems += [reason for _, reason in _listing(FOLDER, FOLDER.stat().st_mtime_ns)[1]] if FOLDER.is_dir() else []
    for problem in problems:
        st.error(problem, icon=":material/broken_image:")
    absent = [name for name in st.query_params.get_all(key) if name and name not in metas]
    if absent:
        st.warning(
            f"The link names {', '.join(absent)}, which is not here: a link cannot carry an upload. Add the file "
            "again, or choose another checkpoint.",
            icon=":material/link_off:",
        )
    if not metas:
        st.info(
            "There is no checkpoint yet. Make the three that ship with `make checkpoints`, or add one of your own.",
            icon=":material/model_training:",
        )
    return place, metas, added


def _take_in(files: list[Any], problems: list[str]) -> list[str]:
    """Open files that were not seen before, and say which; a file that cannot be opened becomes one of `problems`."""
    from camdrop.checkpoints import CheckpointError, load

    seen: dict[str, str | None] = st.session_state.setdefault("uploads.seen", {})
    uploads: dict[str, Checkpoint] = st.session_state.setdefault("uploads", {})
    added = []
    for file in files:
        if file.file_id not in seen:
            try:
                with st.spinner(f"Opening {file.name} …"):
                    uploads[file.name] = load(file, name=file.name)
                seen[file.file_id] = None
                added.append(file.name)
            except CheckpointError as error:
                seen[file.file_id] = str(error)
        problem = seen[file.file_id]
        if problem:
            problems.append(problem)
    for name in list(uploads)[: max(0, len(uploads) - _MOST_UPLOADS)]:
        del uploads[name]
    return added
