"""Bodies: streams that are read once, what a program may give as a body, and the methods that read one."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import json
import os
from collections import deque

import _wire

from .blob import Blob, decode_text, encode_text
from .form_data import FormData, parse_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TEE = 16 << 20
"""Bytes that one half of a cloned body may be ahead of the other: a quarter of the smallest usual memory
limit.
"""

MAX_JSON_DEPTH = 1000
"""Brackets open at once in a JSON body, as many as CPython allows elsewhere (`sys.getrecursionlimit()`). In
the sandbox the scanner has no such limit: past some thousand the native stack and so the isolate ends.
"""


class Source:
    """Where a stream's bytes come from. To inherit from, or only to imitate."""

    async def read(self) -> bytes:
        """The next chunk, b"" at the end. Not called again before it has returned, nor after the end."""
        raise NotImplementedError

    def cancel(self) -> None:
        """No more will be read. May be called more than once, and after the end."""


class BodyStream:
    """A stream of bytes that is read once, by one reader at a time.

    `async for chunk in stream` gives chunks as they come, `await stream.read()` the rest. What the source
    raises is raised to the reader, and again to each later one. `await stream.aclose()` says that no more
    will be read.
    """

    __slots__ = ("_ended", "_error", "_reading", "_rest", "_source", "used")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rest = b""
        self._ended = False
        self._reading = False
        self._error: Exception | None = None
        self.used = False
        """Whether anything has been read or cancelled."""

    @classmethod
    def of(cls, data: bytes) -> BodyStream:
        """A stream of bytes in hand."""
        self = cls(_ENDED)
        self._rest = data
        self._ended = True
        return self

    async def _chunk(self) -> bytes:
        """The next chunk, b"" at the end."""
        self.used = True
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        if self._error is not None:
            raise self._error
        if self._ended:
            return b""
        if self._reading:
            raise RuntimeError("two readers wait for the same body")
        self._reading = True
        try:
            chunk = await self._source.read()
        except BufferError:  # of a tee: it can be tried again
            raise
        except Exception as error:
            self._error = error
            raise
        finally:
            self._reading = False
        self._ended = not chunk
        return chunk

    async def read(self, size: int = -1) -> bytes:
        """All that is left, or, given a size, at least one and at most so many bytes; b"" at the end."""
        if size == 0:
            return b""
        if size > 0:
            chunk = await self._chunk()
            chunk, self._rest = chunk[:size], chunk[size:]
            return chunk
        return await self._gather(None)

    async def readexactly(self, size: int) -> bytes:
        """So many bytes. Raises EOFError if fewer are left; those are not lost, `read()` gives them."""
        data = await self._gather(size)
        if len(data) < size:
            self._rest = data
            raise EOFError(f"the body has {len(data)} more bytes, not {size}")
        data, self._rest = data[:size], data[size:] + self._rest
        return data

    async def _gather(self, enough: int | None) -> bytes:
        """Chunks until there is enough, or until the end. Interrupted, it gives back what it has."""
        parts: list[bytes] = []
        have = 0
        try:
            while enough is None or have < enough:
                chunk = await self._chunk()
                if not chunk:
                    break
                parts.append(chunk)
                have += len(chunk)
        except BaseException:
            self._rest = b"".join(parts)
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __aiter__(self) -> BodyStream:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._chunk()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    @property
    def _in_hand(self) -> bool:
        """Whether all that is left is there."""
        return self._ended and self._source is _ENDED

    def cancel(self) -> None:
        """Give up what is left, so that the source can stop."""
        self.used = self._ended = True
        self._rest = b""
        self._source.cancel()

    async def aclose(self) -> None:
        """`cancel()`, and let an async generator behind the stream run its `finally`."""
        self.cancel()
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    def tee(self, limit: int = MAX_TEE) -> tuple[BodyStream, BodyStream]:
        """Two streams of the same bytes; this one is used up by it. A half that gets more than `limit` bytes
        ahead of the other is refused with BufferError until the other has read or has been cancelled.
        """
        if self.used:
            raise OSError("Body already used")
        self.used = True
        if self._ended:
            return BodyStream.of(self._rest), BodyStream.of(self._rest)
        both = _Tee(self, limit)
        return BodyStream(_Half(both, 0)), BodyStream(_Half(both, 1))


