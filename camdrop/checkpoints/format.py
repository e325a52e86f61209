"""Checkpoint files: ours are `.safetensors` with a JSON header; other people's are state dictionaries of many formats.

A file that cannot be read or written raises `CheckpointError`, one sentence that says what to do. No code in a file is
ever executed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

import safetensors.torch
import torch
from torch import Tensor, nn

from camdrop.adapters.wrapped import Wrapped
from camdrop.checkpoints.metadata import LIMIT, TORCHVISION, CheckpointError, Meta
from camdrop.checkpoints.recognition import identify
from camdrop.checkpoints.state_dicts import AGAIN, LEGACY, RESAVE, unpickle
from camdrop.checkpoints.statements import read_statements
from camdrop.data.files import write_atomic
from camdrop.masks import METHODS
from camdrop.resnet import ARCHITECTURES, Network, build

SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar")

_CONFIGS = ("config.json", "preprocessor_config.json")
_LARGEST_CONFIG = 1 << 20  # bytes; more is cut, and so no JSON

_STRUCTURE = ("architecture", "num_classes", "in_channels", "shortcut", "stem")

_STRANGERS = {
    b"\x80": f"is a plain Python pickle, which can run code when opened, so it was refused; {RESAVE}",
    b"version https://git-lfs": "is only a Git LFS pointer; fetch the file itself with git lfs pull",
    b"<": "is a web page, not a checkpoint; download the file itself (on GitHub: the raw file)",
    b"\x93NUMPY": "is a single NumPy array; save the network by torch.save(model.state_dict(), …)",
    b"\x89HDF": "is an HDF5 file, as of Keras: only networks of PyTorch can be opened",
    b"\x1f\x8b": "is compressed (gzip); unpack it and choose the checkpoint inside",
    b"BZh": "is compressed (bzip2); unpack it and choose the checkpoint inside",
    b"\xfd7zXZ": "is compressed (xz); unpack it and choose the checkpoint inside",
    b"7z\xbc\xaf": "is an archive (7z); unpack it and choose the checkpoint inside",
    b"GGUF": "is a language model (GGUF), which has no class activation map",
}


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
    data, name, path = _read(source, name)
    header: Meta | None = None
    if data[8:9] == b"{":
        _, header, more = _header(io.BytesIO(data), len(data), name)
        try:
            weights = safetensors.torch.load(data)
        except Exception:  # safetensors' errors have no common base class
            raise CheckpointError(f"{name} is a damaged safetensors file; {AGAIN}") from None
        said = read_statements({**more, **weights}, *_beside(path))
    elif data[:2] == b"PK" or data.startswith(LEGACY):
        weights, said = unpickle(data, name, *_beside(path))
    else:
        _refuse(data, name)
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
        if path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file():
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


def _read(source: str | os.PathLike[str] | bytes | BinaryIO, name: str | None) -> tuple[bytes, str, Path | None]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = name or str(path)
        try:
            with path.open("rb") as file:
                return _contents(file, name), name, path
        except OSError as error:
            raise CheckpointError(f"{name} cannot be read ({error.strerror}); check the path") from None
    upload = io.BytesIO(source) if isinstance(source, bytes) else source
    name = name or str(getattr(upload, "name", "the file"))
    return _contents(upload, name), name, None


def _beside(path: Path | None) -> Iterator[object]:
    """What is said beside a network of transformers or timm: class names, normalisation, image size."""
    if path is None:
        return
    for name in _CONFIGS:
        with contextlib.suppress(OSError, ValueError, RecursionError), path.with_name(name).open("rb") as file:
            yield json.loads(file.read(_LARGEST_CONFIG))


def _contents(file: BinaryIO, name: str) -> bytes:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise CheckpointError(f"{name} is empty; {AGAIN}")
    if size > LIMIT:
        raise CheckpointError(f"{name} is larger than {LIMIT >> 20} MB; {RESAVE}")
    file.seek(0)
    return file.read()


def _refuse(data: bytes, name: str) -> NoReturn:
    for beginning, sentence in _STRANGERS.items():
        if data[:256].lstrip().startswith(beginning):
            raise CheckpointError(f"{name} {sentence}")
    if data[:1] == b"\x08" and re.search(rb"onnx|pytorch|producer", data[:64]):
        raise CheckpointError(f"{name} is an ONNX program; save the network that it was made of, with its weights")
    if data[257:262] == b"ustar":
        raise CheckpointError(f"{name} is a tar archive; unpack it and choose the checkpoint inside")
    raise CheckpointError(f"{name} is no checkpoint (neither safetensors nor by torch.save), or damaged; {AGAIN}")


def _peek(path: Path) -> Meta:
    try:
        with path.open("rb") as file:
            if file.read(9)[8:] == b"{":
                file.seek(0)
                shapes, meta, more = _header(file, path.stat().st_size, path.name)
                return meta or identify(shapes, path.name, read_statements(more, *_beside(path))).meta
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error.strerror}); check its permissions") from None
    return load(path, name=path.name).meta


def _header(file: BinaryIO, size: int, name: str) -> tuple[dict[str, tuple[int, ...]], Meta | None, dict[str, object]]:
    """Names and shapes of a safetensors file, our header if it has one, and others' metadata, without the tensors."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= size - 8:
        raise CheckpointError(
            f"{name} is cut short or damaged: {size} bytes, of which the header claims {length}; {AGAIN}"
        )
    try:
        entries = json.loads(file.read(length))
        more = dict(entries.pop("__metadata__", {}))
        text = more.get("camdrop")
        shapes = {key: tuple(int(n) for n in entry["shape"]) for key, entry in entries.items()}
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise CheckpointError(f"{name} is a safetensors file with a broken header; {AGAIN}") from None
    if end != size:
        raise CheckpointError(f"{name} is cut short or damaged: it has {size} bytes instead of {end}; {AGAIN}")
    try:
        return shapes, None if text is None else Meta.from_json(str(text)), more
    except CheckpointError as error:
        raise CheckpointError(f"{name} has a header that cannot be used: {error}; save it again") from None


