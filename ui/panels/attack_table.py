"""The attack over a data set, as the paper's Table 7: done in slices between reruns, so that it can be stopped."""

from __future__ import annotations

import csv
import dataclasses
import io
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import streamlit as st

from camdrop.analysis.attacks import PGD, Tally, attack_dataset
from camdrop.checkpoints import Checkpoint
from camdrop.checkpoints.metadata import Meta
from camdrop.data import DataError, Dataset, load_dataset
from camdrop.report.json_results import ATTACKED
from ui.choosers.data_set import choose_data_set
from ui.fragments import callback
from ui.panels.attack import titles
from ui.saved.page import Block, Note, Table
from ui.words import literal

SPECS = ("fashion-sample", "fashion-mnist", "mnist", "cifar10")
EVERY = 0.3  # seconds between two reruns of the table

_SLICE = 0.2  # seconds of work in each
_BATCH = 20  # images a turn


@dataclass(eq=False)
class Bout:
    """An attack on several networks, which take turns, so that their rates are always of the same images."""

    attack: PGD
    data: str
    seed: int
    titles: list[str]
    metas: list[Meta]
    tallies: list[Tally]
    runs: list[Iterator[Tally]] = field(repr=False)
    notes: tuple[str, ...] = ()  # on the data set
    round: list[Tally] = field(default_factory=list)  # of the networks that had their turn
    stopped: bool = False
    at_work: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def running(self) -> bool:
        return not self.stopped and self.n < self.total

    @property
    def n(self) -> int:
        return self.tallies[0].n

    @property
    def total(self) -> int:
        return self.tallies[0].total

    def advance(self, seconds: float) -> None:
        """Go on for about that long; at the least one turn.

        Streamlit begins a run before one that it cuts off has ended, so that two may ask: the first goes on.
        """
        if not self.at_work.acquire(blocking=False):
            return
        try:
            end = time.monotonic() + seconds
            while self.running:
                self.round.append(next(self.runs[len(self.round)]))
                if len(self.round) == len(self.runs):
                    self.tallies, self.round = self.round, []
                if time.monotonic() >= end:
                    return
        finally:
            self.at_work.release()


@st.cache_resource(max_entries=4, show_spinner="Reading the test images …")
def _test_images(spec: str) -> Dataset:
    return load_dataset(spec, splits=("test",))


def begin(chosen: Sequence[tuple[str, Checkpoint]], attack: PGD, data: str, limit: int, seed: int) -> Bout:
    """A bout before its first batch. ValueError for a data set that cannot be read, or that a network cannot take."""
    dataset = _test_images(data)
    for name, checkpoint in chosen:
        meta = checkpoint.meta
        if (meta.in_channels, meta.num_classes) != (dataset.info.channels, len(dataset.info.classes)):
            raise DataError(
                f"{name} is for {meta.in_channels}-channel images of {meta.num_classes} classes, which {data} has not:"
                " choose the data set that it was trained on."
            )
    runs = [
        attack_dataset(
            checkpoint.model,
            dataset.test,
            attack,
            checkpoint.meta.mean,
            checkpoint.meta.std,
            limit=limit,
            seed=seed,
            batch_size=_BATCH,
        )
        for _, checkpoint in chosen
    ]
    tallies = [next(run) for run in runs]
    return Bout(attack, data, seed, titles(chosen), [c.meta for _, c in chosen], tallies, runs, dataset.notes)


def choose_data(meta: Meta) -> tuple[str, int]:
    """The data set and how many of its images, by default those at hand for a network."""
    own = "fashion-sample" if meta.dataset in ("", "fashion-mnist") else meta.dataset
    data = choose_data_set(
        SPECS, key="attack.data", index=SPECS.index(own) if own in SPECS else 0, folder="test/CLASS/",
        help="fashion-sample is bundled, with 1,000 test images. The others are downloaded once.",
    )  # fmt: skip
    limit = st.number_input(
        "At most, images", 1, 100_000, 1000, 100, key="attack.limit", width=150, persist_state="session"
    )
    return data, int(limit)


@callback
def start(chosen: Sequence[tuple[str, Checkpoint]], data: str, limit: int) -> None:
    """Begin a bout with the attack that the page shows."""
    choice = st.session_state["attack.choice"]
    st.session_state["attack.bout"] = begin(chosen, choice.attack, data, limit, choice.seed)


@callback
def stop() -> None:
    """End the bout with what is done."""
    st.session_state["attack.bout"].stopped = True


def show(bout: Bout | None) -> None:
    """The table as it stands; then goes on with the bout, for the next rerun to show."""
    with st.container():  # so that the table keeps its place when there is none
        if bout and bout.running:
            st.progress(bout.n / bout.total, f"{bout.n:,} of {bout.total:,} images")
    heads, rows = _table(bout)
    names, *numbers = zip(*rows, strict=True)
    columns = dict(zip(heads, [[literal(name) for name in names], *map(list, numbers)], strict=True))
    st.table(columns, hide_index=True, border="horizontal")
    if bout:
        st.caption(literal(_words(bout)))
    if bout and bout.running:
        bout.advance(_SLICE)
        if not bout.running:
            st.rerun()  # other buttons, and no more reruns


def saved() -> list[Block]:
    """The table as it stands, for a saved page; none where nothing was attacked."""
    bout: Bout | None = st.session_state.get("attack.bout")
    return [Table(*_table(bout)), Note(_words(bout))] if bout else []


def _table(bout: Bout | None) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Heads and rows: ours, and the paper's below."""
    rows = list(zip(bout.titles, bout.tallies, strict=True)) if bout else []
    paper = [(f"Paper: {name}", "–", f"{error:.2f}", f"{success:.2f}") for name, error, success in ATTACKED]
    ours = [(name, str(t.clean_error), str(t.error), str(t.success)) for name, t in rows]
    return ("Network", "Clean error (%)", "Error rate (%)", "Success rate (%)"), [*ours, *paper]


def _words(bout: Bout) -> str:
    what = f"{bout.attack} · {bout.data}, {bout.n:,} images, seed {bout.seed}"
    return " · ".join([what, "in brackets: 95\N{NO-BREAK SPACE}% intervals", *bout.notes])


def table_csv(bout: Bout | None) -> bytes:
    """The table as CSV: a line a network, with the attack that made it."""
    if bout is None:
        return b""
    settings = {"data": bout.data} | dataclasses.asdict(bout.attack) | {"seed": bout.seed}
    rows = [
        {"network": title, "method": meta.method, "architecture": meta.architecture} | settings | tally.numbers()
        for title, meta, tally in zip(bout.titles, bout.metas, bout.tallies, strict=True)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")  # so that spreadsheets read γ
