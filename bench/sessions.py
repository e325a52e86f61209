"""Thirty people on a shared server, of whom eight drag at once, without browsers: is each picture right, and how fast?

    python -m bench.sessions --path '/mask_lab?seed={i}' --slider gamma --pictures strip --range 0.3 0.9 0.05 \\
        --sessions 30
    python -m bench.sessions --path '/mask_lab?seed={i}' --slider gamma --pictures strip --range 0.3 0.9 0.05 \\
        --sessions 30 --every 1
    python -m bench.sessions --path '/mask_lab?seed={i}' --slider gamma --pictures strip --come-and-go 100

How fast, and what does a session cost in memory, also after many came and went?
Speaks Streamlit's own protocol over its websocket. First each session draws every value in quiet, as its references;
then all drag at once, as slider.js does: a move every 40 ms, or once the server has heard the last one; with `--every`
as where the browser follows the hand, and only the release goes to the server, so many seconds apart. A picture must
be byte for byte one of its session's references, which also tells the value that it shows; its time runs from the
sending of that value. `{i}` in the path is the session's number, so that their pictures differ.
"""

import argparse
import asyncio
import json
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from bench.report import environment, median, table
from tests.support.browser import serve, serve_by

MOVE_EVERY = 0.04  # s, as slider.js does


@dataclass
class Session:
    """One visitor of a page: its widgets' values, and the latest message of each of its components by key."""

    socket: ClientConnection
    slider: str
    pictures: str
    element: dict[str, str] = field(default_factory=dict)  # element id by component key
    fragment: str = ""
    revision: int = 0
    turn: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, path: str) -> None:
        page, _, query = path.lstrip("/").partition("?")
        request = BackMsg()
        request.rerun_script.page_name = page
        request.rerun_script.query_string = query
        await self.socket.send(request.SerializeToString())
        async with asyncio.timeout(60):  # a first run may be followed by others, as models get loaded
            while self.slider not in self.element or self.pictures not in self.element:
                await self.receive()

    async def move(self, value: float) -> None:
        self.turn += 1
        self.heard.clear()
        request = BackMsg()
        request.rerun_script.fragment_id = self.fragment
        state = request.rerun_script.widget_states.widgets.add(id=self.element[self.slider])
        state.json_value = json.dumps({"state": {"value": value, "revision": self.revision, "turn": self.turn}})
        await self.socket.send(request.SerializeToString())

    async def receive(self) -> list[tuple[float, bytes]]:
        """Messages up to the end of a run; the pictures among them, with the time when they came."""
        seen = []
        async for data in self.socket:
            message = ForwardMsg.FromString(data)
            component = message.delta.new_element.bidi_component
            if component.component_name == "camdrop.slider":
                header = json.loads(component.json)
                self.element[header["key"]] = component.id
                if header["key"] == self.slider:
                    self.fragment, self.revision = message.delta.fragment_id, header["revision"]
                    if header["heard"] == self.turn:
                        self.heard.set()
            elif component.component_name == "camdrop.pictures":
                size = int.from_bytes(component.bytes[:4], "little")
                key = json.loads(component.bytes[4 : 4 + size])["key"]
                self.element[key] = component.id
                if key == self.pictures:
                    seen.append((time.monotonic(), component.bytes))
            if message.WhichOneof("type") == "script_finished":
                return seen
        raise SystemExit("The server closed the connection.")


async def _draw(session: Session, values: list[float]) -> dict[bytes, float]:
    """The picture of each value, one at a time."""
    references = {}
    for value in values:
        await session.move(value)
        references[(await session.receive())[-1][1]] = value
    return references


async def _drag(
    session: Session, values: list[float], references: dict[bytes, float], every: float, start: float
) -> list[float]:
    """Seconds from a move to its picture; the first one comes after `start` seconds."""
    sent: dict[float, float] = {}
    times: list[float] = []
    done = asyncio.Event()

    async def listen() -> None:
        while not done.is_set():
            for when, picture in await session.receive():
                if picture not in references:
                    raise AssertionError("A session got a picture that is not its own.")
                value = references[picture]
                if value in sent:
                    times.append(when - sent.pop(value))
                if value == values[-1]:
                    done.set()

    listener = asyncio.create_task(listen())
    await asyncio.sleep(start)
    for value in values:
        sent[value] = time.monotonic()
        await session.move(value)
        await asyncio.gather(asyncio.sleep(every), session.heard.wait())
    await asyncio.wait_for(listener, 60)
    return times


