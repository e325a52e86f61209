import dataclasses
import io
import json
import os

import pytest
import safetensors.torch
import torch

from camdrop.checkpoints import CheckpointError, list_checkpoints, load, save
from tests.support.checkpoint_files import META, images, network, sentence, torch_bytes


@pytest.fixture
def ours(tmp_path):
    """The bytes of a file of ours."""
    path = tmp_path / "ours.safetensors"
    save(path, network(), META)
    raw = path.read_bytes()
    path.unlink()
    return raw


@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_round_trip_gives_equal_outputs(tmp_path, shortcut):
    model, path = network(shortcut=shortcut), tmp_path / "deep" / "a.safetensors"
    meta = dataclasses.replace(META, shortcut=shortcut)
    save(path, model, meta)
    loaded = load(path)
    assert loaded.meta == meta and loaded.path == path
    assert torch.equal(loaded.model(images()), model(images()))
    assert not loaded.model.training
    assert not any(p.requires_grad or p.dtype != torch.float32 or p.is_meta for p in loaded.model.parameters())
    assert loaded.model.bn1.num_batches_tracked == 11
    written = path.read_bytes()
    save(path, loaded.model, meta)
    assert path.read_bytes() == written


def test_half_precision_halves_the_file_and_keeps_counters(tmp_path, ours):
    model, path = network(), tmp_path / "a.safetensors"
    save(path, model, META, half=True)
    assert 0.5 < path.stat().st_size / len(ours) < 0.56
    stored = safetensors.torch.load_file(path)
    assert stored["fc.weight"].dtype == torch.float16
    assert stored["bn1.num_batches_tracked"].dtype == torch.int64
    loaded = load(path).model
    assert torch.equal(loaded.conv1.weight, model.conv1.weight.half().float())
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded(images()), model(images()), rtol=2e-2, atol=2e-2)


def test_half_precision_refuses_numbers_that_it_cannot_hold(tmp_path):
    model = network()
    model.bn1.running_var.fill_(1e6)
    with pytest.raises(CheckpointError, match=r"bn1\.running_var is too large for half precision"):
        save(tmp_path / "a.safetensors", model, META, half=True)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_save_that_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, error):
    path = tmp_path / "a.safetensors"
    save(path, network(), META)
    before = path.read_bytes()

    def fail(*_):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((CheckpointError, KeyboardInterrupt), match=r"No space left on device|^$"):
        save(path, network(seed=1), META)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_save_wants_the_right_name_the_right_header_and_a_place(tmp_path):
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors, got a\.pth"):
        save(tmp_path / "a.pth", network(), META)
    with pytest.raises(CheckpointError, match="meta says num_classes 10, but the model has 7"):
        save(tmp_path / "a.safetensors", network(num_classes=7), META)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(tmp_path / "file" / "a.safetensors", network(), META)


def test_uploads_and_their_names(tmp_path, ours):
    path = tmp_path / "a.safetensors"
    path.write_bytes(ours)
    upload = io.BytesIO(ours)
    upload.read()  # an upload is read again at every rerun
    for source in (ours, upload, path, str(path)):
        assert load(source).meta == META
    assert load(ours).path is None
    broken = io.BytesIO(ours[:-9])
    broken.name = "holi\nday.safetensors"
    assert sentence(broken).startswith("holi day.safetensors is cut short")
    assert sentence(ours[:-9], name="mine").startswith("mine is cut short")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".th", ".bin"])
def test_the_content_counts_and_not_the_suffix(tmp_path, ours, suffix):
    model, path = network(), tmp_path / f"model{suffix}"
    for raw in (ours, torch_bytes(model.state_dict())):
        path.write_bytes(raw)
        assert torch.equal(load(path).model(images()), model(images()))


def test_paths_that_cannot_be_read(tmp_path):
    assert "No such file" in sentence(tmp_path / "none.pth")
    assert "Is a directory" in sentence(tmp_path)
    huge = tmp_path / "huge.pth"
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "larger than 1024 MB" in sentence(huge)


def flip(raw, place):
    return raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :]


def with_header(raw, text):
    length = int.from_bytes(raw[:8], "little")
    return len(text).to_bytes(8, "little") + text + raw[8 + length :]


def header(**entries):
    """Change entries of the header, as in `bn1.bias`, and leave the tensors as they are."""

    def damage(raw):
        values = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        for key, change in entries.items():
            values[key.replace("_", ".")] |= change
        return with_header(raw, json.dumps(values).encode())

    return damage


def meta(text=None, **changes):
    """Change our own part of the header; None takes a field away."""

    def damage(raw):
        values = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        fields = json.loads(values["__metadata__"]["camdrop"]) | changes
        fields = {k: v for k, v in fields.items() if v is not None}
        values["__metadata__"]["camdrop"] = json.dumps(fields) if text is None else text
        return with_header(raw, json.dumps(values).encode())

    return damage


