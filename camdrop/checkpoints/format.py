"""Checkpoint files: ours are `.safetensors` with a JSON header; other people's are state dictionaries of many formats.

A file that cannot be read or written raises `CheckpointError`, one sentence that says what to do. No code in a file is
ever executed.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from camdrop.adapters.wrapped import Wrapped
from camdrop.checkpoints.alignment import COUNTER
from camdrop.checkpoints.metadata import LIMIT, TORCHVISION, CheckpointError, Meta
from camdrop.checkpoints.reading import AGAIN, read_bytes, read_header, refuse, said_beside
from camdrop.checkpoints.recognition import identify
from camdrop.checkpoints.state_dicts import LEGACY, unpickle
from camdrop.checkpoints.statements import read_statements
from camdrop.data.files import write_atomic
from camdrop.masks import METHODS
from camdrop.resnet import ARCHITECTURES, Network, build

SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar")

_PLAIN = "save the network as plain floating-point numbers"
_STRUCTURE = ("architecture", "num_classes", "in_channels", "shortcut", "stem")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network in evaluation mode, float32, without gradients, and its header. `path` is None for an upload."""

    model: Network
    meta: Meta
    path: Path | None = None


class Listing(NamedTuple):
    """The checkpoints of a folder: the readable ones with their headers, the broken ones with the reason."""

    found: list[tuple[Path, Meta]]
    broken: list[tuple[Path, str]]


def save(path: str | os.PathLike[str], model: Network, meta: Meta, half: bool = False) -> None:
    """Write a `.safetensors` file with `meta` as its header; it appears whole or not at all.

    With `half`, floating-point tensors are stored in half precision. CheckpointError where `meta` does not describe
    `model`, the numbers do not fit half precision, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"a checkpoint's name must end in .safetensors, got {path.name}")
    _compare("meta", meta, "the model has", model)
    tensors = {}
    for name, tensor in model.weights().items():
        stored = tensor.detach().cpu().contiguous()
        if half and stored.is_floating_point():
            stored = stored.half()
            if stored.isinf().any() and not tensor.isinf().any():
                raise CheckpointError(f"{name} is too large for half precision; save with half=False")
        tensors[name] = stored
    data = safetensors.torch.save(tensors, {"camdrop": meta.to_json()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}); choose another place") from error


def load(source: str | os.PathLike[str] | bytes | BinaryIO, *, name: str | None = None) -> Checkpoint:
    """Read a checkpoint, ours or another's, from a path, bytes or an open file (such as an upload).

    Ours have a header. For other people's (safetensors or `torch.save`; bare or wrapped state dictionaries) the names
    and shapes of the tensors determine the architecture, class count, input channels and shortcuts, and conventions
    determine the class names and normalisation that neither the file nor a `config.json` beside it says. The content
    decides the format, not the suffix; messages call the file `name`. CheckpointError, one sentence, for any other
    file, and for one that carries code.
    """
    data, name, path = read_bytes(source, name)
    header: Meta | None = None
    if data[8:9] == b"{":
        _, header, more = read_header(io.BytesIO(data), len(data), name)
        try:
            weights = safetensors.torch.load(data)
        except Exception:  # safetensors' errors have no common base class
            raise CheckpointError(f"{name} is a damaged safetensors file; {AGAIN}") from None
        said = read_statements({**more, **weights}, *(() if header else said_beside(path)))
    elif data[:2] == b"PK" or data.startswith(LEGACY):
        weights, said = unpickle(data, name, *said_beside(path))
    else:
        refuse(data, name)
    names, meta = identify({key: tuple(tensor.shape) for key, tensor in weights.items()}, name, said)
    if header is not None:
        if header.stem and meta.stem:  # its pooling has no numbers that could tell
            meta = dataclasses.replace(meta, stem=header.stem)
        _compare(f"{name} contradicts itself: its header", header, "its weights say", meta)
        meta = header
    return Checkpoint(_assemble(weights, names, meta, name), meta, path)


def with_meta(checkpoint: Checkpoint, meta: Meta) -> Checkpoint:
    """The same weights with other metadata, which may name another stem."""
    if meta.stem == checkpoint.meta.stem:
        return dataclasses.replace(checkpoint, meta=meta)
    weights = checkpoint.model.weights()
    model = _assemble(weights, {key: key for key in weights}, meta, str(checkpoint.path or "the file"))
    return dataclasses.replace(checkpoint, meta=meta, model=model)


def list_checkpoints(folder: str | os.PathLike[str]) -> Listing:
    """List the checkpoints in a folder, sorted by data set, architecture, method (baseline first) and name.

    Only the headers of safetensors files are read. A folder that does not exist has none.
    """
    found: list[tuple[Path, Meta]] = []
    broken: list[tuple[Path, str]] = []
    folder = Path(folder)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            try:
                found.append((path, _peek(path)))
            except CheckpointError as error:
                broken.append((path, str(error)))
    architectures, methods = list(ARCHITECTURES), ["baseline", *METHODS]

    def place(item: tuple[Path, Meta]) -> tuple[str, int, int, str]:
        path, meta = item
        rank = methods.index(meta.method) if meta.method in methods else len(methods)
        ours = meta.architecture in architectures
        return meta.dataset, architectures.index(meta.architecture) if ours else len(architectures), rank, path.name

    return Listing(sorted(found, key=place), broken)


def _compare(left: str, mine: Meta, right: str, other: Meta | Network) -> None:
    for part in _STRUCTURE:
        a, b = getattr(mine, part), getattr(other, part)
        if a != b:
            raise CheckpointError(f"{left} says {part} {a}, but {right} {b}; save it again with the right one")


def _peek(path: Path) -> Meta:
    try:
        with path.open("rb") as file:
            if file.read(9)[8:] == b"{":
                file.seek(0)
                shapes, meta, more = read_header(file, path.stat().st_size, path.name)
                return meta or identify(shapes, path.name, read_statements(more, *said_beside(path))).meta
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error.strerror}); check its permissions") from None
    return load(path, name=path.name).meta


def _assemble(weights: Mapping[str, Tensor], names: dict[str, str], meta: Meta, name: str) -> Network:
    """The network with the weights of the file; `names` maps our names of the tensors to the file's."""
    _check_claims({names[key]: weights[names[key]] for key in names}, name)
    model = _skeleton(meta)
    state = model.state_dict()
    for key, expected in state.items():
        # A classifier may have no bias; files from before PyTorch 0.4.1 have no batch counters.
        missing = key not in names or (key.endswith(COUNTER) and weights[names[key]].shape != expected.shape)
        tensor = torch.zeros(expected.shape, dtype=expected.dtype) if missing else weights[names[key]]
        if expected.is_floating_point() and not tensor.is_floating_point():
            raise CheckpointError(f"{name} holds {names[key]} as {_kind(tensor)}; {_PLAIN}")
        state[key] = tensor.detach().to(expected.dtype).contiguous()
        if not state[key].isfinite().all():
            raise CheckpointError(
                f"{name} holds NaN or infinity in {names[key]}: its training diverged; train it again"
            )
        if key.endswith("running_var") and state[key].min() < 0:
            raise CheckpointError(f"{name} holds a negative variance in {names[key]}; {AGAIN}")
    model.load_state_dict(state, assign=True)
    model.eval().requires_grad_(False)
    if isinstance(model, Network):
        if not model(torch.zeros(1, meta.in_channels, 8, 8)).isfinite().all():
            raise CheckpointError(f"{name} computes NaN or infinity: its numbers are too large; train it again")
        return model
    try:
        return Wrapped(meta.architecture, model, meta.stem).eval()
    except ValueError as error:
        raise CheckpointError(f"{name} cannot be shown: {error}") from None


