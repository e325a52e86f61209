"""How much of the label a mask gives away: what a probe reads off it, and whether a network obeys it.

A mask that is drawn with the true class is a message about it, to whatever layer comes behind. Three numbers say how
loud it is: `Readable.accuracy`, how often a probe names the true class from the mask alone; `Readable.where_wrong`, the
same on images that the network gets wrong, where a mask that tells no more than the image does is at chance or below;
and `obeys`, how often the network answers the class for which its masks were drawn, whatever the image shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from camdrop.analysis.attacks import Rate
from camdrop.analysis.heatmap_metrics import Estimate, estimate
from camdrop.figures.numbers import percent
from camdrop.masks import Mask, Method
from camdrop.resnet import Network
from camdrop.sampling import SampleMasks, guiding_classes

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ALL = "all sites"
_BATCH = 250
_STEP = 100  # images whose masks are drawn between two calls of `progress`
_GRID = 7  # cells, at most, on each side
_FOLDS = 3
_PENALTY = 0.03  # C of scikit-learn: hundreds of features want a strong penalty

Progress = Callable[[float], object]


@dataclass(frozen=True)
class Share:
    """A share of `n` images in [0, 1] with its 95 % interval (Wilson), and what guessing without the mask reaches."""

    value: float
    low: float
    high: float
    n: int
    chance: float

    def __str__(self) -> str:
        value, chance = percent(self.value, ".1f"), percent(self.chance, ".1f")
        return f"{value} ({100 * self.low:.1f}–{100 * self.high:.1f}), chance {chance}"


def share(hits: int, n: int, chance: float) -> Share:
    """`hits` of `n`; NaN with an interval of the whole range where n is 0."""
    rate = Rate(hits, n)
    low, high = rate.interval
    return Share(rate.percent / 100, low / 100, high / 100, n, chance)


@dataclass(frozen=True)
class Readable:
    """What a probe reads off the masks of some sites."""

    accuracy: Share
    bits: Estimate  # information about the label, at least: H(y) minus the probe's cross-entropy
    where_wrong: Share  # accuracy on the images that the network gets wrong


@dataclass(frozen=True)
class Leakage:
    """What the masks of a method tell in a network, by site, by stage and for `ALL` sites."""

    readable: dict[str, Readable]
    obeys: dict[str, Share]


def masks_of(
    model: Network,
    method: Method,
    images: Tensor,
    labels: Tensor,
    sites: Collection[str],
    generator: torch.Generator | None = None,
) -> dict[str, Mask]:
    """The masks, by site, of normalised images (N, C, H, W) that go through a network with all `sites` masked.

    Drawn as training draws them, but in evaluation mode.
    """
    record: dict[str, Mask] = {}
    with torch.no_grad():
        weight = model.fc.weight
        classes = guiding_classes(method, labels, lambda: model(images), len(images), weight, generator)
        model(images, SampleMasks(method, weight, classes, sites, generator, record))
    return record


def mask_features(mask: Mask) -> npt.NDArray[np.float32]:
    """What a probe sees of masks, (N, 2 C + cells): of each channel whether any of it is dropped, and what share;
    of each cell of a grid over the map, at most 7×7, the share dropped over all channels."""
    dropped = (~mask.keep).float()
    grid = (min(_GRID, mask.shape[2]), min(_GRID, mask.shape[3]))
    cells = F.adaptive_avg_pool2d(dropped.mean(1, keepdim=True), grid).flatten(1)
    return torch.cat([dropped.amax((2, 3)), dropped.mean((2, 3)), cells], 1).cpu().numpy()


def probe() -> Pipeline:
    """What reads masks: a multinomial logistic regression on features of mean 0 and variance 1.

    Unscaled, the penalty would hide what differs little: where masks of all channels cut, beside which channels the
    coins chose.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=_PENALTY, max_iter=1000))


def guesses(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int, seed: int = 0
) -> npt.NDArray[np.float64]:
    """(N, K): what a probe that was fitted on other masks thinks of each class, for `features` (N, F) of N masks.

    Each third of the masks is asked of a probe fitted on the other two.
    """
    from sklearn.model_selection import StratifiedKFold

    found = np.zeros((len(labels), classes))
    for fit, ask in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(features, labels):
        fitted = probe().fit(features[fit], labels[fit])
        found[np.ix_(ask, fitted.classes_)] = fitted.predict_proba(features[ask])
    return found


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe that was fitted on the masks of `n` images at some sites, and can be asked about other masks there."""

    sites: tuple[str, ...]
    n: int
    accuracy: Share  # of its guesses for masks of images that it was not fitted on
    num_classes: int
    regression: Pipeline

    def guess(self, masks: Mapping[str, Mask]) -> npt.NDArray[np.float64]:
        """(N, K): the probability of each class by the masks, by site, of N images."""
        features = np.concatenate([mask_features(masks[site]) for site in self.sites], 1)
        found = np.zeros((len(features), self.num_classes))
        found[:, self.regression.classes_] = self.regression.predict_proba(features)
        return found


def fit_probe(
    model: Network,
    method: Method,
    images: Tensor,
    labels: Tensor,
    *,
    sites: Collection[str],
    held_out: int,
    seed: int = 0,
    progress: Progress = lambda share: None,
) -> Probe:
    """Fit a probe on masks of normalised images (N, in_channels, H, W) with labels (N,), all `sites` masked at once.

    The last `held_out` images are left out, and asked about: the probe's accuracy is theirs.

    Raises:
        ValueError: no images are left out, or those that remain are not of two classes or more.
    """
    n = len(labels) - held_out
    if held_out < 1 or n < 1 or len(labels[:n].unique()) < 2:
        raise ValueError("a probe needs images of two classes or more, and others to be asked about; take more images")
    names = tuple(site.name for site in model.drop_sites if site.name in sites)
    generator = torch.Generator(images.device).manual_seed(seed)
    parts, done = [], 0
    for x, y in zip(images.split(_STEP), labels.split(_STEP), strict=True):
        masks = masks_of(model, method, x, y, names, generator)
        parts.append(np.concatenate([mask_features(masks[site]) for site in names], 1))
        done += len(y)
        progress(done / len(labels))
    features, truth = np.concatenate(parts), labels.cpu().numpy()
    fitted = probe().fit(features[:n], truth[:n])
    hits = int((fitted.predict(features[n:]) == truth[n:]).sum())
    chance = float(np.bincount(truth[n:]).max() / held_out)
    return Probe(names, n, share(hits, held_out, chance), model.num_classes, fitted)


def groups_of(model: Network, sites: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The sites one by one, by stage, and `ALL` of them, in the order of the forward pass."""
    masked = [site for site in model.drop_sites if site.name in sites]
    stages = dict.fromkeys(site.stage for site in masked)
    groups: dict[str, tuple[str, ...]] = {site.name: (site.name,) for site in masked}
    groups |= {stage: tuple(site.name for site in masked if site.stage == stage) for stage in stages}
    return groups | {ALL: tuple(site.name for site in masked)}


