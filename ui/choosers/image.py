"""Choosing an image: from a gallery of a data set, an upload, or the camera."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.own_images import choose_own_images
from ui.choosers.select import select
from ui.components.packing import digest
from ui.components.pictures import Moves, Panel, Raster, Tiles, pictures
from ui.components.slider import live_slider
from ui.words import literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from camdrop.checkpoints.metadata import Meta
    from camdrop.data import DataInfo, Split

TITLES = {"fashion-mnist": "Fashion-MNIST", "mnist": "MNIST", "cifar10": "CIFAR-10", "imagenet": "ImageNet"}
FIRST = 19  # the image that pages begin with; of Fashion-MNIST a bag, which networks know by its handle

_FOLDER = "A folder or ZIP of your own"
_OWN, _UPLOAD, _CAMERA, _ALL = "Its own data set", "Upload", "Camera", "All"
_UNKNOWN = "Unknown"
_UPLOAD_SIDE = 448  # pixels of an uploaded image that are kept
_COLUMNS, _ROWS, _GAP = 6, 6, 2
_THUMBNAIL = 56  # pixels, at most
_FILES = ["png", "jpg", "jpeg", "jfif", "webp", "avif", "gif", "bmp", "tif", "tiff"]

Filter = Callable[["Split", "DataInfo"], "Tensor"]  # which images of a gallery are so: bool (N,)


@dataclass(frozen=True, eq=False)
class ChosenImage:
    """An image as the checkpoint it was chosen for takes it: `pixels` uint8 (C, H, W) with its channels and size.

    `label` is an index into the checkpoint's classes, None where the image has none of them; `number` is its place in
    the gallery, from 1, None for an upload. `original` uint8 (C, H, W) is the image as it came. `own`: it is a person's
    own, by upload, by camera or from their folder, and no data set's.
    """

    pixels: Tensor
    label: int | None
    name: str
    original: Tensor
    number: int | None = None
    own: bool = False

    def truth(self, meta: Meta) -> str | None:
        """The true class of the image by the name that a network has for it; None where that is not known."""
        return None if self.label is None else meta.classes[self.label]

    @functools.cached_property
    def state(self) -> dict[str, int | str]:
        """What the browser knows it by: the number, or what an own image is made of."""
        if self.number is not None:
            return {"image": self.number}
        return {"own": repr((digest(self.original.numpy()), self.label))}

    def seen_by(self, other: Meta, meta: Meta) -> ChosenImage:
        """The image, chosen for a network of `meta`, as another takes it; the class is the one of the same name."""
        truth = self.truth(meta)
        label = other.classes.index(truth) if truth in other.classes else None
        return replace(self, pixels=self.fit(other), label=label)

    def fit(self, meta: Meta) -> Tensor:
        """The pixels, uint8 (C, H, W), as another network of 1 or 3 channels takes them."""
        from camdrop.data import fit_pixels

        return fit_pixels(self.original, meta.in_channels, meta.image_size)


@dataclass(frozen=True, eq=False)
class Shelf:
    """Images to pick one from: those in the places `ids` of a gallery. `title` says which they are."""

    meta: Meta
    title: str
    split: Split
    info: DataInfo
    thumbnails: np.ndarray
    ids: np.ndarray

    def picture(self, number: int) -> ChosenImage:
        """The image of this number, from 1, on or off the shelf."""
        from camdrop.data import fit_pixels
        from camdrop.data.own_images import own_title

        original, label = self.split.images[number - 1], int(self.split.labels[number - 1])
        name = f"{set_title(self.info)} {number} · {self.info.classes[label]}"
        pixels = fit_pixels(original, self.meta.in_channels, self.meta.image_size)
        return ChosenImage(pixels, self._label(label), name, original, number, bool(own_title(self.info)))

    def _label(self, label: int) -> int | None:
        """The network's class for one of the gallery's: by its data set, or for one's own images by the names."""
        from camdrop.analysis.explanations import words_of
        from camdrop.data.own_images import own_title

        if not own_title(self.info):
            return label if self.info.name == self.meta.dataset else None
        words, word = words_of(self.meta, self.info), self.info.classes[label]
        return words.index(word) if word in words else None


