"""What masks tell: the guess of a probe that sees nothing else, and the network's answer with and without them."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import streamlit as st
import torch
from torch import Tensor

from camdrop.analysis.leakage import Probe, fit_probe
from camdrop.analysis.mask_steps import Dissection, MaskedPass
from camdrop.analysis.mask_steps import answers as draw
from camdrop.checkpoints.metadata import Meta
from camdrop.data import INFO, fit_pixels, load_dataset, normalise
from camdrop.figures.numbers import percent
from camdrop.mask import Mask
from camdrop.masks import CamDrop, Method
from camdrop.resnet import Network
from ui.choosers.image import TITLES
from ui.choosers.scene import Scene
from ui.components.pictures import Panel, Row
from ui.words import literal

_SAMPLE = "fashion-mnist"  # the data set of which enough labelled images come along
_FITTED, _HELD_OUT = 600, 300  # of its training images, none of which the gallery shows
_TOP = 3

DRAWS = 20  # in which the network answers, to see how often it is the label
_LARGE = 128  # pixels of an image for which so many passes at every move would be too slow
_SLIDERS = ("keep_prob", "block_size", "channel_fraction", "position_fraction")

Key = tuple[Network, Method, frozenset[str]]


def message(
    scene: Scene, d: Dissection, passed: MaskedPass | None, seed: int, guess: bool
) -> tuple[list[Panel], Key | None]:
    """What a mask tells, or all masks of a pass: panels for one row; `guess` is whether a probe is asked.

    With them comes what the probe depends on, where it is still to be fitted.
    """
    panels: list[Panel] = []
    missing, activation = None, scene.activation
    masks = passed.masks if passed else {activation.site.name: d.mask}
    if passed:
        draws = DRAWS if scene.image.shape[-1] <= _LARGE else 0
        drawn = draw(activation.model, scene.image, d.method, scene.label, seed, masks, draws) if draws else None
        panels += answers(scene, d.method, passed, drawn)
    if guess and (why := why_no_probe(scene.meta)):
        st.info(literal(why), icon=":material/psychology_alt:")
    elif guess:
        key = probe_key(scene, d.method, masks)
        probe = known_probe(key)
        missing = None if probe else key
        panels.append(tells(scene, key, probe, masks))
    return panels, missing


def ask(key: Key, meta: Meta, rests: bool) -> None:
    """Fit a probe and run the page again. While the hand is on a slider, which would have to wait, offer it instead."""
    if not rests:
        st.button("Guess again", icon=":material/refresh:", help="For these masks the probe has to learn anew: seconds")
        return
    words = f"Learning from the masks of {_FITTED + _HELD_OUT} other images …"
    bar = st.progress(0.0, words, width=340)
    add_probe(key, meta, lambda share: bar.progress(share, words))
    st.rerun()


def hand_rests(around: object, methods: Sequence[Method]) -> bool:
    """Whether no slider of the methods has moved since the last run, or more than a slider has: all of `around`."""
    sliders = [getattr(method, name, None) for method in methods for name in _SLIDERS]
    before, st.session_state["message.before"] = st.session_state.get("message.before"), (around, sliders)
    return before is None or before[0] != around or before[1] == sliders


def _rows(scene: Scene, probabilities: Sequence[float], classes: Sequence[int]) -> list[Row]:
    return [
        Row(
            scene.meta.classes[k],
            percent(probabilities[k], ".1f"),
            share=probabilities[k],
            marked=k == scene.label,
        )
        for k in classes
    ]


def answers(scene: Scene, method: Method, passed: MaskedPass, drawn: Tensor | None) -> list[Panel]:
    """The network's answer without masks and with those of a pass; `drawn` are its answers in more draws."""
    before, after = scene.activation.before, passed.after
    label, sites = scene.label_name, f"{len(passed.masks)} site{'s' if len(passed.masks) > 1 else ''}"
    guided = isinstance(method, CamDrop) and method.guided_by_class
    rows = _rows(scene, after.tolist(), after.topk(min(_TOP, len(after))).indices.tolist())
    if drawn is not None:
        hits = int((drawn == scene.label).sum())
        rows.append(Row(f"Draws that end in {label}", f"{hits} of {len(drawn)}", share=hits / len(drawn)))
    return [
        Panel(
            "Without masks",
            "",
            id="without",
            subtitle="the network's answer",
            lines=["As when it is tested."],
            rows=_rows(scene, before.tolist(), before.topk(min(_TOP, len(before))).indices.tolist()),
        ),
        Panel(
            f"With masks at {sites}",
            "",
            id="with",
            subtitle=f"its answer, with masks for {label}" if guided else "its answer",
            lines=[_verdict(scene, int(before.argmax()), int(after.argmax()), guided)],
            rows=rows,
        ),
    ]


