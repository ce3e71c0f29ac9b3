"""Calls of Durable Objects that another process has: sent there, and answered as if the object were here.

Each process that has objects listens on a Unix socket of its own number, in a folder that is this user's alone. Whoever
can connect there is this server: what it says is believed, but bounded. An object that has changed hands meanwhile is
looked for again, by the one who was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd.errors import ConfigurationError, ExceededStubs, InternalError, Overloaded, PyworkerdError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.services.base import Target
from pyworkerd.services.stubs import Carried, release
from pyworkerd.storage import layout
from pyworkerd.websocket.splice import splice

from .framing import receive_body, receive_head, send_body, send_head
from .relay import Relay
from .sockets import connect, listen
from .telling import about, enter, left, made, raised, told
from .web_sockets import FramedSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from pyworkerd.dispatch.objects import Objects
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import Service
    from pyworkerd.websocket.base import WebSocket

logger = logging.getLogger("pyworkerd.objects")

CONNECT_S: Final = 1.0
LENDING: Final = 1000
"""Connections of one worker that stay for what is lent over them, or wait for the answer of a call that lends: each is
an open file of two processes. As many as one isolate lends at once."""


class Errand(NamedTuple):
    """A call for an object elsewhere."""

    pid: int
    service: str
    target: Target
    span: Scope


class Gone(Exception):
    """The process that had the object is no more, or does not listen any more."""


class Peers:
    """One for each runtime (`bindings.shared.Shared`). `find` gives a service by its name, as it is now."""

    def __init__(self, root: Path, find: Callable[[str], Service]) -> None:
        self._location = layout.durable_object_locks(root)
        self._find = find
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._path: Path | None = None
        self._lending: Counter[str] = Counter()

    # being asked -----------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Let others reach the objects that this process has. Harmless when called again. Raises `StorageError`."""
        if self._path is None:
            layout.make_private(self._location)
            self._path = self._socket(os.getpid())
            try:
                self._server = await listen(self._path, self._connected)
            except BaseException:
                self._path = None  # the next object tries again
                raise

    def _socket(self, pid: int) -> Path:
        return self._location.path.with_name(f"{pid}.sock")

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), context=copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watching: asyncio.Task[None] | None = None
        relay = Relay(reader, writer)
        work_for: list[Any] = []
        try:
            head, blob = await receive_head(reader)
            kind, service, class_name, object_id, name, *rest = head
            target = Target(class_name, {}, object_id, name)
            work_for, *rest = rest
            enter(work_for)
            if kind != "fetch":
                method, stubs = rest
                arguments = relay.borrow(blob, stubs)
                watching = self._listen(relay, asyncio.current_task()) if stubs else _cancel_with(reader)
                work = self._value(kind, service, method, arguments, target)
                await self._perform(relay, watching, work, work_for, writer)
            else:
                method, url, headers, length = rest
                watching = _cancel_with(reader) if length == 0 else None
                body = Body(chunks=receive_body(reader), length=length) if length != 0 else Body()
                request = Request(method, url, tuple((name, value) for name, value in headers), body)
                response = await self._find(service).fetch(request, target)
                if watching is not None:
                    watching.cancel()
                    await asyncio.wait((watching,))
                if response.web_socket is not None:
                    await _upgrade(response, response.web_socket, made(work_for), reader, writer)
                else:
                    await self._answer(response, made(work_for), writer)
        except PyworkerdError as error:
            await _told(writer, error, made(work_for))
        except (EOFError, OSError, ValueError, asyncio.CancelledError):
            pass  # whoever asked has gone
        except Exception:
            logger.exception("a call from another process failed")
            await _told(writer, InternalError("the runtime failed to perform this call"), made(work_for))
        finally:
            left(work_for)
            if watching is not None:
                watching.cancel()
            relay.end()

    def _listen(self, relay: Relay, serving: asyncio.Task[None] | None = None) -> asyncio.Task[None]:
        """Let what is lent be called. If the other side goes meanwhile, so does who serves it."""
        task = asyncio.get_running_loop().create_task(relay.run(), context=copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if serving is not None:
            relay.serving = serving
        return task

    async def _perform(
        self,
        relay: Relay,
        watching: asyncio.Task[None],
        work: Coroutine[Any, Any, bytes],
        work_for: list[Any],
        writer: asyncio.StreamWriter,
    ) -> None:
        value = await work
        stubs = relay.lend(value)
        if relay.serving is None:
            watching.cancel()
            await asyncio.wait((watching,))
            watching = self._listen(relay) if stubs else watching
        relay.serving = None
        try:
            await send_head(writer, ["value", made(work_for), stubs], value)
        finally:
            release(value)
        await asyncio.wait((watching,))

    async def _value(self, kind: str, service: str, method: str, blob: bytes, target: Target) -> bytes:
        if kind == "call":
            try:
                return await self._find(service).call(method, blob, target)
            finally:
                release(blob)
        if kind == "ring":
            return await self.ring(service, target, blob)
        if kind != "dismiss":
            raise ValueError("there is no such errand")
        (await self._objects(service)).dismiss(target)
        return b""

    async def _answer(self, response: Response, calls: int, writer: asyncio.StreamWriter) -> None:
        body = response.body
        try:
            headers = list(map(list, response.headers))
            head = ["response", calls, response.status, headers, response.url, body.length]
            await send_head(writer, head)
            await send_body(writer, body)
        finally:
            await body.aclose()

    async def ring(self, service: str, target: Target, event: bytes) -> bytes:
        """Hand an alarm to its object, here or elsewhere. Raises `PyworkerdError`."""
        return await (await self._objects(service)).find(target).handle("alarm", event, target)

    async def _objects(self, service: str) -> Objects:
        from pyworkerd.dispatch.worker import Worker  # noqa: PLC0415 - which has these
        from pyworkerd.dormant import Dormant  # noqa: PLC0415

        found = self._find(service)
        if isinstance(found, Dormant):
            found = await found.wake()
        if not isinstance(found, Worker):
            raise ConfigurationError(f"the service {service!r} is no worker")
        return found.objects

    # asking ----------------------------------------------------------------------------------------------------------

    async def call(self, errand: Errand, method: str, arguments: bytes, kind: str = "call") -> bytes:
        """Call a method of an object elsewhere, `ring` its alarm, or `dismiss` it. Raises what `Service.call` raises,
        and `Gone`.
        """
        if type(arguments) is Carried:
            self._check(errand)
        reader, writer = await self._connect(errand)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        relay = Relay(reader, writer, partial(_settle, answer), errand.span)
        try:
            stubs = relay.lend(arguments)
            await send_head(writer, [*_head(kind, errand), method, stubs], arguments)
            if stubs:
                self._lend(relay, errand)
            else:
                relay.hear(*await receive_head(reader))
            value = await answer
            if relay.settled() and not stubs:
                self._check(errand)
                self._lend(relay, errand)
        except BaseException as error:
            relay.end()
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                release(answer.result())
            if isinstance(error, EOFError | OSError):
                raise Overloaded("the process of a Durable Object ended") from error
            raise
        return value

    def _check(self, errand: Errand) -> None:
        if self._lending[errand.service] >= LENDING:
            raise ExceededStubs(
                f"{LENDING} connections to other processes are open for what objects there lend, or are lent: dispose "
                "of stubs that are not needed any more"
            )

    def _lend(self, relay: Relay, errand: Errand) -> None:
        self._lending[errand.service] += 1
        self._listen(relay).add_done_callback(partial(self._lent, errand.service))

    def _lent(self, service: str, _: asyncio.Task[None]) -> None:
        self._lending[service] -= 1
        if not self._lending[service]:
            del self._lending[service]

    async def fetch(self, errand: Errand, request: Request) -> Response:
        """Send a request to an object elsewhere. Raises what `Service.fetch` raises, and `Gone`."""
        reader, writer = await self._connect(errand)
        sending: asyncio.Task[None] | None = None
        try:
            headers = list(map(list, request.headers))
            head = [*_head("fetch", errand), request.method, request.url, headers, request.body.length]
            await send_head(writer, head)
            if request.body.length != 0:
                sending = asyncio.get_running_loop().create_task(_send(writer, request.body))
            (kind, status, pairs, url, length), _ = await _answer_head(reader, errand.span)
        except BaseException as error:
            await _end(sending, writer)
            if isinstance(error, EOFError | OSError):
                raise Overloaded("the process of a Durable Object ended") from error
            raise
        fields = tuple((name, value) for name, value in pairs)
        if kind == "upgrade":
            protocol, inside = length
            socket = FramedSocket(reader, writer, protocol, inside=inside)
            return Response(status, fields, url=url, web_socket=socket)
        body = Body(chunks=_Received(reader, writer, sending), length=length)
        return Response(status, fields, body, url)

    async def _connect(self, errand: Errand) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if errand.pid == os.getpid():
            raise Overloaded("another runtime of this process has the object")
        try:
            async with asyncio.timeout(CONNECT_S):
                return await connect(self._socket(errand.pid))
        except (OSError, TimeoutError) as error:
            raise Gone from error

    # the end ---------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


async def _upgrade(
    response: Response,
    socket: WebSocket,
    calls: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    headers = list(map(list, response.headers))
    try:
        said = [socket.protocol, socket.inside]
        await send_head(writer, ["upgrade", calls, response.status, headers, response.url, said])
    except OSError:
        await response.aclose()
        raise
    await splice(FramedSocket(reader, writer, made=socket), socket)


def _head(kind: str, errand: Errand) -> list[Any]:
    target = errand.target
    return [kind, errand.service, target.entrypoint, target.object, target.name, about(errand.span)]


def _settle(answer: asyncio.Future[bytes], value: bytes | None, error: Exception | None) -> None:
    if answer.done():
        release(value)
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(value or b"")


def _cancel_with(reader: asyncio.StreamReader) -> asyncio.Task[None]:
    """Cancel the running task when whoever asked has gone."""
    task = asyncio.current_task()

    async def watch() -> None:
        with contextlib.suppress(OSError):
            await reader.read(1)
        if task is not None:
            task.cancel()

    return asyncio.get_running_loop().create_task(watch())


async def _told(writer: asyncio.StreamWriter, error: PyworkerdError, calls: int) -> None:
    with contextlib.suppress(OSError):
        await send_head(writer, ["error", calls, *told(error)])


async def _answer_head(reader: asyncio.StreamReader, span: Scope) -> tuple[list[Any], bytes]:
    (kind, calls, *rest), blob = await receive_head(reader)
    span.root.calls += calls
    if kind == "error":
        raise raised(rest)
    return [kind, *rest], blob


async def _send(writer: asyncio.StreamWriter, body: Body) -> None:
    with contextlib.suppress(OSError, PyworkerdError):  # the other side is told, and whoever sent it knows
        await send_body(writer, body)


class _Received:
    """The body of an answer. It is an object, since a generator that never began would not close its connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sending: asyncio.Task[None] | None,
    ) -> None:
        self._pieces, self._writer, self._sending = receive_body(reader), writer, sending

    def __aiter__(self) -> _Received:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Read no more. Harmless when called again."""
        sending, self._sending = self._sending, None
        await _end(sending, self._writer)


async def _end(sending: asyncio.Task[None] | None, writer: asyncio.StreamWriter) -> None:
    if sending is not None:
        sending.cancel()
        await asyncio.wait((sending,))
    writer.close()
