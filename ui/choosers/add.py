"""Adding checkpoints for a session: by upload, by path, from torchvision; then describing, keeping, forgetting them."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from camdrop.policy import policy
from ui.asked import asked
from ui.choosers.labels import network_label
from ui.choosers.machine import may_name_paths
from ui.choosers.overrides import override
from ui.fragments import callback
from ui.guests import memory_problem
from ui.words import literal

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from camdrop.checkpoints import Checkpoint

_MOST = 6  # checkpoints a session holds; a ResNet-50 has 0.1 GB
_GIVEN = ".given"  # in the folder of the checkpoints: what was said of networks by hand
_FILE, _PATH, _TORCHVISION = "File", "Path", "torchvision"


def added() -> dict[str, Checkpoint]:
    """The checkpoints of this session, by name."""
    return st.session_state.setdefault("uploads", {})


def offer(key: str, folder: Path, row: DeltaGenerator) -> tuple[list[str], dict[str, str]]:
    """In `row`, a button that opens the ways to add checkpoints, and the list of those added.

    The names added just now; and of those that went just now, what takes their place: the name under which they are
    kept, or "". Both are to be cleared when the choice has followed: a run that is cut off before leaves them to the
    next. `key` is that of the widget that chooses among checkpoints; `folder` is where they are kept.
    """
    ways = {_FILE: _by_upload, _PATH: _by_path, _TORCHVISION: _from_torchvision}
    if not may_name_paths():
        del ways[_PATH]
    popover = row.popover(
        "Add",
        icon=":material/add:",
        help="Your own checkpoints, or other people's",
        key=f"{key}.add",
        on_change="rerun",  # so that it can be closed from here
    )
    with popover, st.container(width=480):
        way = st.segmented_control("Add by", list(ways), default=_FILE, required=True, key=f"{key}.way")
        for source in ways[way or _FILE](key):
            _take_in(source, folder)
        for name in list(added()):
            _row(name, key, folder)
    gone: dict[str, str] = st.session_state.setdefault("uploads.gone", {})
    for kept in filter(None, gone.values()):
        st.toast(f"Kept as {literal(folder.name)}/{literal(kept)}.safetensors.", icon=":material/check:")
    return _new(), gone


def _new() -> list[str]:
    """The names that were added, and not chosen yet."""
    return st.session_state.setdefault("uploads.new", [])


@dataclass(frozen=True)
class _Source:
    """A checkpoint to add. An upload has an `id`: it stays in its widget, but is opened once."""

    name: str
    open: Callable[[], Checkpoint]
    id: str = ""


def _by_upload(key: str) -> Iterable[_Source]:
    from camdrop.checkpoints import SUFFIXES, load

    files = st.file_uploader(
        "Checkpoint files",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        key=f"{key}.files",
        help="Ours (.safetensors), or other people's state dictionaries (.pt, .pth, .th …). Architecture, classes and "
        "channels are read from the file; nothing in it is executed.",
    )
    return [_Source(file.name, functools.partial(load, file, name=file.name), file.file_id) for file in files]


def _by_path(key: str) -> Iterable[_Source]:
    from camdrop.checkpoints import SUFFIXES, load

    with st.form(f"{key}.path.form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input("File or folder on this machine", key=f"{key}.path", placeholder="~/nets/resnet20.th")
        pressed = st.form_submit_button("Open")
        hint = f".st-key-{key}-path [data-testid=InputInstructions]"
        st.html(f"<style>{hint} {{ display: none; }}</style>")  # it would cover a long path
    path = Path(os.path.abspath(os.path.expanduser(typed.strip().strip("'\"")))) if typed.strip() else None
    if path is None:
        return
    if pressed and os.path.isfile(path):
        yield _Source(_name_of(path), functools.partial(load, path, name=path.name))
    elif os.path.isdir(path):
        try:
            found = sorted(
                entry.name for entry in os.scandir(path) if entry.name.endswith(SUFFIXES) and entry.is_file()
            )
        except OSError as error:
            _complain(f"{path} cannot be read ({error.strerror}): check its permissions.")
            return
        if not found:
            _complain(f"{path} holds no checkpoint: their names end in {', '.join(SUFFIXES)}.")
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.multiselect(
                f"In {literal(path.name)}/",
                found,
                key=f"{key}.found.{path}",
                max_selections=_MOST,
                placeholder="Choose checkpoints",
            )
            pressed = st.button("Add these", disabled=not chosen)
        if pressed:
            for name in chosen:
                yield _Source(_name_of(path / name), functools.partial(load, path / name, name=name))
    elif pressed:
        _complain(f"There is no file or folder {path}: check the path.")


def _name_of(path: Path) -> str:
    """The file's name, after as many of its folders as tell it from another one of this session."""
    names = ("/".join(path.parts[-n:]) for n in range(1, len(path.parts)))
    return next((n for n in names if n not in added() or added()[n].path == path), str(path))


