"""Choosing where to stop: image, label and drop site, alike (and by the same links) on several pages."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.image import ChosenImage, choose_picture
from ui.components.choice import live_choice
from ui.components.draw import draw_button
from ui.components.slider import live_slider
from ui.words import literal

if TYPE_CHECKING:
    from torch import Tensor

    from camdrop.analysis.mask_steps import Activation
    from camdrop.checkpoints import Checkpoint
    from camdrop.checkpoints.metadata import Meta
    from camdrop.resnet import Network

TRUE, PREDICTED = "True label", "Predicted label"
FIRST_DRAW = 651  # the draw that pages begin with: even DropPath drops in it, and CamDrop in the channel shown large

_KEPT = 8_000_000  # bytes of feature maps

# Choices that pages share, by their keys, and what they are at first.
_SHARED = {
    "image_from": "Its own data set",
    "image_class": "All",
    "reading": "paper",
    "seed": FIRST_DRAW,
    "rank": 1,
}
_OPTIONS = {"guide": "cam", "channels": "dominant"}  # of CamDrop, in the mask lab


@dataclass(frozen=True, eq=False)
class Scene:
    """What a person chose to look at, with the network run as far as the drop site."""

    meta: Meta
    picture: ChosenImage
    image: Tensor  # (1, C, H, W), normalised
    activation: Activation
    label: int
    choice: str = TRUE  # of *Label y*
    remark: str = ""
    predicted: bool = False  # the network chose the label

    @property
    def label_name(self) -> str:
        return self.meta.classes[self.label]


def first_site(model: Network) -> str:
    """Where pages begin: the first end of a residual branch in the middle stage; other people's networks name none."""
    middle = model.stage_names[len(model.stage_names) // 2]
    return min(model.drop_sites, key=lambda s: (s.stage != middle, s.kind != "branch")).name


def site_names(model: Network) -> list[str]:
    """The drop sites, in the order of the forward pass."""
    return [site.name for site in model.drop_sites]


def scene_facts(checkpoint: str, scene: Scene) -> dict[str, str]:
    """The choices of a scene, by the names of their widgets."""
    site = scene.activation.site.name
    return {"Checkpoint": checkpoint, "Image": scene.picture.name, "Label y": scene.label_name, "Drop site": site}


def choose_scene(checkpoint: Checkpoint) -> Scene | None:
    """The choosers, and what they lead to; None, with the reason on the page, where something is missing.

    In the link: `image` (and what belongs to it), `label`, `site`. Call it inside a fragment, as the image follows the
    hand, and in a horizontal container.
    """
    model, meta = checkpoint.model, checkpoint.meta
    with st.popover("Image", icon=":material/image:", help="Another image: from a gallery, a file or the camera"):
        picture = choose_picture(meta, key="image")
    first = first_site(model)
    label = live_choice(
        "Label y",
        [TRUE, PREDICTED, *meta.classes],
        key="label",
        width=150,
        help="The class that guides CamDrop. In the paper it is the image's true one, which the mask then gives away; "
        "the one that the network predicts tells no more than the image does.",
    )
    site = live_choice(
        "Drop site",
        site_names(model),
        key="site",
        default=first,
        width=150 if len(first) < 20 else 300,
        help="Where in the network the mask is applied: after a convolution, or on a skip connection.",
    )
    if picture is None:
        st.info("Choose an image first: press Image above.", icon=":material/arrow_upward:")
        return None
    return make_scene(checkpoint, picture, label, site)


def make_scene(checkpoint: Checkpoint, picture: ChosenImage, label: str, site: str) -> Scene:
    """The image at the drop site of that name, or where pages begin if there is none, guided by a choice of *Label y*.

    What it costs is kept in the session, for the scenes asked for last.
    """
    image, activation = _captured(checkpoint, picture, site)
    return guided(Scene(checkpoint.meta, picture, image, activation, 0), label)


def guided(scene: Scene, label: str) -> Scene:
    """The scene with this choice of *Label y*; a class that the network lacks stands for the true one."""
    classes, truth, remark = scene.meta.classes, scene.picture.label, ""
    predicted = int(scene.activation.before.argmax())
    if label in classes:
        target = classes.index(label)
    elif label == PREDICTED or truth is None:
        target = predicted
        if label != PREDICTED:
            remark = f"This image has no true label here, so the predicted one guides: {literal(classes[target])}."
    else:
        target = truth
    by_network = label == PREDICTED or bool(remark)
    return replace(scene, label=target, choice=label, remark=remark, predicted=by_network)


def _captured(checkpoint: Checkpoint, picture: ChosenImage, site: str) -> tuple[Tensor, Activation]:
    """The normalised image and what `capture` makes of it, the same objects as long as they are kept."""
    from camdrop.analysis.mask_steps import capture
    from camdrop.data import normalise

    model, meta = checkpoint.model, checkpoint.meta
    site = site if site in site_names(model) else first_site(model)
    choice = (checkpoint, picture.pixels.numpy().tobytes(), site)
    kept: OrderedDict[object, tuple[Tensor, Activation]] = st.session_state.setdefault("scenes", OrderedDict())
    found = kept.pop(choice, None)
    if found is None:
        image = normalise(picture.pixels[None], meta.mean, meta.std)
        found = image, capture(model, image, site)
    kept[choice] = found
    # A list, since a run that this one has cut off may still put something in.
    while len(kept) > 1 and sum(activation.features.nbytes for _, activation in list(kept.values())) > _KEPT:
        kept.popitem(last=False)
    return found


def choose_rates(blocks: bool = True) -> tuple[float, int]:
    """The button for the next draw, beside a widget of the key `seed`, and the sliders of γ and r, in one row.

    `blocks` is whether r plays a part.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        draw_button("Draw again", key="seed", value=st.session_state.get("seed", FIRST_DRAW), help="The next seed")
        return rate_slider("Keep rate γ", key="gamma"), size_slider("Block size r", key="r", disabled=not blocks)


def rate_slider(label: str, key: str) -> float:
    """A slider of γ."""
    why = "Every coin keeps with probability γ, and drops with 1 − γ."
    return live_slider(label, key=key, min=0.0, max=1.0, step=0.01, default=0.9, help=why)


def size_slider(label: str, key: str, *, disabled: bool) -> int:
    """A slider of r."""
    why = "The side of a dropped block, in units of the feature map."
    return int(live_slider(label, key=key, min=1, max=16, step=1, default=4, help=why, disabled=disabled))


def carry_over(page: str) -> None:
    """Bring the choices of another page along: call it in a page's own run, before its fragments.

    Streamlit loses those that came by the link and were not touched since.
    """
    if st.session_state.get("stop.page", page) != page:
        for key, at_first in (_SHARED | _OPTIONS).items():
            if key in st.session_state and st.session_state[key] == at_first and key not in st.query_params:
                del st.session_state[key]  # else the link would say it
        values = {key: st.session_state.get(key, at_first) for key, at_first in _SHARED.items()}
        kept = {key: v for key, v in values.items() if v != _SHARED[key] and key not in st.query_params}
        st.session_state.update(kept)
        st.query_params.update(kept)  # at once: each change is an entry in the browser's history
    st.session_state["stop.page"] = page
