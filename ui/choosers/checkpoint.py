"""Choosing checkpoints: those that ship, those of runs (`run:NAME/CONTENDER`), and those added (add.py).

With the pictures of image.py, what pages start from.

Every choice but one added for the session is in the link.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

from camdrop.shipped import in_repository, own, shipped
from ui.choosers import add
from ui.choosers.errors import offer_errors
from ui.choosers.image import ChosenImage, Filter, Shelf, choose_shelf
from ui.choosers.run_checkpoints import run_checkpoints
from ui.choosers.select import not_here
from ui.components.choice import live_choice
from ui.components.choices import live_choices
from ui.components.packing import digest
from ui.rooms import ROW, room
from ui.words import literal

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from camdrop.checkpoints import Checkpoint
    from camdrop.checkpoints.metadata import Meta

FOLDER = own("checkpoints")  # where those that are kept go
FIRST_SET = "fashion-noise-resnet8"  # of the set that pages open on
_SMALL = 8_000_000  # bytes of a file that opens in a moment
_NEAR = 8  # networks
MOST = 4  # are compared
# What networks of one build share: all that their pictures and choices depend on, but for the weights.
_BUILD = ("architecture", "shortcut", "stem", "dataset", "classes", "num_classes", "in_channels", "image_size")


def open_checkpoint(name: str) -> Checkpoint:
    """A checkpoint by its name: a file's in the folder, without its suffix, or one added in this session.

    Those in the folder are loaded once for all sessions. CheckpointError where there is none, or it is damaged.
    """
    from camdrop.checkpoints import CheckpointError

    if name in add.added():
        return add.added()[name]
    path = _paths().get(name)
    if path is None:
        raise CheckpointError(f"There is no checkpoint {name!r} here: choose another, or add its file.")
    return _load(path, path.stat().st_mtime_ns)


def _paths() -> dict[str, Path]:
    """The files of checkpoints by their names."""
    return run_checkpoints() | {path.stem: path for path, _ in reversed(_kept())}


@st.cache_resource(max_entries=12, show_spinner="Opening the checkpoint …")
def _load(path: Path, changed: int) -> Checkpoint:
    import torch

    from camdrop.checkpoints import load

    torch.set_num_threads(1)  # sessions share the cores; threads that wait for each other cost up to a hundredfold
    return load(path)


def _folders() -> list[Path]:
    """Where checkpoints are: the folder of one's own, and what came with a package that has no repository."""
    alone = in_repository() or "CAMDROP_CHECKPOINTS" in os.environ
    return [folder for folder in (FOLDER, *(() if alone else [shipped("checkpoints")])) if folder.is_dir()]


def _kept() -> list[tuple[Path, Meta]]:
    return [entry for folder in _folders() for entry in _in(folder)]


def _in(folder: Path) -> list[tuple[Path, Meta]]:
    return _listing(folder, folder.stat().st_mtime_ns)[0]


def _of_runs() -> dict[str, Meta]:
    paths = run_checkpoints()
    return {name: meta for name, best in paths.items() for path, meta in _in(best.parent) if path == best}


@st.cache_resource(max_entries=256, show_spinner="Reading checkpoints …")
def _listing(folder: Path, changed: int) -> tuple[list[tuple[Path, Meta]], list[tuple[Path, str]]]:
    from camdrop.checkpoints import list_checkpoints

    return list_checkpoints(folder)


@dataclass(frozen=True)
class Offered:
    """The checkpoints at hand by their names, the one to begin with, and the place to choose one in."""

    key: str
    metas: Mapping[str, Meta]
    default: str
    place: DeltaGenerator


def offer_checkpoints(*, key: str, row: DeltaGenerator, width: int) -> Offered | None:
    """In `row`, room for `choose_checkpoint` and a place to add others; None (and the reason on the page) if none.

    `key` is the link's parameter. Call it in the page's own run, where a choice among them runs nothing of it again.
    """
    place, metas, added, gone = _offer(key, row, width)
    if not metas:
        return None
    guided = next((name for name, meta in metas.items() if meta.method == "camdrop"), next(iter(metas)))
    (default,) = _usual(key, [guided], metas)
    slot = f"live.{key}"
    if added or st.session_state.get(slot) in gone:
        st.session_state[slot] = added[-1] if added else gone[st.session_state[slot]] or default
    added.clear()
    gone.clear()
    return Offered(key, metas, default, place)


