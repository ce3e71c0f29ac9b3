"""Bodies on their way through the client: the one being sent, and the one that arrives.

Both are pulled. aiohttp asks `Upload` for a chunk when its socket has taken the last one; the reader of a
response asks `Download`, and the socket is not read while 128 KiB wait (twice aiohttp's `read_bufsize`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.errors import UpstreamError

from .outbound_errors import FOREIGN, translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    import aiohttp

    from pyworkerd.messages import Body

SLICE = 64 * 1024
"""Bytes of a body in hand that are given to the socket at once: asyncio's own high-water mark."""


async def slices(data: bytes) -> AsyncGenerator[bytes]:
    """A body in hand, in pieces that do not hold up the event loop."""
    view = memoryview(data)
    for start in range(0, len(data), SLICE):
        yield bytes(view[start : start + SLICE])


class Upload:
    """A request body while it is being sent. Has exactly the length that was announced, or fails."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._chunks: AsyncIterator[bytes] = aiter(body)
        self._sent = 0
        self._pulling = False
        self._closing = False
        self.failure: Exception | None = None
        """Why the source stopped, if it failed: the cause of whatever aiohttp says about it."""
        self.on_failure: Callable[[], None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._pulling = True
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            if self.on_failure is not None:
                self.on_failure()
            raise
        finally:
            self._pulling = False
            if self._closing:
                await self._close()

    async def _next(self) -> bytes:
        length = self._body.length
        try:
            chunk = await anext(self._chunks)
            while not chunk:
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if length is not None and self._sent != length:
                raise UpstreamError(
                    f"the request body ended after {self._sent} of its {length} bytes"
                ) from None
            raise
        self._sent += len(chunk)
        if length is not None and self._sent > length:
            raise UpstreamError(f"the request body is longer than its {length} bytes")
        return chunk

    async def aclose(self) -> None:
        """Tell the source that no more is wanted. A pull under way, being cancelled, does it itself."""
        self._closing = True
        if not self._pulling:
            await self._close()

    async def _close(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        await self._body.aclose()


class Download:
    """A response body while it arrives. Its end, its failure and `aclose` all let go of the connection."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        host: str,
        upload: Upload | None,
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._response = response
        self.give_back = give_back
        """What others may have the connection's place by."""
        self._host = host
        self._upload = upload
        self._over = False
        if upload is not None:
            upload.on_failure = response.close

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            chunk = await self._response.content.readany()
        except FOREIGN as error:
            await self.aclose()
            if self._upload is not None and self._upload.failure is not None:
                raise self._upload.failure from error
            raise translate(error, self._host) from error
        except BaseException:
            await self.aclose()
            raise
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Close the connection, unless the body has ended and it went back to the pool already."""
        if self._over:
            return
        self._over = True
        self._response.close()
        self.give_back()
        if self._upload is not None:
            await self._upload.aclose()
