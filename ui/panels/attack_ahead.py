"""The pictures of Attack for each image and class of heatmaps: what the page shows, and what goes ahead of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from camdrop.analysis.attack_outcome import AttackOutcome, attack_image
from camdrop.checkpoints import Checkpoint
from camdrop.checkpoints.metadata import Meta
from ui.choosers.image import ChosenImage
from ui.components.pictures import Board, Panel, State
from ui.panels.attack import EVIDENCE, Choice, brief_titles, image_panel, panels
from ui.panels.background import in_groups, scene_name

_SMALL = 64  # pixels a side up to which attacks go ahead
_LOAD = 12  # iterations, of all images and networks together, in one load at least
_MOST = 2000  # iterations that go ahead at most


@dataclass(frozen=True, eq=False)
class Duels:
    """One attack on any image: the networks by name, the attack, and the other panels beside the image."""

    networks: Sequence[tuple[str, Checkpoint]]
    choice: Choice
    opacity: float
    extra: Sequence[Panel] = ()

    @property
    def meta(self) -> Meta:
        """That of the first network, whose classes are those of the page."""
        return self.networks[0][1].meta

    @functools.cached_property
    def scene(self) -> str:
        """A name for all this, but for what the browser follows by itself."""
        return scene_name([name for name, _ in self.networks], self.extra, self.choice)

    def outcomes(self, picture: ChosenImage) -> list[AttackOutcome]:
        """Of the attack on each network."""
        truth, choice = picture.truth(self.meta), self.choice
        return [
            attack_image(name, c, picture.fit(c.meta), truth, choice.attack, choice.target, choice.seed)
            for name, c in self.networks
        ]

    def boards(self, picture: ChosenImage, outcomes: Sequence[AttackOutcome], evidence: str) -> list[Board]:
        """The image, then a board for each network."""
        state = State(self.scene, {**picture.state, "evidence": evidence}, ("opacity",))
        first = [image_panel(picture, outcomes[0], picture.truth(self.meta)), *self.extra]
        return [
            Board("attack.image", first, columns=2, state=state),
            *(
                Board(
                    f"attack.{outcome.name}",
                    panels(outcome, title, evidence, self.opacity),
                    columns=2,
                    min_width=110,
                    state=state,
                )
                for outcome, title in zip(outcomes, brief_titles(self.networks), strict=True)
            ),
        ]


def loads(duels: Duels, picture: ChosenImage, near: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Scenes and images worth sending ahead, the nearest first; none of large images, few where an attack is long."""
    here, cost = picture.number, len(duels.networks) * duels.choice.attack.iterations
    if here is None or picture.pixels.shape[-1] > _SMALL:
        return []
    step = max(1, _LOAD // cost)
    groups = in_groups(near, here, step)
    return [(duels.scene, group) for group in groups[: max(1, _MOST // (cost * step))]]


def boards(duels: Duels, pictures: Sequence[ChosenImage]) -> Iterator[Board]:
    """What `Duels` shows of each picture, and each class of heatmaps."""
    for picture in pictures:
        outcomes = duels.outcomes(picture)
        for evidence in EVIDENCE:
            yield from duels.boards(picture, outcomes, evidence)