def _check_claims(weights: Mapping[str, Tensor], name: str) -> None:
    """Check that the tensors are plain and as large as what the file holds: a view can claim more numbers."""
    held: dict[int, int] = {}
    for key, tensor in weights.items():
        if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            raise CheckpointError(f"{name} holds {key} as {_kind(tensor)}; {_PLAIN}")
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise CheckpointError(f"{name} claims {tensor.numel()} numbers for {key}, but holds fewer; {AGAIN}")
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    if claimed > sum(held.values()):
        raise CheckpointError(f"{name} claims {claimed >> 20} MB of weights, but holds fewer; {AGAIN}")
    if sum(map(Tensor.numel, weights.values())) * 4 > LIMIT:
        raise CheckpointError(f"{name} holds a network of more than {LIMIT >> 20} MB, which is too large here")


def _kind(tensor: Tensor) -> str:
    return "a nested tensor" if tensor.is_nested else str(tensor.dtype).removeprefix("torch.")


def _skeleton(meta: Meta) -> nn.Module:
    """A network without weights."""
    if meta.architecture.startswith(TORCHVISION):
        from camdrop.checkpoints.torchvision_models import skeleton  # here: importing torchvision takes a second

        return skeleton(meta.architecture.removeprefix(TORCHVISION), meta.num_classes, meta.in_channels, meta.stem)
    with torch.device("meta"):  # so that no initial weights are drawn
        return build(meta.architecture, meta.num_classes, meta.in_channels, meta.shortcut, meta.stem)
