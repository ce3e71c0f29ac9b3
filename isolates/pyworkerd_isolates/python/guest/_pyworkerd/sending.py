"""Bodies on their way out: in an effect as a whole, as a stream, or handed on as they came."""

import asyncio

from . import outbox, streams


def body_effect(body):
    """How a body is named in an effect: nothing, bytes in hand, a stream with the chunks still to pump, or a body that
    came in and was not touched, which the host passes on without this isolate's help."""
    if body is None:
        return None, None
    if isinstance(body, bytes):
        if len(body) <= streams.WINDOW:
            return ["b", outbox.blob(body)], None
        return _stream(_pieces(body), len(body))
    if type(body._source) is streams.Inbound and not body._rest:
        number = body._source.hand_on()
        if number is not None:
            return ["p", number], None
    return _stream(body, None)


def _stream(chunks, length):
    stream = streams.Outbound()
    return ["s", stream.number, length], (stream, chunks)


async def _pieces(data):
    view = memoryview(data)
    for start in range(0, len(view), streams.CHUNK):
        yield view[start : start + streams.CHUNK]


def pump_for(invocation, stream, chunks):
    """Send a streamed body in a task that the invocation waits for."""
    invocation.hold()
    # Begun at once: a task that is cancelled before its first step would never release the invocation.
    stream.task = asyncio.Task(
        _pump(invocation, stream, chunks), loop=asyncio.get_running_loop(), eager_start=True
    )
    if not stream.task.done():
        invocation.sends_in(stream.task)


async def _pump(invocation, stream, chunks):
    try:
        await streams.pump(stream, chunks)
    except asyncio.CancelledError:
        raise
    except Exception:
        import logging

        logging.getLogger("workers").exception("a streamed body failed")
    finally:
        invocation.release()


class Streamed:
    """A body that streams beside a value. `body` is the SDK's stream, which nobody else reads from now on."""

    __slots__ = ("_body", "_pumping")

    def __init__(self, body):
        self._body = body
        body.used = True
        self._pumping = None

    def refer(self):
        """How the value's effect names it."""
        effect, self._pumping = body_effect(self._body)
        return effect

    def start(self, invocation):
        """The effect is out."""
        if self._pumping is not None:
            pump_for(invocation, *self._pumping)

    def back(self):
        """The body itself: it stays here."""
        self._body.used = False
        return self._body

    def cancel(self):
        """It goes nowhere."""
        self._body.cancel()
