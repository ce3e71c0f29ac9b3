"""WritableStreams over RPC. Whoever sends one lends what takes, once, all that is to be written: a stream of bytes. So
what goes for a stream that is sent goes for what comes back.
"""

# Private names are private to this package: they keep programs out, not its own modules.

import asyncio

from _pyworkerd import lending, sending, streams
from _pyworkerd.invocation import current

from . import rpc
from .body import BodyStream, Source
from .stubs import RpcTarget

GONE = "whoever was to write to this stream has gone"
_CLOSING = "being closed"


class WritableStream:
    """Where bytes are written, perhaps by another worker, or in one. `write` is called with each piece that is written,
    `close` with nothing at the end, and `abort` with an exception where it will not come; each may be a coroutine
    function.

    Sent to another worker, it is that worker's from then on. What comes from another worker ends with the request that
    it came with: it is aborted if it has not been closed.
    """

    __slots__ = ("_end", "_over")

    def __init__(self, write, close=None, abort=None):
        self._end = _Functions(write, close, abort)
        self._over = None

    @classmethod
    def _to(cls, stub):
        stream = object.__new__(cls)
        stream._end, stream._over = _Remote(stub), None
        return stream

    async def write(self, data):
        """Write bytes; waits until there is room for more. Raises what the other side raised. Where it is cancelled, a
        part of them may have been written: `abort` what is to be whole."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"what is written to a stream has to be bytes, not {type(data).__name__}")
        self._check()
        await self._end.write(bytes(data))

    async def close(self):
        """Nothing follows. Returns when the other side has all of it. Raises what it raised."""
        self._check()
        self._over = _CLOSING
        try:
            await self._end.close()
        except asyncio.CancelledError:
            raise  # whoever waits no longer may still `abort` it
        except BaseException:
            self._over = "closed"
            raise
        self._over = "closed"

    async def abort(self, reason=None):
        """It breaks off here. Harmless after the end."""
        if self._over in (None, _CLOSING):
            self._over = "aborted"
            await self._end.abort(reason)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, _):
        if self._over is None:
            await (self.close() if kind is None else self.abort(error))

    def _check(self):
        if self._over is not None:
            raise ValueError(f"this stream was {self._over}")

    def _lent(self):
        """What stands for it beside a value; nobody here writes to it any more."""
        self._check()
        self._over = "sent to another worker"
        return self._end.lent()


class _Functions:
    """A stream of this isolate."""

    __slots__ = ("_abort", "_close", "_write")

    def __init__(self, write, close, abort):
        self._write, self._close, self._abort = write, close, abort

    async def write(self, data):
        await _called(self._write, data)

    async def close(self):
        await _called(self._close)

    async def abort(self, reason):
        await _called(self._abort, reason if isinstance(reason, BaseException) else RuntimeError(f"{reason}"))

    def lent(self):
        return _Sink(self)


async def _called(function, *arguments):
    result = None if function is None else function(*arguments)
    if hasattr(result, "__await__"):
        await result


class _Sink(RpcTarget, lending.Kept):
    """What is lent of one."""

    def __init__(self, end):
        self._end = end

    async def pipe(self, body):
        """Everything that is written."""
        end = self._taken() if isinstance(body, BodyStream) else None
        if end is None:
            raise TypeError("a WritableStream takes one stream of bytes")
        try:
            async for piece in body:
                await end.write(piece)
        except BaseException as error:
            await body.aclose()
            await end.abort(RuntimeError(GONE) if isinstance(error, asyncio.CancelledError) else error)
            raise
        await end.close()

    def _taken(self):
        end, self._end = self._end, None
        return end

    def _disposed(self):
        end = self._taken()
        if end is not None:
            work, loop = end.abort(RuntimeError(GONE)), asyncio.get_running_loop()
            current().keep(asyncio.Task(work, loop=loop, eager_start=True), "the end of a stream failed")

    def _back(self):
        """The stream itself: it stays here."""
        stream = WritableStream(None)
        stream._end = self._taken()
        return stream


class _Written(Source, sending.Streamed):
    """What was written, as a body beside a value: piece by piece, as it is read."""

    def __init__(self):
        self._outbound = None
        self._turn = asyncio.Lock()
        self.broken_off = False

    def refer(self):
        self._outbound = streams.Outbound()
        return ["s", self._outbound.number, None]

    def start(self, invocation):
        invocation.receives(self._outbound)

    def cancel(self):
        """It goes nowhere."""

    async def write(self, data):
        """One after the other, in the order of the calls."""
        if self._outbound is None:
            raise streams.StreamError("nobody takes what is written to this stream")
        async with self._turn:
            await self._outbound.write(data)

    async def finish(self):
        """Nothing follows what is being written."""
        if self._outbound is not None:
            async with self._turn:
                self._outbound.finish()

    def fail(self, message):
        """It breaks off, and so does what is being written."""
        self.broken_off = True
        if self._outbound is not None:
            self._outbound.fail(message)
            self._outbound.stop()


class _Remote:
    """A stream of another isolate, into what a stub leads to."""

    __slots__ = ("_piping", "_stub", "_written")

    def __init__(self, stub):
        self._stub = stub
        self._written = self._piping = None

    def _begin(self):
        if self._piping is None:
            self._written = _Written()
            loop = asyncio.get_running_loop()
            work = self._stub.pipe(BodyStream(self._written))
            self._piping = asyncio.Task(work, loop=loop, eager_start=True)
            current().adopt(self._piping)
            self._piping.add_done_callback(self._ended)

    def _ended(self, task):
        self._stub.dispose()
        if not task.cancelled():
            task.exception()  # told to whoever writes

    async def write(self, data):
        self._begin()
        try:
            await self._written.write(data)
        except streams.StreamError:
            if not self._written.broken_off:
                await asyncio.shield(self._piping)  # why nothing is taken, the other side says itself
            raise

    async def close(self):
        self._begin()
        await self._written.finish()
        await asyncio.shield(self._piping)

    async def abort(self, reason):
        del reason
        if self._piping is None:
            self._stub.dispose()
            return
        self._written.fail("whoever wrote to this stream broke off")
        await asyncio.wait([self._piping])

    def lent(self):
        if self._piping is not None:
            return _Sink(self)
        self._stub._needed()
        return _HandedOn(self._stub)


class _HandedOn(sending.Streamed):
    """A stream of another isolate on its way to a third one: who is in the middle holds nothing of it any more."""

    __slots__ = ("_stub",)

    def __init__(self, stub):
        self._stub = stub

    def refer(self):
        return [False, self._stub._needed()]

    def start(self, invocation):
        del invocation
        self._stub.dispose()

    def cancel(self):
        self._stub.dispose()

    def _back(self):
        return WritableStream._to(self._stub)


def _streamed(body):
    return body._source if type(body._source) is _Written else sending.Streamed(body)


rpc.streamed, rpc.writable = _streamed, WritableStream