async def visit(url: str, path: str, slider: str, pictures: str, number: int) -> Session:
    """A session that has seen the page."""
    socket = await connect(url.replace("http", "ws") + "/_stcore/stream", max_size=None)
    visitor = Session(socket, slider, pictures)
    await visitor.open(path.format(i=number))
    return visitor


async def drag_at_once(
    url: str, path: str, slider: str, pictures: str, values: list[float], sessions: int, dragging: int, every: float
) -> tuple[list[float], float]:
    """Seconds from a move to its picture, of the `dragging` of all `sessions` that move `slider` at once.

    And how many MB of the server each session but the first has taken.
    """
    visitors = [await visit(url, path, slider, pictures, 0)]
    one = server_memory(url)
    visitors += [await visit(url, path, slider, pictures, i) for i in range(1, sessions)]
    references = [await _draw(visitor, values) for visitor in visitors]
    each = (server_memory(url) - one) / max(1, sessions - 1)
    if len({picture for drawn in references for picture in drawn}) < sum(map(len, references)):
        raise AssertionError("Two sessions have the same picture: put {i} into the path.")
    drags = list(zip(visitors, references, strict=True))[:dragging]
    starts = [every * i / len(drags) for i in range(len(drags))]
    times = await asyncio.gather(
        *(_drag(visitor, values, own, every, start) for (visitor, own), start in zip(drags, starts, strict=True))
    )
    for visitor in visitors:
        await visitor.socket.close()
    return [one for each in times for one in each], each


async def come_and_go(url: str, path: str, slider: str, pictures: str, count: int) -> list[float]:
    """MB of the server after the first visitor, and each time that a tenth of `count` others came and went."""
    sizes = []
    for number in range(count + 1):
        visitor = await visit(url, path, slider, pictures, number)
        await visitor.socket.close()
        if number % max(1, count // 10) == 0:
            sizes.append(server_memory(url))
    return sizes


def server_memory(url: str) -> float:
    """MB of the process that listens at an address."""
    port = urlsplit(url).port
    found = (c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port)
    return psutil.Process(next(found)).memory_info().rss / (1 << 20)


def served(script: str) -> AbstractContextManager[str]:
    """The app as for a class; another script by itself."""
    if script != "app.py":
        return serve(script)
    command = [sys.executable, "-m", "camdrop", "app", "--headless", "--shared", "--address=127.0.0.1"]
    return serve_by(command, "--port")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", default="app.py")
    parser.add_argument("--path", default="/")
    parser.add_argument("--slider", required=True)
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--range", nargs=3, type=float, default=(0.0, 1.0, 0.01), metavar=("LOW", "HIGH", "STEP"))
    parser.add_argument("--sessions", type=int, default=8, help="that have the page open")
    parser.add_argument("--dragging", type=int, default=8, help="of them at once")
    parser.add_argument("--every", type=float, default=MOVE_EVERY, help="seconds between two moves of a session")
    parser.add_argument("--come-and-go", type=int, metavar="N", help="in place of it: memory while N come and go")
    args = parser.parse_args()
    print(environment("streamlit"), "\n")
    where = (args.path, args.slider, args.pictures)
    if args.come_and_go:
        with served(args.script) as url:
            sizes = asyncio.run(come_and_go(url, *where, args.come_and_go))
        print("MB after the first session and each further tenth:", ", ".join(f"{size:.0f}" for size in sizes))
        return
    rows = []
    low, high, step = args.range
    values = [float(f"{low + step * i:.12g}") for i in range(round((high - low) / step) + 1)]
    for sessions in sorted({1, args.sessions}):
        with served(args.script) as url:
            times, each = asyncio.run(drag_at_once(url, *where, values, sessions, args.dragging, args.every))
        times.sort()
        middle, tail = (f"{1000 * t:.0f}" for t in (median(times), times[int(0.95 * len(times))]))
        row = {"sessions": sessions, "dragging": min(sessions, args.dragging), "median ms": middle, "p95 ms": tail}
        rows.append(row | {"pictures": len(times), "MB a session": f"{each:.1f}" if sessions > 1 else ""})
    print(table(rows))


if __name__ == "__main__":
    main()