def choose_picture(meta: Meta, *, key: str, filters: Mapping[str, Filter] | None = None) -> ChosenImage | None:
    """An image for a network, from a gallery (by default of its data set), an upload or the camera; None if none yet.

    `filters` are conditions, by name, with which a person can find images in the gallery. The choice is in the link:
    `key` is the number of the image, from 1; `<key>_from`, `<key>_class`, `<key>_show`, `<key>_truth` are the rest.
    """
    from camdrop.data import DataError

    try:
        shelf = choose_shelf(meta, key=key, filters=filters)
    except DataError as error:
        st.error(literal(error), icon=":material/broken_image:")
        return None
    if not isinstance(shelf, Shelf):
        return shelf
    picture, panel, _ = leaf_through(shelf, key=key)
    pictures([panel], key=f"{key}.gallery", columns=1, max_width=420)
    return picture


def choose_shelf(meta: Meta, *, key: str, filters: Mapping[str, Filter] | None = None) -> Shelf | ChosenImage | None:
    """The first half of `choose_picture`, for pages that show the gallery themselves: where images come from.

    An upload leaves nothing to pick, and is the picture; None where none was made yet. DataError where the network
    cannot take the image, or a file cannot be read.
    """
    colour = "imagenet" if (meta.image_size or 0) > _THUMBNAIL else "cifar10"
    own = meta.dataset if meta.dataset in TITLES else ("fashion-mnist" if meta.in_channels == 1 else colour)
    # Its own data set is an option of its own, so that the choice follows when the network changes.
    sources = {_OWN: own} | {title: name for name, title in TITLES.items()} | {_FOLDER: "", _UPLOAD: "", _CAMERA: ""}
    source = select("Images from", list(sources), key=f"{key}_from")
    if source in (_UPLOAD, _CAMERA):
        return _choose_file(meta, source, key)
    if source == _FOLDER:
        if (own_images := choose_own_images(key)) is None:
            return None
        split, info, _ = own_images
        thumbnails = _thumbnails(split.images)
    else:
        split, info, thumbnails = _gallery(sources[source])
    present = [info.classes[k] for k in sorted(set(split.labels.tolist()))]
    name = select("Class", [_ALL, *present], key=f"{key}_class")
    show = _ALL
    if filters:
        show = select("Find", [_ALL, *filters], key=f"{key}_show")
    keep = split.labels >= 0 if name == _ALL else split.labels == info.classes.index(name)
    if filters and show != _ALL:
        keep = keep & filters[show](split, info)
    ids = keep.nonzero().flatten().numpy()
    count = f"{len(ids)} of {len(split):,}" if len(ids) < len(split) else f"{len(split):,}"
    return Shelf(meta, f"{set_title(info)} · {count} images", split, info, thumbnails, ids)


