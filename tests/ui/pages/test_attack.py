"""Attack: one image against the library's own attack, and the table over a data set."""

import csv
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from camdrop.analysis.attack_outcome import attack_image
from camdrop.analysis.attacks import PGD, Tally, attack_dataset, fgsm, random_targets
from camdrop.cam import class_activation_map, upsample
from camdrop.checkpoints import Checkpoint, save
from camdrop.checkpoints.metadata import Meta
from camdrop.data import DataError, Dataset, gallery, normalise
from tests.support.checkpoint_files import network
from tests.support.lab_pages import Pages, texts
from ui.choosers.image import FIRST
from ui.components.pictures import Heat
from ui.panels.attack import UNTARGETED, panels
from ui.panels.attack_table import Bout, begin, table_csv
from ui.panels.views import TRUE

NAMES = gallery("fashion-mnist")[1].classes
BAG = NAMES.index("Bag")


def expected(checkpoint: Checkpoint, attack: PGD, to: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The first image under attack, and the probabilities of the classes then."""
    meta, image = checkpoint.meta, gallery("fashion-mnist")[0].images[FIRST - 1 : FIRST]
    generator = torch.Generator().manual_seed(seed)
    x = attack.run(checkpoint.model, image, torch.tensor([to]), meta.mean, meta.std, generator)
    with torch.no_grad():
        return x, checkpoint.model(normalise(x, meta.mean, meta.std)).softmax(1)[0]


def target(seed: int = 0) -> int:
    return int(random_targets(torch.tensor([BAG]), 10, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize(
    ("link", "attack", "to", "seed"),
    [
        ({}, PGD(), target(), 0),
        ({"epsilon": "8", "step": "2", "iterations": "7", "attack_seed": "5"}, PGD(8, 2, 7), target(5), 5),
        ({"target": "Coat", "random": "true"}, PGD(random_start=True), NAMES.index("Coat"), 0),
        ({"epsilon": "8", "reach": "true"}, PGD(8, reach_epsilon=True), target(), 0),
        ({"target": UNTARGETED, "epsilon": "3", "fgsm": "true"}, fgsm(3, targeted=False), BAG, 0),
    ],
)
def test_pictures_are_the_attack_of_the_library(
    lab: Pages, checkpoint: Checkpoint, link: dict[str, str], attack: PGD, to: int, seed: int
) -> None:
    lab.open("attack", **link)
    panels, (x, probabilities) = lab.panels["attack.tiny"], expected(checkpoint, attack, to, seed)
    original = gallery("fashion-mnist")[0].images[FIRST - 1, 0]
    np.testing.assert_array_equal(panels["before the attack"].layers[0].pixels[..., 0], original)
    np.testing.assert_array_equal(panels["attacked"].layers[0].pixels[..., 0], (255 * x[0, 0]).round())
    np.testing.assert_allclose(panels["perturbation"].layers[1].values, 255 * x[0, 0] - original, atol=1e-4)
    assert panels["perturbation"].layers[1].high == attack.reach
    best = int(probabilities.argmax())
    name = NAMES[best] + (" ✓" if best == BAG else "")
    assert texts(panels["under attack"])[name] == f"{100 * float(probabilities[best]):.1f}\u00a0%"
    aim = lab.panels["attack.image"]["image"].lines[1]
    assert aim == f"Target: {NAMES[to] if attack.targeted else 'any other'}"


def test_heatmaps_before_and_after_have_one_scale(lab: Pages, checkpoint: Checkpoint) -> None:
    lab.open("attack", evidence="Target class", epsilon="20", step="8")
    model, x = checkpoint.model, expected(checkpoint, PGD(20, 8, 2), target())[0]
    images = torch.cat([gallery("fashion-mnist")[0].images[FIRST - 1 : FIRST] / 255, x])
    with torch.no_grad():
        features = model.forward_to("layer3", normalise(images, checkpoint.meta.mean, checkpoint.meta.std))
    heats = upsample(class_activation_map(features, model.fc.weight, torch.tensor([target()] * 2)), (28, 28))
    scaled = (heats - heats.min()) / (heats.max() - heats.min())
    for i, panel in enumerate(("before the attack", "under attack")):
        np.testing.assert_allclose(lab.panels["attack.tiny"][panel].layers[1].values, scaled[i], atol=1e-4)


@pytest.mark.slow
def test_what_goes_ahead_is_what_the_page_shows(lab: Pages) -> None:
    link = {"epsilon": "8", "iterations": "3", "random": "true"}
    sent = {(b.key, *b.state.at.values()): b for b in lab.open_and_fill("attack", **link) if b.state}
    assert len(sent) == 36 * 3 * 2
    for image, evidence in ((7, "Target class"), (30, TRUE)):
        lab.open("attack", **link, image=str(image), evidence=evidence)
        for key in ("attack.image", "attack.tiny"):
            ahead, shown = sent[key, image, evidence], lab.boards[key]
            assert ahead.state == shown.state
            for one, other in zip(ahead.panels, shown.panels, strict=True):
                assert (one.subtitle, one.lines, texts(one)) == (other.subtitle, other.lines, texts(other))
                for a, b in zip(one.layers, other.layers, strict=True):
                    values = [layer.values if isinstance(layer, Heat) else layer.pixels for layer in (a, b)]
                    np.testing.assert_allclose(*values, atol=1e-4)


def test_what_a_person_would_wonder_about(lab: Pages) -> None:
    app = lab.open("attack", target="Bag")
    said = " ".join(caption.value for caption in app.caption)
    assert "2 steps of 1 change a pixel by 2 at most" in said and "another class than the true one, Bag" in said
    assert lab.panels["attack.image"]["image"].lines[1] == f"Target: {NAMES[target()]}"
    app = lab.open("attack", iterations="9", epsilon="x", target="Cow", evidence="?", step="-3")
    assert not any("change a pixel" in caption.value for caption in app.caption if "0.5" not in caption.value)


def test_a_true_class_that_a_network_does_not_know_gets_no_tick(checkpoint: Checkpoint) -> None:
    pixels = gallery("fashion-mnist")[0].images[FIRST - 1]
    known, unknown = (
        attack_image("tiny", checkpoint, pixels, truth, PGD(0, 1, 1), "", 0) for truth in ("Bag", "n02769748")
    )
    ticks = [sum("✓" in row.label for row in panels(d, "t", TRUE, 0.5)[0].rows) for d in (known, unknown)]
    assert ticks == [int(known.before.probabilities.argsort()[::-1][:3].tolist().count(BAG)), 0]
    assert unknown.verdict == "Answers as before" and unknown.label == unknown.before.predicted


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


@pytest.mark.slow
def test_table_is_that_of_the_command(lab: Pages, checkpoint: Checkpoint) -> None:
    app = lab.open("attack", epsilon="8", iterations="4")
    app.number_input(key="attack.limit").set_value(90).run()
    press(app, "Attack them all")
    bout: Bout = app.session_state["attack.bout"]
    for _ in range(50):
        if bout.running:
            app.run()  # as the browser does every 0.3 seconds
    images, _ = gallery("fashion-mnist")
    scale = (checkpoint.meta.mean, checkpoint.meta.std)
    *_, tally = attack_dataset(checkpoint.model, images, PGD(8, 1, 4), *scale, limit=90)
    assert not bout.running and bout.tallies == [tally] and tally.n == 90
    shown = app.table[0].value
    assert shown.iloc[0].tolist() == ["CamDrop", str(tally.clean_error), str(tally.error), str(tally.success)]
    assert shown.iloc[2].tolist()[2:] == ["65.73", "20.16"]
    (row,) = csv.DictReader(io.StringIO(table_csv(bout).decode("utf-8-sig")))
    assert float(row["error_rate"]) == tally.error.percent and (row["n"], row["epsilon"]) == ("90", "8.0")


def test_stop_keeps_what_is_done_of_the_same_images(checkpoint: Checkpoint) -> None:
    images, _ = gallery("fashion-mnist")
    scale = (checkpoint.meta.mean, checkpoint.meta.std)
    runs = [attack_dataset(checkpoint.model, images, PGD(), *scale, batch_size=5) for _ in range(3)]
    bout = Bout(PGD(), "fashion-sample", 0, list("abc"), [checkpoint.meta] * 3, [next(run) for run in runs], runs)
    for _ in range(8):
        bout.advance(1e-9)
        assert len({tally.n for tally in bout.tallies}) == 1
    assert bout.n == 10 and len(bout.round) == 2
    bout.stopped = True
    bout.advance(1)
    assert bout.n == 10 and bout.tallies[0] == bout.tallies[2] and not bout.running


def test_a_run_that_is_cut_off_and_the_next_one_share_the_bout(checkpoint: Checkpoint) -> None:
    tallies = [Tally(40, n) for n in (0, 20)]
    begun, go = threading.Event(), threading.Event()

    def slow() -> Iterator[Tally]:
        begun.set()
        go.wait(10)
        yield tallies[1]

    bout = Bout(PGD(), "fashion-sample", 0, ["a"], [checkpoint.meta], tallies[:1], [slow()])
    assert bout.running
    with ThreadPoolExecutor() as pool:
        cut_off = pool.submit(bout.advance, 1)
        assert begun.wait(10)
        bout.advance(1)  # the next run: not into the same attack
        bout.stopped = True
        assert bout.tallies == tallies[:1] and not cut_off.done()
        go.set()
        cut_off.result(10)
    assert bout.tallies == tallies[1:] and not bout.running


def test_data_that_cannot_be_had_get_a_sentence(lab: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(spec: str, splits: tuple[str, ...]) -> Dataset:
        raise DataError(f"{spec} cannot be downloaded: connect to the internet.")

    monkeypatch.setattr("ui.panels.attack_table.load_dataset", offline)
    app = lab.open("attack")
    app.selectbox(key="attack.data").select("mnist").run()
    press(app, "Attack them all")
    assert [error.value for error in app.error] == ["mnist cannot be downloaded: connect to the internet."]
    assert "attack.bout" not in app.session_state


def test_data_that_do_not_fit_get_a_sentence(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    images, info = gallery("cifar10")
    monkeypatch.setattr("ui.panels.attack_table._test_images", lambda spec: Dataset(info, images, images))
    with pytest.raises(DataError, match="tiny is for 1-channel images of 10 classes, which cifar10 has not"):
        begin([("tiny", checkpoint)], PGD(), "cifar10", 10, 0)


def test_an_error_of_the_library_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "one.safetensors", network("resnet8", 1, 3), Meta("resnet8", 1, 3, classes=("[cat](http://x)",)))
    app = Pages(tmp_path, monkeypatch).open("attack")
    (error,) = app.error
    assert "class" in error.value and "Traceback" not in error.value
    app.session_state["live.epsilon"] = 7.0
    assert not app.run().exception and len(app.error) == 1


def test_without_checkpoints_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Pages(tmp_path, monkeypatch).open("attack")
    assert "make checkpoints" in " ".join(info.value for info in app.info)
