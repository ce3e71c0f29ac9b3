"""WebSockets: a pair to answer with, and what `fetch()` gives. Names are the platform's, with Python's beside them.

client, server = WebSocketPair().object_values()
server.accept()
server.addEventListener("message", lambda event: server.send(event.data))
return Response(None, status=101, web_socket=client)

`async for message in server` is the same without listeners, and `await server.send(message)` waits for a slow reader.
"""

# Private names are private to this package and to the machinery: they keep programs out.

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import copy_context

from _pyworkerd import sdk, sockets
from _pyworkerd.invocation import current_or_none

from .blob import encode_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from _pyworkerd.invocation import Invocation

MAX_MESSAGE = 32 << 20
"""Bytes of a message (Workers: 32 MiB)."""
MAX_WAITING = 1 << 20
"""Bytes that may wait for a slow reader. A message is always taken while none waits, whatever its size."""
MAX_ATTACHMENT = 16_384
"""Bytes (Workers: 16 KiB)."""
MAX_REASON = 123
"""Bytes of a close's reason (RFC 6455 section 5.5)."""


class Event:
    """What a listener is called with."""

    __slots__ = ("target", "type")

    def __init__(self, kind: str, target: WebSocket) -> None:
        self.type = kind
        self.target = target

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.type!r}>"


class MessageEvent(Event):
    """A message: `data` is str or bytes."""

    __slots__ = ("data",)

    def __init__(self, target: WebSocket, data: str | bytes) -> None:
        super().__init__("message", target)
        self.data = data


class CloseEvent(Event):
    """The end: `code`, `reason`, and whether both sides agreed to it (`was_clean`)."""

    __slots__ = ("code", "reason", "was_clean")

    def __init__(self, target: WebSocket, code: int, reason: str, clean: bool) -> None:
        super().__init__("close", target)
        self.code, self.reason, self.was_clean = code, reason, clean

    @property
    def wasClean(self) -> bool:  # noqa: N802 - the platform's name
        """See `was_clean`."""
        return self.was_clean


class ErrorEvent(Event):
    """The connection was lost, or a listener failed: `error` is the exception, `message` its text."""

    __slots__ = ("error", "message")

    def __init__(self, target: WebSocket, error: BaseException) -> None:
        super().__init__("error", target)
        self.error, self.message = error, str(error)


class _Drained:
    """From `send()`: awaited, it waits until what was sent has left this isolate, or nearly so."""

    __slots__ = ("_socket",)

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    def __await__(self) -> Any:
        return self._socket._drain().__await__()


