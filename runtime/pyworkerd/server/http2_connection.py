"""One HTTP/2 connection: frames from the transport to its streams, theirs back to it.

Rule 1. As many handlers at once as `http2_streams`, counted until they have ended: a stream that was reset still costs.
Rule 2. Nothing grows without bound: what a client may send is what it has room for, nothing is read while it does not
        take what is written, and frames are looked at in portions that other connections get their turn between.
Rule 3. A connection that ends in good order says so (GOAWAY) and finishes what has begun.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from h2.errors import ErrorCodes

from pyworkerd.http import BodyData, EndOfRequest, RequestHead
from pyworkerd.http.http2 import ConnectionBroken, Http2, Leaving, Refused, Reset, Room

from .deadlines import Deadlines
from .http2_stream import Stream
from .outgoing import Outgoing

if TYPE_CHECKING:
    from pyworkerd.http.http2 import Happening

    from .origin import Origin
    from .shared import Shared

logger: Final = logging.getLogger("pyworkerd.server")


class Http2Connection(asyncio.Protocol):
    """Made when a TLS handshake has agreed on `h2`."""

    def __init__(self, shared: Shared, origin: Origin, wire: asyncio.Transport | None = None) -> None:
        self.shared = shared
        self.origin = origin
        self._deadlines = Deadlines(shared.loop, self._reading_took_too_long, self._writing_took_long)
        self.out = Outgoing(shared, self._deadlines, wire)
        options = shared.options
        self.session = Http2(
            options.limits, options.http2_streams, options.request_buffer, shared.loop.time()
        )
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._streams: dict[int, Stream] = {}
        self._begun = 0
        self._last: int | None = None
        """After GOAWAY: the last stream that is served."""
        self._closed = False
        self._gone = False
        self._paused = False
        self._later = False

    # the transport's calls ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn the client away at the limit."""
        shared = self.shared
        self._transport = self.out.transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=shared.options.response_buffer)
        crowded = len(shared.connections) >= shared.options.max_connections
        shared.counters.accepted += 1
        shared.join(self)
        self._deadlines.set_read(shared.options.header_timeout)
        if crowded or shared.draining:
            shared.counters.refused += crowded
            self.begin_drain()
        else:
            self.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self.shared.counters.received += len(data)
        if not self._closed:
            self.session.feed(data)
            self._look()

    def eof_received(self) -> bool | None:
        """A client that sends no more has left; the transport closes after this."""
        self._disconnect()
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """The connection is gone, by whoever's hand."""
        self._gone = True
        self._disconnect()
        self._deadlines.stop()
        self.out.go_on()
        self._leave()

    def pause_writing(self) -> None:
        """More than `response_buffer` waits in the transport."""
        self.out.pause()
        self._adjust_reading()

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.out.go_on()
        self._adjust_reading()

    # the server's calls ---------------------------------------------------------------------------------

    def begin_drain(self) -> None:
        """See `Member`: GOAWAY, then the end when what has begun is finished."""
        if self._last is None and not self._closed:
            self._last = self.session.go_away()
            self.flush()
            self._close_if_done()

    def cancel(self) -> None:
        """See `Member`."""
        if not self._streams:
            self.abort()
        for stream in tuple(self._streams.values()):
            stream.cancel()

    def abort(self) -> None:
        """See `Member`."""
        self._transport.abort()

    # frames ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look at one portion of what has come; the rest waits for its turn."""
        if self._later or self._closed:
            return
        try:
            found = self.session.happenings(self.shared.loop.time())
        except ConnectionBroken as error:
            self._break(error)
            return
        for number, happening in found or ():
            self._take(number, happening)
        self.flush()
        if found is not None and self.session.buffered:
            self._later = True
            self.shared.loop.call_soon(self._look_again)
        self._adjust_reading()

    def _look_again(self) -> None:
        self._later = False
        self._look()

    def _take(self, number: int, happening: Happening) -> None:
        if self._closed:
            return
        stream = self._streams.get(number)
        if type(happening) is Room:
            self._make_room()
        elif stream is None and isinstance(happening, RequestHead | Refused):
            self._begin(number, happening)
        elif type(happening) is Leaving:
            self.begin_drain()
        elif stream is None:
            if type(happening) is BodyData:
                self.give_back(number, len(happening.data))
        elif type(happening) is BodyData:
            stream.feed(happening.data)
        elif type(happening) is EndOfRequest:
            stream.finish()
        elif type(happening) is Refused:
            stream.break_off(happening.error)
        elif type(happening) is Reset:
            stream.leave()

    def _begin(self, number: int, happening: RequestHead | Refused) -> None:
        options = self.shared.options
        late = self._last is not None and number > self._last
        if late or len(self._streams) >= options.http2_streams:
            # Section 8.7: the client may safely try again.
            self.session.reset(number, ErrorCodes.REFUSED_STREAM)
            return
        self._deadlines.read = None
        stream = self._streams[number] = Stream(self, number, self.origin.info)
        self._begun += 1
        if isinstance(happening, Refused):
            stream.refuse(happening.error)
        else:
            stream.begin(happening)
        if self._begun >= options.http2_requests:
            self.begin_drain()

    def _make_room(self) -> None:
        for stream in self._streams.values():
            if stream.room is not None and not stream.room.done():
                stream.room.set_result(None)

    def _break(self, error: ConnectionBroken) -> None:
        """The client broke the protocol: GOAWAY says so, and nothing else follows."""
        self.shared.counters.client_errors += 1
        logger.debug("an HTTP/2 connection was ended: %s", error)
        self.flush()
        for stream in tuple(self._streams.values()):
            stream.leave()
        self._close()

    def give_back(self, number: int, size: int) -> None:
        """So much of a stream's body need not be held any more."""
        if not self._closed:
            self.session.consumed(number, size)
            self.flush()

    def flush(self) -> None:
        """Send what the session has to say."""
        data = self.session.output()
        if data and not self._closed:
            self.shared.counters.sent += len(data)
            self._transport.write(data)
            counters = self.shared.counters
            counters.peak_response_buffer = max(counters.peak_response_buffer, self.out.unsent())

    def ended(self, number: int) -> None:
        """A stream is over, and its handler."""
        self._streams.pop(number, None)
        if self._gone:
            self._leave()
        elif not self._streams and not self._closed:
            self._deadlines.set_read(self.shared.options.idle_timeout)
            self._close_if_done()

    def _adjust_reading(self) -> None:
        """Read nothing while the client does not take what is written for it, or a portion waits for its turn."""
        pause = self.out.full is not None or self._later
        if pause != self._paused and not self._gone and not self._closed:
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()

    # the end --------------------------------------------------------------------------------------------

    def _close_if_done(self) -> None:
        if self._last is not None and not self._streams:
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._deadlines.read = None
            self._transport.close()
            self.out.end()

    def _disconnect(self) -> None:
        if not self._closed:
            self._closed = True
            if not self._gone:
                self.out.end()
        for stream in tuple(self._streams.values()):
            stream.leave()

    def _leave(self) -> None:
        if self._gone and not self._streams:
            self.shared.leave(self)

    # time -----------------------------------------------------------------------------------------------

    def _reading_took_too_long(self) -> None:
        """No stream is open, and none was opened in time."""
        if not self._streams:
            if self.session.in_head:
                self.shared.counters.timeouts += 1
            self.begin_drain()

    def _writing_took_long(self) -> None:
        self.out.took_long()
