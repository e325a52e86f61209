"""Alignment of a file's tensors with those of a known network: what is the network, and what only stands beside it.

The same tolerance for every family: any prefix, the classifier under any name and behind dropout, any number of classes
and of image channels, and surroundings (losses, metrics, normalisation, copies of the network) that are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Shapes = Mapping[str, tuple[int, ...]]

# Words in the names of what may stand beside a network, whatever its shape.
_BESIDE = re.compile(
    r"loss|criteri|crit$|metric|acc$|accuracy|auroc|auc$|(^|_)f1|recall|precision|confmat|confusion|iou|(^|_)meter|"
    r"(^|_)ema(_|$)|teacher|target|momentum|shadow|swa$|averag|queue|centers?$|proto|prox(y|ies)|augment|n_averaged|"
    r"total_ops|total_params|num_updates|global_step|epoch|optim"
)
# Words in the names of small tensors: weights of classes, and the normalisation of pixels.
_SMALL = re.compile(r"mean|std|norm(al)?(iz|is)|preproc|weights?$|prior|count|freq|scale$|alpha$|log_var|step")
# Of two networks in a file, in the name of the one that is not meant.
_TWIN = re.compile(r"ema|teacher|target|momentum|shadow|swa|averag|_k(\.|$)|key", re.IGNORECASE)
_TRANSFORMERS = re.compile(
    r"(?<![^.])(?:embedder\.embedder|encoder\.stages\.(\d)\.layers\.(\d+)\.(?:shortcut|layer\.(\d)))"
    r"\.(convolution|normalization)(?=\.)"
)
COUNTER = "num_batches_tracked"
_PREFIXES = 8  # networks in one file, at most


@dataclass(frozen=True)
class Plan:
    """A known network: the shapes of its tensors by name, in order, with 1,000 classes or any other number."""

    name: str
    shapes: Shapes
    head: str  # the classifier's name, such as "fc"

    @property
    def stem(self) -> str:
        """The weight of the first convolution, whose second axis are the channels of the images."""
        return next(key for key, shape in self.shapes.items() if len(shape) == 4)

    @property
    def width(self) -> int:
        return self.shapes[f"{self.head}.weight"][1]


@dataclass
class Fit:
    """How the tensors of a file fit a plan, under one of the prefixes of its names."""

    plan: Plan
    names: dict[str, str] = field(default_factory=dict)  # the plan's names → the file's
    classes: int = 0
    channels: int = 0
    missing: list[str] = field(default_factory=list)  # by the plan's names
    wrong: list[str] = field(default_factory=list)  # of another shape, by the plan's names
    strange: list[str] = field(default_factory=list)  # by the file's names
    beside: list[str] = field(default_factory=list)  # left out, by the file's names
    head: str = ""  # why the classifier is none that can be used; "" where it is
    small_stem: bool = False  # whether its first convolution is 3×3 where the plan's is 7×7
    twins: bool = False  # whether the file holds another network that was left out

    @property
    def exact(self) -> bool:
        return not (self.missing or self.wrong or self.strange or self.head)

    @property
    def share(self) -> float:
        """The share of the plan's tensors that the file has."""
        wanted = sum(not _counter(key) for key in self.plan.shapes)
        return 1 - (len(self.missing) + len(self.wrong)) / wanted


def spelled(key: str) -> str:
    """Today's spelling of a tensor's name."""
    key = re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key)
    return _of_transformers(key).replace(".shortcut.", ".downsample.")


def _of_transformers(key: str) -> str:
    """The spelling of the ResNets of transformers in torchvision's."""
    if not (match := _TRANSFORMERS.search(key)):
        return key
    stage, block, conv, part = match.groups()
    norm = part == "normalization"
    if stage is None:
        name = "bn1" if norm else "conv1"
    elif conv is None:
        name = f"layer{int(stage) + 1}.{block}.downsample.{int(norm)}"
    else:
        name = f"layer{int(stage) + 1}.{block}.{'bn' if norm else 'conv'}{int(conv) + 1}"
    return key[: match.start()] + name + key[match.end() :]


