"""Other people's checkpoints: reading files that `torch.save` wrote, and identifying networks by names and shapes.

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

import torch
from torch import Tensor

from camdrop.checkpoints.metadata import BY_CONVENTION, LIMIT, TORCHVISION, CheckpointError, Meta
from camdrop.data import INFO
from camdrop.resnet import ARCHITECTURES

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first bytes of a file of torch.save before 1.6

AGAIN = "copy or download it again"
RESAVE = 'where you trust it, save its weights alone: torch.save(model.state_dict(), "weights.pth")'
KNOWN = f"known are {', '.join(ARCHITECTURES)} and the classifiers of torchvision"

# akamaster's ResNets (`linear`, zero-padded shortcuts) were trained on CIFAR-10 with ImageNet's mean and std;
# chenyaofo's, kuangliu's and most others with these, whose std is the average over images of the std within each.
_CIFAR_MEAN, _CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)

_QUIET = threading.Lock()  # the filter of warnings is shared by the whole process
_COUNTERS = {"n_averaged", "total_ops", "total_params"}  # left behind by torch's weight averaging and by thop


def unpickle(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors, by name, of a file that `torch.save` wrote, from its bytes; messages call the file `name`.

    The largest dictionary of tensors counts, at any depth (`state_dict`, `model`, `net`, `ema` …); among equals the
    first. CheckpointError for a file that is damaged, carries code or holds no weights.
    """
    if data[:2] == b"PK":
        _check_archive(data, name)
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content: object = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if asked := re.search(r"GLOBAL (\S+)", str(error)):
            holds = "a whole pickled model" if b"torch.nn.modules" in data else "a Python object"
            why = f"holds {holds} ({asked[1]}), which can run code when opened, so it was refused"
        else:
            why = "is damaged, or pickled in a way that cannot be opened safely"
        raise CheckpointError(f"{name} {why}; {RESAVE}") from None
    except Exception:  # for a damaged byte torch's reader raises almost any exception
        raise CheckpointError(f"{name} is cut short or damaged; {AGAIN}") from None
    best: dict[str, Tensor] = {}
    queue, seen = [content], set()
    for item in queue:
        if isinstance(item, Mapping) and id(item) not in seen:
            seen.add(id(item))
            tensors = {k: v for k, v in item.items() if isinstance(k, str) and isinstance(v, Tensor)}
            best = tensors if len(tensors) > len(best) else best
            queue.extend(item.values())
    if not best:
        raise CheckpointError(f"{name} holds no named weights, only a {type(content).__name__}; {RESAVE}")
    return best


def _check_archive(data: bytes, name: str) -> None:
    """Check what torch does not check of a zip file: its kind, its size when expanded, and the checksums."""
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
        raise CheckpointError(f"{name} is a zip archive, but no checkpoint; unpack it and choose the checkpoint inside")
    if "constants.pkl" in files:
        raise CheckpointError(f"{name} is a TorchScript program, which is code, so it was refused; {RESAVE}")
    if large:
        raise CheckpointError(f"{name} expands to more than {LIMIT >> 20} MB; {RESAVE}")


