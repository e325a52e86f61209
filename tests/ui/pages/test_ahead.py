"""What the browser gets ahead of its time is what the page would draw there."""

import random

import pytest

from tests.support.lab_pages import Pages, seen
from ui.components.pictures import Board


def expect_equal(lab: Pages, boards: list[Board], gamma: float) -> None:
    """The page, as opened last, shows what these boards show with the slider at γ."""
    assert boards
    for board in boards:
        shown = lab.panels[board.key]
        assert seen(board.note, gamma) in (lab.notes[board.key], None)
        for panel in board.panels:
            assert seen(panel, gamma) == seen(shown[panel.id], gamma), (board.key, panel.id)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_next_block_sizes_at_any_gamma(lab: Pages, seed: int) -> None:
    chance = random.Random(seed)
    page = chance.choice(("mask_lab", "mask_lab", "five_methods"))
    link = {
        "method": chance.choice(("CamDrop", "CamDrop", "DropBlock")),
        "reading": chance.choice(("paper", "official", "matched")),
        "label": chance.choice(("True label", "Bag", "Coat")),
        "site": chance.choice(("layer2.0.conv2", "layer3.0.skip")),
        "seed": str(chance.randrange(1000)),
    }
    sent = lab.open_and_fill(page, **link)
    first = sent[0].state
    assert first and first.at["r"] == 4 and first.along == ("gamma",)
    at = {r: [board for board in sent if board.state and board.state.at == first.at | {"r": r}] for r in range(1, 17)}
    for r in (4, *chance.sample(range(1, 17), 2)):
        gamma = chance.randrange(101) / 100
        lab.open(page, **link, r=str(r), gamma=str(gamma))
        expect_equal(lab, at[r], gamma)
