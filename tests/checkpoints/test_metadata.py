import dataclasses
import json

import pytest
import torch

from camdrop.checkpoints.metadata import CheckpointError, Meta
from tests.support.checkpoint_files import META


def test_json_round_trip():
    assert Meta.from_json(META.to_json()) == META


def test_fields_of_a_newer_version_are_ignored():
    assert Meta.from_json(json.dumps(json.loads(META.to_json()) | {"from": {"the": "future"}})) == META


def test_what_follows_from_the_rest_is_filled_in():
    meta = Meta("resnet18", 3, 2)
    assert (meta.shortcut, meta.classes, meta.mean, meta.std) == ("conv", ("0", "1", "2"), (0.0, 0.0), (1.0, 1.0))
    assert Meta("resnet20", 3, 2).shortcut == "pad"
    assert Meta.from_json('{"architecture": "resnet18", "num_classes": 3, "in_channels": 2}') == meta


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("architecture", "resnet14", "architecture must be one of resnet8, .* got 'resnet14'"),
        ("num_classes", True, "num_classes must be of type int, got True"),
        ("num_classes", 0, "num_classes must be at least 1"),
        ("num_classes", 10**12, "at most 100,000"),
        ("classes", ("a", "b"), "classes must have 10 entries, got 2"),
        ("classes", "abcdefghij", "classes must be of type tuple"),
        ("classes", (1,) * 10, "classes must be of type tuple"),
        ("mean", (0.1, 0.2), "mean must have 1 entries, got 2"),
        ("mean", (float("nan"),), "mean must be of type"),
        ("std", (0.0,), "std must be from 0.0001 to 10000"),
        ("shortcut", "none", "shortcut must be pad or conv, got 'none'"),
        ("epochs", "20", r"epochs must be of type int \| None, got '20'"),
        ("test_error", "7 %", r"test_error must be of type float \| None"),
        ("recipe", [1], "recipe must be of type dict"),
        ("image_size", 0, "image_size must be at least 1"),
    ],
)
def test_wrong_values_are_refused(field, value, words):
    with pytest.raises(CheckpointError, match=words):
        dataclasses.replace(META, **{field: value})


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(CheckpointError, match="only what JSON can hold"):
        dataclasses.replace(META, recipe={"device": torch.device("cpu")}).to_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "JSON is broken"),
        ("[" * 100_000, "JSON is broken"),
        ("[]", "no object"),
        ('{"architecture": "resnet8", "in_channels": 1}', "num_classes is missing"),
        ('{"architecture": "resnet8", "num_classes": 1e999, "in_channels": 1}', "num_classes must be of type int"),
    ],
)
def test_broken_headers_are_refused(text, words):
    with pytest.raises(CheckpointError, match=words):
        Meta.from_json(text)


def test_an_error_is_one_short_line_whatever_it_quotes():
    text = str(CheckpointError("a\nb\x1b[31m c" + "d" * 5000))
    assert text.startswith("a b [31m c") and text.isprintable() and len(text) == 600
