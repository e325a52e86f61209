"""Other people's checkpoints: reading files that `torch.save` wrote.

Nothing in a file is ever executed: only `torch.load(weights_only=True)` opens it.
"""

from __future__ import annotations

import io
import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from camdrop.checkpoints.harmless import HARMLESS, plain
from camdrop.checkpoints.metadata import LIMIT, CheckpointError
from camdrop.checkpoints.reading import AGAIN, RESAVE
from camdrop.checkpoints.statements import Statements, read_statements

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first bytes of a file of torch.save before 1.6

_READS = 1_000_000  # of the pickle in an old file, some seconds of them
_FILES = 20_000  # in a zip file, one for each tensor
_PICKLE = 8 << 20  # bytes of the pickle in a zip file: the tensors lie beside it
_TOO_MANY = "holds more objects than any network that is known; " + RESAVE

_QUIET = threading.Lock()  # the filter of warnings is shared by the whole process


class Unpickled(NamedTuple):
    """The weights of a file, by name, and what it says beside them."""

    weights: dict[str, Tensor]
    said: Statements


class _TooManyReads(Exception):
    pass


class _Bounded(io.BytesIO):
    """The bytes of a file; a pickle of very many steps, each of which is read by itself, ends in `_TooManyReads`."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _READS:
            raise _TooManyReads
        return super().read(size)


def unpickle(data: bytes, name: str, *beside: object) -> Unpickled:
    """Read a file that `torch.save` wrote, from its bytes; messages call the file `name`.

    The largest dictionary of tensors counts, at any depth (`state_dict`, `model`, `net`, `ema` …); among equals the
    first. What is `beside` the file is asked for statements after it. CheckpointError for a file that is damaged,
    carries code or holds no weights.
    """
    if data[:2] == b"PK":
        _check_archive(data, name)
    try:
        with _QUIET, warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
            warnings.simplefilter("ignore")
            content: object = torch.load(_Bounded(data), map_location="cpu", weights_only=True)
    except _TooManyReads:
        raise CheckpointError(f"{name} {_TOO_MANY}") from None
    except pickle.UnpicklingError as error:
        if asked := re.search(r"GLOBAL (\S+)|got <class '(\S+)'>", str(error)):
            holds = "a whole pickled model" if b"torch.nn.modules" in data else "a Python object"
            why = f"holds {holds} ({asked[1] or asked[2]}), which can run code when opened, so it was refused"
        else:
            why = "is damaged, or pickled in a way that cannot be opened safely"
        raise CheckpointError(f"{name} {why}; {RESAVE}") from None
    except Exception:  # for a damaged byte torch's reader raises almost any exception
        raise CheckpointError(f"{name} is cut short or damaged; {AGAIN}") from None
    best: dict[str, Tensor] = {}
    queue, seen = [plain(content)], set()
    for item in queue:
        if isinstance(item, Mapping) and id(item) not in seen:
            seen.add(id(item))
            tensors = {k: v for k, v in item.items() if isinstance(k, str) and isinstance(v, Tensor)}
            best = tensors if len(tensors) > len(best) else best
            queue.extend(map(plain, item.values()))
    if not best:
        raise CheckpointError(f"{name} holds no named weights, only a {type(content).__name__}; {RESAVE}")
    if nested := next((key for key, tensor in best.items() if tensor.is_nested), None):
        raise CheckpointError(f"{name} holds {nested} as a nested tensor; {RESAVE}")
    return Unpickled(best, read_statements(content, *beside))


def _check_archive(data: bytes, name: str) -> None:
    """Check what torch does not check of a zip file: its kind, its size when expanded, and the checksums."""
    if data.count(b"PK\x01\x02") > _FILES:
        raise CheckpointError(f"{name} {_TOO_MANY}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            files = {entry.filename.rsplit("/", 1)[-1] for entry in entries}
            large = sum(entry.file_size for entry in entries) > LIMIT
            for entry in entries if "data.pkl" in files and not large else ():
                if entry.CRC:  # torch.save has an option to leave them out
                    archive.read(entry)
    except Exception:  # zipfile, zlib and struct each raise other errors for a damaged byte
        raise CheckpointError(f"{name} is cut short or damaged; {AGAIN}") from None
    if "data.pkl" not in files:
        raise CheckpointError(f"{name} {_other_archive([entry.filename for entry in entries])}")
    if "constants.pkl" in files:
        raise CheckpointError(f"{name} is a TorchScript program, which is code, so it was refused; {RESAVE}")
    if any(entry.filename.endswith("data.pkl") and entry.file_size > _PICKLE for entry in entries):
        raise CheckpointError(f"{name} {_TOO_MANY}")
    if large:
        raise CheckpointError(f"{name} expands to more than {LIMIT >> 20} MB; {RESAVE}")


def _other_archive(names: list[str]) -> str:
    """What a zip file is that `torch.save` did not write, and what to do."""
    if names and all(name.endswith(".npy") for name in names):
        return (
            "is a NumPy archive (.npz) and says nothing of the network: load its arrays into the network, then save by "
            'torch.save(model.state_dict(), "weights.pth")'
        )
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return (
            "is a program by torch.export, which has no layers to look into: save the network that it was made of, by "
            'torch.save(model.state_dict(), "weights.pth")'
        )
    if any(name.endswith("model.weights.h5") for name in names):
        return "is a network by Keras: only networks of PyTorch can be opened"
    suffixes = (".pth", ".pt", ".ckpt", ".bin", ".th", ".safetensors")
    inner = next((f" ({name})" for name in names if name.endswith(suffixes)), "")
    return f"is a zip archive, but no checkpoint; unpack it and choose the checkpoint inside{inner}"