def leaf_through(shelf: Shelf, *, key: str) -> tuple[ChosenImage, Panel, list[int]]:
    """The second half of `choose_picture`: the slider of image numbers, the pages of the gallery; the picture chosen.

    Along with it the panel that shows a page of the gallery, where a click moves the slider, and the numbers of the
    images on that page. The slider stops at the images of the shelf alone.
    """
    import numpy as np

    store, per_page = st.session_state, _COLUMNS * _ROWS
    only = (shelf.ids + 1).tolist() if 0 < len(shelf.ids) < len(shelf.split) else None
    first = min(FIRST, len(shelf.split))
    number = int(live_slider("Image", key=key, min=1, max=len(shelf.split), step=1, default=first, values=only))
    pages = max(1, -(-len(shelf.ids) // per_page))
    home = min(int(np.searchsorted(shelf.ids, number - 1)) // per_page + 1, pages)
    # The pages follow the slider and the shelf. A pager cannot turn by code to a page; another one can start there.
    at = (shelf.title, number)
    turn, first, shown, before = store.get(f"{key}.pager", (0, home, home, at))
    if at != before and home != shown:
        turn, first = turn + 1, home
    page = st.pagination(pages, default=min(first, pages), key=f"{key}.page.{turn}", max_visible_pages=5, width=250)
    store[f"{key}.pager"] = (turn, first, page, at)
    visible = shelf.ids[(page - 1) * per_page : page * per_page]
    return shelf.picture(number), _panel(shelf, visible, number - 1, key), (visible + 1).tolist()


@functools.lru_cache(maxsize=4)
def _gallery(name: str) -> tuple[Split, DataInfo, np.ndarray]:
    """A gallery and its thumbnails, uint8 (N, h, w, 1 or 3)."""
    from camdrop.data import gallery

    split, info = gallery(name)
    return split, info, _thumbnails(split.images)


def _thumbnails(small: Tensor) -> np.ndarray:
    from torch.nn import functional as F

    if small.shape[-1] > _THUMBNAIL:
        side = (_THUMBNAIL, _THUMBNAIL)
        small = F.interpolate(small.float(), side, mode="bilinear", antialias=True).round().byte()
    return small.permute(0, 2, 3, 1).numpy()


def set_title(info: DataInfo) -> str:
    """What a data set, or one's own images, are called on a page."""
    from camdrop.data.own_images import own_title

    return own_title(info) or TITLES[info.name]


def _panel(shelf: Shelf, visible: np.ndarray, chosen: int, key: str) -> Panel:
    import numpy as np

    _, side, _, channels = shelf.thumbnails.shape
    pitch = side + _GAP
    # Pages are of one height, so that nothing jumps as they turn; a single one is as high as it needs to be.
    rows = min(_ROWS, max(1, -(-len(shelf.ids) // _COLUMNS)))
    cells = np.zeros((rows * _COLUMNS, pitch, pitch, channels + 1), np.uint8)  # the gaps are transparent
    cells[: len(visible), :side, :side, :channels] = shelf.thumbnails[visible]
    cells[: len(visible), :side, :side, channels] = 255
    sheet = cells.reshape(rows, _COLUMNS, pitch, pitch, -1).swapaxes(1, 2).reshape(rows * pitch, _COLUMNS * pitch, -1)
    place = np.flatnonzero(visible == chosen)
    labels = [f"{i + 1} · {shelf.info.classes[shelf.split.labels[i]]}" for i in visible]
    return Panel(
        "Gallery",
        "The gallery: arrow keys to move, Enter to choose",
        [Raster(sheet[..., [0, 0, 0, 1]] if channels == 1 else sheet)],
        id="gallery",
        subtitle=shelf.title,
        tiles=Tiles(len(visible), _COLUMNS, side, side, _GAP),
        labels=labels,
        lines=["Click an image to choose it" if len(visible) else "No image is like that: choose other conditions"],
        pickable=True,
        selected=int(place[0]) if len(place) else None,
        moves=Moves(key, (visible + 1).tolist()),
    )


def _choose_file(meta: Meta, source: str, key: str) -> ChosenImage | None:
    from camdrop.data import fit_image, fit_pixels, read_image

    if source == _CAMERA:
        file = st.camera_input("Take a picture", key=f"{key}.camera")
    else:
        file = st.file_uploader("An image of your own", type=_FILES, key=f"{key}.file")
    st.caption("Its centre square is used. It stays in your session: a link cannot carry it.")
    kept: dict[str, tuple[str, str, Tensor]] = st.session_state.setdefault(f"{key}.files", {})
    if file is not None and kept.get(source, ("",))[0] != file.file_id:
        image = read_image(file)
        side = max(min(*image.size, _UPLOAD_SIDE), meta.image_size or 1)
        name = file.name if source == _UPLOAD else "A picture by the camera"
        kept[source] = (file.file_id, name, fit_image(image, 3, side))
    if source not in kept:
        return None
    _, name, original = kept[source]
    truth = select("True class", [_UNKNOWN, *meta.classes], key=f"{key}_truth")
    label = None if truth == _UNKNOWN else meta.classes.index(truth)
    return ChosenImage(fit_pixels(original, meta.in_channels, meta.image_size), label, name, original, own=True)
