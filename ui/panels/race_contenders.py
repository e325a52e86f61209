"""The contenders of a new race: chips that open to their settings, what can be added, and a guess at who wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from camdrop.masks import CHANNELS, GUIDES, LABELS, METHODS, READINGS
from camdrop.resnet import ARCHITECTURES, KINDS
from camdrop.runs.records import brief, label, short_names
from camdrop.schedules import KEEP_SCHEDULES
from camdrop.training.config import NOISE_METHODS, Contender, contender, make_method, method_name
from ui.fragments import callback

_R = 4  # of a contender that is added, as in the default race
_GUESS = "race.guess"
_LAST = ":stages={last}:sites=branch+skip"
_ALIKE = next(line for line in NOISE_METHODS.split(",") if "label=predicted" in line)
# Title, what it is for, and its line as of `camdrop.training.config.contender`: CamDrop with other guides, else alike.
READY = (
    ("CamDrop, predicted class", "The network's own answer guides: the mask tells no label.", _ALIKE),
    (
        "CamDrop, true class at the last map",
        "The true label guides, but no layer behind the mask can read it: is there a leak?",
        _ALIKE.replace("predicted", "true") + _LAST,
    ),
    (
        "CamDrop, no class",
        "The mean of all channels guides: does dropout need a label at all?",
        _ALIKE.replace("label=predicted", "guide=mean"),
    ),
    (
        "CamDrop, random class",
        "A class drawn at random guides: what remains without its meaning?",
        _ALIKE.replace("predicted", "random"),
    ),
    (
        "CamDrop as in the paper",
        "The true label guides everywhere: the mask gives it away.",
        "camdrop:block_size=8",
    ),
)


def filled_in(contenders: Sequence[Contender]) -> dict[str, Any]:
    """Values of the widgets' keys by which these are the contenders."""
    values: dict[str, Any] = {
        "race.contenders": list(range(len(contenders))),
        "race.methods": {i: method_name(c.method) for i, c in enumerate(contenders)},
    }
    for i, c in enumerate(contenders):
        values |= _set_to(i, c)
    return values


def _set_to(number: int, contender: Contender) -> dict[str, Any]:
    """Values of the widgets' keys by which the settings of a number say this contender."""
    options = {} if contender.method is None else dataclasses.asdict(contender.method)
    options |= {"schedule": contender.schedule}
    options |= {"stages": list(contender.stages or ()), "kinds": list(contender.kinds or ())}
    return {f"race.{number}.{part}": value for part, value in options.items()}


def choose_contenders(network: str) -> list[Contender]:
    """The chips, with Add at their end; each opens to its settings. `network` is a name of `ARCHITECTURES`."""
    store = st.session_state
    numbers: list[int] = store["race.contenders"]
    names: dict[int, str] = store["race.methods"]
    blocks = ARCHITECTURES[network].blocks
    stages = tuple(f"layer{i + 1}" for i in range(len(blocks)))
    places = (*stages, f"{stages[-1]}.{blocks[-1] - 1}")
    chosen = [_contender(number, names[number], places) for number in numbers]
    titles = [brief(c) for c in chosen]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Contenders", width="content")
        for number, own, title in zip(numbers, chosen, titles, strict=True):
            whole = label(own)
            with st.popover(title if titles.count(title) == 1 else whole, key=f"race.chip.{number}"):
                st.caption(whole)
                _settings(number, names[number], places)
                st.button(
                    "Remove", key=f"race.remove.{number}", icon=":material/close:", on_click=_remove, args=(number,)
                )
        with st.popover("Add", icon=":material/add:"):
            _offer(chosen, places[-1])
    return chosen


def choose_winner(contenders: Sequence[Contender]) -> str | None:
    """Which of the contenders somebody expects to win, by name; None where nobody says. Their order is the chips'."""
    store, numbers = st.session_state, list(st.session_state["race.contenders"])
    names = dict(zip(numbers, contenders, strict=True))
    if store.get(_GUESS) not in names:
        store[_GUESS] = None  # that one was removed
    short = short_names(contenders)
    guess = st.pills(
        "Which will win?", numbers, key=_GUESS, format_func=lambda number: short[names[number]],
        help="Only if you like: your guess is kept with the race, and shown beside who did win.",
        persist_state="session",
    )  # fmt: skip
    return None if guess is None else names[guess].name


def forget_guess() -> None:
    """Ask anew for the next race: in a callback."""
    st.session_state[_GUESS] = None


