"""What the browser gets ahead of its time is what the page would draw there."""

import random
from pathlib import Path

import pytest

from camdrop.checkpoints import Checkpoint, save
from tests.support.checkpoint_files import network
from tests.support.lab_pages import Pages, seen
from ui.components.pictures import Board, State


def expect_equal(lab: Pages, boards: list[Board], gamma: float) -> None:
    """The page, as opened last, shows what these boards show with the slider at γ."""
    assert boards
    for board in boards:
        shown = lab.panels[board.key]
        assert seen(board.note, gamma) in (lab.notes[board.key], None)
        for panel in board.panels:
            assert seen(panel, gamma) == seen(shown[panel.id], gamma), (board.key, panel.id)


@pytest.fixture(autouse=True)
def twin(folder: Path, checkpoint: Checkpoint) -> None:
    """A checkpoint `twin` beside the one of `lab`, of the same build."""
    save(folder / "twin.safetensors", network(num_classes=10, seed=8), checkpoint.meta)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_other_block_sizes_draws_and_channels_at_any_gamma(lab: Pages, seed: int) -> None:
    chance = random.Random(seed)
    page = chance.choice(("mask_lab", "mask_lab", "five_methods"))
    draw = chance.randrange(1000)
    link = {
        "method": chance.choice(("CamDrop", "CamDrop", "DropBlock")),
        "reading": chance.choice(("paper", "official", "matched")),
        "label": chance.choice(("True label", "Bag", "Coat")),
        "site": chance.choice(("layer2.0.conv2", "layer3.0.skip")),
    }
    others: list[tuple[str, int | str]] = [("r", chance.randint(1, 16)), ("seed", draw + chance.randint(1, 8))]
    others.append(("label", chance.choice(("True label", "Predicted label", "Dress", "Ankle boot"))))
    others.append(("checkpoint", "twin"))
    others.append(("site", chance.choice(("layer1.0.conv1", "layer2.0.skip", "layer3.0.conv2"))))
    if page == "mask_lab":
        others.append(("rank", chance.randrange(32)))
        others.append(("method", chance.choice(("Dropout", "SpatialDropout", "DropPath", "DropBlock", "CamDrop"))))
    first = link | {"r": 4, "seed": draw, "rank": 0, "checkpoint": "tiny"}

    def wanted(load: tuple[State, ...]) -> bool:
        return any(all(value in (first[key], dict(others).get(key)) for key, value in s.at.items()) for s in load)

    sent = lab.open_and_fill(page, wanted, **link, seed=str(draw))
    assert sent[0].state
    start = dict(sent[0].state.at)
    assert start.items() <= first.items()
    for key, value in [("r", 4), *others]:
        at = start | {key: value}
        boards = [board for board in sent if board.state and board.state.at.items() <= at.items()]
        assert len({board.key for board in boards}) == (3 if page == "mask_lab" else 1)
        gamma = chance.randrange(101) / 100
        query = {**at, "rank": int(at.get("rank", 0)) + 1, "gamma": gamma}
        lab.open(page, **link | {name: str(said) for name, said in query.items()})
        expect_equal(lab, boards, gamma)
