"""What a file says of its network comes before every convention."""

import argparse
import json

import numpy as np
import pytest
import safetensors.torch
import torch

from camdrop.checkpoints import list_checkpoints, load
from camdrop.checkpoints.overrides import amend
from camdrop.checkpoints.recognition import CIFAR_NORMALISATION
from camdrop.checkpoints.statements import class_names
from camdrop.data import INFO
from tests.support.checkpoint_files import network, torch_bytes

IMAGENET = (INFO["imagenet"].mean, INFO["imagenet"].std)
WILD = ("fox", "bear", "wolf", "lynx", "hare", "boar", "otter", "stoat", "vole", "elk")
NUMBERED = dict(enumerate(WILD))


def meta_of(**extra):
    return load(torch_bytes({"state_dict": network("resnet8", 10, 3).state_dict()} | extra)).meta


SAID = {
    "a list": {"classes": list(WILD)},
    "a tuple": {"class_names": WILD},
    "an array": {"class_names": np.array(WILD)},
    "an array of objects": {"labels": np.array(WILD, dtype=object)},
    "by name": {"class_to_idx": {name: k for k, name in reversed(NUMBERED.items())}},
    "by number": {"idx_to_class": NUMBERED},
    "by number as text": {"id2label": {str(k): name for k, name in NUMBERED.items()}},
    "with WordNet numbers": {"idx_to_class": {k: [f"n{k:08}", name] for k, name in NUMBERED.items()}},
    "hyperparameters": {"hyper_parameters": {"model": {"class_names": list(WILD)}, "lr": 0.1}},
    "arguments": {"args": argparse.Namespace(lr=0.1, names=list(WILD))},
    "arguments in arguments": {"config": argparse.Namespace(data=argparse.Namespace(classes=",".join(WILD)))},
    "JSON": {"config": json.dumps({"id2label": NUMBERED})},
    "beside a data set that has as many": {"dataset": "cifar10", "meta": {"categories": list(WILD)}},
}


@pytest.mark.parametrize("where", SAID)
def test_class_names_in_the_file_win(where):
    meta = meta_of(**SAID[where])
    assert (meta.classes, meta.dataset) == (WILD, "")
    assert "class names are the file's" in meta.notes


def test_names_that_are_those_of_a_data_set_are_its_classes():
    meta = meta_of(classes=list(INFO["cifar10"].classes))
    assert (meta.classes, meta.dataset) == (INFO["cifar10"].classes, "cifar10")
    assert meta_of(classes=list(reversed(INFO["cifar10"].classes))).dataset == ""


@pytest.mark.parametrize("name", ["svhn", "EuroSAT", "stl10"])
def test_another_data_set_in_the_file_is_not_taken_for_cifar10(name):
    meta = meta_of(args=argparse.Namespace(dataset=name))
    assert (meta.dataset, meta.classes[:2]) == ("", ("0", "1"))
    assert meta_of(args={"dataset": "CIFAR-10"}).dataset == "cifar10"


@pytest.mark.parametrize(
    "value", [list(WILD[:7]), [0, 1, 2], {"fox": 3, "bear": 3}, {2: "fox", 3: "bear"}, "fox", None, [["fox"], []]]
)
def test_what_names_no_classes_of_this_network(value):
    meta = meta_of(classes=value)
    assert (meta.dataset, meta.classes) == ("cifar10", INFO["cifar10"].classes)
    assert ("the file names 7 classes, but the network has 10" in meta.notes) == (
        isinstance(value, list) and len(value) == 7
    )


def test_names_become_one_line_and_stay_apart():
    assert class_names(["crane\n(bird)", "crane", "crane"]) == ("crane (bird)", "crane (1)", "crane (2)")
    assert class_names(["", "a"]) == class_names([]) == class_names({"a": 1, 3: 2}) == ()


