"""`pyworkerd bench websockets`: thousands of WebSockets open on one process, most of them silent; what do they cost?

    python -m pyworkerd_bench.websockets [--sockets N] [--idle SECONDS] [--json]

One worker, one isolate, one process. Clients are bare sockets of this process, which answer pings. Measured are the
memory that an open and silent socket takes (server and guest together), the processor time that silence costs, how long
one message takes to all of them, and what memory comes back. Exit status: 0, or 2 if a socket was refused or lost.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pyworkerd.cli.descriptors import raise_limit

from .errors import BenchError
from .processes import terminable
from .subject import configuration
from .subject.pyworkerd import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .processes import Server

SOCKETS: Final = 10_000
IDLE_S: Final = 30.0
"""Longer than the server waits before it sends a ping (20 s), so that one round of pings is in it."""
TIMEOUT_S: Final = 120.0
ROOM: Final = """
from workers import Response, WebSocketPair, WorkerEntrypoint

room = set()

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.headers.get("upgrade") != "websocket":
            return Response(str(len(room)))
        client, server = WebSocketPair()
        server.accept()
        server.addEventListener("message", tell)
        server.addEventListener("close", lambda event: room.discard(event.target))
        room.add(server)
        return Response(None, status=101, web_socket=client)

def tell(event):
    for member in room:
        member.send(event.data)
"""
HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"
MESSAGE, TOLD = b"\x81\x85\0\0\0\0hello", b"\x81\x05hello"
"""What one client says, and what all hear."""
CLOSE, CLOSED = b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x02\x03\xe8"


@dataclass(frozen=True)
class Figures:
    """Memory in bytes, times in seconds."""

    sockets: int
    opened_s: float
    """For all of them, one after the other."""
    memory_before: int
    memory_open: int
    per_socket: float
    idle_s: float
    idle_cpu_s: float
    """Processor time of the server during that, a round of pings included."""
    told_s: float
    """From one message of one client until all have heard it."""
    told_cpu_s: float
    memory_closed: int


class Crowd:
    """Clients that are open. Whatever they hear is a ping, or is counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._heard: dict[socket.socket, bytes] = {}
        self.counts = {TOLD: 0, CLOSED: 0}
        """How often each frame was heard."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in tuple(self._heard):
            self._forget(client)
        self._selector.close()

    def __len__(self) -> int:
        return len(self._heard)

    def open(self) -> None:
        """One more. Raises BenchError if it is refused."""
        client = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_S)
        try:
            self._shake_hands(client)
        except BaseException:
            client.close()
            raise
        client.setblocking(False)
        self._heard[client] = b""
        self._selector.register(client, selectors.EVENT_READ)

    def _shake_hands(self, client: socket.socket) -> None:
        client.sendall(HANDSHAKE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = client.recv(4096)
            if not data or not b"HTTP/1.1 101 ".startswith((head + data)[:13]):
                answer = (head + data).partition(b"\r\n")[0]
                raise BenchError(f"answered {answer!r} after {len(self)} WebSockets")
            head += data

    def say(self, data: bytes, count: int | None = None) -> None:
        """Send a frame from so many of them, or from all."""
        for number, client in enumerate(self._heard):
            if number == count:
                break
            client.sendall(data)

    def turn(self, seconds: float) -> None:
        """Answer what there is to be answered, or wait so long for it. Raises BenchError if one is lost."""
        for key, _ in self._selector.select(seconds):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            try:
                data = client.recv(65_536)
            except BlockingIOError:
                continue
            if not data and self._heard[client] != b"closed":
                raise BenchError(f"a WebSocket was lost; {len(self)} were open")
            self._hear(client, data)

    def _hear(self, client: socket.socket, data: bytes) -> None:
        data = self._heard[client] + data if data else b""
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            size = 2 + data[1]
            frame, data = data[:size], data[size:]
            if frame == PING:
                client.sendall(PONG)
            elif frame in self.counts:
                self.counts[frame] += 1
            else:
                raise BenchError(f"the server sent {frame!r}")
            if frame == CLOSED:
                self._forget(client)
                return
        self._heard[client] = data

    def _forget(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._heard[client]
        client.close()

    def until(self, done: Callable[[], bool]) -> float:
        """Seconds until it is so. Raises BenchError if it takes too long."""
        began = time.perf_counter()
        while not done():
            self.turn(0.1)
            if time.perf_counter() - began > TIMEOUT_S:
                raise BenchError(f"nothing more was heard for {TIMEOUT_S:g} s: {self.counts}")
        return time.perf_counter() - began

    def rest(self, seconds: float) -> None:
        """Only answer pings for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.turn(left)