def _offer(chosen: Sequence[Contender], last: str) -> None:
    """What can be added: CamDrop with other guides, each with what it is for, and every method as it is."""
    there = {dataclasses.replace(c, name="x") for c in chosen}
    for i, (title, why, line) in enumerate(READY):
        ready = dataclasses.replace(contender(line.format(last=last), {}), name="x")
        st.button(
            title, key=f"race.ready.{i}", on_click=_add, args=(ready,), width="stretch", disabled=ready in there,
            help="It is in the race already." if ready in there else None,
        )  # fmt: skip
        st.caption(why)
    with st.container(horizontal=True):
        for name in ("baseline", *METHODS):
            title = "Baseline (no dropout)" if name == "baseline" else METHODS[name].__name__
            st.button(title, key=f"race.add.{name}", on_click=_add, args=(contender(name, {"block_size": _R}),))


@callback
def _add(new: Contender) -> None:
    number = max(st.session_state["race.contenders"], default=-1) + 1
    st.session_state["race.methods"][number] = method_name(new.method)
    st.session_state["race.contenders"].append(number)
    st.session_state.update(_set_to(number, new))


@callback
def _remove(number: int) -> None:
    st.session_state["race.contenders"].remove(number)


def _contender(number: int, name: str, places: Sequence[str]) -> Contender:
    """A contender as its settings say; `places` are the stages of the network, and its last block."""
    store, key = st.session_state, f"race.{number}."
    if name == "baseline":
        return Contender("baseline")
    options = {field.name: store[key + field.name] for field in dataclasses.fields(METHODS[name])}
    wanted = store.get(key + "stages") or []
    if any("." in place and place not in places for place in wanted):  # the last block of another network
        store[key + "stages"] = wanted = [place for place in wanted if "." not in place] + [places[-1]]
    at = tuple(place for place in places if place in wanted)
    kinds = tuple(k for k in KINDS if k in (store.get(key + "kinds") or ()))
    return Contender(name, make_method(name, options), store[key + "schedule"], at or None, kinds or None)


def _settings(number: int, name: str, places: Sequence[str]) -> None:
    """The widgets of a contender's settings."""
    key, keep = f"race.{number}.", dict[str, Any](persist_state="session")
    if name == "baseline":
        st.caption("No dropout.")
        return
    st.slider("Keep rate γ", 0.0, 1.0, step=0.01, key=key + "keep_prob", width=260, **keep)
    if name in ("dropblock", "camdrop"):
        st.slider("Block size r", 1, 16, key=key + "block_size", width=260, **keep)
    choices: list[tuple[str, str, tuple[str, ...], str]] = [
        ("γ over the run", "schedule", KEEP_SCHEDULES, "linear: 1 → γ, inverse: γ → 1 (Table 5)")
    ]
    if name == "camdrop":
        st.number_input("Channel fraction", 0.005, 1.0, step=0.005, format="%.3f", key=key + "channel_fraction", **keep)
        st.number_input(
            "Position fraction", 0.005, 1.0, None, 0.05, "%.3f", key=key + "position_fraction", placeholder="1/r²",
            help="Share of the positions, those with the largest activation, where a block may begin. Empty: 1/r² "
            "(Eq. 6).", **keep,
        )  # fmt: skip
        choices += [
            ("Class that guides", "label", LABELS, "With the true one, as in the paper, the mask tells the label. The "
             "one that the network predicts, or one drawn at random, tells no more than the image does."),
            ("Reading of the paper", "reading", READINGS, "How likely a candidate becomes a seed: see the mask lab"),
            ("Guide", "guide", GUIDES, "The class activation map, or the mean of all channels (Table 2)"),
            ("Channels", "channels", CHANNELS, "Those with the largest α, or all of them (Table 3)"),
        ]  # fmt: skip
    for title, part, values, why in choices:
        st.segmented_control(title, values, required=True, key=key + part, help=why, **keep)
    st.pills(
        "Only in these stages", places, selection_mode="multi", key=key + "stages",
        help="None chosen: all three of a CIFAR network, the last two of an ImageNet network. "
        f"{places[-1]} is the last block alone.", **keep,
    )  # fmt: skip
    st.pills(
        "Only at these sites", KINDS, selection_mode="multi", key=key + "kinds",
        help="conv: after a convolution; branch: after the last one of a block; skip: on the skip connection. "
        "None chosen: all of them (DropPath: branch).", **keep,
    )  # fmt: skip