def choose_checkpoint(label: str, offered: Offered) -> tuple[str, Checkpoint] | None:
    """A list of the checkpoints at hand, which the browser follows (ahead.py); None if the chosen one cannot open."""
    with offered.place:
        name = live_choice(label, list(offered.metas), key=offered.key, default=offered.default, width="stretch")
    return next(iter(open_checkpoints([name])), None)


def alike(name: str, metas: Mapping[str, Meta]) -> dict[str, object]:
    """Those of `metas` that differ from one in their weights alone, and open in a moment, with their `versions`.

    Itself first, then the nearest in the list.
    """
    names, paths = list(metas), _paths()
    near = sorted(names, key=lambda other: abs(names.index(other) - names.index(name)))
    same = [other for other in near if _build(metas[other]) == _build(metas[name])]
    quick = [other for other in same if other in add.added() or (other in paths and _size(paths[other]) <= _SMALL)]
    return _versions(list(dict.fromkeys([name, *quick]))[:_NEAR], paths)


def versions(names: Iterable[str]) -> dict[str, object]:
    """What changes whenever the network of a name does, by the names."""
    return _versions(names, _paths())


def _versions(names: Iterable[str], paths: Mapping[str, Path]) -> dict[str, object]:
    return {name: _version(name, paths.get(name)) for name in names}


def _usual(key: str, names: list[str], metas: Mapping[str, Meta]) -> list[str]:
    """The names to begin with, in a session always the same while they are at hand: the link leaves out no others."""
    kept: dict[str, list[str]] = st.session_state.setdefault("usual", {})
    if not set(kept.get(key, [""])) <= metas.keys():
        kept[key] = names
    return kept[key]


def choose_checkpoints(label: str, *, key: str, row: DeltaGenerator) -> list[tuple[str, Checkpoint]]:
    """A choice of one to `MOST` checkpoints at hand, which the browser follows, with a place to add others, in `row`.

    [] if there is none. By default those of the first data set and architecture, at most three. `key` is the link's
    parameter.
    """
    place, metas, added, gone = _offer(key, row, 860)  # pixels: three names beside each other
    if not metas:
        return []
    first = next(iter(metas.values()))
    usual = _usual(key, [name for name, meta in metas.items() if _kind(meta) == _kind(first)][:3], metas)
    slot = f"live.{key}"
    before: list[str] = st.session_state.get(slot, [])
    if added or not gone.keys().isdisjoint(before):
        # Networks that look at other images take the place of those chosen; others join them.
        kinds = {_kind(metas[name]) for name in added[:1]} or {_kind(meta) for meta in metas.values()}
        kept = [name for name in (gone.get(name, name) for name in before) if name in metas]
        kept = [name for name in kept if _kind(metas[name]) in kinds]
        kept = list(dict.fromkeys([*kept, *added]))
        st.session_state[slot] = kept[-MOST:] or usual
        if left := kept[:-MOST]:
            st.toast(
                f"At most {MOST} are compared: {' and '.join(map(literal, left))} made room.",
                icon=":material/swap_horiz:",
                duration="infinite",
            )
    added.clear()
    gone.clear()
    with place:
        names = live_choices(label, list(metas), key=key, default=usual, most=MOST)
    if not names:
        st.info("Choose at least one checkpoint above to see where it looks.", icon=":material/arrow_upward:")
    return open_checkpoints(names)


