"""Recognition of other people's networks by the names and shapes of their tensors, and their metadata."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

import torch

from camdrop.checkpoints.alignment import Fit, Plan, Shapes, best, first, fit, prefixes, problem, spelled
from camdrop.checkpoints.metadata import ALL_SAID, NO_HEADER, TORCHVISION, CheckpointError, Meta
from camdrop.checkpoints.statements import Statements
from camdrop.data import INFO, DataInfo
from camdrop.resnet import ARCHITECTURES, build

KNOWN = f"known are {', '.join(ARCHITECTURES)} and the classifiers of torchvision"

_MOST, _LONGEST = 20_000, 1000  # tensors of a file, and letters of a name; ResNet-152 with a teacher has 2,000 of 40
_ANCHOR = "layer1.0.conv1.weight"  # every ResNet of ours has it
_LIKE = 0.9  # the share of its tensors from which a file looks like a network

# Most ResNets for CIFAR-10 were trained with these (kuangliu, chenyaofo): the std is the average over images of the std
# within each. akamaster's have `linear` and zero-padded shortcuts and were trained with ImageNet's; so have others.
CIFAR_NORMALISATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


_ASSUMED = {  # by whether the file names the classes, and whether it says the normalisation
    (False, False): "classes and normalisation are by convention",
    (True, False): "class names are the file's, the normalisation is by convention",
    (False, True): "classes are by convention, the normalisation is the file's",
    (True, True): ALL_SAID,
}


class Identity(NamedTuple):
    """Our names of a network's tensors → the file's, and the metadata."""

    names: dict[str, str]
    meta: Meta


def identify(shapes: Shapes, name: str, said: Statements | None = None) -> Identity:
    """Identify a network by the names and shapes of a file's tensors, and by what else the file says of it.

    What it does not say is by convention: CIFAR-10's classes and normalisation for ten classes of colour images in the
    CIFAR family, ImageNet's for a thousand in the ImageNet family and in torchvision's other networks; for grey images
    none. `notes` of the metadata tell what was assumed, and what was left out. CheckpointError if no network fits.
    """
    if len(shapes) > _MOST:
        raise CheckpointError(f"{name} holds {len(shapes):,} tensors, more than any network that is known")
    if longest := next((key for key in shapes if len(key) > _LONGEST), ""):
        raise CheckpointError(f"{name} holds a tensor whose name has {len(longest):,} letters, {longest[:40]}…")
    ours, said = best(_fits(shapes)), said or Statements()
    if ours is not None and ours.exact:
        return _described(ours, said, name)
    from camdrop.checkpoints import torchvision_models  # here: importing torchvision takes a second

    theirs = best(torchvision_models.fits(shapes))
    if theirs is not None and theirs.exact:
        return _described(theirs, said, name)
    near = [f for f in (ours, theirs) if f is not None and (f is ours or f.share >= _LIKE)]
    if near:
        like = max(near, key=lambda f: f.share)
        wrong = problem(like, shapes)
        advice = "" if like.head else f"; it is damaged, or a variant that is not known; {KNOWN}"
        raise CheckpointError(f"{name} looks like {like.plan.name}, but {wrong}{advice}")
    raise CheckpointError(f"{name} fits no architecture: it holds {_seen(shapes)}; {KNOWN}")


@functools.cache
def _plan(name: str, shortcut: str) -> Plan:
    with torch.device("meta"):
        state = build(name, 1000, 3, shortcut).state_dict()
    return Plan(name, {key: tuple(tensor.shape) for key, tensor in state.items()}, "fc")


def _fits(shapes: Shapes) -> Iterator[Fit]:
    """How a file fits our ResNets that have as many blocks."""
    found = prefixes(shapes, _ANCHOR)
    for prefix in found:
        keys = [spelled(key).removeprefix(prefix) for key in shapes if spelled(key).startswith(prefix)]
        counts, convs = _blocks(keys)
        shortcut = "conv" if any(".downsample." in key for key in keys) else "pad"
        for name, architecture in ARCHITECTURES.items():
            if (architecture.blocks, architecture.convs) == (counts, convs):
                yield fit(_plan(name, shortcut), shapes, prefix, [other for other in found if other != prefix])


def _blocks(keys: list[str]) -> tuple[tuple[int, ...], int]:
    """Residual blocks of each stage, and convolutions of a block."""
    blocks: dict[str, set[str]] = {}
    for key in keys:
        if match := re.match(r"layer(\d)\.(\d+)\.", key):
            blocks.setdefault(match[1], set()).add(match[2])
    convs = 3 if any(key.startswith("layer") and key.endswith(".conv3.weight") for key in keys) else 2
    return tuple(len(blocks[stage]) for stage in sorted(blocks)), convs


def _described(found: Fit, said: Statements, name: str) -> Identity:
    """The metadata of a network: what the file says, and conventions for the rest."""
    if unusual := said.unusual():
        raise CheckpointError(
            f"{name} has the weights of {found.plan.name}, but is said to compute otherwise ({unusual}); open it by "
            "the library that made it, and mask it there with camdrop.attach"
        )
    ours = ARCHITECTURES.get(found.plan.name)
    small = found.small_stem or (ours is not None and ours.family == "cifar")
    shortcut = "conv" if ours is None or any(".downsample." in key for key in found.names) else "pad"
    info, colour = INFO["cifar10" if small else "imagenet"], found.channels == 3
    mean, std, size, doubt = _conventions(found, info, small, shortcut, said) if colour else ((), (), info.size, "")
    if ours is not None and ours.family == "cifar" and found.channels == 1:
        size = 28
    classes, normalisation = said.classes(found.classes), said.normalisation(found.channels)
    dataset = _dataset(said, classes, found, info)
    notes = [NO_HEADER + _ASSUMED[bool(classes), normalisation is not None]]
    if dataset and not classes:
        classes = INFO[dataset].classes
    if other := said.other_classes(found.classes):
        notes.append(f"the file names {other:,} classes, but the network has {found.classes:,}")
    if normalisation is not None:
        mean, std = normalisation
    elif doubt:
        notes.append(doubt)
    if found.small_stem and not any(".shortcut." in key for key in found.names.values()):  # kuangliu's never pool
        notes.append("no max pooling was assumed behind the 3×3 stem, but some networks have it")
    if f"{found.plan.head}.bias" not in found.names:
        notes.append("the classifier has no bias, so it was taken for a plain linear layer")
    if found.twins:
        notes.append("the file holds more than one network, of which this is the first that is no average or teacher")
    elif found.beside:
        some = "a tensor" if len(found.beside) == 1 else f"{len(found.beside)} tensors"
        notes.append(f"{some} beside the network {'was' if len(found.beside) == 1 else 'were'} left out")
    try:
        meta = Meta(
            architecture=found.plan.name if ours else TORCHVISION + found.plan.name,
            num_classes=found.classes,
            in_channels=found.channels,
            shortcut=shortcut,
            stem="3x3" if found.small_stem else "",
            dataset=dataset,
            classes=classes,
            mean=mean,
            std=std,
            image_size=said.image_size() or size,
            notes="; ".join(notes),
        )
    except CheckpointError as error:
        raise CheckpointError(f"{name} looks like {found.plan.name}, but {error}") from None
    return Identity(found.names, meta)


def _conventions(
    found: Fit, info: DataInfo, small: bool, shortcut: str, said: Statements
) -> tuple[tuple[float, ...], tuple[float, ...], int, str]:
    """Mean, standard deviation and image size by convention, and a sentence where two conventions fit."""
    if not small and found.plan.name not in ARCHITECTURES:
        from camdrop.checkpoints import torchvision_models

        return *torchvision_models.conventions(found.plan.name), ""
    if not small:
        return info.mean, info.std, info.size, ""
    imagenet = INFO["imagenet"]
    if shortcut == "pad" and found.names["fc.weight"].endswith("linear.weight"):
        if "best_prec1" in said.keys:  # so akamaster's training saves them
            doubt = "ImageNet's mean and standard deviation were assumed, but CIFAR-10's fit as well"
            return imagenet.mean, imagenet.std, info.size, doubt
        doubt = "CIFAR-10's mean and standard deviation were assumed, but ImageNet's fit as well"
        return *CIFAR_NORMALISATION, info.size, doubt
    return *CIFAR_NORMALISATION, info.size, ""


def _dataset(said: Statements, classes: tuple[str, ...], found: Fit, info: DataInfo) -> str:
    """The data set whose labels the classes are: by their names, or, where the file has none, by their number."""
    fitting = [i.name for i in INFO.values() if len(i.classes) == found.classes and i.channels == found.channels]
    if classes:
        return next((name for name in fitting if INFO[name].classes == classes), "")
    if other := said.dataset():
        plain = re.sub(r"[^a-z0-9]", "", other.lower())
        return next((name for name in fitting if re.sub(r"[^a-z0-9]", "", name) == plain), "")
    return info.name if info.name in fitting else ""


def _seen(shapes: Shapes) -> str:
    """What a file holds that fits nothing, with advice where there is some."""
    if attention := next((key for key in shapes if re.search(r"(^|[._])att(e?n|ention)", key)), ""):
        return f"a transformer ({attention} …), which has no class activation map"
    prefix = next(iter(prefixes(shapes, _ANCHOR)), "")
    counts, convs = _blocks([spelled(key).removeprefix(prefix) for key in shapes])
    if counts:
        resnet = f"a ResNet of {'+'.join(map(str, counts))} blocks with {convs} convolutions each"
        return resnet + _variant(shapes)
    for pattern, family in _TIMM.items():
        if key := next((key for key in shapes if re.search(pattern, key)), ""):
            return f"a network of timm ({family}: {key} …), whose file does not say which: {_BY_NAME}"
    return f"{len(shapes)} tensors, the first {first(list(shapes)[:3])}"


_BY_NAME = "`camdrop export timm:NAME FOLDER --weights FILE` takes it by its name"
_TIMM = {  # by a tensor that only these have
    r"(^|\.)conv_stem\.weight$": "EfficientNet or MobileNet",
    r"(^|\.)s1\.b1\.conv1\.conv\.weight$": "RegNet",
    r"(^|\.)stages\.0\.blocks\.0\.conv_dw\.weight$": "ConvNeXt",
    r"(^|\.)stages\.0\.blocks\.0\.": "ResNetV2 or another of stages and blocks",
    r"(^|\.)blocks\.0\.0\.conv_dw\.weight$": "MobileNet",
}


def _variant(shapes: Shapes) -> str:
    """In which respect a ResNet is none of those that are known."""
    parts = {
        r"(^|\.)conv1\.0\.weight$": "a stem of several convolutions",
        r"layer\d\.\d+\.(se|eca)\.": "squeeze-and-excitation",
        r"downsample\.1\.weight$": "shortcuts that average",
    }
    found = []
    for pattern, words in parts.items():
        key = next((k for k in shapes if re.search(pattern, k)), "")
        if key and (words != "shortcuts that average" or len(shapes[key]) == 4):
            found.append(f"{words} ({key})")
    return f", with {' and '.join(found)}, as timm has them: {_BY_NAME}" if found else ""
