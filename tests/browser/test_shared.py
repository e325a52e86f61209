"""A shared server as its guests meet it, and as somebody who speaks its protocol by hand does."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.support import ROOT
from tests.support.browser import serve_by

TITLE = "Where do networks look?"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("server")
    (place / "checkpoints").mkdir()
    shutil.copy(ROOT / "checkpoints" / "fashion-resnet8-baseline.safetensors", place / "checkpoints")
    return place


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    """A shared server with room for two."""
    folders = [f"--{name}={place / name}" for name in ("runs", "data", "checkpoints")]
    command = [sys.executable, "-m", "camdrop", "app", "--headless", "--shared", "--address=127.0.0.1", *folders]
    with serve_by(command, "--port", env={"CAMDROP_MAX_SESSIONS": "2"}) as address:
        yield address


def test_there_is_room_for_two_and_who_leaves_makes_room(page: Page, browser: BrowserContext, url: str) -> None:
    second, third = browser.new_page(), browser.new_page()
    for guest in (page, second):
        guest.goto(url)
        expect(guest.get_by_role("heading", name=TITLE)).to_be_visible(timeout=60_000)
    third.goto(url)
    expect(third.get_by_text("All 2 places on this server are taken")).to_be_visible(timeout=60_000)
    expect(third.get_by_role("heading", name=TITLE)).to_have_count(0)
    second.close()
    third.wait_for_timeout(1000)
    third.reload()
    expect(third.get_by_role("heading", name=TITLE)).to_be_visible(timeout=60_000)
    third.close()


def put(address: str, megabytes: int, headers: dict[str, str]) -> int:
    """The answer to an upload that does not say how large it is."""
    where = urlsplit(address)
    connection = HTTPConnection(str(where.hostname), where.port)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.pt"\r\n\r\n'
    body = (head, *(bytes(1 << 20) for _ in range(megabytes)), b"\r\n--x--\r\n")
    with contextlib.suppress(BrokenPipeError):  # it was refused before the end
        connection.request("PUT", where.path, iter(body), headers, encode_chunked=True)
    return connection.getresponse().status


def test_uploads_stay_in_memory_are_small_and_come_from_the_page(page: Page, url: str, place: Path) -> None:
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "PUT" else None)
    before = sorted(place.rglob("*"))
    page.goto(url)
    page.get_by_role("button", name="Add").click(timeout=60_000)
    expect(page.get_by_role("radio", name="Path")).to_have_count(0)
    mine = (ROOT / "checkpoints" / "fashion-resnet8-camdrop.safetensors").read_bytes()
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.safetensors", "mimeType": "application/octet-stream", "buffer": mine}
    )
    expect(page.get_by_role("img", name="Where mine.safetensors looks for Bag")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Forget")).to_have_count(1)
    expect(page.get_by_role("button", name="Keep")).to_have_count(0)
    assert sorted(path for path in place.rglob("*") if path.name != ".queue") == before
    address, token = sent[0].url, sent[0].all_headers()["x-xsrftoken"]

    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies(address))
    form = {"Cookie": cookies, "Content-Type": "multipart/form-data; boundary=x"}
    assert put(address, 1, form | {"X-Xsrftoken": token}) == 204
    assert put(address, 1, form) == 403
    assert put(address, 66, form | {"X-Xsrftoken": token}) == 413


def test_a_page_of_another_server_opens_no_session(url: str) -> None:
    address = url.replace("http", "ws") + "/_stcore/stream"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin=Origin("http://evil.example")):
        pass
    with connect(address, origin=Origin(url)):
        pass
