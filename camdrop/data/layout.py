"""Which of a folder's images are of which split and class, from their paths alone, and what is to be said about it."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from camdrop.data.images import DataError
from camdrop.data.text import plain_text
from camdrop.data.walker import is_junk

_SPLITS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val"},
}
EXPECTED = "train/<class>/ and test/<class>/ (or val/<class>/)"
HELD_OUT = 0.2  # of the images of each class, where a folder has no splits
_SPLIT_SEED = 0
_SHOWN = 5  # names in a message


class Place(NamedTuple):
    """The place of an image in a data set, by which images are sorted; `path` is that in the folder or archive."""

    class_name: str
    file: str
    path: str


@dataclass(frozen=True)
class Layout:
    """The images of both splits, the folders that were looked into, and sentences on what was understood."""

    train: tuple[Place, ...]
    test: tuple[Place, ...]
    folders: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def left_out(self, images: Collection[str], others: Iterable[str]) -> tuple[str, ...]:
        """What is left out of a folder, sorted: of `images` and `others`, by path, what the layout has no place for.

        Beside the folders that were looked into, other folders are named, and images; a README is expected there.
        """
        taken = {place.path for place in (*self.train, *self.test)}
        return tuple(sorted({self._named(path, path in images) for path in (*images, *others)} - taken - {""}))

    def _named(self, path: str, is_image: bool) -> str:
        parts = _parts(path)
        if any(_starts(parts, folder) for folder in self.folders):
            return path
        above = max((_common([parts, (*folder, "")]) for folder in self.folders), key=len, default=())
        beside = parts[: len(above) + 1]
        if is_junk("/".join(beside)):
            return ""
        if len(beside) < len(parts) or path.endswith("/"):
            return "/".join((*beside, ""))
        return path if is_image else ""


def understand(name: str, paths: Iterable[str], wanted: Collection[str]) -> Layout:
    """The layout of the images with these paths, which have slashes, in what messages call `name`.

    The folders of splits are `train`, `test`, `val` and the like, in capitals or not, at the top or in one folder of
    it. The folder in a split is the class, or the one in it, where a split has one folder alone. Images deeper than
    others of their class are left out. Folders of classes without splits are split at random, by a fixed seed.

    Raises:
        DataError: another layout, or a split of `wanted` without images; the message says what is there.
    """
    parts = {path: _parts(path) for path in paths}
    parts = {path: found for path, found in parts.items() if not is_junk("/".join(found))}
    tops = _tops(parts.values())
    if not tops:
        return _without_splits(name, parts)
    best = max(tops, key=lambda top: (is_whole(tops[top]), -len(top)))
    rivals = [top for top in tops if (is_whole(tops[top]), len(top)) == (is_whole(tops[best]), len(best))]
    if len(rivals) > 1:
        first, second = ("/".join(top) for top in sorted(rivals)[:2])
        raise DataError(f"{name} holds more than one data set ({first!r}, {second!r}): keep one in it.")
    folders: dict[str, str] = {}
    for folder in sorted(tops[best]):
        if (split := split_of(folder) or "") in folders:
            raise DataError(f"{name} has both {folders[split]}/ and {folder}/: keep one of them.")
        folders[split] = folder
    held_out = "test" if "test" in folders else "val"
    notes: list[str] = []
    found: dict[str, list[Place]] = {"train": [], "test": []}
    for split, role in (("train", "train"), (held_out, "test")):
        if split in folders:
            top = (*best, folders[split])
            inside = {path: found[len(top) :] for path, found in parts.items() if _starts(found, top)}
            found[role], remarks = _classes(inside, folders[split])
            notes += remarks
    found["test"] = _spelt_as(found["train"], found["test"])
    for role, expected in (("train", "train/<class>/"), ("test", "test/<class>/ or val/<class>/")):
        if role in wanted and not found[role]:
            there = _listing(parts.values(), best)
            raise DataError(f"{name} has no images in {expected}, only {there}: put them there, one folder a class.")
    _same_classes(name, {folders.get("train", "train"): found["train"], folders.get(held_out, held_out): found["test"]})
    looked = tuple((*best, folder) for folder in folders.values())
    return Layout(tuple(found["train"]), tuple(found["test"]), looked, tuple(notes))


def _without_splits(name: str, parts: dict[str, tuple[str, ...]]) -> Layout:
    """Folders of classes alone: a part of each is held out."""
    top = _common(list(parts.values()))
    places, notes = _classes({path: found[len(top) :] for path, found in parts.items()}, "/".join(top), unwrap=False)
    by_class: dict[str, list[Place]] = {}
    for place in places:
        by_class.setdefault(place.class_name, []).append(place)
    if len(by_class) < 2 or _has_splits_elsewhere(by_class, parts.values(), len(top)):
        there = _listing(parts.values(), top)
        raise DataError(f"{name} has no images in {EXPECTED}, only {there}: put them there, one folder a class.")
    coins = random.Random(_SPLIT_SEED)
    train, test = [], []
    for class_name, mine in by_class.items():
        if len(mine) == 1:
            raise DataError(
                f"{name} has no folders train/ and test/, and only one image in {class_name}/: add another, to hold one"
                f" out, or put the images in {EXPECTED}."
            )
        some = set(coins.sample(range(len(mine)), max(1, round(HELD_OUT * len(mine)))))
        train += [place for i, place in enumerate(mine) if i not in some]
        test += [place for i, place in enumerate(mine) if i in some]
    said = (
        f"there are no folders train/ and test/, only those of {len(by_class)} classes ({_names(list(by_class))}); "
        f"{len(test):,} of {len(places):,} images are held out as the test split, by the seed {_SPLIT_SEED}"
    )
    looked = {parts[place.path][: len(top) + 1] for place in places}
    return Layout(tuple(train), tuple(test), tuple(looked), (said, *notes))


def _has_splits_elsewhere(classes: Collection[str], paths: Iterable[tuple[str, ...]], depth: int) -> bool:
    """Whether splits are in place of classes, or in them; a single class may be called train."""
    splits = sum(split_of(name) is not None for name in classes)
    return splits > 1 or any(split_of(part) for path in paths for part in path[depth + 1 : -1])


def _classes(inside: dict[str, tuple[str, ...]], split: str, unwrap: bool = True) -> tuple[list[Place], list[str]]:
    """The images of a split, whose paths in it are `inside`, by class and name; and remarks."""
    inside = {path: found for path, found in inside.items() if len(found) > 1 and ".." not in found}
    notes = []
    top = _common(list(inside.values())) if unwrap else ()
    if top and all(len(found) > len(top) + 1 for found in inside.values()):
        notes.append(f"the classes of {split}/ are the folders in {'/'.join((split, *top))}/")
        inside = {path: found[len(top) :] for path, found in inside.items()}
    names = _class_names({found[0] for found in inside.values()})
    depth: dict[str, int] = {}
    for found in inside.values():
        depth[names[found[0]]] = min(len(found), depth.get(names[found[0]], len(found)))
    places = [
        Place(names[found[0]], "/".join(found[1:]), path)
        for path, found in inside.items()
        if len(found) == depth[names[found[0]]]
    ]
    if deep := sorted({"/".join((split, *inside[p.path][:-1])).lstrip("/") for p in places if len(inside[p.path]) > 2}):
        notes.append(f"the images of a class are in folders in it, such as {deep[0]}/")
    return sorted(places), notes


def _tops(paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], set[str]]:
    """The places of folders of splits with a class in them, and the names of these."""
    tops: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        for i, part in enumerate(path[:-2]):
            if split_of(part) and path[i + 1] != "..":
                tops.setdefault(path[:i], set()).add(part)
    return tops


def split_of(folder: str) -> str | None:
    """The split that a folder is by its name: train, test or val; None for another name."""
    return _SPLITS.get(plain_text(folder).casefold())


def is_whole(folders: Iterable[str]) -> bool:
    """Whether these folders of splits are for training and for testing."""
    found = {split_of(folder) for folder in folders}
    return "train" in found and len(found) > 1


def _same_classes(name: str, splits: dict[str, list[Place]]) -> None:
    present = {split: {place.class_name for place in places} for split, places in splits.items() if places}
    for split, classes in present.items():
        if missing := sorted(set().union(*present.values()) - classes):
            there = _names(sorted(f"{split}/{c}/" for c in classes))
            raise DataError(
                f"{name} has no images in {split}/{missing[0]}/: every split needs the same classes, it has {there}."
            )


def _spelt_as(train: list[Place], test: list[Place]) -> list[Place]:
    """The places of the test split, its classes in the capitals of the other split's where nothing else differs."""
    names = {place.class_name for place in train}
    spelt = {name.casefold(): name for name in names}
    other = {place.class_name for place in test}
    if len(spelt) < len(names) or len({name.casefold() for name in other}) < len(other):
        return test
    return sorted(place._replace(class_name=spelt.get(place.class_name.casefold(), place.class_name)) for place in test)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _class_names(folders: Iterable[str]) -> dict[str, str]:
    """The class of a folder: its name in one form of Unicode, in which two programs may have written it."""
    return {folder: unicodedata.normalize("NFC", folder) for folder in folders}


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders that all paths begin with."""
    if not paths:
        return ()
    low, high = min(paths)[:-1], max(paths)[:-1]
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:same]


def _starts(path: tuple[str, ...], top: tuple[str, ...]) -> bool:
    return path[: len(top)] == top


def _listing(paths: Iterable[tuple[str, ...]], top: tuple[str, ...]) -> str:
    """What images there are, by their folders to the depth of a class."""
    paths = list(paths)
    folders = sorted({"/".join((*path[:-1][: len(top) + 2], "")) for path in paths if len(path) > 1})
    return _names([*folders, *sorted(path[0] for path in paths if len(path) == 1)]) if paths else "no image at all"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