class WebSocket:
    """One end of a WebSocket. Nothing comes and nothing may be sent before `accept()`.

    Messages go to the listeners of "message", or, where there are none, to whoever iterates or receives.
    """

    CONNECTING = READY_STATE_CONNECTING = 0
    OPEN = READY_STATE_OPEN = 1
    CLOSING = READY_STATE_CLOSING = 2
    CLOSED = READY_STATE_CLOSED = 3

    __slots__ = (
        "_accepted",
        "_attachment",
        "_close",
        "_closing",
        "_context",
        "_drains",
        "_holder",
        "_inbox",
        "_listeners",
        "_peer",
        "_protocol",
        "_readers",
        "_url",
        "_waiter",
        "_waiting",
        "_wire",
    )

    def __init__(self, *_: Any) -> None:
        raise TypeError(
            "make a WebSocketPair, or ask for one: await fetch(url, headers={'Upgrade': 'websocket'})"
        )

    @classmethod
    def _new(cls) -> WebSocket:
        self = cls.__new__(cls)
        self._accepted = False
        self._peer = self._wire = self._holder = self._context = self._close = self._closing = None
        self._attachment = self._inbox = self._listeners = self._waiter = self._drains = self._readers = None
        self._waiting = 0
        self._protocol = self._url = ""
        return self

    @classmethod
    def _given(cls, wire: sockets.Wire, url: str, protocol: str | None) -> WebSocket:
        """One that came with a response."""
        self = cls._new()
        self._wire, wire.end = wire, self
        self._url, self._protocol = url, protocol or ""
        return self

    # what is known ---------------------------------------------------------------------------------------------------

    @property
    def ready_state(self) -> int:
        """`OPEN` (1), `CLOSING` (2) or `CLOSED` (3)."""
        if self._close is not None:
            return self.CLOSED
        return self.OPEN if self._closing is None else self.CLOSING

    readyState = ready_state

    @property
    def protocol(self) -> str:
        """The sub-protocol that was agreed on; empty for none."""
        return self._protocol

    @property
    def url(self) -> str:
        """Where it was asked for; empty for an end of a pair."""
        return self._url

    @property
    def extensions(self) -> str:
        """Always empty: compression is the host's business."""
        return ""

    @property
    def buffered_amount(self) -> int:
        """Bytes that wait for a slow reader."""
        return (
            self._wire.queued
            if self._wire is not None
            else self._peer._waiting
            if self._peer is not None
            else 0
        )

    bufferedAmount = buffered_amount

    @property
    def close_code(self) -> int | None:
        """The code that it was closed with; None while it is open."""
        return self._close[0] if self._close is not None else None

    @property
    def close_reason(self) -> str | None:
        """What was said about it; None while it is open."""
        return self._close[1] if self._close is not None else None

    def __repr__(self) -> str:
        return f"<WebSocket {('connecting', 'open', 'closing', 'closed')[self.ready_state]}>"

    # use -------------------------------------------------------------------------------------------------------------

    def accept(self, *_: Any) -> None:
        """Take messages from now on, here. The other end of a pair may be given away before or after this."""
        if self._accepted:
            return
        if self._peer is None and self._wire is None:
            raise TypeError("this end of the WebSocket was given away with a response")
        self._accepted = True
        self._context = copy_context()
        if self._wire is not None:
            self._wire.accept()
        elif self._inbox:
            asyncio.get_running_loop().call_soon(self._dispatch_waiting)

    def send(self, message: str | bytes | bytearray | memoryview) -> _Drained:
        """Send text or bytes. May be awaited: then it waits while the other end is slower.

        Raises TypeError before `accept()` and for other types, ValueError for a message of more than 32 MiB, and
        BufferError while more than 1 MiB waits. After the end a message is dropped, as in browsers.
        """
        if not self._accepted:
            raise TypeError("call accept() on a WebSocket before sending on it")
        text = isinstance(message, str)
        if not text and not isinstance(message, (bytes, bytearray, memoryview)):
            raise TypeError(f"a message has to be str or bytes, not {type(message).__name__}")
        data = encode_text(message) if text else bytes(message)
        if len(data) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(data)} bytes is too large: {MAX_MESSAGE} is the limit")
        if self._closing is None and self._close is None:
            waits = self.buffered_amount
            if waits and waits + len(data) > MAX_WAITING:
                raise BufferError("the other end reads too slowly: await send(), or close it")
            if self._wire is not None:
                self._wire.send(data, text)
            elif self._peer is not None:
                self._peer._queue(message if text else data, len(data) + sockets.PIECE)
        return _Drained(self)

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Close, after what was sent before. Harmless when called again.

        Raises ValueError for a code that is not 1000 to 1003, 1007 to 1014 or 3000 to 4999, and for a reason of more
        than 123 bytes or without a code.
        """
        _check_close(code, reason)
        if self._closing is not None or self._close is not None:
            return
        if self._wire is None and self._peer is None:
            raise TypeError("this end of the WebSocket was given away with a response")
        self._closing = (code, reason)
        if self._wire is not None:
            self._wire.close(code, reason)
        else:
            asyncio.get_running_loop().call_soon(self._agree)

    def serialize_attachment(self, value: Any) -> None:
        """Keep a small value with it, as a copy. Raises ValueError beyond 16 KiB."""
        data = sdk.python_to_rpc(value)
        if len(data) > MAX_ATTACHMENT:
            raise ValueError(f"an attachment of a WebSocket has at most {MAX_ATTACHMENT} bytes")
        self._attachment = data

    def deserialize_attachment(self) -> Any:
        """A copy of that value; None if there is none."""
        return None if self._attachment is None else sdk.python_from_rpc(self._attachment)

    serializeAttachment = serialize_attachment
    deserializeAttachment = deserialize_attachment

    def _agree(self) -> None:
        """The other end of a pair has nothing against it, unless it has left meanwhile: then it is asked."""
        if self._peer is not None:
            code, reason = self._closing
            for end in (self._peer, self):
                end._closed(1005 if code is None else code, reason, True)

    async def receive(self) -> str | bytes:
        """The next message. Raises EOFError once it is closed."""
        self._check_reader()
        while not self._inbox:
            if self._close is not None:
                code, reason, _ = self._close
                raise EOFError(f"the WebSocket was closed with {code}{reason and f': {reason}'}")
            if self._waiter is not None:
                raise RuntimeError("two tasks receive from the same WebSocket")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, cost = self._inbox.popleft()
        self._used(cost)
        return message

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except EOFError:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        self.accept()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(1000 if kind is None else 1011)

    # listeners -------------------------------------------------------------------------------------------------------

    def add_event_listener(self, kind: str, listener: Callable[[Any], Any], *_: Any) -> None:
        """Call `listener(event)` for "message", "close" or "error". It may be async: each event is its own task."""
        if not callable(listener):
            raise TypeError("a listener has to be callable")
        if self._listeners is None:
            self._listeners = {}
        found = self._listeners.setdefault(str(kind), [])
        if listener not in found:
            found.append(listener)
        if kind == "message" and self._inbox and self._accepted:
            asyncio.get_running_loop().call_soon(self._dispatch_waiting)

    addEventListener = add_event_listener

    def remove_event_listener(self, kind: str, listener: Callable[[Any], Any], *_: Any) -> None:
        """Call it no more."""
        found = (self._listeners or {}).get(kind, [])
        if listener in found:
            found.remove(listener)

    removeEventListener = remove_event_listener

    def _has_listeners(self, kind: str) -> bool:
        return bool(self._listeners and self._listeners.get(kind))

    def _dispatch(self, event: Event, cost: int = 0) -> None:
        """Call the listeners; what the event costs is given back when the last of them is done."""
        tasks = []
        for listener in tuple((self._listeners or {}).get(event.type, ())):
            try:
                result = self._context.run(listener, event) if self._context is not None else listener(event)
            except Exception as error:
                self._listener_failed(event, error)
                continue
            if hasattr(result, "__await__"):
                tasks.append(
                    self._context.run(_start, result) if self._context is not None else _start(result)
                )
        if not tasks:
            self._used(cost)
            return
        left = len(tasks)

        def done(task: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                self._used(cost)
            if not task.cancelled() and task.exception() is not None:
                self._listener_failed(event, task.exception())
            if holder is not None:
                holder.release()

        holder = self._holder
        for task in tasks:
            if holder is not None:
                holder.hold()
            task.add_done_callback(done)

    def _listener_failed(self, event: Event, error: BaseException) -> None:
        """It is logged, and the other end hears 1011: it would wait for what does not come."""
        self._report(f"a listener of {event.type!r} on a WebSocket failed", error)
        if event.type == "message":
            self._dispatch(ErrorEvent(self, error))
            self._fail()

    def _fail(self) -> None:
        if self._closing is None and self._close is None:
            self.close(1011)

    # what comes ------------------------------------------------------------------------------------------------------

    def _deliver(self, message: str | bytes, cost: int) -> None:
        """A whole message, from the host."""
        if self._holder is not None:
            self._holder.renew_log()
        self._waiting += cost
        if self._closing is not None or self._close is not None:
            self._used(cost)
        elif not self._inbox and self._has_listeners("message"):
            self._dispatch(MessageEvent(self, message), cost)
        else:
            self._put(message, cost)

    def _queue(self, message: str | bytes, cost: int) -> None:
        """A message from the other end of a pair: its listeners are called later, not from within `send()`."""
        self._waiting += cost
        if self._closing is None:
            self._put(message, cost)
            if self._accepted and self._has_listeners("message"):
                asyncio.get_running_loop().call_soon(self._dispatch_waiting)
        else:
            self._used(cost)

    def _put(self, message: str | bytes, cost: int) -> None:
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append((message, cost))
        _wake(self._waiter)

    def _dispatch_waiting(self) -> None:
        while self._inbox and self._accepted and self._has_listeners("message"):
            message, cost = self._inbox.popleft()
            self._dispatch(MessageEvent(self, message), cost)

    def _used(self, cost: int) -> None:
        self._waiting -= cost
        if self._wire is not None:
            if self._wire.accepted:
                self._wire.consumed(cost)
        elif self._peer is not None:
            self._peer._drained()

    def _drained(self) -> None:
        """There may be room again."""
        if self._drains and (self._close is not None or self.buffered_amount <= sockets.WINDOW):
            for waiting in self._drains:
                _wake(waiting)
            self._drains = None

    async def _drain(self) -> None:
        if self.buffered_amount > sockets.WINDOW and self._close is None:
            waiting = asyncio.get_running_loop().create_future()
            if self._drains is None:
                self._drains = []
            self._drains.append(waiting)
            await waiting

    def _closed(self, code: int, reason: str, clean: bool) -> None:
        """It is over, on both ends."""
        if self._close is None:
            self._close = (code, reason, clean)
            _wake(self._waiter)
            self._drained()
            if not clean:
                self._dispatch(ErrorEvent(self, ConnectionError(f"the WebSocket was closed with {code}")))
            self._dispatch(CloseEvent(self, code, reason, clean))
        if self._holder is not None:
            holder, self._holder = self._holder, None
            holder.release()

    def _broken(self, error: BaseException) -> None:
        """What came could not be taken in."""
        self._report("a message of a WebSocket could not be taken in", error)
        if self._closing is None and self._wire is not None:
            self._closing = (1009, "")
            self._wire.close(*self._closing)

    def _report(self, what: str, error: BaseException) -> None:
        invocation = self._holder or current_or_none()
        if invocation is not None:
            invocation.report(what, error)

    # who it belongs to -----------------------------------------------------------------------------------------------

    def _check_reader(self) -> None:
        """Whoever receives may finish what it does, as with `waitUntil`; if it fails, the other end hears of it."""
        if not self._accepted:
            raise TypeError("call accept() on a WebSocket before receiving from it")
        if self._has_listeners("message"):
            raise RuntimeError("this WebSocket has listeners: they get its messages")
        task, invocation = asyncio.current_task(), current_or_none()
        if invocation is None or task is invocation.main or (self._readers and task in self._readers):
            return
        if self._readers is None:
            self._readers = set()
        self._readers.add(task)
        invocation.keep(task, "a task that receives from a WebSocket failed")
        task.add_done_callback(self._reader_done)

    def _reader_done(self, task: Any) -> None:
        if self._readers is not None:
            self._readers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fail()

    def _leave(self, invocation: Invocation, protocol: str) -> int:
        """Give it away with a response: the number that the host knows it by from now on.

        Its other end, if that is in this isolate, talks to whoever gets it.
        """
        if self._wire is not None:
            if self._accepted or not self._wire.hand_on():
                raise TypeError("a WebSocket that has been accepted cannot be given away")
            number, self._wire = self._wire.number, None
            return number
        peer = self._peer
        if self._accepted or self._closing is not None or peer is None:
            raise TypeError("this end of the WebSocket was accepted or given away before")
        wire = peer._wire = sockets.make(peer)
        peer._peer = self._peer = None
        peer._protocol = protocol
        peer._holder = invocation
        invocation.hold()
        if peer._accepted:
            wire.accept()
        for message, _ in self._inbox or ():
            wire.send(encode_text(message) if isinstance(message, str) else message, isinstance(message, str))
        self._inbox = None
        if peer._closing is not None or peer._close is not None:
            wire.close(*(peer._closing or (None, "")))
        return wire.number


class WebSocketPair:
    """Two ends of one WebSocket: one to answer with, the other to keep. Or both to keep, for two parts of a program."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        client, server = WebSocket._new(), WebSocket._new()
        client._peer, server._peer = server, client
        self._ends = (client, server)

    @classmethod
    def new(cls) -> WebSocketPair:
        """The same as calling the class: as programs write it that had to go through JavaScript."""
        return cls()

    def object_values(self) -> tuple[WebSocket, WebSocket]:
        """Both ends."""
        return self._ends

    @property
    def client(self) -> WebSocket:
        """The end to answer with."""
        return self._ends[0]

    @property
    def server(self) -> WebSocket:
        """The end to keep."""
        return self._ends[1]

    def __getitem__(self, index: int | str) -> WebSocket:
        return self._ends[int(index)]

    def __iter__(self) -> Any:
        return iter(self._ends)

    def __len__(self) -> int:
        return 2


def _check_close(code: int | None, reason: str) -> None:
    if code is None:
        if reason:
            raise ValueError("a reason needs a close code")
        return
    if type(code) is not int or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ValueError(f"{code!r} is not a close code that can be sent: use 1000, or one from 3000 to 4999")
    if len(encode_text(reason)) > MAX_REASON:
        raise ValueError(f"the reason of a close is limited to {MAX_REASON} bytes")


def _wake(waiting: Any) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _start(awaitable: Any) -> Any:
    return asyncio.ensure_future(awaitable)