def _from_torchvision(key: str) -> Iterable[_Source]:
    from camdrop.checkpoints.pretrained import fetch
    from camdrop.checkpoints.torchvision_models import names

    name = st.selectbox("Network, trained on ImageNet", names(), key=f"{key}.torchvision")
    st.caption("Its weights are downloaded once, and stay on the machine that runs the app.")
    with asked("Get it", key=f"{key}.get", icon=":material/download:") as now:
        if now:
            bar, text = st.empty(), f"Downloading {name} …"
            yield _Source(
                f"torchvision:{name}", lambda: fetch(name, lambda share: bar.progress(min(max(share, 0.0), 1.0), text))
            )
            bar.empty()


def _take_in(source: _Source, folder: Path) -> None:
    """Open a checkpoint, with what was remembered of it; a sentence where that fails, or did before."""
    from camdrop.checkpoints import CheckpointError
    from camdrop.checkpoints.overrides import recall

    seen: dict[str, str] = st.session_state.setdefault("uploads.seen", {})
    if source.id in seen:
        if seen[source.id]:
            _complain(seen[source.id])
        return
    if len(added()) >= _MOST and source.name not in added():
        _complain(f"There is room for {_MOST} at once, so {source.name} was not added: keep or forget another first.")
        return
    if full := memory_problem():
        _complain(full)
        return
    problem = ""
    with st.spinner(f"Opening {literal(source.name)} …"):
        try:
            added()[source.name] = recall(folder / _GIVEN, source.open())
            _new().append(source.name)
        except CheckpointError as error:
            problem = str(error)
        if source.id:
            seen[source.id] = problem
    if problem:
        _complain(problem)


def _complain(sentence: str) -> None:
    st.error(literal(sentence), icon=":material/broken_image:")


def _row(name: str, key: str, folder: Path) -> None:
    """A checkpoint of this session, with what can be done to it."""
    from camdrop.checkpoints.metadata import NO_HEADER

    meta = added()[name].meta
    with st.container(border=True, gap="xsmall"):
        st.text(name)
        st.caption(f"{literal(network_label(meta).removeprefix('Method unknown · '))} · {meta.num_classes:,} classes")
        if meta.notes.startswith(NO_HEADER):
            st.caption(":material/help: What the file does not say is by convention: press Describe.")
            st.text(meta.notes.removeprefix(NO_HEADER).replace("; ", "\n"))
        with st.container(horizontal=True, gap="small"):
            about = "Class names, normalisation, data set"
            if st.button("Describe", key=f"{key}.describe.{name}", on_click=_to_describe, args=(key,), help=about):
                override(name, added(), folder / _GIVEN)
            where = f"Into {folder.name}/, where it stays, and can be in a link"
            if policy().keeps:
                st.button("Keep", key=f"{key}.keep.{name}", on_click=_keep, args=(name, folder), help=where)
            st.button("Forget", key=f"{key}.forget.{name}", on_click=_forget, args=(name,), help="From this session")


@callback
def _to_describe(key: str) -> None:
    st.session_state[f"{key}.add"] = False  # it would lie over the dialog
    st.session_state["overrides.opened"] = st.session_state.get("overrides.opened", 0) + 1


def plain(name: str) -> str:
    """A checkpoint's name as that of a file: without its suffixes, of letters, digits, dots and hyphens."""
    from camdrop.checkpoints import SUFFIXES

    stem = re.sub(r"[^\w.]+", "-", name)
    while stem.endswith(SUFFIXES):
        stem = stem[: stem.rindex(".")]
    return stem.strip(".-") or "network"


@callback
def _keep(name: str, folder: Path) -> None:
    from camdrop.checkpoints import save

    stem = plain(name)
    taken = {path.stem for path in folder.iterdir()} if folder.is_dir() else set()
    names = (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3)))
    path = folder / f"{next(n for n in names if n not in taken)}.safetensors"
    save(path, added()[name].model, added()[name].meta)
    _forget(name, path.stem)


@callback
def _forget(name: str, instead: str = "") -> None:
    added().pop(name, None)
    st.session_state.setdefault("uploads.gone", {})[name] = instead
