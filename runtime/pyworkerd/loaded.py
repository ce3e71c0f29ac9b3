"""A worker in the hands of the program that embeds the runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from pyworkerd.cron.handler import run_scheduled
from pyworkerd.errors import WebSocketRefused
from pyworkerd.messages import Body, Headers, Request, Response
from pyworkerd.services.base import Target
from pyworkerd.services.stubs import release

if TYPE_CHECKING:
    from pyworkerd.dispatch.worker import Worker
    from pyworkerd.observe.logs import LogEntry
    from pyworkerd.services.stubs import Loan
    from pyworkerd.websocket import WebSocket

ORIGIN: Final = "http://worker"
"""What a path alone is completed with."""


class LoadedWorker:
    """Send a worker requests, call its methods, read its logs. Close it when it is not needed any more."""

    def __init__(self, service: Worker, unload: Callable[[Worker], Awaitable[None]]) -> None:
        self.service = service
        self._unload = unload

    def __repr__(self) -> str:
        return repr(self.service)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def name(self) -> str:
        """The name of its service."""
        return self.service.name

    @property
    def deploy_ms(self) -> float:
        """How long its deploy took."""
        return self.service.image.deploy_ms

    @property
    def logs(self) -> list[LogEntry]:
        """What it logged lately, oldest first."""
        return list(self.service.logs.entries)

    async def fetch(
        self,
        resource: str | Request,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | AsyncIterator[bytes] | None = None,
        entrypoint: str | None = None,
        props: Any = None,
    ) -> Response:
        """Send it a request: a URL, a path, or a `Request`. The response's body must be read or closed.

        Raises a `PyworkerdError`: `WorkerException` if the handler raised, `ExceededCpu`, `Overloaded`, ...
        """
        if isinstance(resource, Request):
            request = resource
        else:
            url = f"{ORIGIN}{resource}" if resource.startswith("/") else resource
            request = Request(method.upper(), url, _headers(headers), _body(body))
        return await self.service.fetch(request, Target(entrypoint, props if props is not None else {}))

    async def web_socket(
        self,
        resource: str,
        *,
        protocols: Sequence[str] = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        entrypoint: str | None = None,
        props: Any = None,
    ) -> WebSocket:
        """Ask it for a WebSocket: a path or a URL. Close it when it is not needed any more.

            async with await worker.web_socket("/chat") as socket:
                await socket.send("hello")
                async for message in socket: ...

        `protocols` are sub-protocols to choose from. Nothing goes over the network, and no handshake is made.
        Raises `WebSocketRefused` if it answers with something else, and what `fetch` raises.
        """
        own = [
            ("upgrade", "websocket"),
            *([("sec-websocket-protocol", ", ".join(protocols))] if protocols else ()),
        ]
        response = await self.fetch(
            resource, headers=(*own, *_headers(headers)), entrypoint=entrypoint, props=props
        )
        if response.web_socket is None:
            await response.aclose()
            raise WebSocketRefused(response.status)
        return response.web_socket

    async def call(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Call one of its RPC methods. What crosses is copied; functions and objects of `RpcTarget` are lent, and what
        the worker lends comes as `Stub`. What can be neither raises TypeError."""
        return await self.entrypoint(None).call(method, *arguments, **named)

    async def scheduled(self, cron: str = "", moment: datetime | None = None) -> bool:
        """Run its `scheduled` handler, as a cron expression would; `moment` is when it was due, now by default.

        Returns whether the handler asked that it is not repeated if it fails (`controller.no_retry()`). Raises
        `NoHandler` if it has none, and what `fetch` raises.
        """
        return await run_scheduled(self.service, cron, moment or datetime.now(UTC))

    def entrypoint(self, name: str | None, props: Any = None) -> Entrypoint:
        """One of its named entrypoints."""
        return Entrypoint(self.service, Target(name, props if props is not None else {}))

    async def aclose(self) -> None:
        """End its isolates and forget it."""
        await self._unload(self.service)


class Entrypoint:
    """The methods of one exported class."""

    def __init__(self, service: Worker, target: Target) -> None:
        self.service, self.target = service, target

    async def call(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a method. Raises `NoSuchMethod`, or `WorkerException` with type and message of what it raised."""
        return await self.call_with(None, method, arguments, named)

    async def call_with(
        self,
        make: Callable[[Loan], Any] | None,
        method: str,
        arguments: Sequence[Any],
        named: Mapping[str, Any],
        stream: Callable[[Body], object] = lambda body: body,
    ) -> Any:
        """`call`, where something else is made of what the worker lends than a `Stub`, and of what streams."""
        from pyworkerd.stubs import Stub, read, write  # noqa: PLC0415 - servers do without

        sent = write([list(arguments), dict(named)])
        try:
            result = await self.service.call(method, sent, self.target)
        finally:
            release(sent)
        return read(result, f"{method}()", make or Stub, stream)


def _headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name.lower(), value) for name, value in pairs)


def _body(body: bytes | str | AsyncIterator[bytes] | None) -> Body:
    if body is None:
        return Body()
    if isinstance(body, str):
        return Body(body.encode())
    return Body(body) if isinstance(body, bytes) else Body(chunks=body)