def prefixes(shapes: Shapes, anchor: str) -> list[str]:
    """What stands before `anchor` in the names of a file: each is a network. Averages and teachers come last."""
    found = [s[: -len(anchor)] for s in map(spelled, shapes) if s == anchor or s.endswith("." + anchor)]
    return sorted(dict.fromkeys(found), key=lambda prefix: bool(_TWIN.search(prefix)))[:_PREFIXES]


def fit(plan: Plan, shapes: Shapes, prefix: str, others: list[str]) -> Fit:
    """Align a file's tensors, by their shapes, with a plan, under a prefix; `others` are prefixes of other networks."""
    result = Fit(plan, twins=bool(others))
    others = [_apart_from(prefix, other) for other in others]
    inside, outside = _split(plan, shapes, prefix, others)
    result.beside += [key for key in shapes if any(spelled(key).startswith(p) for p in others if len(p) > len(prefix))]
    weight, bias = f"{plan.head}.weight", f"{plan.head}.bias"
    for key, shape in plan.shapes.items():
        if key in (weight, bias):
            continue
        if key in inside:
            result.names[key] = inside.pop(key)
            got = shapes[result.names[key]]
            if key == plan.stem and len(got) == 4:
                result.channels, got = got[1], (got[0], shape[1], *got[2:])
                result.small_stem = got[2:] == (3, 3) and shape[2:] == (7, 7)
                got = shape if result.small_stem and got[0] == shape[0] else got
            if got != shape and not _counter(key):
                result.wrong.append(key)
        elif not _counter(key):
            result.missing.append(key)
    _find_head(result, shapes, prefix, inside, outside)
    head = result.names.get(weight, "").rpartition(".")[0].rpartition(".")[0] + "."
    for ours, key in (*inside.items(), *(("", key) for key in outside)):
        of_head = len(head) > 1 and key.startswith(head) and not prefix.startswith(head)
        aside = not of_head and not _part_of(plan, ours) and _stands_beside(key, shapes[key], result)
        (result.beside if aside else result.strange).append(key)
    return result


def _apart_from(prefix: str, other: str) -> str:
    """The shortest beginning of another network's prefix that is none of this one's: its classifier is below it too."""
    parts = other.split(".")[:-1]
    beginnings = (".".join(parts[: i + 1]) + "." for i in range(len(parts)))
    return next((b for b in beginnings if not prefix.startswith(b)), other)


def _above(prefix: str) -> list[str]:
    """The prefixes that contain a prefix, the longest first."""
    parts = prefix.split(".")[:-1]
    return [".".join(parts[:i]) + "." if i else "" for i in range(len(parts) - 1, -1, -1)]


def _split(plan: Plan, shapes: Shapes, prefix: str, others: list[str]) -> tuple[dict[str, str], list[str]]:
    """The tensors below the prefix, by the plan's names, and the file's names of those that are not below any."""
    inside: dict[str, str] = {}
    rest: list[str] = []
    longer = tuple(p for p in others if len(p) > len(prefix) or not p.startswith(prefix))
    for key in shapes:
        name = spelled(key)
        if name.startswith(longer):
            continue
        if name.startswith(prefix):
            ours = name.removeprefix(prefix)
            inside[key if ours in inside else ours] = key
        else:
            rest.append(key)
    for above in _above(prefix):  # a stem or a classifier may stand beside the other layers
        for key in list(rest):
            ours = spelled(key).removeprefix(above)
            if key.startswith(above) and ours in plan.shapes and ours not in inside:
                inside[ours] = key
                rest.remove(key)
    return inside, rest