def _translate(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Our names of the tensors → the file's.

    A prefix is whatever precedes `layer1` (`module.`, `model.`, `_orig_mod.`, `backbone.` …). Shortcut convolutions are
    `downsample` (torchvision, timm, chenyaofo) or `shortcut` (kuangliu, akamaster). The classifier is the only matrix
    outside the stages, be it `fc`, `linear`, `classifier` or `head`.
    """
    first = min((k for k in shapes if re.search(r"(^|\.)layer1\.0\.conv1\.weight$", k)), key=len, default="")
    parts = first.split(".")[:-4]
    prefixes = [".".join(parts[:i]) + "." for i in range(len(parts), 0, -1)]
    names: dict[str, str] = {}
    for key in shapes:
        if key.rsplit(".", 1)[-1] not in _COUNTERS:
            prefix = next((p for p in prefixes if key.startswith(p)), "")
            ours = key.removeprefix(prefix).replace(".shortcut.", ".downsample.")
            names[key if ours in names else ours] = key
    heads = [k.removesuffix("weight") for k, v in names.items() if len(shapes[v]) == 2 and not k.startswith("layer")]
    if len(heads) == 1:
        for part in ("weight", "bias"):
            if heads[0] + part in names:
                names["fc." + part] = names.pop(heads[0] + part)
    return names


def identify(shapes: Mapping[str, tuple[int, ...]], name: str) -> tuple[dict[str, str], Meta]:
    """Identify a network by the names and shapes of a file's tensors: our names → the file's, and the metadata.

    Class names and normalisation are by convention: CIFAR-10's for ten classes of colour images in the CIFAR family,
    ImageNet's for a thousand in the ImageNet family and in torchvision's other networks; for grey images none.
    CheckpointError if no architecture fits.
    """
    names = _translate(shapes)
    blocks: dict[str, set[str]] = {}
    for key in names:
        if match := re.match(r"layer(\d)\.(\d+)\.", key):
            blocks.setdefault(match[1], set()).add(match[2])
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    convs = 3 if any(key.endswith(".conv3.weight") for key in names) else 2
    fits = [n for n, a in ARCHITECTURES.items() if (a.blocks, a.convs) == (counts, convs)]
    # A ResNeXt has the blocks of a ResNet, of another width.
    width = shapes.get(names.get("layer1.0.conv1.weight", ""))
    alike = fits and (not width or width[0] == ARCHITECTURES[fits[0]].widths[0])
    if not alike and (other := _of_torchvision(shapes)):
        return other
    if not fits:
        seen = f"{len(shapes)} tensors, the first {', '.join(list(shapes)[:3])}"
        if blocks:
            seen = f"a ResNet of {'+'.join(map(str, counts))} blocks with {convs} convolutions each"
        if attention := next((key for key in shapes if re.search(r"(^|[._])att(e?n|ention)", key)), ""):
            seen = f"a transformer ({attention} …), which has no class activation map"
        raise CheckpointError(f"{name} fits no architecture: it holds {seen}; {KNOWN}")

    def size(key: str, axis: int) -> int:
        shape = shapes.get(names.get(key, ""), ())
        if len(shape) <= axis:
            raise CheckpointError(f"{name} looks like {fits[0]}, but has no usable {key}; {AGAIN}")
        return shape[axis]

    classes, channels = size("fc.weight", 0), size("conv1.weight", 1)
    shortcut = "conv" if any(".downsample." in key for key in names) else "pad"
    small = ARCHITECTURES[fits[0]].family == "cifar"
    info, imagenet = INFO["cifar10" if small else "imagenet"], INFO["imagenet"]
    akamaster = shortcut == "pad" and names["fc.weight"].endswith("linear.weight")
    mean, std = (_CIFAR_MEAN, _CIFAR_STD) if small and not akamaster else (imagenet.mean, imagenet.std)
    colour = channels == 3
    known = colour and classes == len(info.classes)
    try:
        return names, Meta(
            architecture=fits[0],
            num_classes=classes,
            in_channels=channels,
            shortcut=shortcut,
            dataset=info.name if known else "",
            classes=info.classes if known else (),
            mean=mean if colour else (),
            std=std if colour else (),
            image_size=28 if small and channels == 1 else info.size,
            notes=BY_CONVENTION,
        )
    except CheckpointError as error:
        raise CheckpointError(f"{name} looks like {fits[0]}, but {error}") from None


def _of_torchvision(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, str], Meta] | None:
    """`identify` for torchvision's classifiers; None where none fits."""
    from camdrop.checkpoints import torchvision_models  # here: importing torchvision takes a second

    match, imagenet = torchvision_models.recognise(shapes), INFO["imagenet"]
    if match is None:
        return None
    mean, std, size = torchvision_models.conventions(match.name)
    known = match.num_classes == len(imagenet.classes)
    return match.names, Meta(
        architecture=TORCHVISION + match.name,
        num_classes=match.num_classes,
        in_channels=3,
        dataset=imagenet.name if known else "",
        classes=imagenet.classes if known else (),
        mean=mean,
        std=std,
        image_size=size,
        notes=BY_CONVENTION,
    )
