"""A runtime or one loaded worker as an ASGI 3 application, to be mounted in FastAPI, Starlette or served by itself.

    app = AsgiApp(Runtime(config))              # its lifespan opens and closes the runtime
    app.mount("/tenant", AsgiApp(worker))       # the program opened and loaded already

A worker sees the URL that the client sent, also below a mount. The server's `send` and `receive` set the pace of
bodies; a client that leaves cancels the handler. WebSockets are joined to the worker's. What goes wrong is answered as
by `pyworkerd serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import BadEffect, BadRequest, ConfigurationError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import begin
from pyworkerd.observe.scope import scope as current_scope
from pyworkerd.runtime import Runtime
from pyworkerd.server.failures import answer, log_failure
from pyworkerd.server.info import connection_info

from .scope import answered, headers_of, info_of, url_of
from .websocket import serve_websocket

if TYPE_CHECKING:
    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.messages import Headers
    from pyworkerd.server import ErrorPage

    from .scope import Message, Receive, Scope, Send

_WITHOUT_BODY: Final = frozenset((204, 205, 304))


class AsgiApp:
    """Sends each request to a service of a runtime (`service`, or the one that its routes name), or to one worker.

    With `manage` (the default for a runtime) the lifespan opens the runtime and closes it. Frameworks do not pass
    the lifespan on to what they mount: there open the runtime in the program's own, and give `manage=False`.
    """

    def __init__(
        self,
        target: Runtime | LoadedWorker,
        *,
        service: str | None = None,
        manage: bool = True,
        error_page: ErrorPage | None = None,
    ) -> None:
        self._runtime = target if isinstance(target, Runtime) and manage else None
        self._page = error_page
        self._handle = _handler(target, service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI 3 has it."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case "websocket":
                await serve_websocket(self._handle, scope, receive, send, self._page)
            case other:
                raise ValueError(f"ASGI scope {other!r} is unknown")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    if self._runtime is not None:
                        await self._runtime.open()
                except Exception as error:  # noqa: BLE001 - the server says it, and stops
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._runtime is not None:
                    await self._runtime.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = _Incoming(receive)
        watching = asyncio.create_task(incoming.run())
        serving = asyncio.create_task(self._serve(scope, incoming, send))
        try:
            await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The watcher ends by itself only when the client has left.
            done = serving.done()
            for task in (serving, watching):
                task.cancel()
            await asyncio.wait({serving, watching})
        if done:
            serving.result()
        elif not watching.cancelled():
            watching.result()

    async def _serve(self, scope: Scope, incoming: _Incoming, send: Send) -> None:
        request = None
        current, headers = begin(headers_of(scope))
        current_scope.set(current)
        connection_info.set(info_of(scope))
        try:
            request = await _request(scope, headers, incoming)
            response = await self._handle(request)
            if response.web_socket is not None:
                await response.aclose()
                raise BadEffect("the worker answered with a WebSocket, and was asked for none")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - the border: whatever was raised becomes an answer
            log_failure(error, request)
            response = answer(error, request, self._page)
        try:
            await _send(response, send, current.request_id, head_only=scope["method"] == "HEAD")
        finally:
            await response.body.aclose()


def _handler(target: Runtime | LoadedWorker, service: str | None) -> Callable[[Request], Awaitable[Response]]:
    if not isinstance(target, Runtime):
        return target.fetch
    runtime = target

    async def handle(request: Request) -> Response:
        name = service or runtime.route(request)
        if name not in runtime.services:
            raise ConfigurationError(f"the service {name!r} does not run; was the runtime opened?")
        return await runtime.fetch(request, name)

    return handle


class _Incoming(AsyncIterator[bytes]):
    """The request's body, at most one message ahead of its reader, and the news that the client has left."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._message: Message | None = None
        self._changed = asyncio.Condition()
        self._ended = False
        self._closed = False
        self._gone = False

    async def run(self) -> None:
        """Receive until the client leaves. Raises what the server raises."""
        try:
            while True:
                message = await self._receive()
                async with self._changed:
                    if message["type"] == "http.disconnect":
                        return
                    await self._changed.wait_for(lambda: self._message is None or self._closed)
                    self._message = message
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._gone = True
                self._changed.notify_all()

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        async with self._changed:
            await self._changed.wait_for(lambda: self._message is not None or self._gone)
            message, self._message = self._message, None
            self._changed.notify_all()
        if message is None:
            raise BadRequest("the client left before its request was complete")
        self._ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def first(self) -> Body:
        """The body: in hand if it came with the first message."""
        data = await anext(self)
        return Body(data) if self._ended else Body(chunks=_Prefixed(data, self))

    async def aclose(self) -> None:
        """Drop what still comes, so that the client's leaving is still heard."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Prefixed(AsyncIterator[bytes]):
    """A first chunk, and the rest."""

    def __init__(self, first: bytes, rest: _Incoming) -> None:
        self._first, self._rest = first, rest

    async def __anext__(self) -> bytes:
        while True:
            chunk, self._first = self._first or await anext(self._rest), b""
            if chunk:
                return chunk

    async def aclose(self) -> None:
        """Close the rest."""
        await self._rest.aclose()


async def _request(scope: Scope, headers: Headers, incoming: _Incoming) -> Request:
    return Request(scope["method"].upper(), url_of(scope, headers), headers, await incoming.first())


async def _send(response: Response, send: Send, request_id: str, *, head_only: bool) -> None:
    body, bare = response.body, head_only or response.status in _WITHOUT_BODY
    headers = answered(response.headers, request_id)
    if body.length is not None and response.status not in _WITHOUT_BODY:
        headers.append((b"content-length", b"%d" % body.length))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not bare and body.data is None:
        # What breaks off here is raised: the server resets the connection, and nothing looks complete.
        async for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    data = b"" if bare else body.data or b""
    await send({"type": "http.response.body", "body": data, "more_body": False})
