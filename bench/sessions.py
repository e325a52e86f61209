"""Eight people drag at once, without browsers: does each get their own right picture, and how fast?

    python -m bench.sessions --path '/mask_lab?seed={i}' --slider gamma --pictures strip

Speaks Streamlit's own protocol over its websocket. First each session draws every value in quiet, as its references;
then all drag at once, as slider.js does: a move every 40 ms, or once the server has heard the last one. A picture must
be byte for byte one of its session's references, which also tells the value that it shows; its time runs from the
sending of that value. `{i}` in the path is the session's number, so that their pictures differ.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from bench.report import environment, median, table
from tests.support.browser import serve

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


async def _drag(session: Session, values: list[float], references: dict[bytes, float]) -> list[float]:
    """Seconds from a move to its picture."""
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
    for value in values:
        sent[value] = time.monotonic()
        await session.move(value)
        await asyncio.gather(asyncio.sleep(MOVE_EVERY), session.heard.wait())
    await asyncio.wait_for(listener, 60)
    return times


async def drag_at_once(
    url: str, path: str, slider: str, pictures: str, low: float, high: float, step: float, sessions: int
) -> list[float]:
    """Seconds from a move to its picture, of `sessions` that drag `slider` at once from `low` to `high`."""
    values = [float(f"{low + step * i:.12g}") for i in range(round((high - low) / step) + 1)]
    visitors = []
    for i in range(sessions):
        socket = await connect(url.replace("http", "ws") + "/_stcore/stream", max_size=None)
        visitors.append(Session(socket, slider, pictures))
        await visitors[-1].open(path.format(i=i))
    references = [await _draw(visitor, values) for visitor in visitors]
    drags = zip(visitors, references, strict=True)
    times = await asyncio.gather(*(_drag(visitor, values, pictures) for visitor, pictures in drags))
    for visitor in visitors:
        await visitor.socket.close()
    return [one for each in times for one in each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", default="app.py")
    parser.add_argument("--path", default="/")
    parser.add_argument("--slider", required=True)
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--range", nargs=3, type=float, default=(0.0, 1.0, 0.01), metavar=("LOW", "HIGH", "STEP"))
    parser.add_argument("--sessions", type=int, default=8)
    args = parser.parse_args()
    print(environment("streamlit"), "\n")
    rows = []
    for sessions in sorted({1, args.sessions}):
        with serve(args.script) as url:
            low, high, step = args.range
            drag = drag_at_once(url, args.path, args.slider, args.pictures, low, high, step, sessions)
            times = sorted(asyncio.run(drag))
        middle, tail = (f"{1000 * t:.0f}" for t in (median(times), times[int(0.95 * len(times))]))
        rows.append({"sessions": sessions, "median ms": middle, "p95 ms": tail, "pictures": len(times)})
    print(table(rows))


if __name__ == "__main__":
    main()
