"""One request on an HTTP/2 connection: its body in, its handler, its response out as the client makes room."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes

from pyworkerd.errors import BadEffect, BadRequest, ClientError, InternalError, Overloaded, RequestTimeout
from pyworkerd.http.http2 import StreamOver
from pyworkerd.http.writer import Framing, encode_body, response_fields
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.families import CANCELLED
from pyworkerd.observe.scope import scope, start

from .failures import answer, code_of, log_failure, plain_answer
from .info import connection_info
from .record import Record
from .request_body import RequestBody

if TYPE_CHECKING:
    from pyworkerd.http import RequestHead

    from .http2_connection import Http2Connection
    from .info import ConnectionInfo


class Stream:
    """From the head of a request to the end of its response, or to its reset."""

    __slots__ = (
        "_answering",
        "_body",
        "_connection",
        "_given_back",
        "_head_only",
        "_id",
        "_info",
        "_record",
        "_timer",
        "_wants_continue",
        "complete",
        "gone",
        "room",
        "task",
    )

    def __init__(self, connection: Http2Connection, number: int, info: ConnectionInfo) -> None:
        self._connection = connection
        self._id = number
        self._info = info
        self._record = Record()
        self._answering = connection.shared.answering
        self._body: RequestBody | None = None
        self._given_back = 0
        self._head_only = False
        self._wants_continue = False
        self._timer: asyncio.TimerHandle | None = None
        self.complete = False
        """Whether all of the request has come."""
        self.gone = False
        """Whether the client gave up."""
        self.room: asyncio.Future[None] | None = None
        """Done when the client may have made room; None while nobody waits for it."""
        self.task: asyncio.Task[None] | None = None

    # in ------------------------------------------------------------------------------------------------

    def begin(self, head: RequestHead) -> None:
        """Hand the request to the handler."""
        shared = self._connection.shared
        url, headers, self._info, trace = self._connection.origin.read(head)
        self._record.begin(start(trace), head.version)
        self._head_only = head.method == "HEAD"
        body = Body()
        if head.body_length == 0:
            self.complete = True
        else:
            self._body = RequestBody(self._wanted, self._give_back)
            body = Body(chunks=self._body, length=head.body_length)
            self._wants_continue = head.expect_continue
            self._time_body()
        shared.counters.requests += 1
        self._answering.active += 1
        request = self._record.request = Request(head.method, url, headers, body)
        self.task = shared.spawn(self._serve(request))

    def refuse(self, error: ClientError) -> None:
        """Answer a request that no handler will see."""
        shared = self._connection.shared
        shared.counters.client_errors += 1
        self._record.begin(start(), "2")
        self._answering.active += 1
        self.task = shared.spawn(self._answer(error))

    async def _answer(self, error: ClientError) -> None:
        self._record.error = code_of(error)
        try:
            await self._respond(plain_answer(error))
        except asyncio.CancelledError:
            self._reset(ErrorCodes.CANCEL)
        self._end()

    def feed(self, data: bytes) -> None:
        """A piece of the body."""
        self._wants_continue = False
        if self._body is not None:
            self._body.feed(data)
            self._time_body()
        self._give_back()

    def finish(self) -> None:
        """All of the request has come."""
        self.complete = True
        self._stop_timer()
        if self._body is not None:
            self._body.finish()

    def break_off(self, error: ClientError) -> None:
        """No more of the body comes, or may come."""
        self._connection.shared.counters.client_errors += 1
        self._stop_timer()
        if self._body is not None:
            self._body.fail(error)

    def leave(self) -> None:
        """The client gave up: nobody waits for the handler any more."""
        shared = self._connection.shared
        if self.gone:
            return
        self.gone = True
        shared.counters.disconnects += 1
        self._stop_timer()
        if self._body is not None:
            self._body.fail(BadRequest("the client left before its request was complete"))
        self.cancel()

    def cancel(self) -> None:
        """Cancel the handler."""
        if self.task is not None and not self.task.done():
            self._connection.shared.cancel(self.task)

    def _wanted(self) -> None:
        if self._wants_continue and not self._record.status and not self.gone:
            self._wants_continue = False
            with suppress(StreamOver):
                self._connection.session.continue_(self._id)
            self._connection.flush()

    def _give_back(self) -> None:
        """Let the client send as much again as was read, or will never be."""
        body = self._body
        taken = body.received - body.size if body is not None else 0
        if taken > self._given_back:
            self._connection.give_back(self._id, taken - self._given_back)
            self._given_back = taken

    def _time_body(self) -> None:
        """`body_timeout`, while there is room for more of it."""
        self._stop_timer()
        options = self._connection.shared.options
        if self._body is not None and self._body.size < options.request_buffer and not self.complete:
            self._timer = self._connection.shared.loop.call_later(options.body_timeout, self._body_late)

    def _body_late(self) -> None:
        body = self._body
        if body is not None and body.size >= self._connection.shared.options.request_buffer:
            self._time_body()
            return
        self._connection.shared.counters.timeouts += 1
        self.break_off(RequestTimeout("the body did not arrive in time"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # out -----------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> None:
        connection_info.set(self._info)
        scope.set(self._record.scope)
        try:
            response = await self._answering.handler(request)
            if response.web_socket is not None:
                await response.aclose()
                raise BadEffect("the worker answered with a WebSocket, and was asked for none")  # noqa: TRY301
            await self._respond(response)
        except asyncio.CancelledError:
            await self._fail(request, self._reason_of_cancelling())
        except Exception as error:  # noqa: BLE001 - the border: whatever a handler raises becomes an answer
            await self._fail(request, error)
        self._end()

    def _reason_of_cancelling(self) -> Exception:
        task = self.task or asyncio.current_task()
        if task is not None and task.cancelling():
            return Overloaded("the server stops")
        return InternalError("the handler cancelled itself")

    async def _respond(self, response: Response) -> None:
        shared, body = self._connection.shared, response.body
        try:
            if self.gone:
                return
            if body.data is None:
                self._wanted()  # the response may be made of the request's body
            fields, framing, promised = response_fields(
                response.status,
                response.headers,
                body.length,
                head_only=self._head_only,
                date=shared.date(),
                server=shared.options.server_name,
                request_id=self._record.scope.request_id,
            )
            self._record.status = response.status
            bare = framing is Framing.NONE or body.data == b""
            self._connection.session.send_head(self._id, fields, end=bare)
            self._connection.flush()
            if not bare:
                await self._send_body(body, promised)
        except StreamOver:
            self.gone = True
        finally:
            await body.aclose()

    async def _send_body(self, body: Body, promised: int | None) -> None:
        session, connection, ends = self._connection.session, self._connection, False
        async with aclosing(encode_body(body, Framing.CLOSE, promised)) as pieces:
            async for piece in pieces:
                view = memoryview(piece)
                while view:
                    size = await self._wait_for_room()
                    if not size:
                        return
                    ends = body.data is not None and size >= len(view)
                    session.send_data(self._id, bytes(view[:size]), end=ends)
                    self._record.sent += min(size, len(view))
                    view = view[size:]
                    connection.flush()
                    if connection.out.has_to_wait(size):
                        await asyncio.sleep(0)
                    if connection.out.full is not None:
                        # Shared by all streams of the connection: one that is cancelled must not cancel it.
                        await asyncio.shield(connection.out.full)
        if not self.gone and not ends:
            session.send_data(self._id, b"", end=True)
            connection.flush()

    async def _wait_for_room(self) -> int:
        """Bytes that may be sent now; 0 if the client has gone, or has made no room for too long."""
        shared = self._connection.shared
        while not self.gone:
            size = self._connection.session.room(self._id)
            if size:
                return size
            self.room = shared.loop.create_future()
            try:
                async with asyncio.timeout(shared.options.write_timeout):
                    await self.room
            except TimeoutError:
                shared.counters.timeouts += 1
                self._reset(ErrorCodes.CANCEL)
            finally:
                self.room = None
        return 0

    async def _fail(self, request: Request, error: Exception) -> None:
        """Answer with the failure, or reset where an answer has begun already."""
        shared = self._connection.shared
        if self._body is not None and self._body.raised is not None:
            error = self._body.raised  # whatever the handler made of it
        self._record.error = CANCELLED if self.gone else code_of(error)
        if self.gone and isinstance(error, (Overloaded, ClientError)):
            return
        shared.counters.handler_errors += not isinstance(error, ClientError)
        log_failure(error, request)
        if self.gone:
            return
        if self._record.status:
            self._reset(ErrorCodes.INTERNAL_ERROR)
            return
        try:
            try:
                await self._respond(answer(error, request, shared.options.error_page))
            except BadEffect:
                await self._respond(plain_answer(error))
        except asyncio.CancelledError:
            self._reset(ErrorCodes.CANCEL)

    def _reset(self, code: ErrorCodes) -> None:
        if not self.gone:
            self.gone = True
            self._connection.session.reset(self._id, code)
            self._connection.flush()

    def _end(self) -> None:
        """The response is complete, or never will be."""
        self._stop_timer()
        self._answering.end()
        self._connection.shared.log(self._record, self._info, self._body)
        if self._body is not None:
            self._body.close()
            self._give_back()
        if not self.complete and not self.gone:
            # RFC 9113 section 8.1: the answer is complete, and the rest of the request is not needed.
            self._reset(ErrorCodes.NO_ERROR)
        self._connection.ended(self._id)
