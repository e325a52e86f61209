"""What is said of a network by hand: files of class names, what fits a network, and the memory of it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from camdrop.checkpoints import Checkpoint, CheckpointError, load
from camdrop.checkpoints.overrides import amend, fingerprint, read_class_names, recall, remember
from tests.support.checkpoint_files import META, network, torch_bytes

ABC = ("a cat", "dog", "übermut")


@pytest.mark.parametrize(
    "text",
    [
        "a cat\ndog\nübermut",
        "\ufeff  a cat \r\n\r\ndog\r\nübermut\r\n",
        json.dumps(ABC),
        json.dumps({"0": "a cat", "2": "übermut", "1": "dog"}),
        json.dumps({"0": ["n1", "a cat"], "1": ["n2", "dog"], "2": ["n3", "übermut"]}),
        json.dumps({"dog": 1, "a cat": 0, "übermut": 2}),
        json.dumps(
            {"architectures": ["Net"], "depths": [2, 2], "id2label": {"0": "a cat", "1": "dog", "2": "übermut"}}
        ),
        json.dumps({"data": {"info": {}, "categories": [{"id": k, "name": name} for k, name in enumerate(ABC, 1)]}}),
        json.dumps([{"id": 2, "name": "übermut"}, {"id": 1, "name": "dog"}, {"id": 0, "name": "a cat"}]),
        "{0: 'a cat',\n 1: 'dog',\n 2: 'übermut'}",
        "CLASSES = (\n    'a cat', 'dog',  # two\n    'übermut',\n)",
        "import os\nnames = ['a cat', 'dog', 'übermut']\n",
        "# a data set\nnames:\n  0: a cat\n  1: dog\n  2: übermut\n",
        "names: [a cat, dog, übermut]\nnc: 3\n",
        "---\n- a cat\n- dog\n- übermut\n",
        "id,name\n2,übermut\n0,a cat\n1,dog\n",
        "class_index;class_name\n0;a cat\n1;dog\n2;übermut\n",
        "name\tlabel\na cat\t0\ndog\t1\nübermut\t2\n",
        "0 a cat\n1 dog\n2 übermut\n",
        "n00000001 a cat\nn00000002 dog\nn00000003 übermut\n",
    ],
)
def test_class_names_come_in_many_forms(text: str) -> None:
    suffix = ".yaml" if text.startswith("names: [") else ".py" if text.startswith("import") else ".txt"
    assert read_class_names(text.encode(), f"names{suffix}") == ABC


@pytest.mark.parametrize(
    ("text", "suffix", "names"),
    [
        ("- no\n- on\n- 2020-01-01\n- ~\n- 7\n", ".yml", ("no", "on", "2020-01-01", "~", "7")),
        (
            "tench, Tinca tinca\ngoldfish, Carassius auratus",
            ".txt",
            ("tench, Tinca tinca", "goldfish, Carassius auratus"),
        ),
        ("(none)\n3 doors\n", ".txt", ("(none)", "3 doors")),
        ("0,cat\n1,dog\n", ".csv", ("cat", "dog")),
        ('"tench, Tinca",n01440764,0\n"crane",n02012849,1\n', ".csv", ("tench, Tinca", "crane")),
        ("cat\ndog\n", ".csv", ("cat", "dog")),
        ("crane\nox\ncrane", ".txt", ("crane (0)", "ox", "crane (2)")),
        ("\n", ".txt", ()),
    ],
)
def test_names_that_look_like_something_else(text: str, suffix: str, names: tuple[str, ...]) -> None:
    assert read_class_names(text.encode(), f"names{suffix}") == names


@pytest.mark.parametrize(
    "data",
    [
        *(b"[1, 2]", b'{"0": "a", "2": "b"}', b'{"x": "a"}', b"[", b"[[]]", b'[{"a": 1}]', b"\xff\xfe\x00"),
        *(b"[" * 10**5, b"x = [open('/etc/passwd')]", b"names: *a", b"names:\n  - - - -", b"{1: 'a', 2: 'b'}"),
        b"names:\n a: &a [1]\n b: &b [*a, *a]\n",
    ],
)
def test_other_files_get_a_sentence(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^names\.json (holds no class names|is no text in UTF-8)"):
        read_class_names(data, "names.json")


LETTERS = tuple("abcdefghij")
GIVEN = {"classes": LETTERS, "mean": (0.5,), "std": (0.25,), "image_size": 32, "dataset": ""}


def test_what_is_given_replaces_what_was_read() -> None:
    meta = amend(META, **GIVEN)
    expected = replace(META, classes=LETTERS, mean=(0.5,), std=(0.25,), image_size=32, dataset="")
    assert meta == expected  # its method, errors and notes are its own
    foreign = load(torch_bytes(network("resnet20", 10, 3).state_dict()), name="x").meta
    assert amend(foreign, **{**GIVEN, "mean": (0.5,) * 3, "std": (0.5,) * 3}).notes.endswith("by hand")


def test_equal_names_are_told_apart() -> None:
    assert amend(META, **{**GIVEN, "classes": ("crane", *LETTERS[:8], "crane")}).classes[::9] == (
        "crane (0)",
        "crane (9)",
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"classes": LETTERS[:9]}, "9 class names were given, but the network has 10 classes"),
        ({"classes": (*LETTERS[:9], "")}, "Class 9 has no name"),
        ({"mean": (0.5, 0.5)}, "The mean needs 1 numbers, one for each channel, but has 2"),
        ({"std": ()}, "The standard deviation needs 1 numbers"),
        ({"mean": (123.7,)}, "A mean of 123.7 is beyond 1: pixels are from 0 to 1 here"),
        ({"std": (0.0,)}, "A standard deviation of 0 is not possible"),
        ({"std": (float("inf"),)}, "std must be of type"),
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"dataset": "imagenet"}, "imagenet has 1000 classes, but the network 10"),
        ({"dataset": "fashion-mnist", "classes": META.classes[::-1]}, "fashion-mnist in another order"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        amend(META, **{**GIVEN, **change})


def test_fingerprint_is_of_the_numbers_and_not_of_the_file() -> None:
    model = torch.nn.Linear(2, 1)
    model.weight.data, model.bias.data = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])
    text = b"weight (1, 2) " + bytes.fromhex("0000803f00000040") + b"bias (1,) " + bytes.fromhex("00004040")
    assert fingerprint(model) == hashlib.sha256(text).hexdigest()
    state = network(seed=1).state_dict()
    one, other = load(torch_bytes(state)), load(torch_bytes({"model": state, "epoch": 3}))
    assert fingerprint(one.model) == fingerprint(other.model) != fingerprint(network(seed=2))


def test_a_network_is_remembered_by_its_weights(tmp_path: Path) -> None:
    known, again = Checkpoint(network(seed=1), amend(META, **GIVEN)), Checkpoint(network(seed=1), META, Path("other"))
    assert recall(tmp_path / "none", again) is again
    remember(tmp_path / "new", known)
    found = recall(tmp_path / "new", again)
    assert found.meta == known.meta and found.model is again.model and found.path == Path("other")
    other = Checkpoint(network(seed=2), META)
    assert recall(tmp_path / "new", other) is other
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".json"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff", b"[]", b'{"architecture": "resnet8"}', replace(META, shortcut="conv").to_json().encode()],
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: bytes) -> None:
    checkpoint = Checkpoint(network(), META)
    (tmp_path / f"{fingerprint(checkpoint.model)}.json").write_bytes(damage)
    assert recall(tmp_path, checkpoint) is checkpoint
    remember(tmp_path, checkpoint)
    assert recall(tmp_path, Checkpoint(checkpoint.model, amend(META, **GIVEN))).meta == META


def test_a_place_that_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be written \(.*\), so this holds for now only$"):
        remember(tmp_path / "file", Checkpoint(network(), META))
