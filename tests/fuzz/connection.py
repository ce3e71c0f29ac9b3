"""One connection under a script: octets in any pieces, a client that stalls, leaves or resets, time that passes, and
handlers of every kind.

    script = number of commands (and 64, where the handler is asked without a task), commands, all that the client sends

Whatever the script is: no exception escapes, every response is whole or the connection is reset, responses come in
the order of requests, buffers are bounded, and in the end nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

from pyworkerd.errors import ClientError, Overloaded
from pyworkerd.http import ParserName
from pyworkerd.http.parser import Stage
from pyworkerd.messages import Body, Request, Response
from pyworkerd.server.connection import Connection, Phase
from pyworkerd.server.edge import Edge
from pyworkerd.server.options import ServerOptions
from pyworkerd.server.shared import Shared

from tests.conformance.corpus import SMALL
from tests.fuzz.memory import Loop, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import Reply, Surroundings

PIECES: Final = (1, 2, 3, 7, 16, 50, 200, 1000)
PASSING: Final = (0.1, 1.0, 5.0, 11.0, 61.0, 80.0)
REQUEST_BUFFER, RESPONSE_BUFFER, LARGEST = 200, 100, 500
_HEAD: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [A-Za-z -]*\r\n((?:[a-z0-9-]+: [^\r\n\0]*\r\n)+)\r\n")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Handler:
    """Answers by the first letter of the path. What waits, waits until the script lets it go on."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.gates: list[asyncio.Future[None]] = []
        self.methods: list[str] = []
        self.running = 0

    async def __call__(self, request: Request) -> Response:
        """One at a time: the connection promises that."""
        number = len(self.methods)
        self.methods.append(request.method)
        self.running += 1
        assert self.running == 1, "two requests of one connection were handled at once"
        try:
            letter = request.url.split("/", 3)[3][:1]
            return await _KINDS.get(letter, Handler._at_once)(self, request, (("x-number", str(number)),))
        finally:
            self.running -= 1

    def open(self) -> None:
        """Let everything that waits go on."""
        gates, self.gates = self.gates, []
        for gate in gates:
            if not gate.done():
                gate.set_result(None)

    async def _wait(self) -> None:
        self.gates.append(self._loop.create_future())
        await self.gates[-1]

    async def _at_once(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, Body(b"done"))

    async def _later(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        await self._wait()
        return Response(203, headers, Body(b"later"))

    async def _whole(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, Body(await request.body.read()))

    async def _large(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, Body(b"x" * LARGEST))

    async def _echo(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, request.body)

    async def _stream(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, Body(chunks=self._pieces(20)))

    async def _short(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, Body(chunks=self._pieces(2), length=100_000))

    async def _broken(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        return Response(200, headers, Body(chunks=self._breaking()))

    async def _raise(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        raise ValueError("a bug")

    async def _overloaded(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        await self._wait()
        raise Overloaded("busy")

    async def _some(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        async for piece in request.body:
            await request.body.aclose()
            return Response(200, headers, Body(piece[:10]))
        return Response(204, headers)

    async def _stubborn(self, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
        try:
            await self._wait()
        except asyncio.CancelledError:
            await self._wait()
        return Response(304, headers)

    async def _pieces(self, count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            if number % 7 == 3:
                await self._wait()
            yield b"piece " * number

    async def _breaking(self) -> AsyncIterator[bytes]:
        yield b"first"
        await self._wait()
        raise ClientError("broken")


class AskedHandler(Handler):
    """The same, where nothing has a task of its own (`services.base.Ask`)."""

    def ask(self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply) -> Asked | None:
        """Answer at once, later or never. Some requests have to be fetched."""
        return None if request.url.endswith("?fetch") else Asked(self(request), reply)


class Asked:
    """A handler's coroutine, driven by what it waits for."""

    def __init__(self, work: Coroutine[Any, Any, Response], reply: Reply) -> None:
        self._work, self._reply, self._over = work, reply, False
        self._go_on()

    def _go_on(self, _: object = None, cancelled: bool = False) -> None:
        try:
            awaited = self._work.throw(asyncio.CancelledError) if cancelled else self._work.send(None)
        except (StopIteration, asyncio.CancelledError, Exception) as end:
            wanted, self._over = not self._over, True
            if wanted and isinstance(end, StopIteration):
                self._reply(end.value, None)
            elif wanted and isinstance(end, Exception):
                self._reply(None, end)
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._go_on)
            self._awaited = awaited

    def done(self) -> bool:
        """See `services.base.Pending`."""
        return self._over

    def cancel(self) -> None:
        """See `services.base.Pending`."""
        self._over = True
        self._awaited.remove_done_callback(self._go_on)
        self._go_on(cancelled=True)


_KINDS: Final[dict[str, Callable[..., object]]] = {
    "w": Handler._later, "b": Handler._whole, "l": Handler._large, "e": Handler._echo, "s": Handler._stream,
    "t": Handler._short, "k": Handler._broken, "r": Handler._raise, "o": Handler._overloaded,
    "p": Handler._some, "u": Handler._stubborn,
}  # fmt: skip


def connection(data: bytes) -> None:
    """The target. AssertionError for a promise that is not kept."""
    logging.getLogger("pyworkerd.server").disabled = True  # handlers with bugs are among what is tried
    try:
        number = data[0] % 64 if data else 0
        for parser in get_args(ParserName):
            with closing(Loop()) as loop:
                handler = AskedHandler(loop) if data and data[0] & 64 else Handler(loop)
                script = Script(loop, parser, handler, data[number + 1 :])
                for command in data[1 : number + 1]:
                    script.do(command)
                script.finish()
    finally:
        logging.getLogger("pyworkerd.server").disabled = False


class Script:
    """A connection, and what happens to it."""

    def __init__(self, loop: Loop, parser: ParserName, handler: Handler, stream: bytes) -> None:
        self.loop, self.handler, self.stream = loop, handler, stream
        options = ServerOptions(
            limits=SMALL, parser=parser, request_buffer=REQUEST_BUFFER, response_buffer=RESPONSE_BUFFER,
            discard_bytes=300,
        )  # fmt: skip
        self.shared = Shared(self.handler, options, loop, Edge())
        self.connection = Connection(self.shared)
        self.wire = Wire(loop, self.connection)
        self.client_left = False
        self.largest = 0
        """Piece that arrived at once."""
        self._waiting: list[Callable[[], object]] = []

    def _feed(self, piece: bytes) -> None:
        if piece:
            self.largest = max(self.largest, len(piece))
            self.wire.feed(piece)

    def do(self, command: int) -> None:
        """One command: what in the low bits, how much in the others. What is not followed by a turn of the loop happens
        in one turn with what comes next, as when a socket is read twice in a row."""
        what, much = command & 7, command >> 3
        if what == 2:
            self._turn(1 + much % 3)
        elif what == 3:
            self._turn(1)
            self.loop.settle()
        else:
            self._waiting.append(partial(self._act, what, much))

    def _turn(self, times: int) -> None:
        actions, self._waiting = self._waiting, []
        self.loop.call_soon(lambda: [action() for action in actions])
        self.loop.turn(times)

    def _act(self, what: int, much: int) -> None:
        if what in (0, 1):
            size = PIECES[much % len(PIECES)]
            piece, self.stream = self.stream[:size], self.stream[size:]
            self._feed(piece)
        elif what == 4:
            self.wire.stall(not self.wire.stalled)
        elif what == 5:
            self.loop.now += PASSING[much % len(PASSING)]
        elif what == 6:
            self.handler.open()
        else:
            self._end(much)

    def _end(self, how: int) -> None:
        if how % 8 == 1:
            self.client_left = True
            self.wire.leave()
        elif how % 8 == 2:
            self.client_left = True
            self.wire.reset()
        elif how % 8 == 3:
            self.shared.draining = True
            self.connection.begin_drain()
        elif how % 8 == 4:
            self.connection.cancel()

    def finish(self) -> None:
        """The rest of the stream, then whatever it takes for an end; then look."""
        self._waiting += [lambda: self._feed(self.stream), lambda: self.wire.stall(False)]
        self._turn(1)
        self._exhaust()
        busy = self.connection._phase is Phase.BUSY
        assert not (busy and self.connection._parser._stage is Stage.DONE), (
            "a whole request is left unanswered"
        )
        # Where the server still waits for the rest of a request, it is this client that cuts the answer off.
        ended = self.wire.closing or self.wire.ended or self.connection._phase is Phase.WAITING
        complete = ended and not (self.client_left or self.wire.aborted)
        if not self.wire.closing:
            self._waiting.append(self.wire.leave)
            self._turn(1)
        self._exhaust()
        loop, counters = self.loop, self.shared.counters
        assert loop.failures == [], loop.failures
        assert self.wire.lost
        assert not self.shared.connections, "the connection is not forgotten"
        assert not asyncio.all_tasks(loop), "a task is left"
        assert self.shared.answering.active == 0
        assert counters.requests == len(self.handler.methods)
        # What arrived at once may go past the mark, as may a head, and one piece or one answer past the other.
        assert counters.peak_request_buffer <= max(REQUEST_BUFFER, SMALL.head) + self.largest
        assert self.wire.most_pending <= RESPONSE_BUFFER + LARGEST + 600
        self._check_answers(bytes(self.wire.sent), complete)

    def _exhaust(self) -> None:
        for _ in range(200):
            self.loop.settle()
            if not self.handler.gates:
                return
            self.handler.open()
        raise AssertionError("handlers never end")

    def _check_answers(self, data: bytes, complete: bool) -> None:
        number, handled = 0, 0
        while data:
            if data.startswith(_CONTINUE):
                data = data[len(_CONTINUE) :]
                continue
            match = _HEAD.match(data)
            if match is None:
                assert not complete, data
                return
            lines = match[2].decode("latin-1").split("\r\n")[:-1]
            fields = dict(line.split(": ", 1) for line in lines)
            assert len(fields) == len(lines), "a field is repeated"
            refused = int(match[1]) >= 400 and handled >= len(self.handler.methods)
            method = "GET" if refused else self.handler.methods[handled]
            handled += not refused
            if "x-number" in fields:
                assert int(fields["x-number"]) >= number, "answers are out of order"
                number = int(fields["x-number"]) + 1
            rest = _after_body(data[match.end() :], int(match[1]), method, fields)
            if rest is None:
                assert not complete, "an answer is cut off, and the connection was not reset"
                return
            data = rest
            if fields.get("connection") == "close":
                assert not data, "something follows the last answer"


def _after_body(data: bytes, status: int, method: str, fields: dict[str, str]) -> bytes | None:
    """What follows the body; None if it is not complete (RFC 9112 section 6.3)."""
    if method == "HEAD" or status in (204, 304):
        return data
    if "transfer-encoding" not in fields and "content-length" not in fields:
        return b""
    if "content-length" in fields:
        assert "transfer-encoding" not in fields
        length = int(fields["content-length"])
        return data[length:] if len(data) >= length else None
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            return None
        size = int(line, 16)
        if len(data) < size + 2:
            return None
        assert data[size : size + 2] == b"\r\n"
        data = data[size + 2 :]
        if not size:
            return data