DAMAGE = {
    "empty": (lambda raw: b"", "is empty; copy or download it again"),
    "five bytes left": (lambda raw: raw[:5], "is no checkpoint .* or damaged"),
    "cut in the header": (lambda raw: raw[:300], "is cut short"),
    "cut in the tensors": (lambda raw: raw[: len(raw) // 2], "is cut short or damaged: it has"),
    "one byte short": (lambda raw: raw[:-1], "is cut short or damaged"),
    "something appended": (lambda raw: raw + b"\n", "is cut short or damaged"),
    "huge header": (
        lambda raw: (2**62).to_bytes(8, "little") + raw[8:],
        "of which the header claims 4611686018427387904",
    ),
    "header no JSON": (lambda raw: flip(raw, 12), "broken header"),
    "header no UTF-8": (lambda raw: flip(raw, 40), "broken header"),
    "header too deep": (lambda raw: with_header(raw, b'{"a":' + b"[" * 100_000), "broken header"),
    "header odd": (lambda raw: with_header(raw, b'{"conv1.weight": 3}'), "broken header"),
    "shape infinite": (header(bn1_bias={"shape": [float("inf")]}), "broken header"),
    "offset huge": (header(bn1_bias={"data_offsets": [0, 2**60]}), "is cut short"),
    "our JSON broken": (meta('{"architecture"'), "header that cannot be used: its JSON is broken; save it again"),
    "our field missing": (meta(num_classes=None), "num_classes is missing"),
    "our field wrong": (meta(mean="0.5"), "mean must be of type tuple"),
    "architecture unknown": (meta(architecture="resnet14"), "architecture must be one of resnet8"),
}
DAMAGE_BELOW_THE_HEADER = {
    "shape huge": (header(bn1_bias={"shape": [2**40, 2**40]}), "is a damaged safetensors file"),
    "tensors overlap": (header(bn1_bias={"data_offsets": [0, 64]}), "is a damaged safetensors file"),
    "dtype unknown": (header(bn1_bias={"dtype": "F31"}), "is a damaged safetensors file"),
    "another network": (
        meta(architecture="resnet20"),
        "header says architecture resnet20, but its weights say resnet8",
    ),
    "more classes": (meta(num_classes=11, classes=[]), "its header says num_classes 11"),
}


@pytest.mark.parametrize("damage", DAMAGE | DAMAGE_BELOW_THE_HEADER)
def test_damage_gets_one_sentence(tmp_path, ours, damage):
    change, words = (DAMAGE | DAMAGE_BELOW_THE_HEADER)[damage]
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(change(ours))
    text = sentence(path)
    assert text.startswith(str(path))
    with pytest.raises(CheckpointError, match=words):
        load(path.read_bytes())
    found, broken = list_checkpoints(tmp_path)
    if damage in DAMAGE:
        assert found == [] and broken == [(path, text.replace(str(path), path.name))]


def test_listing_orders_and_reports(tmp_path, ours):
    for method in ("camdrop", "dropblock", "baseline", "dropout"):
        save(tmp_path / f"a-{method}.safetensors", network(), dataclasses.replace(META, method=method))
    save(tmp_path / "b-baseline.safetensors", network(), dataclasses.replace(META, method="baseline"))
    save(tmp_path / "0-deep.safetensors", network("resnet20"), dataclasses.replace(META, architecture="resnet20"))
    foreign = network(in_channels=3).state_dict()
    safetensors.torch.save_file(foreign, tmp_path / "foreign.safetensors")
    (tmp_path / "weights.pth").write_bytes(torch_bytes(foreign))
    (tmp_path / "cut.safetensors").write_bytes(ours[:-1])
    (tmp_path / "page.pth").write_text("<html>")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / ".hidden.safetensors").write_bytes(b"")
    (tmp_path / "folder.pt").mkdir()
    found, broken = list_checkpoints(tmp_path)
    assert [path.name for path, _ in found] == [
        "foreign.safetensors",
        "weights.pth",
        "a-baseline.safetensors",
        "b-baseline.safetensors",
        "a-dropout.safetensors",
        "a-dropblock.safetensors",
        "a-camdrop.safetensors",
        "0-deep.safetensors",
    ]
    assert found[0][1] == found[1][1] and found[0][1].dataset == "cifar10"
    assert found[6][1] == META
    assert [path.name for path, _ in broken] == ["cut.safetensors", "page.pth"]
    assert "cut short" in broken[0][1] and "web page" in broken[1][1]


def test_listing_reads_headers_only(tmp_path, monkeypatch):
    save(tmp_path / "a.safetensors", network(), META)
    monkeypatch.setattr(safetensors.torch, "load", None)
    assert list_checkpoints(tmp_path).found == [(tmp_path / "a.safetensors", META)]


def test_a_folder_that_does_not_exist_holds_none(tmp_path):
    assert list_checkpoints(tmp_path / "none") == ([], [])