def test_the_metadata_of_safetensors(tmp_path):
    state = network("resnet8", 10, 3).state_dict()
    safetensors.torch.save_file(state, tmp_path / "a.safetensors", {"format": "pt", "classes": json.dumps(WILD)})
    assert load(tmp_path / "a.safetensors").meta.classes == WILD
    ((_, listed),) = list_checkpoints(tmp_path).found
    assert (listed.classes, listed.dataset) == (WILD, "")


NORMALISATIONS = {
    "numbers": ({"mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.1]}, (0.1, 0.2, 0.3), (0.3, 0.2, 0.1)),
    "up to 255": ({"pixel_mean": [51, 102, 153], "pixel_std": [51.0] * 3}, (0.2, 0.4, 0.6), (0.2,) * 3),
    "arrays": (
        {"args": argparse.Namespace(image_mean=np.full(3, 0.5), image_std=np.full(3, 0.25))},
        (0.5,) * 3,
        (0.25,) * 3,
    ),
    "nested": ({"cfg": {"data": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}}}, (0.5,) * 3, (0.5,) * 3),
    "tensors": ({"normalize": {"mean": torch.full((1, 3, 1, 1), 0.5), "std": torch.ones(3)}}, (0.5,) * 3, (1.0,) * 3),
}


@pytest.mark.parametrize("where", NORMALISATIONS)
def test_normalisation_in_the_file_wins(where):
    extra, mean, std = NORMALISATIONS[where]
    meta = meta_of(**extra)
    assert meta.mean == pytest.approx(mean) and meta.std == pytest.approx(std)
    assert "the normalisation is the file's" in meta.notes


@pytest.mark.parametrize(
    "extra",
    [{"mean": [0.5] * 3}, {"mean": [0.5], "std": [0.5]}, {"mean": [0.5] * 3, "std": [0.0] * 3}, {"mean": 3, "std": 1}],
)
def test_what_is_no_normalisation_of_this_network(extra):
    assert (meta_of(**extra).mean, meta_of(**extra).std) == CIFAR_NORMALISATION


def test_buffers_and_image_size():
    state = network("resnet8", 10, 3).state_dict()
    whole = {f"model.{k}": v for k, v in state.items()} | {
        "mean": torch.full((1, 3, 1, 1), 0.25),
        "std": torch.ones(1, 3, 1, 1),
    }
    meta = load(torch_bytes({"state_dict": whole, "args": {"img_size": [3, 64, 64]}})).meta
    assert (meta.mean, meta.std, meta.image_size) == ((0.25,) * 3, (1.0,) * 3, 64)
    assert meta_of(args={"img_size": 0}).image_size == 32


def linear(**extra):
    state = {k.replace("fc.", "linear."): v for k, v in network("resnet8", 10, 3, "pad").state_dict().items()}
    return load(torch_bytes({"state_dict": state} | extra)).meta


@pytest.mark.parametrize(
    ("extra", "assumed", "words"),
    [
        (
            {"best_prec1": 91.7},
            IMAGENET,
            "ImageNet's mean and standard deviation were assumed, but CIFAR-10's fit as well",
        ),
        (
            {"acc": 92.1, "epoch": 198},
            CIFAR_NORMALISATION,
            "CIFAR-10's mean and .* assumed, but ImageNet's fit as well",
        ),
        ({}, CIFAR_NORMALISATION, "but ImageNet's fit as well"),
    ],
)
def test_where_two_conventions_fit_it_is_said(extra, assumed, words):
    import re

    meta = linear(**extra)
    assert (meta.mean, meta.std) == assumed and re.search(words, meta.notes)
    other = CIFAR_NORMALISATION if assumed == IMAGENET else IMAGENET
    amended = amend(meta, classes=meta.classes, mean=other[0], std=other[1], image_size=32, dataset="cifar10")
    assert (amended.mean, amended.std) == other and "assumed" not in amended.notes


def test_where_the_file_says_it_there_is_no_doubt():
    meta = linear(best_prec1=91.7, mean=[0.5] * 3, std=[0.5] * 3)
    assert meta.mean == (0.5,) * 3 and "assumed" not in meta.notes
    assert "assumed" not in meta_of().notes
