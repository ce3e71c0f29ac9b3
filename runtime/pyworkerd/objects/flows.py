"""Streams in values between two processes: whoever reads one asks the other side for each piece (`relay`).

A piece is an answer like any other, so a reader that does not ask is sent nothing, and what ends the connection ends
the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from pyworkerd.errors import BadEffect, BrokenStub, InternalError, PyworkerdError, UpstreamError
from pyworkerd.observe.scope import begin, scope
from pyworkerd.services.stubs import close

from .framing import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import CallReply, Pending
    from pyworkerd.services.stubs import Flow, Loan

logger = logging.getLogger("pyworkerd.objects")


class _Reading:
    """A piece that is on its way. See `services.base.Pending`."""

    def __init__(self, task: asyncio.Task[bytes], reply: CallReply) -> None:
        self._task, self._reply = task, reply
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[bytes]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._reply(task.result(), None)
        elif isinstance(error, PyworkerdError):
            self._reply(None, error)
        else:  # a body may be any program's iterator
            logger.error("a body that another process reads failed", exc_info=error)
            self._reply(None, InternalError("the sender of this body broke off"))

    def done(self) -> bool:
        """Whether it is there."""
        return self._task.done()

    def cancel(self) -> None:
        """Its reader has gone."""
        self._task.cancel()


class Sent:
    """A stream for the other side: each call of it is answered with the next piece, b"" at the end. Implements
    `services.stubs.Loan`."""

    def __init__(self, flow: Flow) -> None:
        self._body = flow.claim()
        self._chunks = aiter(self._body)
        self._rest = memoryview(b"")
        self._reading: _Reading | None = None

    def take(self) -> None:
        """See `Loan`. The other side is the only holder."""

    def give_back(self) -> None:
        """See `Loan`."""
        if self._reading is not None:
            self._reading.cancel()
        close(self._body)

    def ask(
        self, method: str, reads: bool, arguments: bytes, span: Scope, context: Context, reply: CallReply
    ) -> _Reading:
        """See `Loan`."""
        del method, reads, arguments, span
        if self._reading is not None and not self._reading.done():
            raise BadEffect("two readers wait for the same body")
        self._reading = _Reading(asyncio.get_running_loop().create_task(self._next(), context=context), reply)
        return self._reading

    async def _next(self) -> bytes:
        while not self._rest:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        piece, self._rest = bytes(self._rest[:PIECE]), self._rest[PIECE:]
        return piece


class Received(AsyncIterator[bytes]):
    """The pieces of a stream of the other side. It is let go of at the end, when it is closed, or forgotten."""

    def __init__(self, loan: Loan) -> None:
        self._loan: Loan | None = loan
        self._answer: asyncio.Future[bytes] | None = None
        """Whoever reads waits for it."""
        self._loop = asyncio.get_running_loop()
        loan.take()

    async def __anext__(self) -> bytes:
        if self._loan is None:
            raise StopAsyncIteration
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answer = answer
        context = copy_context()
        span = scope.get() or begin()[0]
        pending: Pending | None = None
        try:
            pending = self._loan.ask("", False, b"", span, context, partial(_settle, answer))
            piece = await answer
        except BaseException as error:
            if pending is not None:
                pending.cancel()
            await self.aclose()
            if isinstance(error, BrokenStub):
                raise UpstreamError("the process of the sender ended before this body was complete") from None
            raise
        if not piece:
            await self.aclose()
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Read no more; who reads is told. Harmless when called again."""
        loan, self._loan = self._loan, None
        if loan is not None:
            loan.give_back()
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(UpstreamError("this body was closed"))

    def __del__(self) -> None:
        if self._loan is not None:
            let_go: Callable[[], None] = self._loan.give_back
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the connection
                self._loop.call_soon_threadsafe(let_go)


def _settle(answer: asyncio.Future[bytes], value: bytes | None, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(value or b"")