def write(folder: Path) -> Path:
    """The configuration of the one worker."""
    limits = {"isolates": 1, "websockets": 1_000_000, "cpu_ms": 5000}
    return configuration.write(
        folder / "config.toml",
        [
            configuration.socket("http", "room"),
            configuration.service(folder, "room", ROOM, worker={"limits": limits}),
        ],
    )


def measure(server: Server, sockets: int, idle: float, progress: Callable[[str], None]) -> Figures:
    """Open them, leave them alone, tell all something, close them."""
    with Crowd(server.port) as crowd:
        crowd.open()  # the first one loads what only WebSockets need
        before = server.own()
        opened = time.perf_counter()
        for number in range(1, sockets):
            crowd.open()
            if not number % 100:
                crowd.turn(0)
        opened_s = time.perf_counter() - opened
        progress(f"{sockets} WebSockets opened in {opened_s:.1f} s")
        crowd.rest(1.0)
        memory_open, cpu = server.own(), server.cpu_seconds()
        progress(f"{(memory_open - before) / max(sockets - 1, 1) / 1024:.1f} KiB each")
        crowd.rest(idle)
        idle_cpu = server.cpu_seconds() - cpu
        cpu = server.cpu_seconds()
        crowd.say(MESSAGE, 1)
        told = crowd.until(lambda: crowd.counts[TOLD] >= sockets)
        told_cpu = server.cpu_seconds() - cpu
        crowd.say(CLOSE)
        crowd.until(lambda: not len(crowd))
        time.sleep(1.0)
        return Figures(
            sockets, opened_s, before, memory_open, (memory_open - before) / max(sockets - 1, 1),
            idle, idle_cpu, told, told_cpu, server.own(),
        )  # fmt: skip


def as_text(figures: Figures) -> str:
    """A table."""
    mib = 1 << 20
    told_us = figures.told_cpu_s / figures.sockets * 1e6
    rows = (
        ("open at once", f"{figures.sockets:,}"),
        ("to open one", f"{figures.opened_s / max(figures.sockets - 1, 1) * 1e3:.2f} ms"),
        ("memory of one, silent", f"{figures.per_socket / 1024:.1f} KiB"),
        ("memory before, open, closed", " ".join(
            f"{each / mib:.0f}" for each in (figures.memory_before, figures.memory_open, figures.memory_closed)
        ) + " MiB"),
        ("processor while all are silent", f"{figures.idle_cpu_s / figures.idle_s:.1%} of one core"),
        ("one message to all", f"{figures.told_s:.2f} s, {told_us:.0f} us of CPU each"),
    )  # fmt: skip
    return "\n".join(f"{name:<32}{value}" for name, value in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="pyworkerd bench websockets", description="What do thousands of silent WebSockets cost?"
    )
    parser.add_argument("--sockets", type=int, default=SOCKETS, help=f"how many (default {SOCKETS})")
    parser.add_argument("--idle", type=float, default=IDLE_S, help=f"seconds of silence (default {IDLE_S:g})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    files = raise_limit()
    if files is not None and files < options.sockets + 100:
        parser.error(f"this system allows {files} open files; raise its hard limit (ulimit -Hn)")
    try:
        with terminable(), ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pyworkerd-websockets-"))
            server = stack.enter_context(serve(write(Path(folder)), processes=1))
            figures = measure(
                server, options.sockets, options.idle, print if not options.json else _say_nothing
            )
    except BenchError as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(figures), indent=2) if options.json else as_text(figures))
    return 0


def _say_nothing(_: str) -> None:
    """JSON is printed whole, at the end."""


if __name__ == "__main__":
    sys.exit(main())
