"""One HTTP/1.1 connection: events from the parser to the handler, its response back to the transport.

Rule 1. One request at a time. The next one is parsed when the response before it has been written.
Rule 2. Nothing grows without bound: reading pauses above `request_buffer`, a streamed response waits for the
        transport.
Rule 3. A response that cannot be completed ends with a reset, never with something that looks complete.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

from pyworkerd.errors import (
    BadEffect,
    BadRequest,
    ClientError,
    InternalError,
    Misdirected,
    Overloaded,
    RequestTimeout,
)
from pyworkerd.http import BodyData, EndOfRequest, Event, RequestHead
from pyworkerd.http.events import END_OF_REQUEST
from pyworkerd.http.writer import CONTINUE, EXCHANGES, Framing, encode_body
from pyworkerd.messages import NO_BODY, Body, Request, Response
from pyworkerd.observe.families import CANCELLED
from pyworkerd.observe.scope import start

from .deadlines import Deadlines
from .failures import answer, code_of, log_failure, plain_answer
from .handling import Handling, enter
from .info import ConnectionInfo, describe
from .origin import Origin
from .outgoing import Outgoing
from .phase import Phase
from .record import Record
from .request_body import RequestBody

if TYPE_CHECKING:
    from .shared import Shared


# Module names, because looking up an enum's member costs more than the comparison.
_WAITING: Final = Phase.WAITING
_BUSY: Final = Phase.BUSY
_DISCARDING: Final = Phase.DISCARDING
_LINGERING: Final = Phase.LINGERING
_CLOSED: Final = Phase.CLOSED

_TURN: Final = 32
"""Pipelined requests served before other connections get their turn. Our own figure: about half a millisecond."""
_HTTP_1_1: Final = EXCHANGES[False, True]


class Connection(asyncio.Protocol):
    """Made by the listening socket for each client."""

    __slots__ = (
        "_answering", "_deadlines", "_discarded", "_exchange", "_given", "_gone", "_handling", "_heading", "_info",
        "_keep_alive", "_origin", "_out", "_parser", "_phase", "_postponed", "_reading_paused", "_record",
        "_request_complete", "_serving", "_shared", "_stream", "_transport", "_wants_continue",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, origin: Origin | None = None, wire: asyncio.Transport | None = None
    ) -> None:
        """`origin`: who the client is, if not the peer. `wire`: the transport below TLS."""
        self._shared = shared
        self._parser = shared.new_parser(shared.options.limits)
        self._phase = _WAITING
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._given = origin
        self._origin: Origin = cast("Origin", origin)
        self._info: ConnectionInfo = cast("ConnectionInfo", None)
        self._record = Record()
        self._answering = shared.answering
        self._handling = Handling(shared, self._replied)
        self._stream: RequestBody | None = None
        self._postponed: list[Event] | None = None
        self._exchange = _HTTP_1_1
        self._keep_alive = self._request_complete = True
        self._wants_continue = False
        self._serving = False
        self._heading = False  # a part of a head has come, and the rest has a deadline
        self._gone = self._reading_paused = False
        self._discarded = 0
        self._deadlines = Deadlines(shared.loop, self._reading_took_too_long, self._writing_took_long)
        self._out = Outgoing(shared, self._deadlines, wire)

    # The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn the client away at the limit."""
        shared = self._shared
        self._transport = self._out.transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=shared.options.response_buffer)
        if self._given is None:
            self._origin = Origin(describe(self._transport), shared.edge.trust)
        self._info = self._origin.info
        peer = self._info.peer
        crowded, overrun = shared.crowded(peer), shared.crowded(peer, 2)
        shared.counters.accepted += 1
        shared.join(self, peer)
        if overrun:
            # Even polite refusals are held open for a while, so they have a limit of their own.
            shared.counters.refused += 1
            self.abort()
        elif crowded:
            shared.counters.refused += 1
            self._refuse(Overloaded("too many connections"))
        elif shared.draining:
            self.begin_drain()  # it was accepted before: its client knows nothing of the end
        else:
            self._deadlines.set_read(shared.options.header_timeout)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._shared.counters.received += len(data)
        phase = self._phase
        if phase is _LINGERING or phase is _CLOSED:
            self._discard(len(data))
            return
        if phase is _WAITING:
            try:
                events = self._parser.receive(data)
            except ClientError as error:
                self._refuse(error)
                return
            if events:
                self._serve_all(events)
                if self._parser.buffered and self._phase is _BUSY:
                    self._adjust_reading()
            elif not self._heading:
                self._heading = True
                self._deadlines.set_read(self._shared.options.header_timeout)
            return
        if self._parser.error is None:
            try:
                self._take_body(self._parser.receive(data))
            except ClientError as error:
                if self._postponed is None:
                    self._break_body(error)
        if phase is _DISCARDING:
            self._discard(len(data))
        else:
            self._adjust_reading()

    def eof_received(self) -> bool | None:
        """A client that sends no more has left, as nginx and hyper see it; the transport closes after this."""
        self._disconnect()
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """The connection is gone, by whoever's hand."""
        self._gone = True
        self._disconnect()
        self._deadlines.stop()
        self.resume_writing()
        self._leave()

    def pause_writing(self) -> None:
        """More than `response_buffer` waits in the transport."""
        self._out.pause()

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._out.go_on()

    # The server's calls

    def begin_drain(self) -> None:
        """No request after this one; if there is none, close as soon as it is clear that none is on its way."""
        if self._phase is _WAITING and self._parser.is_idle:
            self._deadlines.set_read(self._shared.patience)

    def cancel(self) -> None:
        """Cancel the handler; whatever has no handler is closed."""
        if not self._handling.cancel():
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._out.abort(incomplete=self._phase is _BUSY)

    # Requests

    def _serve_all(self, events: list[Event]) -> None:
        """Serve requests as long as their handlers do not wait; a suspended one calls this again when it ends."""
        self._serving = True
        for _ in range(_TURN):
            self._begin(events)
            # Only a handler that is done leaves the phase at WAITING.
            if self._phase is not _WAITING:
                break
            events = self._next_events()
            if not events:
                break
        else:
            self._begin_later(events)
        self._serving = False

    def _begin_later(self, events: list[Event]) -> None:
        self._phase = _BUSY
        self._postponed = events
        self._shared.loop.call_soon(self._begin_now)

    def _begin_now(self) -> None:
        events, self._postponed = self._postponed, None
        if self._phase is _BUSY and events is not None:
            self._serve_all(events)

    def _go_on(self) -> None:
        events = self._next_events()
        if events:
            self._serve_all(events)

    def _next_events(self) -> list[Event]:
        try:
            events = self._parser.next_request()
        except ClientError as error:
            self._refuse(error)
            return []
        if not events:
            shared = self._shared
            if not self._parser.is_idle:
                self._heading = True
                self._deadlines.set_read(shared.options.header_timeout)
            elif shared.draining:
                # The head of a response that was streamed said that there may be another request.
                self._deadlines.set_read(shared.patience)
            else:
                self._deadlines.set_read(shared.options.idle_timeout)
        if self._reading_paused:
            self._adjust_reading(for_head=not events)
        return events

    def _begin(self, events: list[Event]) -> None:
        head: RequestHead = events[0]  # type: ignore[assignment]
        shared = self._shared
        self._phase, self._heading = _BUSY, False
        self._keep_alive = head.keep_alive
        try:
            url, headers, self._info, trace = self._origin.read(head)
        except Misdirected as error:
            self._refuse(error)
            return
        method, version = head.method, head.version
        span = start(trace)
        self._record.begin(span, version)
        plain = version == "1.1" and method != "HEAD"
        self._exchange = _HTTP_1_1 if plain else EXCHANGES[method == "HEAD", version == "1.1"]
        if len(events) == 2 and events[1] is END_OF_REQUEST:
            self._request_complete = True
            self._deadlines.read = None
            body = NO_BODY
        else:
            body = self._body(head, events)
        shared.counters.requests += 1
        answering = self._answering = shared.answering
        answering.active += 1
        request = self._record.request = Request(method, url, headers, body)
        asked = answering.ask and self._handling.ask(answering.ask, request, self._info, span)
        if not asked:
            self._handling.run(self._serve(request))

    def _replied(self, response: Response | None, error: Exception | None) -> None:
        """The answer to what was asked. What has to be waited for then, is in a task."""
        request: Request = self._record.request  # type: ignore[assignment]
        if response is None:
            self._fail(request, error or InternalError("no answer"))
        elif response.web_socket is None and response.body.data is not None:
            try:
                self._write_whole(response, response.body.data)
            except BadEffect as refused:
                self._fail(request, refused)
        else:
            self._handling.run(self._serve(request, response))
            return
        if self._out.full is not None and not self._gone:
            self._handling.run(self._settle())
            return
        # Whoever replies is in the middle of something: the next request is begun in a turn of its own.
        serving, self._serving = self._serving, True
        self._end()
        self._serving = serving
        if self._phase is _WAITING and not serving and (events := self._next_events()):
            self._begin_later(events)

    def _body(self, head: RequestHead, events: list[Event]) -> Body:
        """In hand if it is complete and small, otherwise a stream."""
        self._request_complete = type(events[-1]) is EndOfRequest
        if self._request_complete:
            self._deadlines.read = None
            pieces = [event.data for event in events[1:] if type(event) is BodyData]
            if sum(map(len, pieces)) <= self._shared.options.request_buffer:
                return Body(b"".join(pieces))
        else:
            self._deadlines.set_read(self._shared.options.body_timeout)
        stream = RequestBody(self._body_wanted, self._adjust_reading)
        self._stream = stream
        self._wants_continue = head.expect_continue and len(events) == 1
        self._take_body(events[1:])
        self._adjust_reading()
        return Body(chunks=stream, length=head.body_length)

    def _take_body(self, events: list[Event]) -> None:
        """More of the body of the request that is being served, or soon will be."""
        if self._postponed is not None:
            self._postponed += events
            return
        stream = self._stream
        for event in events:
            if type(event) is BodyData:
                self._wants_continue = False
                if stream is not None:
                    stream.feed(event.data)
            elif type(event) is EndOfRequest:
                self._request_complete = True
                self._deadlines.read = None
                if stream is not None:
                    stream.finish()
        if self._parser.error is not None:
            self._break_body(self._parser.error)

    def _break_body(self, error: ClientError) -> None:
        self._shared.counters.client_errors += 1
        self._keep_alive = False
        self._deadlines.read = None
        if self._stream is not None:
            self._stream.fail(error)

    def _body_wanted(self) -> None:
        """The handler waits for a body: RFC 9110 section 10.1.1, unless the final answer has begun."""
        if self._wants_continue and not self._record.status:
            self._wants_continue = False
            self._send(CONTINUE)

    def _adjust_reading(self, *, for_head: bool = False) -> None:
        """Read if there is room for more, and time the client only while we do. A head has limits of its own."""
        options, stream, counters = self._shared.options, self._stream, self._shared.counters
        held = self._parser.buffered + (stream.size if stream is not None else 0)
        counters.peak_request_buffer = max(counters.peak_request_buffer, held)
        unwanted = stream is not None and stream.is_closed and self._phase is _BUSY
        broken = self._parser.error is not None and self._phase is _BUSY
        full = held > options.request_buffer and not for_head
        pause = full or broken or (unwanted and not self._request_complete)
        if self._gone or self._phase is _CLOSED:
            return
        if pause != self._reading_paused:
            self._reading_paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()
        if self._phase is _BUSY and not self._request_complete and self._parser.error is None:
            if pause:
                self._deadlines.read = None
            else:
                self._deadlines.set_read(options.body_timeout)

    # Responses

    async def _serve(self, request: Request, response: Response | None = None) -> None:
        enter(self._info, self._record.scope)
        try:
            if response is None:
                response = await self._answering.handler(request)
            body = response.body
            if response.web_socket is not None:
                await self._switch(request, response)
            elif body.data is not None:
                self._write_whole(response, body.data)
            else:
                await self._write_stream(response)
        except asyncio.CancelledError:
            self._fail(request, self._handling.reason_of_cancelling())
        except Exception as error:  # noqa: BLE001 - the border: whatever a handler raises becomes an answer
            self._fail(request, error)
        await self._settle()

    async def _settle(self) -> None:
        """Also what has been written at once has to leave before the next response joins it."""
        if self._out.full is not None and not self._gone:
            try:
                await self._out.full
            except asyncio.CancelledError:
                self.abort()
        self._end()

    async def _switch(self, request: Request, response: Response) -> None:
        """Hand the connection over to the WebSocket protocol: its life goes on there."""
        from .upgrade import prepare  # noqa: PLC0415 (start-up time)

        shared = self._shared
        head, take_over = await prepare(request, response, shared, self._record.scope.request_id)
        if self._phase is not _BUSY:
            await response.aclose()
            return
        self._phase = _CLOSED
        self._deadlines.stop()
        self._gone = True
        self._record.status = 101
        self._send(head)
        take_over(self._transport, self._parser.take_rest())

    def _write_whole(self, response: Response, data: bytes) -> None:
        if self._phase is not _BUSY:
            return
        head, framing, _ = self._encode(response, len(data))
        self._send(head + data if framing is not Framing.NONE else head)

    def _send(self, data: bytes) -> None:
        self._record.sent += len(data)
        self._shared.counters.sent += len(data)
        self._transport.write(data)

    def _encode(self, response: Response, length: int | None) -> tuple[bytes, Framing, int | None]:
        """The response's head; from here on the response has begun."""
        shared, record, status = self._shared, self._record, response.status
        # A connection can outlive a request that is answered before all of it has come, if more of it may come.
        if shared.draining or (
            not self._request_complete and (self._wants_continue or self._parser.error is not None)
        ):
            self._keep_alive = False
        encoded = shared.heads.encode(
            record.scope, status, response.headers, length, self._exchange, self._keep_alive, shared.date()
        )
        if encoded[1] is Framing.CLOSE:
            self._keep_alive = False
        record.status = status
        return encoded

    async def _write_stream(self, response: Response) -> None:
        body = response.body
        try:
            if self._phase is not _BUSY:
                return
            if self._stream is not None and not self._stream.is_closed:
                # The response may be made of the request's body: ask for it while an interim answer is possible.
                self._body_wanted()
            head, framing, promised = self._encode(response, body.length)
            self._send(head)
            if framing is not Framing.NONE:
                await self._write_chunks(body, framing, promised)
        finally:
            await body.aclose()

    async def _write_chunks(self, body: Body, framing: Framing, promised: int | None) -> None:
        counters = self._shared.counters
        async with aclosing(encode_body(body, framing, promised)) as pieces:
            async for piece in pieces:
                self._send(piece)
                if self._out.has_to_wait(len(piece)):
                    await asyncio.sleep(0)
                counters.peak_response_buffer = max(counters.peak_response_buffer, self._out.unsent())
                if self._out.full is not None:
                    await self._out.full
                if self._phase is not _BUSY:
                    return

    def _fail(self, request: Request | None, error: Exception) -> None:
        """Answer with the failure, or reset where an answer has begun already."""
        shared = self._shared
        if self._stream is not None and self._stream.raised is not None:
            error = self._stream.raised  # whatever the handler made of it
        self._record.error = CANCELLED if self._phase is _CLOSED else code_of(error)
        if self._phase is _CLOSED and isinstance(error, (Overloaded, ClientError)):
            return
        # A body that broke is counted as the client's fault already, even where the handler passes it on.
        shared.counters.handler_errors += not isinstance(error, ClientError)
        log_failure(error, request)
        if self._phase is not _BUSY:
            return
        if self._record.status:
            self.abort()
            return
        try:
            response = answer(error, request, shared.options.error_page)
            self._write_whole(response, response.body.data or b"")
        except BadEffect:
            response = plain_answer(error)
            self._write_whole(response, response.body.data or b"")

    def _end(self) -> None:
        """The response is written: go on, or close."""
        self._answering.end()
        self._handling.over()
        stream, self._stream = self._stream, None
        self._shared.log(self._record, self._info, stream)
        if stream is not None:
            stream.close()
        if self._gone:
            self._leave()
        if self._phase is not _BUSY:
            return
        if not self._request_complete:
            self._outlast_request()
        elif not self._keep_alive:
            # RFC 9112 section 9.6: closing with bytes of the client's unread takes back what is on its way to it.
            (self._linger if self._parser.buffered else self._close)()
        else:
            self._phase = _WAITING
            if not self._serving:
                self._go_on()

    def _outlast_request(self) -> None:
        """The request is still arriving. Take a bounded part of it, for the connection's or the answer's sake."""
        self._discarded = 0
        if self._keep_alive:
            self._phase = _DISCARDING
            self._deadlines.set_read(self._shared.options.linger_timeout)
            self._adjust_reading()
        else:
            self._linger()

    # Endings

    def _refuse(self, error: Exception) -> None:
        """Answer a request that no handler will see, and close."""
        if isinstance(error, ClientError):
            self._shared.counters.client_errors += 1
        self._phase = _BUSY
        self._exchange = _HTTP_1_1
        self._keep_alive = False
        self._record.begin(start())
        self._record.error = code_of(error)
        response = plain_answer(error)
        self._write_whole(response, response.body.data or b"")
        self._shared.log(self._record, self._origin.info, None)
        self._linger()

    def _linger(self) -> None:
        """Close our side, and let the client's last bytes run out."""
        self._phase = _LINGERING
        self._discarded = 0
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._deadlines.set_read(self._shared.options.linger_timeout)

    def _discard(self, size: int) -> None:
        """Input that nobody reads: bounded."""
        self._discarded += size
        if self._phase is _DISCARDING and self._request_complete:
            self._phase = _WAITING
            self._go_on()
        elif self._discarded > self._shared.options.discard_bytes or (
            self._phase is _DISCARDING and self._parser.error is not None
        ):
            self._close()

    def _close(self) -> None:
        """Close once everything written has left, or been refused for too long."""
        if self._phase is _CLOSED:
            return
        self._phase = _CLOSED
        self._deadlines.read = None
        self._transport.close()
        self._out.end()

    def _disconnect(self) -> None:
        """The client left: nobody waits for the handler any more. The handler is cancelled once, and may clean up."""
        if self._phase is _CLOSED:
            return
        if self._phase is _BUSY:
            self._shared.counters.disconnects += 1
        self._phase = _CLOSED
        if self._stream is not None:
            self._stream.fail(BadRequest("the client left before its request was complete"))
        if not self._gone:
            self._out.end()
        self._handling.cancel()

    def _leave(self) -> None:
        """Be forgotten once both the transport and the handler are done."""
        if self._gone and self._handling.idle:
            self._shared.leave(self)

    # Time

    def _reading_took_too_long(self) -> None:
        if self._phase is _WAITING and self._parser.is_idle:
            self._close()
            return
        self._shared.counters.timeouts += 1
        if self._phase is _WAITING:
            self._refuse(RequestTimeout("the head did not arrive in time"))
        elif self._phase is _BUSY:
            self._break_body(RequestTimeout("the body did not arrive in time"))
        else:
            self._close()

    def _writing_took_long(self) -> None:
        self._out.took_long()