def measure(
    model: Network,
    method: Method,
    images: Tensor,
    labels: Tensor,
    *,
    sites: Collection[str],
    groups: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda share: None,
) -> Leakage:
    """Measure what the masks of `method` tell of the labels (N,) of normalised images (N, in_channels, H, W).

    Probes are fitted on masks of two thirds of the images and asked about those of the others, in three turns.

    Args:
        model: a network in evaluation mode; its batch statistics do not change.
        sites: names of the drop sites that are masked at once, those of training.
        groups: of `groups_of`, those to measure; by default all.
        progress: called with the share done.

    Raises:
        ValueError: too few images of a class, no sites, or an unknown group.
    """
    wanted = _wanted(model, sites, groups)
    counts = torch.bincount(labels.cpu())
    if (counts > 0).sum() < 2 or counts[counts > 0].min() < _FOLDS:
        raise ValueError(f"leakage needs images of two classes or more, at least {_FOLDS} of each; take more images")
    generator = torch.Generator(images.device).manual_seed(seed)
    steps = 1 + 2 * len(wanted)
    seen, answers = _collect(model, method, images, labels, sites, generator)
    progress(1 / steps)
    truth = labels.cpu().numpy()
    wrong = answers.numpy() != truth
    readable, obeyed = {}, {}
    for i, (name, members) in enumerate(wanted.items(), 1):
        features = np.concatenate([seen[site] for site in members], 1)
        readable[name] = _readable(guesses(features, truth, model.num_classes, seed), truth, wrong)
        progress((1 + i) / steps)
    for i, (name, members) in enumerate(wanted.items(), 1):
        obeyed[name] = obeys(model, method, images, members, seed=seed)
        progress((1 + len(wanted) + i) / steps)
    return Leakage(readable, obeyed)


def _wanted(model: Network, sites: Collection[str], groups: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    known = groups_of(model, sites)
    if not known[ALL]:
        raise ValueError("leakage needs at least one masked drop site of the network")
    if unknown := set(groups or ()) - set(known):
        raise ValueError(f"groups must be of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    return {name: members for name, members in known.items() if groups is None or name in groups}


def _collect(
    model: Network,
    method: Method,
    images: Tensor,
    labels: Tensor,
    sites: Collection[str],
    generator: torch.Generator,
) -> tuple[dict[str, npt.NDArray[np.float32]], Tensor]:
    """What a probe sees of the masks of all images, by site; and what the network answers without masks, (N,)."""
    parts: dict[str, list[npt.NDArray[np.float32]]] = {}
    answers = []
    for x, y in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
        for site, mask in masks_of(model, method, x, y, sites, generator).items():
            parts.setdefault(site, []).append(mask_features(mask))
        with torch.no_grad():
            answers.append(model(x).argmax(1).cpu())
    return {site: np.concatenate(found) for site, found in parts.items()}, torch.cat(answers)


def _readable(
    probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_]
) -> Readable:
    classes = probabilities.shape[1]
    hits = probabilities.argmax(1) == truth
    frequencies = np.bincount(truth, minlength=classes) / len(truth)
    likelihoods = probabilities[np.arange(len(truth)), truth].clip(1e-6)
    bits = torch.from_numpy(np.log2(likelihoods) - np.log2(frequencies[truth]))
    errors = np.bincount(truth[wrong], minlength=classes) / max(1, wrong.sum())
    return Readable(
        share(int(hits.sum()), len(hits), float(frequencies.max())),
        estimate(bits),
        share(int(hits[wrong].sum()), int(wrong.sum()), float(errors.max())),
    )


@torch.no_grad()
def obeys(model: Network, method: Method, images: Tensor, sites: Collection[str], *, seed: int = 0) -> Share:
    """How often a network in evaluation mode answers the class for which its masks were drawn.

    Each of the normalised images (N, in_channels, H, W) gets masks at all `sites` for a class drawn uniformly, whatever
    class guides in training; chance is 1/K.
    """
    generator = torch.Generator(images.device).manual_seed(seed)
    hits = 0
    for x in images.split(_BATCH):
        classes = torch.randint(model.num_classes, (len(x),), device=x.device, generator=generator)
        answers = model(x, SampleMasks(method, model.fc.weight, classes, sites, generator)).argmax(1)
        hits += int((answers == classes).sum())
    return share(hits, len(images), 1 / model.num_classes)