def _find_head(result: Fit, shapes: Shapes, prefix: str, inside: dict[str, str], outside: list[str]) -> None:
    """Find the classifier: where the plan has it, or else the only matrix near the network that reads its features."""
    plan, width = result.plan, result.plan.width
    weight, bias = f"{plan.head}.weight", f"{plan.head}.bias"
    scopes = [inside, *({key: key for key in outside if key.startswith(above)} for above in _above(prefix))]
    if weight in inside:
        got, scope, stem = shapes[inside[weight]], inside, plan.head
        after = [
            m for m in _matrices(inside, shapes) if m != weight and len(got) == 2 and shapes[inside[m]][1] == got[0]
        ]
        if after:
            result.head = _several([inside[weight], *(inside[m] for m in after)])
        elif got[1:] != plan.shapes[weight][1:]:
            wanted = (got[0] if got else 0, *plan.shapes[weight][1:])
            result.head = f"{inside[weight]} is {_times(got)} instead of {_times(wanted)}"
    else:
        scope = next((scope for scope in scopes if _matrices(scope, shapes)), {})
        found = _matrices(scope, shapes)
        stem = found[0].removesuffix("weight").removesuffix(".") if found else ""
        if len(found) > 1:
            result.head = _several([scope[name] for name in found])
        elif not found or shapes[scope[found[0]]][1] != width:
            reads = f"{scope[found[0]]} reads {shapes[scope[found[0]]][1]}" if found else "no linear layer reads them"
            result.head = (
                f"has no usable {weight}: it ends in {width} features, but {reads}; save it with its classifier"
            )
    if result.head:
        return
    for part, ours in (("weight", weight), ("bias", bias)):
        name = f"{stem}.{part}" if stem else part
        if name in scope:
            result.names[ours] = scope.pop(name)
            if scope is not inside:
                outside.remove(result.names[ours])
    result.classes = shapes[result.names[weight]][0]
    if result.classes and bias in result.names and (got := shapes[result.names[bias]]) != (result.classes,):
        result.head = f"{result.names[bias]} is {_times(got)} instead of {result.classes}"


def _matrices(names: Mapping[str, str], shapes: Shapes) -> list[str]:
    """The linear layers among tensors that are no part of the plan."""
    return [n for n, key in names.items() if n.endswith("weight") and len(shapes[key]) == 2 and not beside(key)]


def _several(weights: list[str]) -> str:
    layers = [key.removesuffix(".weight") for key in weights]
    number = {2: "two", 3: "three"}.get(len(layers), str(len(layers)))
    return f"ends in {number} linear layers ({', '.join(layers[:4])}), where class activation maps need one"


def _part_of(plan: Plan, name: str) -> bool:
    """Whether a tensor lies in a module of the network, at whatever depth, or in its classifier's."""
    top = name.split(".")[0]
    return "." in name and any(key.startswith(f"{top}.") for key in plan.shapes)


def beside(key: str) -> bool:
    """Whether a tensor's name says that it belongs to a loss, a metric, an average or the like."""
    return any(_BESIDE.search(part.lower()) for part in key.split("."))


def _stands_beside(key: str, shape: tuple[int, ...], fit: Fit) -> bool:
    if beside(key):
        return True
    parts = key.split(".")
    small = all(n in (1, fit.classes, fit.channels) for n in shape) and len(shape) <= 4
    named = any(_SMALL.search(part.lower()) for part in parts)
    return small and (named or len(parts) > 1)


def problem(fit: Fit, shapes: Shapes) -> str:
    """What of a file does not fit, for a sentence that begins "looks like NAME, but"."""
    if fit.plan.stem in fit.missing:
        return f"has no usable {fit.plan.stem}"
    if fit.head:
        return fit.head
    if fit.missing:
        return f"lacks {first(fit.missing)}"
    if norms := [key for key in fit.strange if key.endswith("running_mean") and len(shapes[key]) == 1]:
        classifier = fit.names.get(f"{fit.plan.head}.weight", fit.plan.head).removesuffix(".weight")
        at = norms[0].removesuffix(".running_mean")
        if at.rpartition(".")[0] == classifier.rpartition(".")[0] and at.count("."):
            return f"has a batch norm ({at}) between its pooling and {classifier}, which is no average any more"
    if fit.strange:
        return f"also has {first(fit.strange)}"
    key = fit.wrong[0]
    return f"{fit.names[key]} is {_times(shapes[fit.names[key]])} instead of {_times(fit.plan.shapes[key])}"


def first(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


def _counter(key: str) -> bool:
    """Whether it counts batches: files from before PyTorch 0.4.1 have none, and evaluation needs none."""
    return key.endswith(COUNTER)


def best(fits: Iterator[Fit]) -> Fit | None:
    """The first that is exact, or else the nearest."""
    nearest: Fit | None = None
    for found in fits:
        if found.exact:
            return found
        if nearest is None or found.share > nearest.share:
            nearest = found
    return nearest