class _Tee:
    """One stream, and for each half what the other has read already."""

    __slots__ = ("_cancelled", "_limit", "_pulling", "_queues", "_sizes", "_stream", "_waiter")

    def __init__(self, stream: BodyStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._queues: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self._sizes = [0, 0]
        self._cancelled = [False, False]
        self._pulling = False
        self._waiter: Any = None

    async def read(self, half: int) -> bytes:
        queue = self._queues[half]
        while not queue:
            if self._pulling:
                await self._other_has_pulled()
            else:
                return await self._pull(1 - half)
        chunk = queue.popleft()
        self._sizes[half] -= len(chunk)
        return chunk

    async def _other_has_pulled(self) -> None:
        import asyncio

        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _pull(self, other: int) -> bytes:
        """The next chunk; the other half gets it too. An error reaches the other when it asks for itself."""
        if self._sizes[other] >= self._limit and not self._cancelled[other]:
            raise BufferError(
                f"one half of a cloned body is {self._limit} bytes ahead: read both, or cancel one"
            )
        self._pulling = True
        try:
            chunk = await self._stream._chunk()
            if chunk and not self._cancelled[other]:
                self._queues[other].append(chunk)
                self._sizes[other] += len(chunk)
            return chunk
        finally:
            self._pulling = False
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    def cancel(self, half: int) -> None:
        self._cancelled[half] = True
        self._queues[half].clear()
        self._sizes[half] = 0
        if all(self._cancelled):
            self._stream.cancel()


class _Half(Source):
    __slots__ = ("_half", "_tee")

    def __init__(self, tee: _Tee, half: int) -> None:
        self._tee = tee
        self._half = half

    async def read(self) -> bytes:
        return await self._tee.read(self._half)

    def cancel(self) -> None:
        self._tee.cancel(self._half)

    async def aclose(self) -> None:
        if all(self._tee._cancelled):
            await self._tee._stream.aclose()


class _Iterated(Source):
    """Chunks from a program's iterator, async or not. Empty ones are skipped: they are no end."""

    __slots__ = ("_iterator", "_next")

    def __init__(self, iterable: Any) -> None:
        is_async = hasattr(type(iterable), "__aiter__")
        self._iterator: Any = aiter(iterable) if is_async else iter(iterable)
        self._next = _next_of_async if is_async else _next_of

    async def read(self) -> bytes:
        while self._iterator is not None:
            found = await self._next(self._iterator)
            if found is None:
                self._iterator = None
                break
            if isinstance(found, str):
                found = encode_text(found)
            elif not isinstance(found, (bytes, bytearray, memoryview)):
                raise TypeError(f"a chunk of a body has to be bytes or str, not {type(found).__name__}")
            if found:
                return bytes(found)
        return b""

    async def aclose(self) -> None:
        """Let a generator run its `finally`."""
        iterator, self._iterator = self._iterator, None
        if hasattr(iterator, "aclose"):
            await iterator.aclose()
        elif hasattr(iterator, "close"):
            iterator.close()


async def _next_of_async(iterator: Any) -> Any:
    try:
        found = await anext(iterator)
    except StopAsyncIteration:
        return None
    return b"" if found is None else found


async def _next_of(iterator: Any) -> Any:
    try:
        found = next(iterator)
    except StopIteration:
        return None
    return b"" if found is None else found


_ENDED = Source()


def new_boundary() -> str:
    """A boundary for a form, of 128 random bits."""
    return f"----pyworkerd{os.urandom(16).hex()}"


def extract(  # noqa: PLR0911 (one line for each kind)
    body: Any, where: str
) -> tuple[bytes | BodyStream | None, str | None]:
    """What a program gave as a body, as bytes, a stream or nothing, and the content type that goes with it.

    `where` is the class named in the TypeError for anything else. Lists, dictionaries and other containers
    are refused, because they are a forgotten `Response.json` more often than a list of chunks; `iter(chunks)`
    is taken.
    """
    if body is None:
        return None, None
    if isinstance(body, str):
        return encode_text(body), "text/plain;charset=UTF-8"
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), None
    if isinstance(body, BodyStream):
        if body.used:
            raise TypeError("This body has already been read from, and cannot be used as a body.")
        return body, None
    if isinstance(body, Blob):
        return body._data, body.content_type or None
    if isinstance(body, FormData):
        boundary = new_boundary()
        return body.to_multipart(boundary), f"multipart/form-data; boundary={boundary}"
    if isinstance(body, Message):
        return body._take(), body.headers.get("content-type")
    kind = type(body)
    if hasattr(kind, "__aiter__") or (hasattr(kind, "__iter__") and not hasattr(kind, "__len__")):
        return BodyStream(_Iterated(body)), None
    remedy = "; write `await` before it" if hasattr(kind, "__await__") else ""
    if where == "Response" and kind in (dict, list):
        remedy = "; write `Response.json(...)`"
    raise TypeError(f"Unsupported type in {where}: {kind.__name__}{remedy}")