def _assemble(weights: Mapping[str, Tensor], names: dict[str, str], meta: Meta, name: str) -> Network:
    """The network with the weights of the file; `names` maps our names of the tensors to the file's."""
    model = _skeleton(meta)
    state = model.state_dict()
    for key, expected in state.items():
        # A classifier may have no bias; files from before PyTorch 0.4.1 have no batch counters.
        tensor = weights[names[key]] if key in names else torch.zeros(expected.shape, dtype=expected.dtype)
        plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_quantized
        if not plain or (expected.is_floating_point() and not tensor.is_floating_point()):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{name} holds {names[key]} as {kind}; save the network as plain floating-point numbers"
            )
        if tensor.numel() * tensor.element_size() > LIMIT:  # a view can claim more than its file holds
            raise CheckpointError(f"{name} claims {tensor.numel()} numbers for {names[key]}; {AGAIN}")
        state[key] = tensor.detach().to(expected.dtype).contiguous()
        if not state[key].isfinite().all():
            raise CheckpointError(
                f"{name} holds NaN or infinity in {names[key]}: its training diverged; train it again"
            )
    model.load_state_dict(state, assign=True)
    model.eval().requires_grad_(False)
    if isinstance(model, Network):
        return model
    try:
        return Wrapped(meta.architecture, model, meta.stem).eval()
    except ValueError as error:
        raise CheckpointError(f"{name} cannot be shown: {error}") from None


def _skeleton(meta: Meta) -> nn.Module:
    """A network without weights."""
    if meta.architecture.startswith(TORCHVISION):
        from camdrop.checkpoints.torchvision_models import skeleton  # here: importing torchvision takes a second

        return skeleton(meta.architecture.removeprefix(TORCHVISION), meta.num_classes, meta.in_channels, meta.stem)
    with torch.device("meta"):  # so that no initial weights are drawn
        return build(meta.architecture, meta.num_classes, meta.in_channels, meta.shortcut, meta.stem)
