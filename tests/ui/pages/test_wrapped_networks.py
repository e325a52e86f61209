"""State dictionaries of torchvision's networks, put into the folder of checkpoints, on every page that shows one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision

from camdrop.data import INFO, gallery, normalise
from tests.support.lab_pages import Pages, texts
from ui.choosers.image import FIRST

pytestmark = pytest.mark.slow

NETWORKS = ("densenet121", "resnet50")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, torch.nn.Module]]]:
    folder, made = tmp_path_factory.mktemp("checkpoints"), {}
    for name in NETWORKS:
        torch.manual_seed(0)
        made[name] = torchvision.models.get_model(name, weights=None).eval()
        torch.save({"state_dict": made[name].state_dict()}, folder / f"{name}.pth")
    yield folder, made


@pytest.mark.parametrize("name", NETWORKS)
def test_explore_and_the_lab(name: str, networks: tuple[Path, dict[str, torch.nn.Module]], monkeypatch) -> None:
    folder, made = networks
    pages, info = Pages(folder, monkeypatch), INFO["imagenet"]
    image = normalise(gallery("imagenet")[0].images[FIRST - 1 : FIRST], info.mean, info.std)
    with torch.no_grad():
        probabilities = made[name](image).softmax(1)[0]
    top = info.classes[int(probabilities.argmax())]

    pages.open("explore", checkpoints=name)
    panel = pages.panels["board"][f"network {name}"]
    assert panel.rows[0].label == top and panel.rows[0].text == f"{100 * float(probabilities.max()):.1f}\u00a0%"

    app = pages.open("mask_lab", checkpoint=name, gamma="0.5", r="1")
    (sites,) = app.session_state["parts"]["site"].messages
    assert len(sites["options"]) == {"densenet121": 120, "resnet50": 64}[name]
    numbers = texts(pages.panels["numbers"]["numbers"])
    assert numbers[top].split(" → ")[0] == f"{100 * float(probabilities.max()):.1f}"
    assert numbers["Share dropped"] != "0\u00a0%"
    assert "sites" not in pages.panels  # unasked, on images of this size
    pages.open("mask_lab", checkpoint=name, gamma="0.5", r="1", every="true")
    assert list(pages.panels["sites"]) == ["sites", "stages"]


def test_the_other_pages(networks: tuple[Path, dict[str, torch.nn.Module]], monkeypatch) -> None:
    pages = Pages(networks[0], monkeypatch)
    pages.open("five_methods", checkpoint="densenet121")
    pages.open("attack", checkpoints="densenet121")
    app = pages.open("gradients", checkpoint="densenet121")
    assert "Bounds are measured in the ResNets that we build, and densenet121 is none" in app.info[0].value
