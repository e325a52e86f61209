"""Files that want much time or memory, wait for ever, or say what cannot be: refused at once, in a sentence."""

import json
import os
import re
import time
import zipfile
from io import BytesIO

import pytest
import torch
from torch import nn

from camdrop.checkpoints import CheckpointError, list_checkpoints, load
from camdrop.checkpoints.torchvision_models import skeleton
from tests.support.checkpoint_files import META, images, network, sentence, torch_bytes


def header(entries, data=b"", **metadata):
    """A safetensors file with these entries in its header."""
    text = json.dumps(entries | ({"__metadata__": metadata} if metadata else {})).encode()
    return len(text).to_bytes(8, "little") + text + data


def legacy(value):
    return torch_bytes(value, _use_new_zipfile_serialization=False)


def view_of_one_number(name):
    one = torch.zeros(())
    return {key: one.expand(tensor.shape) for key, tensor in skeleton(name, 1000).state_dict().items()}


def views_of_the_largest(name):
    state = skeleton(name, 10).state_dict()
    flat = torch.zeros(max(tensor.numel() for tensor in state.values()))
    return {key: flat[: tensor.numel()].view(tensor.shape) for key, tensor in state.items()}


def nested(layout):
    return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=layout)


def many_entries():
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k in range(30_000):
            archive.writestr(f"a/{k}", b"")
    return buffer.getvalue()


def long_header():
    return header({f"layer{k}.weight": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(110_000)})


EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def changed(**tensors):
    return torch_bytes(network().state_dict() | {name.replace("__", "."): value for name, value in tensors.items()})


def enormous():
    return torch_bytes({k: v * 1e18 if "conv" in k else v for k, v in network().state_dict().items()})


FILES = {
    "a header of many entries": (long_header, r"has a header of \d+ MB, more than any network"),
    "many small entries": (lambda: header({str(k): EMPTY for k in range(30_000)}), "holds 30,000 tensors, more than"),
    "a name of a megabyte": (
        lambda: changed(**{"x" * 10**6: torch.zeros(3)}),
        "a tensor whose name has 1,000,000 letters",
    ),
    "many objects": (lambda: torch_bytes({"a": list(range(3_000_000))}), "holds more objects than any network"),
    "many objects, old": (lambda: legacy({"a": [0] * 1_100_000}), "holds more objects than any network"),
    "many entries of a zip": (many_entries, "holds more objects than any network"),
    "one number for a RegNet": (lambda: torch_bytes(view_of_one_number("regnet_y_32gf")), "claims .*holds fewer"),
    "one layer for a RegNet": (lambda: torch_bytes(views_of_the_largest("regnet_y_8gf")), "claims .* holds fewer"),
    "a nested tensor": (lambda: changed(x=nested(torch.strided)), "holds x as a nested"),
    "a jagged tensor": (lambda: torch_bytes({"model": {"fc.bias": nested(torch.jagged)}}), "."),
    "a negative variance": (lambda: changed(bn1__running_var=-torch.ones(16)), "a negative variance in bn1"),
    "enormous weights": (enormous, "computes NaN or infinity"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested")
@pytest.mark.parametrize("kind", FILES)
def test_files_that_ask_for_too_much(kind):
    make, words = FILES[kind]
    raw = make()
    start = time.process_time()
    text = sentence(raw, name="their.pth")
    assert time.process_time() - start < 8  # of the processor, a slow one
    assert text.startswith("their.pth ") and re.search(words, text)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    assert "is no file but a device or a pipe" in sentence(tmp_path / "model.safetensors")
    assert list_checkpoints(tmp_path) == ([], [])
    os.mkfifo(tmp_path / "config.json")
    torch.save(network().state_dict(), tmp_path / "a.pth")
    assert load(tmp_path / "a.pth").meta.architecture == "resnet8"
    assert "is no file" in sentence("/dev/zero")


ODD = {
    "an image size": ({"image_size": 10**9}, "image_size must be"),
    "a mean": ({"mean": [1e30]}, "mean must be from -1000 to 1000"),
    "a mean of many digits": ({"mean": [10**400]}, "mean must be of type"),
    "a deviation": ({"std": [1e-30]}, "std must be from 0.0001"),
    "a negative deviation": ({"std": [-1]}, "std must be from 0.0001"),
    "a deep recipe": ({"recipe": {"a": [[[[[[[[1]]]]]]]]}}, "nested too deeply"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_header_that_says_what_cannot_be(kind):
    change, words = ODD[kind]
    with pytest.raises(CheckpointError, match=words) as error:
        type(META).from_json(json.dumps(json.loads(META.to_json()) | change))
    assert len(str(error.value)) < 300
    if kind != "a deep recipe":  # what other people's files say of it is passed over
        says = {{"image_size": "img_size"}.get(name, name): value for name, value in change.items()}
        meta = load(torch_bytes({"state_dict": network().state_dict(), "std": [0.5], "mean": [0.5]} | says)).meta
        assert meta.image_size == 28 and meta.std[0] in (1.0, 0.5) and meta.mean[0] in (0.0, 0.5)


def test_names_are_short_lines_of_text():
    long, odd = "x" * 1_000_000, "a\x1b[31m\x07b\u202ec\nd\x9b2J"
    fields = {"classes": [long, odd, *META.classes[2:]], "notes": long, "method": odd, "versions": {odd: [odd, long]}}
    meta = type(META).from_json(json.dumps(json.loads(META.to_json()) | fields))
    shown = [*meta.classes, meta.method, meta.notes, *meta.versions, *next(iter(meta.versions.values()))]
    assert all(text.isprintable() and len(text) <= 1000 for text in shown) and len(meta.classes[0]) == 200
    theirs = load(
        torch_bytes({"state_dict": network().state_dict(), "classes": [*(f"{k}{odd}" for k in range(9)), long]})
    )
    assert all(name.isprintable() and len(name) <= 200 for name in theirs.meta.classes)
    assert sentence(changed(**{odd: torch.zeros(2)})).isprintable()


def test_old_and_large_files_still_open():
    """Also with counters of batches that count for nothing."""
    model = nn.Module()
    model.net = network("resnet20", 10, 3)
    state = model.state_dict() | {"net.bn1.num_batches_tracked": torch.zeros(3, 3, dtype=torch.long)}
    found = load(legacy({"state_dict": state, "losses": [float(k) for k in range(50_000)]}))
    assert torch.equal(found.model(images(3)), model.net(images(3)))
