"""Byte streams across the boundary, with credit: nobody is sent more than was asked for.

An inbound stream is filled by the host, which may be `WINDOW` bytes ahead of the reader. An outbound stream is
written by the worker, which may be `WINDOW` bytes ahead of the host. Numbers of inbound streams are the host's,
numbers of outbound streams the guest's.
"""

import asyncio
from collections import deque

from . import outbox

WINDOW = 262_144
"""Bytes in flight per stream: enough for a fast local reader, small beside the memory limit (HTTP/2 servers: 64 KiB
to 1 MiB)."""
CHUNK = 65_536
"""Largest piece that is sent at once."""
NEXT_STEP = 1e-6
"""Seconds: time stands still in a step, so whatever is not now is in another one."""
KEPT = "this body came for a request that is over: read a body before its request's handler is done, and keep the bytes"
"""What a reader hears who comes, or waits, when the invocation is over."""

_inbound = {}
_outbound = {}
_next_outbound = 1


class StreamError(OSError):
    """The other end broke off."""


class Inbound:
    """A body that the host sends. One reader at a time."""

    __slots__ = ("_asked", "_chunks", "_ended", "_error", "_number", "_unacknowledged", "_waiter")

    def __init__(self, number):
        self._number = number
        self._asked = False
        self._chunks = deque()
        self._ended = False
        self._error = None
        self._waiter = None
        self._unacknowledged = 0
        _inbound[number] = self

    @property
    def over(self):
        """Whether nothing comes any more, and nobody has to be told."""
        return self._number not in _inbound

    async def read(self):
        """The next chunk; b"" at the end. The host sends nothing before the first read."""
        if not self._asked:
            self._asked = True
            outbox.effects.append(f'["pull",{self._number},{WINDOW}]')
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            if self._waiter is not None:
                raise RuntimeError("two readers wait for the same body")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self._unacknowledged += len(chunk)
        if self._unacknowledged >= WINDOW // 2 and not self._ended:
            outbox.effects.append(f'["pull",{self._number},{self._unacknowledged}]')
            self._unacknowledged = 0
        return chunk

    def hand_on(self):
        """The number of a body that nobody has begun to read, for the host to pass on by itself; else None."""
        if self._asked or self._ended or _inbound.pop(self._number, None) is None:
            return None
        self._ended = self._asked = True
        return self._number

    def cancel(self):
        """Say that no more will be read."""
        if _inbound.pop(self._number, None) is not None and not self._ended:
            outbox.effects.append(["stop", self._number])
        self._ended = True
        self._chunks.clear()
        self._wake()

    def abandon(self):
        """The invocation that it came for is over, and so is all that has not come: whoever reads it, be it another
        invocation that waits for it now, hears that."""
        if _inbound.pop(self._number, None) is None:
            return
        outbox.effects.append(["stop", self._number])
        self._chunks.clear()
        self._error = StreamError(KEPT)
        self._wake()

    def _wake(self):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def received(blobs, body):
    """A body as an event has it: bytes in hand, or what will come."""
    return blobs[body[1]] if body[0] == "b" else Inbound(body[1])


def on_data(number, data, end):
    """Event: a chunk of an inbound stream, perhaps the last."""
    stream = _inbound.get(number)
    if stream is None:
        return
    if data:
        stream._chunks.append(bytes(data))
    if end:
        stream._ended = True
        del _inbound[number]
    stream._wake()


def on_error(number, message):
    """Event: an inbound stream broke off."""
    stream = _inbound.pop(number, None)
    if stream is not None:
        stream._error = StreamError(message)
        stream._wake()


def on_lost(error, number, *_):
    """An event of an inbound stream could not be taken in."""
    if number in _inbound:
        outbox.effects.append(["stop", number])
        on_error(number, f"this body could not be taken in ({type(error).__name__})")


class Outbound:
    """A body that the worker sends, pumped from an async iterator by a task."""

    __slots__ = ("_credit", "_piece", "_place", "_waiter", "number", "stopped", "task")

    def __init__(self):
        global _next_outbound
        self.number = _next_outbound
        _next_outbound += 1
        self._credit = WINDOW
        self._piece = None
        """What this step gives out of it last, to which more can be added, and its place among the bytes."""
        self._place = 0
        self._waiter = None
        self.stopped = False
        self.task = None
        """What writes it."""
        _outbound[self.number] = self

    async def write(self, data):
        """Send bytes as credit allows. Raises StreamError once the reader has gone."""
        view = memoryview(data)
        while view:
            while self._credit <= 0 and not self.stopped:
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            while outbox.streamed >= outbox.MAX_STREAMED and not self.stopped:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(NEXT_STEP)
            if self.stopped:
                raise StreamError("the reader of this body has gone")
            piece = view[: min(CHUNK, self._credit)]
            self._credit -= len(piece)
            view = view[len(piece) :]
            self._give_out(piece)

    def _give_out(self, piece):
        outbox.streamed += len(piece)
        place, last = self._place, self._piece
        if place < len(outbox.blobs) and outbox.blobs[place] is last and len(last) + len(piece) <= CHUNK:
            last += piece
            return
        self._piece = bytearray(piece)
        self._place = outbox.blob(self._piece)
        outbox.effects.append(f'["data",{self.number},{self._place},false]')

    def forget(self):
        """Nobody was told of this body."""
        _outbound.pop(self.number, None)

    def finish(self):
        """The body is complete."""
        if _outbound.pop(self.number, None) is not None and not self.stopped:
            outbox.effects.append(f'["data",{self.number},null,true]')

    def fail(self, message):
        """The body cannot be completed."""
        if _outbound.pop(self.number, None) is not None and not self.stopped:
            outbox.effects.append(["error", self.number, message])

    @property
    def over(self):
        """Whether it has ended, and nobody has to be told."""
        return self.number not in _outbound

    def abandon(self):
        """The invocation whose code writes it is over."""
        self.fail("the worker ended before this body was complete")

    def stop(self):
        """Who writes hears that nobody reads."""
        self.stopped = True
        self._wake()

    def _wake(self):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def on_pull(number, credit):
    """Event: the reader of an outbound stream has room for more."""
    stream = _outbound.get(number)
    if stream is not None:
        stream._credit += credit
        stream._wake()


def on_stop(number):
    """Event: the reader of an outbound stream has gone.

    What writes it is cancelled where it waits, be it for its next piece: an event stream can be silent for hours.
    """
    stream = _outbound.pop(number, None)
    if stream is not None:
        stream.stop()
        if stream.task is not None:
            stream.task.cancel("the reader of this body has gone")


def on_failed(error, number, *_):
    """An event of an outbound stream could not be taken in: nobody knows what its reader has room for."""
    on_stop(number)


async def pump(stream, chunks):
    """Send all of an async iterator as the body; close it on every path. Raises what the iterator raises."""
    try:
        async for chunk in chunks:
            await stream.write(chunk)
    except StreamError:
        if not stream.stopped:
            stream.fail("the source of this body broke off")
            raise
    except BaseException:
        stream.fail("the worker failed while it wrote this body")
        raise
    else:
        stream.finish()
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