def choose_subjects(
    filters: Callable[[list[tuple[str, Checkpoint]], Callable[[str, float], object]], Mapping[str, Filter]]
    | None = None,
) -> tuple[list[tuple[str, Checkpoint]], Shelf | ChosenImage] | None:
    """One row: checkpoints to compare, and the images to show them; None where either is not chosen yet.

    `filters` gives the ways to narrow the images down: it gets the networks, and a function to call with the name of
    the checkpoint at work and the share that is done.
    """
    from camdrop.data import DataError

    row = room("choosers", ROW).container(horizontal=True, vertical_alignment="bottom")
    networks = choose_checkpoints("Checkpoints", key="checkpoints", row=row)
    if not networks:
        return None
    images = row.popover("Images", icon=":material/photo_library:", help="Other images, or only some of them")
    problem, shelf, bar = "Press Images above, and choose an image.", None, st.empty()

    def tell(name: str, share: float) -> None:
        bar.progress(share, f"{literal(name)} looks at the gallery …")

    with images:
        try:
            shelf = choose_shelf(networks[0][1].meta, key="image", filters=filters and filters(networks, tell))
            if isinstance(shelf, Shelf):
                offer_errors(networks, shelf.split, shelf.info, tell)
        except DataError as error:
            problem = str(error)
    bar.empty()
    if shelf is None:
        st.info(literal(problem), icon=":material/image:")
        return None
    return networks, shelf


def _kind(meta: Meta) -> tuple[str, int, int]:
    return meta.dataset, meta.num_classes, meta.in_channels


def _rank(name: str) -> tuple[bool, bool]:
    """Where a checkpoint stands in lists; those of the same rank are in order of their names."""
    return not name.startswith(FIRST_SET), name.endswith("-leaky")


def _build(meta: Meta) -> tuple[object, ...]:
    return tuple(getattr(meta, name) for name in _BUILD)


def _size(path: Path) -> float:
    return path.stat().st_size if path.exists() else math.inf


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _version(name: str, path: Path | None) -> object:
    if checkpoint := add.added().get(name):
        return checkpoint.meta, digest(checkpoint.model.fc.weight[0].numpy(force=True))
    return path and _changed(path)


def open_checkpoints(names: list[str]) -> list[tuple[str, Checkpoint]]:
    from camdrop.checkpoints import CheckpointError

    opened = []
    for name in names:
        try:
            checkpoint = open_checkpoint(name)
        except CheckpointError as error:
            st.error(literal(error), icon=":material/broken_image:")
            continue
        if checkpoint.meta.in_channels in (1, 3):
            opened.append((name, checkpoint))
        else:
            st.error(
                f"{literal(name)} takes images of {checkpoint.meta.in_channels} channels, but images here are grey or "
                "RGB: choose a checkpoint of 1 or 3 channels.",
                icon=":material/broken_image:",
            )
    return opened


def at_hand() -> dict[str, Meta]:
    """The headers of all checkpoints that can be chosen, by their names, in the order of lists."""
    kept = sorted(_kept(), key=lambda entry: _rank(entry[0].stem))
    metas = {path.stem: meta for path, meta in kept} | _of_runs()
    return metas | {name: checkpoint.meta for name, checkpoint in add.added().items()}


def _offer(
    key: str, row: DeltaGenerator, width: Literal["stretch"] | int = "stretch"
) -> tuple[DeltaGenerator, dict[str, Meta], list[str], dict[str, str]]:
    """In `row`, a place for the choice and the button to add checkpoints; what there is then, what came and went."""
    place = row.container(width=width)
    added, gone = add.offer(key, FOLDER, row)
    metas = at_hand()
    problems = [why for folder in _folders() for _, why in _listing(folder, folder.stat().st_mtime_ns)[1]]
    for problem in problems:
        st.error(literal(problem), icon=":material/broken_image:")
    absent = [name for name in st.query_params.get_all(key) if name and name not in metas.keys() | gone.keys()]
    if absent:
        st.warning(
            f"{not_here(absent)} A link carries only checkpoints that are kept: add it again, or choose another.",
            icon=":material/link_off:",
        )
    if not metas:
        st.info(
            "There is no checkpoint yet. Make the three that ship with `make checkpoints`, or add one of your own.",
            icon=":material/model_training:",
        )
    return place, metas, added, gone
