"""The app as its users meet it, for the bench and the browser tests: a served script and a real Chromium."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright

from tests.support import ROOT

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-sync",
)


def serve(script: str) -> AbstractContextManager[str]:
    """Run a script (path from the repository root) under Streamlit with the app's own settings; its address."""
    return serve_by([sys.executable, "-m", "streamlit", "run", script, "--server.headless=true"], "--server.port")


@contextmanager
def serve_by(
    command: list[str], port_option: str, *, cwd: Path = ROOT, env: dict[str, str] | None = None, timeout: float = 60
) -> Iterator[str]:
    """Run a command that serves the app; its address. `env` are variables beside those of this process."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [*command, f"{port_option}={port}"]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=subprocess.STDOUT, env=os.environ | (env or {}))
        try:
            deadline = time.monotonic() + timeout
            while not _healthy(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{' '.join(command)} did not come up: {log.read()[-2000:]}")
                time.sleep(0.05)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextmanager
def delayed(url: str, seconds: float) -> Iterator[str]:
    """A server as it is far away: what it sends takes that long."""
    far = urlsplit(url)
    address: Future[str] = Future()
    close: Future[None] = Future()

    async def meet(near: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection(far.hostname, far.port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
            later = asyncio.get_running_loop().call_later
            while data := await source.read(1 << 16):
                later(delay, target.write, data)
            later(delay, target.close)

        await asyncio.gather(pump(near, server, 0), pump(answers, browser, seconds), return_exceptions=True)

    async def listen() -> None:
        listener = await asyncio.start_server(meet, "localhost", 0, family=socket.AF_INET)
        address.set_result(f"http://localhost:{listener.sockets[0].getsockname()[1]}")
        await asyncio.wrap_future(close)
        listener.close()

    thread = threading.Thread(target=asyncio.run, args=(listen(),), daemon=True)
    thread.start()
    try:
        yield address.result(10)
    finally:
        close.set_result(None)
        thread.join()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, else Playwright's own, else an error that says what to install."""
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    path = system or playwright.chromium.executable_path
    if not os.path.exists(path):
        raise RuntimeError("The browser tests need Chromium: run scripts/get-chromium, or apt install chromium.")
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))


def until_quiet(page: Page, sent: list[object]) -> None:
    """Wait until the browser has all that it asks for ahead: until no run goes on and two seconds ask for none."""
    quiet = False
    while not quiet:
        sent.clear()
        runs = page.locator("[data-test-script-state=running]").count()
        page.wait_for_timeout(2000)
        quiet = not runs and not sent
