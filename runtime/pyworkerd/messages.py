"""The host's request and response: what the server, services, bindings and the library API hand to each other.

They carry no behaviour of HTTP/1.1; `pyworkerd.http` turns bytes into them and back. Header names are lower case,
header values are text in which each character is one byte (latin-1), as RFC 9110 section 5.5 allows on the wire.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .errors import BodyTooLarge
from .websocket.base import UNWANTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from .websocket.base import WebSocket

Headers = tuple[tuple[str, str], ...]


def header(headers: Headers, name: str) -> str | None:
    """The first value of a header, or None. `name` is lower case."""
    return next((value for key, value in headers if key == name), None)


class Body:
    """A message body, read once: bytes in hand, or chunks that arrive.

    Iterate it for chunks, or `await read()` for all of it. Pulling is the back-pressure: a source produces the next
    chunk when it is asked for. Whoever stops early calls `aclose()`, so that the source can stop as well.
    """

    __slots__ = ("_chunks", "data", "length")

    def __init__(
        self, data: bytes = b"", *, chunks: AsyncIterator[bytes] | None = None, length: int | None = None
    ) -> None:
        self._chunks = chunks
        self.data: bytes | None = None if chunks is not None else data
        """The whole body if it is in hand, None if it has to be iterated."""
        self.length: int | None = length if chunks is not None else len(data)
        """Size in bytes, where it is known beforehand."""

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if self._chunks is None:
            if self.data:
                yield self.data
            return
        async for chunk in self._chunks:
            yield chunk

    async def read(self, limit: int | None = None) -> bytes:
        """All of the body; raises `BodyTooLarge` and closes the source once it passes `limit` bytes."""
        if self.data is not None:
            if limit is not None and len(self.data) > limit:
                raise BodyTooLarge(limit)
            return self.data
        parts: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if limit is not None and size > limit:
                await self.aclose()
                raise BodyTooLarge(limit)
            parts.append(chunk)
        return b"".join(parts)

    async def aclose(self) -> None:
        """Say that no more will be read. Harmless when called again or after the end."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


NO_BODY: Final = Body()
"""For messages without one: nothing of it is used up."""


@dataclass(slots=True)
class Request:
    """What a service is asked: an absolute URL, a method in capitals, headers, a body."""

    method: str
    url: str
    headers: Headers = ()
    body: Body = field(default_factory=Body)
    connect_ms: int | None = None
    """How long making a connection for it may take; None is as long as the service allows, and without a connection it
    means nothing.
    """


@dataclass(slots=True)
class Response:
    """What a service answers. `headers` may repeat a name (`set-cookie`); framing headers are the server's business."""

    status: int = 200
    headers: Headers = ()
    body: Body = field(default_factory=Body)
    url: str = ""
    """Where it came from at last, if redirects were followed on the way."""
    web_socket: WebSocket | None = None
    """The other end of the WebSocket that the request asked for. There is no body then, and the status is 101."""

    async def read(self, limit: int | None = None) -> bytes:
        """All of the body; `BodyTooLarge` past `limit` bytes."""
        return await self.body.read(limit)

    async def aclose(self) -> None:
        """Say that nobody reads it, nor uses its WebSocket. Harmless when called again or after the end."""
        if self.web_socket is not None:
            self.web_socket.end(UNWANTED)
        await self.body.aclose()

    async def text(self) -> str:
        """The body as text (UTF-8; what is not is replaced)."""
        return (await self.read()).decode("utf-8", "replace")

    async def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(await self.read())

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return header(self.headers, name.lower())


def text_response(status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A small plain-text answer of the runtime's own."""
    return Response(status, (("content-type", "text/plain;charset=UTF-8"), *headers), Body(text.encode()))
