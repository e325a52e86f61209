"""One of the settings that the mask lab shows: alone, or A and B side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from camdrop.analysis.mask_steps import Dissection, MaskedPass, dissect, many_draws, masked_pass, shares
from camdrop.masks import Method
from camdrop.training.config import make_method
from ui.choosers.scene import Scene, guided
from ui.choosers.training_switch import training_sites
from ui.components.pictures import Board, Panel, Screen, State
from ui.panels import ahead, mask_draws, mask_lab, mask_message
from ui.panels.shown import Shown, still

BLOCKS = ("camdrop", "dropblock")


@dataclass(frozen=True, eq=False)
class Side:
    """A mask of a scene: the checkpoint's name, the method's name and options, and the draw.

    `own_label` is whether *Label y* is not what the page's own choice says, `keys` are those of the sliders of γ and r,
    `mark` is "A" or "B" where there are two, `training` whether all sites are masked as in training, `follows` whether
    the browser can follow the hand.
    """

    checkpoint: str
    scene: Scene
    kind: str
    options: Mapping[str, object]
    gamma: float
    r: int
    seed: int
    rank: int
    training: bool
    follows: bool
    keys: tuple[str, str] = ("gamma", "r")
    mark: str = ""
    own_label: bool = False

    def key(self, name: str) -> str:
        """The key of a board of that name."""
        return f"b.{name}" if self.mark == "B" else name

    def method(self, r: int) -> Method:
        found = make_method(self.kind, {}, {**self.options, "keep_prob": self.gamma, "block_size": r})
        assert found is not None  # as it is for the baseline, which is no choice here
        return found

    @cached_property
    def drawn(self) -> Method:
        """The method of the mask that is seen."""
        return self.method(self.r)

    @cached_property
    def passed(self) -> MaskedPass | None:
        """The pass of a training step."""
        if not self.training:
            return None
        model = self.scene.activation.model
        masked = training_sites(model, self.scene.meta, self.drawn)
        return masked_pass(self.scene.activation, self.scene.image, self.drawn, self.scene.label, self.seed, masked)

    @cached_property
    def d(self) -> Dissection:
        if self.passed and self.passed.here:
            return self.passed.here
        return dissect(self.scene.activation, self.drawn, self.scene.label, self.seed)

    @property
    def channel(self) -> int:
        """The α rank of the channel that is enlarged, from 0."""
        return self._channel(self.rank)

    def _channel(self, rank: int) -> int:
        """A network may have fewer channels than are asked for."""
        return min(rank, len(self.d.alpha) - 1)

    @cached_property
    def state(self) -> State | None:
        if not self.follows:
            return None
        at: dict[str, int | str] = {self.keys[1]: self.r, "seed": self.seed, "rank": self.rank}
        label = {} if self.own_label else {"label": self.scene.choice}
        return ahead.state_of(self.checkpoint, self.scene, self.drawn, {**at, **label})

    def seen(self) -> list[Board]:
        """The boards of the mask as it is."""
        gamma_key = self.keys[0]
        remark = ""
        if self.passed and not self.passed.here:
            remark = "Training masks other sites, so the mask of this one is drawn alone."
        shown = ahead.show(self.d, self.seed, gamma_key) if self.follows else still(self.d, "", answer=not self.passed)
        return self._boards(self.scene, shown, self.channel, self.state, remark)

    def near(self) -> Sequence[Sequence[State]]:
        """The states that the browser may go to from here, in portions."""
        if self.state is None or not ahead.can_fill(self.scene.activation):
            return []
        sizes = range(1, 17) if self.kind in BLOCKS else ()
        labels = () if self.own_label else ahead.labels_of(self.scene)
        return list(ahead.neighbours(self.state, sizes, len(self.d.alpha), labels, self.keys))

    def at(self, near: State) -> bool:
        """Whether a state is one of this mask."""
        mine = self.state
        return mine is not None and (near.scene, near.at.keys()) == (mine.scene, mine.at.keys())

    def boards(self, near: State) -> list[Board]:
        """The boards of another state."""
        activation, seed, rank = self.scene.activation, int(near.at["seed"]), int(near.at["rank"])
        method = self.method(int(near.at[self.keys[1]]))
        scene = guided(self.scene, str(near.at.get("label", self.scene.choice)))
        shown = ahead.show_whole(activation, method, scene.label, seed, self.keys[0])
        return self._boards(scene, shown, self._channel(rank), near)

    def message(self, guess: bool) -> tuple[list[Panel], mask_message.Key | None]:
        """What the mask tells, where that is asked, and what a probe depends on that is still to be fitted."""
        return mask_message.message(self.scene, self.d, self.passed, self.seed, guess)

    def mean(self) -> Panel:
        """The mean of many draws."""
        drawn = many_draws(self.d.activation, self.drawn, self.scene.label, self.seed)
        return mask_draws.mean(drawn, int(self.d.order[self.channel]))

    def sites(self) -> list[Panel]:
        """The masks of all drop sites."""
        model = self.scene.activation.model
        draws = max(1, 36 // len(model.drop_sites))
        found = shares(model, self.scene.image, self.drawn, self.scene.label, self.seed, draws)
        return mask_draws.sites(self.scene, found, 1 - self.gamma, draws)

    @property
    def waits(self) -> dict[str, float | str] | None:
        """What the sliders say that pictures of the server are for, where the browser follows all others."""
        if self.state is None:
            return None
        return {self.keys[0]: self.gamma, **{key: value for key, value in self.state.at.items() if key != "rank"}}

    def rows(self) -> list[list[list[str]]]:
        """The keys of its pictures as a saved page has them: rows of columns, the last one below all else."""
        left, right = ["grid", "mean"], ["numbers", "sites"]
        columns = [[*left, *right]] if self.mark else [left, right]
        named = [[self.key(name) for name in column] for column in columns]
        return [[[self.key("message")]], [[self.key("strip")]], named]

    def _boards(self, scene: Scene, shown: Shown, rank: int, state: State | None, remark: str = "") -> list[Board]:
        found = mask_lab.boards(scene, shown, rank, state, remark, self._name(scene))
        half: Screen = "right" if self.mark == "B" else "left" if self.mark else "all"
        return [
            dataclasses.replace(board, key=self.key(board.key), presented=board.presented and half) for board in found
        ]

    @property
    def name(self) -> str:
        """What it is, where there are two."""
        return self._name(self.scene)

    def _name(self, scene: Scene) -> str:
        if not self.mark:
            return ""
        guide = f", label {scene.label_name}" if self.kind == "camdrop" else ""
        return f"{self.mark} · {self.checkpoint} · {type(self.drawn).__name__}{guide}."
