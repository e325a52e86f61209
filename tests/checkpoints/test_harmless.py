"""Objects beside the weights that cannot run code are read, all others refused by name."""

import argparse
import collections
import datetime
import enum
import fractions
import io
import pathlib
import zipfile

import numpy as np
import pytest
import torch

from camdrop.checkpoints import CheckpointError, load
from camdrop.checkpoints.harmless import HARMLESS
from camdrop.checkpoints.state_dicts import unpickle
from tests.support.checkpoint_files import Bomb, network, sentence, torch_bytes

GOOD = {
    **{f"NumPy {kind}": np.dtype(kind).type(3) for kind in ("f2", "f4", "f8", "i1", "u1", "i8", "u8", "c16", "?")},
    "NumPy text": np.str_("best"),
    "NumPy time": np.datetime64("2024-05-01"),
    "NumPy array": np.arange(6.0).reshape(2, 3),
    "transposed array": np.arange(6).reshape(2, 3).T,
    "big-endian array": np.arange(4, dtype=">i4"),
    "array of texts": np.array(["a", "bc"]),
    "array of objects": np.array(["a", None, 3], dtype=object),
    "empty array": np.zeros((0, 3)),
    "array of one": np.array(3.5),
    "namespace": argparse.Namespace(lr=0.1, data=argparse.Namespace(path=pathlib.Path("/data"))),
    "default of lists": collections.defaultdict(list, {"loss": [1.0, np.float32(0.5)]}),
    "default of default": collections.defaultdict(dict, a=collections.defaultdict(int, b=1)),
    "counter": collections.Counter("abca"),
    "ordered": collections.OrderedDict(a=1),
    "path": pathlib.PurePosixPath("a/b"),
    "Windows path": pathlib.PureWindowsPath("C:/a"),
    "date": datetime.date(2024, 5, 1),
    "time": datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    "duration": datetime.timedelta(hours=3),
    "set": {1, 2},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", GOOD)
def test_harmless_objects_are_read(kind, legacy):
    raw = torch_bytes(
        {"more": {"x": GOOD[kind]}, "state_dict": network().state_dict()}, _use_new_zipfile_serialization=not legacy
    )
    assert load(raw).meta.architecture == "resnet8"


def test_values_are_as_they_were():
    raw = torch_bytes({"w": {"a": torch.zeros(1)}} | {k.lower(): v for k, v in GOOD.items()})
    said = dict(reversed(unpickle(raw, "x").said.said))
    assert said["numpy f8"] == 3.0 and said["numpy i8"] == 3 and said["numpy ?"] is True
    assert said["numpy text"] == "best" and said["empty array"] == []
    assert said["numpy array"] == [[0, 1, 2], [3, 4, 5]] and said["transposed array"] == [[0, 3], [1, 4], [2, 5]]
    assert said["big_endian array"] == [0, 1, 2, 3] and said["array of objects"] == ["a", None, 3]
    assert said["array of texts"] == ["a", "bc"] and said["array of one"] == [3.5]
    assert said["path"] == "a/b" and said["namespace"]["data"].path == "/data"


class Colour(enum.Enum):
    RED = 1


class Config(dict):
    pass


BAD = {
    "an enumeration": (Colour.RED, r"\S*Colour"),
    "a subclass of dict": (Config(a=1), r"\S*Config"),
    "a fraction": (fractions.Fraction(1, 2), r"fractions\.Fraction"),
    "a random state": (np.random.default_rng(0), r"numpy\.random\S+"),
    "a masked array": (np.ma.array([1, 2]), r"numpy\.ma\S+"),
    "a matrix": (np.array([[1]]).view(np.matrix), r"numpy\.matrix\S*"),
    "a slice": (slice(3), "slice"),
    "a function": (torch.relu, r"\S*relu|getattr"),
    "a dtype of structures": (np.zeros(2, dtype=[("a", "O")]), ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_all_others_are_refused_by_name(kind):
    value, name = BAD[kind]
    raw = torch_bytes({"state_dict": network().state_dict(), "x": value})
    text = sentence(raw, name="x.pth")
    assert text.startswith("x.pth ")
    if name:
        with pytest.raises(CheckpointError, match=rf"holds a Python object \({name}\), which can run code when opened"):
            load(raw)


def test_a_bomb_among_harmless_objects_does_not_run(tmp_path):
    value = argparse.Namespace(a=np.float64(1), b=Bomb(tmp_path / "canary"))
    assert "which can run code when opened" in sentence(torch_bytes({"w": torch.zeros(1), "x": value}))
    assert not (tmp_path / "canary").exists()


def crafted(*operations: bytes) -> bytes:
    """A file of torch.save with a pickle of our making in the place of its own."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(torch_bytes({"w": torch.zeros(1)}))) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, b"".join(operations) if entry.filename.endswith("data.pkl") else old.read(entry))
    return out.getvalue()


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


@pytest.mark.parametrize("code", ["O8", "V8", "U99999999", "|V8", "f8,O", "i8\n"])
def test_types_that_numpy_would_believe_are_not_believed(code):
    """NumPy takes the flags of a type from the file, with which bytes become pointers."""
    raw = crafted(
        *(b"\x80\x02cnumpy\ndtype\n", text(code), b"K\x00K\x01\x87R(K\x03", text("|")),
        *(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb", b"cnumpy._core.multiarray\nscalar\nq\x00", b"."),
    )
    assert sentence(raw)


def test_the_list_is_closed():
    numpy = ["dtype", "ndarray", "scalar", "_reconstruct"]
    library = [
        "defaultdict",
        "Namespace",
        "Counter",
        "OrderedDict",
        "date",
        "datetime",
        "time",
        "timedelta",
        "timezone",
    ]
    builtin = ["list", "dict", "set", "int", "float", "str", "tuple", "bool", "bytes"]
    paths = ["PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath"]
    assert {entry[1].rpartition(".")[2] for entry in HARMLESS} == {*numpy, *library, *builtin, *paths}
    before = torch.serialization.get_safe_globals()
    load(torch_bytes({"state_dict": network().state_dict(), "acc": np.float64(3)}))
    assert set(torch.serialization.get_safe_globals()) == set(before)  # it holds while a file is read
