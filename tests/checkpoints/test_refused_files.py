"""Files that are no checkpoint, and files that hold code."""

import fractions
import io
import os
import pickle
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import torch

from camdrop.checkpoints import CheckpointError, load
from tests.support.checkpoint_files import Bomb, network, sentence, torch_bytes


def legacy(value):
    return torch_bytes(value, _use_new_zipfile_serialization=False)


def flip_middle(raw):
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :]


def zipped(files, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tar(data):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("model.pth")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def circle():
    loop: dict = {"epoch": 1}
    loop["self"] = loop
    return loop


STRANGERS = {
    "empty": (lambda: b"", "is empty"),
    "JPEG": (lambda: b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500), "is no checkpoint"),
    "PNG": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(500), "is no checkpoint"),
    "web page": (lambda: b"\n<!DOCTYPE html><html><body>404</body></html>", "is a web page"),
    "LFS pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "text": (lambda: b"weights\n" * 9, "is no checkpoint"),
    "zip": (lambda: zipped({"readme.txt": "hello"}), "is a zip archive, but no checkpoint; unpack it"),
    "tar": (lambda: tar(b"hello"), "is a tar archive; unpack it"),
    "zip bomb": (
        lambda: zipped({"m/data.pkl": b"\x80\x02}.", "m/data/0": bytes(9 << 20)}, zipfile.ZIP_DEFLATED),
        "expands to more than 8 MB",
    ),
    "cut": (lambda: (raw := torch_bytes(network().state_dict()))[: len(raw) // 2], "is cut short or damaged"),
    "one byte short": (lambda: torch_bytes(network().state_dict())[:-1], "is cut short or damaged"),
    "flipped byte": (lambda: flip_middle(torch_bytes(network().state_dict())), "is cut short or damaged"),
    "legacy, cut": (lambda: legacy(network().state_dict())[:-99], "is cut short or damaged"),
    "legacy, cut early": (lambda: legacy(network().state_dict())[:400], "damaged"),
    "legacy, flipped byte": (lambda: flip_middle(legacy(network().state_dict())[:4000]), "damaged|cut short"),
    "pickle protocol": (lambda: torch_bytes(network().state_dict(), pickle_protocol=4), "cannot be opened safely"),
    "no weights": (lambda: torch_bytes({"epoch": 3}), "holds no named weights, only a dict"),
    "a tensor": (lambda: torch_bytes(torch.zeros(3)), "holds no named weights, only a Tensor"),
    "a circle": (lambda: torch_bytes(circle()), "holds no named weights"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_files_that_are_no_checkpoint(tmp_path, capfd, monkeypatch, kind):
    make, words = STRANGERS[kind]
    monkeypatch.setattr("camdrop.checkpoints.state_dicts.LIMIT", 8 << 20)
    path = tmp_path / "file.pth"
    path.write_bytes(make())
    assert sentence(path).startswith(str(path))
    with pytest.raises(CheckpointError, match=words):
        load(path.read_bytes())
    assert capfd.readouterr() == ("", "")


RESAVE = r".*refused; where you trust it, save its weights alone: torch\.save\(model\.state_dict\(\)"
CODE = {
    "beside the weights": (
        lambda c: torch_bytes({"model": network().state_dict(), "x": Bomb(c)}),
        r"object \(.*open\)",
    ),
    "a shell": (lambda c: torch_bytes([Bomb(c, shell=True)]), r"a Python object \(posix\.system\)"),
    "legacy": (lambda c: legacy({"a": Bomb(c)}), r"object \(.*open\), which can run code when opened"),
    "legacy, a shell": (lambda c: legacy(Bomb(c, shell=True)), r"posix\.system"),
    "a bare pickle": (lambda c: pickle.dumps(Bomb(c)), "plain Python pickle, which can run code"),
    "a bare pickle, old": (lambda c: pickle.dumps(Bomb(c), 2), "plain Python pickle"),
    "renamed to safetensors": (lambda c: pickle.dumps({"weight": Bomb(c)}), "plain Python pickle"),
    "a state dict, bare": (lambda c: pickle.dumps(network().state_dict()), "plain Python pickle"),
    "a whole model": (lambda c: torch_bytes(network()), r"a whole pickled model \(camdrop\.resnet\.ResNet\)"),
    "a whole model, legacy": (lambda c: legacy(network()), "a whole pickled model"),
    "TorchScript": (
        lambda c: zipped({"m/data.pkl": b"\x80\x02}.", "m/constants.pkl": b"\x80\x02).", "m/code/m.py": "import os"}),
        "is a TorchScript program, which is code",
    ),
    "a range": (lambda c: torch_bytes(network().state_dict() | {"epochs": range(3)}), r"object \(range\)"),
    "a random state": (lambda c: torch_bytes({"rng": np.random.RandomState(0)}), r"numpy\.random\S*"),
    "a fraction": (lambda c: torch_bytes({"lr": fractions.Fraction(1, 3)}), r"fractions\.Fraction"),
}


@pytest.mark.parametrize("kind", CODE)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_code_is_refused_and_does_not_run(tmp_path, capfd, kind, suffix):
    make, words = CODE[kind]
    canary, path = tmp_path / "canary", tmp_path / f"file{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path.write_bytes(make(canary))
    assert sentence(path).startswith(str(path))
    with pytest.raises(CheckpointError, match=words + RESAVE):
        load(path)
    assert not canary.exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", [False, True])
def test_the_bomb_is_live(tmp_path, shell):
    """So that its silence above proves something."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "canary", shell)))
    assert os.path.exists(tmp_path / "canary")