class Message:
    """What requests and responses share: headers that are built when they are asked for, and a body read
    once.

    `_body` is bytes until somebody wants a stream of it.
    """

    __slots__ = ("_body", "_headers", "_pairs", "_taken")

    _headers: Any
    _pairs: Any
    _body: bytes | BodyStream | None
    _taken: bool

    @property
    def headers(self) -> Any:
        """The header fields (`Headers`); changing them changes what is sent."""
        if self._headers is None:
            from .headers import Headers

            self._headers = Headers._of(self._listed())
        return self._headers

    def _header_pairs(self) -> list[tuple[str, str]]:
        return list(self._listed()) if self._headers is None else self._headers.items()

    def _listed(self) -> Any:
        """The pairs that came, which the host may have left as JSON: many programs never look at them."""
        pairs = self._pairs
        if type(pairs) is bytes:
            pairs = self._pairs = json.loads(pairs)
        return pairs

    @property
    def body(self) -> BodyStream | None:
        """The body as a stream; None if there is none."""
        if isinstance(self._body, bytes):
            self._body = BodyStream.of(self._body)
        return self._body

    @property
    def body_used(self) -> bool:
        """Whether the body has been read from."""
        return self._taken or (type(self._body) is BodyStream and self._body.used)

    bodyUsed = body_used

    def _raise_if_failed(self) -> None:
        if self.body_used:
            raise OSError("Body already used")

    def _take(self) -> bytes | BodyStream | None:
        """The body, to be read by whoever asked. Raises OSError if somebody has."""
        body = self._body
        if type(body) is bytes and not self._taken:
            self._taken = True
            return body
        self._raise_if_failed()
        self._taken = body is not None
        if type(body) is BodyStream and body._in_hand:
            body.used = True
            return body._rest
        return body

    def _copy_body(self) -> bytes | BodyStream | None:
        """The body once more, for a clone."""
        self._raise_if_failed()
        if type(self._body) is BodyStream:
            self._body, copy = self._body.tee()
            return copy
        return self._body

    async def buffer(self) -> bytes:
        """All of the body. Raises OSError if it has been read from before."""
        body = self._take()
        if body is None:
            return b""
        return await body.read() if type(body) is BodyStream else body

    bytes = array_buffer = buffer

    async def text(self) -> str:
        """All of the body as UTF-8; what is malformed becomes U+FFFD."""
        return decode_text(await self.buffer())

    async def _json(self, **options: Any) -> Any:
        data = await self.buffer()
        if data.count(b"[") + data.count(b"{") > MAX_JSON_DEPTH and _wire.deepest(data) > MAX_JSON_DEPTH:
            raise RecursionError("maximum recursion depth exceeded while decoding a JSON document")
        return json.loads(decode_text(data), **options)

    async def form_data(self) -> FormData:
        """The body as a form. Raises TypeError if its type is not that of a form, ValueError if it is
        malformed.
        """
        self._raise_if_failed()
        return parse_form(await self.buffer(), self.headers.get("content-type", ""))

    formData = form_data

    async def blob(self) -> Blob:
        """All of the body with its content type."""
        return Blob(await self.buffer(), self.headers.get("content-type", ""))