def _verdict(scene: Scene, before: int, after: int, guided: bool) -> str:
    """What became of the answer."""
    if not guided:
        return "These masks know no label."
    if scene.label == before == after:
        return "Choose another label y: does the answer turn?"
    if after == scene.label:
        return "The answer turns to the label of the masks."
    return "The answer stays." if after == before else "The answer changes, but not to the label."


def why_no_probe(meta: Meta) -> str:
    """Why no probe can be fitted for a network of this header; "" where one can."""
    if meta.dataset == _SAMPLE and meta.num_classes == len(INFO[_SAMPLE].classes):
        return ""
    data = TITLES.get(meta.dataset, meta.dataset) or "this network's data set"
    return (
        f"To guess a class from a mask, a probe must see the masks of {_FITTED:,} labelled images first, and of {data} "
        f"too few come along. Choose a network of {TITLES[_SAMPLE]}, or run `python -m camdrop leakage`."
    )


def probe_key(scene: Scene, method: Method, sites: Collection[str]) -> Key:
    """What a probe depends on: network, method and sites, and whether the true class guides or the predicted one."""
    if isinstance(method, CamDrop):
        method = replace(method, label="predicted" if scene.predicted else "true")
    return scene.activation.model, method, frozenset(sites)


@st.cache_resource
def _probes() -> OrderedDict[Key, Probe]:
    """Those of all sessions, the one used last at the end."""
    return OrderedDict()


def known_probe(key: Key) -> Probe | None:
    """A probe that is fitted already."""
    kept = _probes()
    found = kept.pop(key, None)
    if found is not None:
        kept[key] = found
    return found


def add_probe(key: Key, meta: Meta, progress: Callable[[float], object]) -> None:
    """Fit a probe, a matter of seconds, and keep it; `progress` is called with the share done."""
    model, method, sites = key
    pixels, labels = probe_images()
    images = normalise(fit_pixels(pixels, meta.in_channels, meta.image_size), meta.mean, meta.std)
    found = fit_probe(model, method, images, labels, sites=sites, held_out=_HELD_OUT, progress=progress)
    kept = _probes()
    kept[key] = found
    while len(kept) > 64:
        kept.popitem(last=False)


@functools.lru_cache(maxsize=1)
def probe_images() -> tuple[Tensor, Tensor]:
    """Images with their labels, as many of each class in those that are held out, the last ones, as in the others."""
    train = load_dataset("fashion-sample", splits=("train",)).train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    by_class = [order[train.labels[order] == k] for k in train.labels.unique().tolist()]
    n, m = _FITTED // len(by_class), _HELD_OUT // len(by_class)
    chosen = torch.cat([*(own[:n] for own in by_class), *(own[n : n + m] for own in by_class)])
    return train.images[chosen], train.labels[chosen]


def tells(scene: Scene, key: Key, probe: Probe | None, masks: Mapping[str, Mask]) -> Panel:
    """The probe's guess from the masks of one draw; dashes as long as there is no probe."""
    _, method, sites = key
    one = len(sites) == 1
    if probe is None:
        rows = [Row("…", "") for _ in range(_TOP)]
        right = chance = "…"
        accuracy = 0.0
    else:
        said = probe.guess(masks)[0]
        top = (-said).argsort()[:_TOP].tolist()
        shown = top if scene.label in top else [*top[:-1], scene.label]
        rows = _rows(scene, said.tolist(), shown)
        accuracy = probe.accuracy.value
        right, chance = f"{percent(accuracy)} of {probe.accuracy.n}", percent(probe.accuracy.chance)
    drawn = "for the class that the network predicts" if scene.predicted else "for the true class"
    blind = not (isinstance(method, CamDrop) and method.guided_by_class)
    return Panel(
        "What the mask tells" if one else "What the masks tell",
        "",
        id="tells",
        subtitle="a probe's guess from it alone" if one else "a probe's guess from them alone",
        lines=[f"It saw masks of {_FITTED:,} images, drawn {'blindly' if blind else drawn}."],
        rows=[*rows, Row("Right about other images", right, share=accuracy), Row("Chance", chance)],
    )
