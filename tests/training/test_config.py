"""Contenders from the command line: every option by its type, every mistake in one sentence."""

import dataclasses
import json
import typing

import pytest

from camdrop.masks import METHODS, CamDrop, DropBlock
from camdrop.runs import RunConfig
from camdrop.training.config import (
    Contender,
    Recipe,
    contender,
    make_method,
    method_name,
    option_types,
    require_options,
)


def test_options_are_read_by_the_type_of_the_methods_field():
    text = "camdrop:keep_prob=1e-3:block_size=3:channel_fraction=1:position_fraction=.5:label=random:guide=mean"
    method = contender(text, {}).method
    assert method == CamDrop(
        keep_prob=0.001, block_size=3, channel_fraction=1.0, position_fraction=0.5, label="random", guide="mean"
    )
    assert isinstance(method.channel_fraction, float)
    shared = {"position_fraction": 0.25, "label": "predicted"}
    assert contender("camdrop:position_fraction=none", shared).method == CamDrop(label="predicted")
    assert contender("dropblock", shared).method == DropBlock()


@pytest.mark.parametrize("name", METHODS)
def test_every_field_and_every_choice_of_a_method_can_be_named(name):
    for field, kind in option_types(name).items():
        default = getattr(METHODS[name](), field)
        for value in typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else (default,):
            line = contender(f"{name}:{field}={value}", {})
            assert line.method == METHODS[name](**{field: value}) and line.name == f"{name} {field}={value}"


def test_a_line_may_set_everything_that_a_contender_has():
    text = (
        "camdrop:reading=matched:guide=mean:channels=all:channel_fraction=0.0625:position_fraction=0.25:label=predicted"
        ":keep_prob=0.85:block_size=4:schedule=inverse:stages=layer2+layer3:sites=conv+skip"
    )
    line = contender(text, {})
    assert (line.schedule, line.stages, line.kinds) == ("inverse", ("layer2", "layer3"), ("conv", "skip"))
    assert line.method.label == "predicted"


WRONG_VALUES = [
    ("keep_prob=1.2.3", "keep_prob", "[0, 1]"),
    ("keep_prob=1.5", "keep_prob", "[0, 1]"),
    ("keep_prob=nan", "keep_prob", "[0, 1]"),
    ("keep_prob=none", "keep_prob", "[0, 1]"),
    ("keep_prob=", "keep_prob", "[0, 1]"),
    ("keep_prob", "keep_prob", "[0, 1]"),
    ("block_size=7.5", "block_size", "whole number of at least 1"),
    ("block_size=1e1", "block_size", "whole number of at least 1"),
    ("block_size=0", "block_size", "whole number of at least 1"),
    ("channel_fraction=0", "channel_fraction", "(0, 1]"),
    ("position_fraction=half", "position_fraction", "(0, 1]"),
    ("reading=typo", "reading", "paper, official, matched"),
    ("label=wrong", "label", "true, predicted, random"),
    ("schedule=up", "schedule", "constant, linear, inverse"),
    ("sites=pool", "sites", "conv, branch, skip"),
]


@pytest.mark.parametrize("change, option, allowed", WRONG_VALUES)
def test_a_wrong_value_is_a_sentence_with_option_value_and_what_is_allowed(change, option, allowed):
    with pytest.raises(ValueError) as error:
        contender(f"camdrop:{change}", {})
    value = change.partition("=")[2]
    message = str(error.value)
    assert option in message and (value in message or "got ''" in message) and allowed in message
    assert message.count("\n") == 0


@pytest.mark.parametrize(
    "text, words",
    [
        ("dropblock:reading=paper", "dropblock has no option 'reading'; it has keep_prob, block_size, schedule"),
        ("dropout:block_size=3", "dropout has no option 'block_size'; it has keep_prob, schedule, stages, sites"),
        ("baseline:keep_prob=0.8", "baseline has no option 'keep_prob'; it has none"),
        ("baseline:schedule=linear", "baseline has no option 'schedule'; it has none"),
        ("cutout:size=3", "method must be one of baseline, .*, got 'cutout'"),
        ("", "method must be one of baseline, .*, got ''"),
    ],
)
def test_an_option_that_the_method_lacks_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        contender(text, {"keep_prob": 0.9})


def test_make_method_drops_no_option_silently():
    for name, options in (("dropblock", {"reading": "paper"}), ("baseline", {"keep_prob": 0.9})):
        with pytest.raises(ValueError, match=f"{name} has no option '{next(iter(options))}'"):
            make_method(name, options)
    with pytest.raises(ValueError, match="no method has the option 'size'"):
        make_method("dropblock", {}, {"size": 3})
    with pytest.raises(ValueError, match="reading must be one of paper, official, matched, got 'typo'"):
        make_method("dropblock", {}, {"reading": "typo"})  # wrong for the one that has it
    with pytest.raises(ValueError, match=r"keep_prob must be .*1.5"):
        contender("dropblock:keep_prob=0.8", {"keep_prob": 1.5})


def test_a_shared_option_has_to_be_one_of_some_method_named():
    require_options(["baseline", "dropblock", "camdrop"], {"keep_prob": 0.8, "reading": "paper", "stages": "layer3"})
    require_options(["baseline"], {})
    with pytest.raises(ValueError, match=r"^reading='typo' is no option of baseline, dropblock; it is one of camdrop$"):
        require_options(["baseline", "dropblock", "dropblock"], {"reading": "typo"})
    with pytest.raises(ValueError, match=r"schedule='linear' is no option of baseline; it is one of dropout, .*"):
        require_options(["baseline"], {"schedule": "linear"})


def test_a_baseline_takes_nothing_of_what_is_shared():
    assert contender("baseline", {"keep_prob": 0.8}, "linear", ("layer3",), ("skip",)) == Contender("baseline")


def test_configurations_of_earlier_versions_still_load():
    options = dataclasses.asdict(CamDrop(reading="official"))
    del options["label"]  # which the method did not have at first
    entry = {
        "name": "x",
        "method": "camdrop",
        "options": options,
        "schedule": "constant",
        "stages": None,
        "kinds": None,
    }
    baseline = entry | {"name": "b", "method": "baseline", "options": {}, "schedule": "linear", "stages": ["layer3"]}
    plain = {"data": "fashion-sample", "recipe": {"model": "resnet8", "epochs": 1}, "contenders": [entry, baseline]}
    config = RunConfig.from_json(json.dumps(plain | {"device": None, "threads": None}))
    assert config.contenders[0].method == CamDrop(reading="official")
    assert [method_name(c.method) for c in config.contenders] == ["camdrop", "baseline"]
    assert config.recipe == Recipe("resnet8", epochs=1)
