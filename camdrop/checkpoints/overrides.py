"""Metadata overrides: class names, normalisation and data set from a person, stored by the hash of the weights."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from torch import nn

from camdrop.checkpoints.format import Checkpoint, CheckpointError, with_meta
from camdrop.checkpoints.metadata import NO_HEADER, Meta
from camdrop.checkpoints.name_files import BROKEN, names_in
from camdrop.data import INFO
from camdrop.data.files import write_atomic

_LARGEST = 4 << 20  # bytes of a file of class names
_OVERRIDDEN = "class names and normalisation were given by hand"
_STRUCTURE = ("architecture", "num_classes", "in_channels", "shortcut")


def read_class_names(data: bytes, name: str) -> tuple[str, ...]:
    """Read the class names of a file, in the order of the network's outputs; messages call the file `name`.

    The file is text with one name a line, numbered or not; JSON or Python, such as `["cat", "dog"]`, `{0: "cat"}`,
    `{"cat": 0}` or transformers' `config.json`; YAML, such as `names:` of a `data.yaml`; or CSV. CheckpointError for
    anything else.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CheckpointError(f"{name} is no text in UTF-8; save the class names as such") from None
    if len(data) > _LARGEST:
        raise CheckpointError(f"{name} has {len(data) >> 20} MB, which is too much for class names")
    try:
        if names := names_in(text, PurePath(name).suffix.lower()):
            return names
    except BROKEN:
        pass
    if not text.strip():
        return ()
    raise CheckpointError(
        f"{name} holds no class names: write one a line, or as JSON, Python, YAML or CSV, with numbers from 0 and "
        'no gap, such as ["cat", "dog"] or {"0": "cat", "1": "dog"}'
    )


def amend(
    meta: Meta,
    *,
    classes: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    image_size: int | None,
    dataset: str,
    stem: str = "",
) -> Meta:
    """`meta` with a person's overrides.

    Classes that share a name get their number after it. CheckpointError, one sentence, where the numbers do not fit the
    network, or the classes do not fit the data set.
    """
    if len(classes) != meta.num_classes:
        raise CheckpointError(
            f"{len(classes):,} class names were given, but the network has {meta.num_classes:,} classes: write one a "
            "line, in the order of its outputs."
        )
    if "" in classes:
        raise CheckpointError(f"Class {list(classes).index('')} has no name: write one.")
    for what, values in (("mean", mean), ("standard deviation", std)):
        if len(values) != meta.in_channels:
            raise CheckpointError(
                f"The {what} needs {meta.in_channels} numbers, one for each channel, but has {len(values)}."
            )
    if max(mean) > 1:
        raise CheckpointError(f"A mean of {max(mean):g} is beyond 1: pixels are from 0 to 1 here, so divide it by 255.")
    if min(std) <= 0:
        raise CheckpointError(f"A standard deviation of {min(std):g} is not possible: it must be above 0.")
    if dataset in INFO:
        expected = INFO[dataset].classes
        if len(expected) != len(classes):
            raise CheckpointError(
                f"{dataset} has {len(expected)} classes, but the network {len(classes)}: choose no data set."
            )
        if sorted(expected) == sorted(classes) and expected != tuple(classes):
            raise CheckpointError(
                f"These are the classes of {dataset} in another order, so its labels would be wrong: put them in its "
                "order, or choose no data set."
            )
    often = Counter(classes)
    return dataclasses.replace(
        meta,
        classes=tuple(name if often[name] == 1 else f"{name} ({k})" for k, name in enumerate(classes)),
        mean=tuple(mean),
        std=tuple(std),
        image_size=image_size,
        dataset=dataset,
        stem=stem,
        notes=_OVERRIDDEN if meta.notes.startswith(NO_HEADER) else meta.notes,
    )


def fingerprint(model: nn.Module) -> str:
    """The SHA-256 of a network's weights, the same for every file that they come in."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().contiguous().numpy().data)
    return digest.hexdigest()


def remember(folder: Path, checkpoint: Checkpoint) -> None:
    """Store a network's metadata for when it is opened again. CheckpointError where the file cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / f"{fingerprint(checkpoint.model)}.json", checkpoint.meta.to_json())
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written ({error.strerror}), so this holds for now only") from None


def recall(folder: Path, checkpoint: Checkpoint) -> Checkpoint:
    """The network with its stored metadata; unchanged where none is stored, or it cannot be read."""
    try:
        meta = Meta.from_json((folder / f"{fingerprint(checkpoint.model)}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return checkpoint
    same = all(getattr(meta, part) == getattr(checkpoint.meta, part) for part in _STRUCTURE)
    if not same or bool(meta.stem) != bool(checkpoint.meta.stem):
        return checkpoint
    return with_meta(checkpoint, meta)
