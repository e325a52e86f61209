"""One of the settings that the mask lab shows: alone, or A and B side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from camdrop.analysis.mask_steps import Dissection, MaskedPass, dissect, many_draws, masked_pass, shares
from camdrop.checkpoints import Checkpoint
from camdrop.masks import METHODS, CamDrop, Method
from camdrop.training.config import make_method
from ui.choosers.checkpoint import open_checkpoint
from ui.choosers.scene import Scene, make_scene
from ui.choosers.training_switch import training_sites
from ui.components.pictures import Board, Panel, Screen, State
from ui.panels import ahead, mask_draws, mask_lab, mask_message
from ui.panels.shown import Shown, still

BLOCKS = ("camdrop", "dropblock")
KINDS = {kind.__name__: name for name, kind in reversed(METHODS.items())}  # the names of methods by their titles


@dataclass(frozen=True, eq=False)
class Side:
    """A mask of a scene: the checkpoint's name, the method's name and options, and the draw.

    `alike` are the checkpoints that the browser goes to, with their versions (checkpoint.py); `site` is the drop site
    that the page's choice says, in whose place the scene of another network may have another; `own` are the keys of
    choices that are not what the page's own say, `keys` are those of the sliders of γ and r, `mark` is "A" or "B" where
    there are two, `training` whether all sites are masked as in training, `follows` whether the browser can follow the
    hand.
    """

    checkpoint: str
    network: Checkpoint
    alike: Mapping[str, object]
    scene: Scene
    site: str
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
    own: Set[str] = frozenset()

    def key(self, name: str) -> str:
        """The key of a board of that name."""
        return f"b.{name}" if self.mark == "B" else name

    def method(self, kind: str, r: int) -> Method:
        found = make_method(kind, {}, {**self.options, "keep_prob": self.gamma, "block_size": r})
        assert found is not None  # as it is for the baseline, which is no choice here
        return found

    @cached_property
    def drawn(self) -> Method:
        """The method of the mask that is seen."""
        return self.method(self.kind, self.r)

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
        return _channel(self.d, self.rank)

    @cached_property
    def state(self) -> State | None:
        if not self.follows:
            return None
        at: dict[str, int | str] = {self.keys[1]: self.r, "seed": self.seed, "rank": self.rank}
        chosen = {"checkpoint": self.checkpoint, "method": type(self.drawn).__name__, "site": self.site}
        chosen["label"] = self.scene.choice
        at |= {key: value for key, value in chosen.items() if key not in self.own}
        kind = self.kind if "method" in self.own else ""
        return ahead.state_of(self.alike, self.scene, at, self.options, kind, self.mark)

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
        others = {"checkpoint": list(self.alike), "method": list(KINDS)}
        others |= {"label": ahead.labels_of(self.scene), "site": ahead.sites_of(self.scene)}
        return list(ahead.neighbours(self.state, sizes, len(self.d.alpha), others, self.keys))

    def at(self, near: State) -> bool:
        """Whether a state is one of this mask."""
        mine = self.state
        return mine is not None and (near.scene, near.at.keys()) == (mine.scene, mine.at.keys())

    def boards(self, near: State) -> list[Board]:
        """The boards of another state."""
        kind, r = KINDS.get(str(near.at.get("method")), self.kind), int(near.at[self.keys[1]])
        label, site = str(near.at.get("label", self.scene.choice)), str(near.at["site"])
        name = str(near.at.get("checkpoint", self.checkpoint))
        there = dataclasses.replace(self, checkpoint=name, network=open_checkpoint(name))
        method, scene = self.method(kind, r), make_scene(there.network, self.scene.picture, label, site)
        shown = ahead.show_whole(scene.activation, method, scene.label, int(near.at["seed"]), self.keys[0])
        return there._boards(scene, shown, _channel(shown.d, int(near.at["rank"])), near)

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

    @property
    def waits_anywhere(self) -> dict[str, float | str] | None:
        """The same for pictures that show all drop sites."""
        return self.waits and {key: value for key, value in self.waits.items() if key != "site"}

    def _boards(self, scene: Scene, shown: Shown, rank: int, state: State | None, remark: str = "") -> list[Board]:
        found = mask_lab.boards(scene, shown, rank, state, remark, self._name(scene, shown.d.method))
        half: Screen = "right" if self.mark == "B" else "left" if self.mark else "all"
        return [
            dataclasses.replace(board, key=self.key(board.key), presented=board.presented and half) for board in found
        ]

    @property
    def name(self) -> str:
        """What it is, where there are two."""
        return self._name(self.scene, self.drawn)

    def _name(self, scene: Scene, method: Method) -> str:
        if not self.mark:
            return ""
        guide = f", label {scene.label_name}" if isinstance(method, CamDrop) else ""
        return f"{self.mark} · {self.checkpoint} · {type(method).__name__}{guide}."


def rows(side: Side) -> list[list[list[str]]]:
    """The keys of its pictures as a saved page has them: rows of columns, the last one below all else."""
    left, right = ["grid", "mean"], ["numbers", "sites"]
    columns = [[*left, *right]] if side.mark else [left, right]
    named = [[side.key(name) for name in column] for column in columns]
    return [[[side.key("message")]], [[side.key("strip")]], named]


def _channel(d: Dissection, rank: int) -> int:
    """An α rank, from 0, of a channel that is there: a network may have fewer than are asked for."""
    return min(rank, len(d.alpha) - 1)
