"""torchvision's data sets, against a server of our own."""

import gzip
import hashlib
import http.server
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from camdrop.data import load_dataset
from tests.support.image_folders import error_of


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mirror(monkeypatch) -> Iterator[dict[str, bytes]]:
    """Four tiny files of MNIST on a local server, which torchvision's reader uses after one that has none."""
    from torchvision.datasets import MNIST

    rng = np.random.default_rng(0)
    files = {}
    for split, n in (("train", 5), ("t10k", 3)):
        files[f"{split}-images-idx3-ubyte.gz"] = gzip.compress(_idx(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)))
        files[f"{split}-labels-idx1-ubyte.gz"] = gzip.compress(_idx(np.arange(n, dtype=np.uint8)))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path.removeprefix("/good/"))
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
    monkeypatch.setattr(MNIST, "mirrors", [f"{address}/bad/", f"{address}/good/"])
    monkeypatch.setattr(MNIST, "resources", sums)
    yield files
    server.shutdown()
    server.server_close()


def _no_network(monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_download_with_progress_then_without_network(mirror, tmp_path, monkeypatch, capfd):
    shares: list[float] = []
    data = load_dataset("mnist", root=tmp_path, progress=lambda text, share: shares.append(share))
    assert data.train.images.shape == (5, 1, 28, 28) and data.test.labels.tolist() == [0, 1, 2]
    assert data.train.images.dtype == torch.uint8 and data.train.labels.dtype == torch.int64
    expected = np.frombuffer(gzip.decompress(mirror["t10k-images-idx3-ubyte.gz"]), np.uint8, -1, 16)
    assert data.test.images.flatten().tolist() == expected.tolist()
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert capfd.readouterr() == ("", "")
    _no_network(monkeypatch)
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    assert torch.equal(load_dataset("mnist", splits=("test",)).test.images, data.test.images)


@pytest.mark.parametrize("spec", ["fashion-mnist", "mnist", "cifar10"])
def test_without_network_one_sentence_names_the_alternatives(spec, tmp_path, monkeypatch, capfd):
    _no_network(monkeypatch)
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    message = error_of(spec)
    assert message.startswith(f"{spec} is not in {tmp_path} and cannot be downloaded (no network:")
    assert "fashion-sample" in message and "folder:DIR" in message
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")


def test_a_server_that_fails_or_sends_something_else(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    content = mirror["t10k-labels-idx1-ubyte.gz"]
    mirror["t10k-labels-idx1-ubyte.gz"] = content[:-1]
    assert "what the server sent is damaged" in error_of("mnist")
    del mirror["t10k-labels-idx1-ubyte.gz"]
    assert "the server says 404 Not Found" in error_of("mnist")
    mirror["t10k-labels-idx1-ubyte.gz"] = content
    assert len(load_dataset("mnist").train) == 5


def test_damaged_files_in_the_root(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path))
    load_dataset("mnist")
    (tmp_path / "MNIST/raw/t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    assert f"The files of mnist in {tmp_path} are damaged" in error_of("mnist")


def test_a_root_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CAMDROP_DATA", str(tmp_path / "file"))
    assert "set CAMDROP_DATA to a folder" in error_of("mnist")
