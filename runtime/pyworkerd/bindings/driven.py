"""Capabilities that are asked without a task (`dispatch.channels.Asked`): coroutines that wait for nothing but futures.

A call of a store waits once, for a thread of the storage. A task for it begins in the loop's next turn, and ends in two
more. Here the coroutine runs at once until it waits, and goes on when what it waits for is there.

What is driven like this must not ask which task it is: no `asyncio.timeout`, no body that somebody else sends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pyworkerd.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from pyworkerd.dispatch.channels import FetchReply
    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import CallReply, Pending


class Driven:
    """A capability whose `call` and `fetch` are driven. To be derived from."""

    __slots__ = ()

    def ask(self, method: str, arguments: bytes, context: Context, reply: CallReply) -> Pending:
        """See `channels.Asked`."""
        return Driver(self.call(method, arguments), context, reply)

    def ask_fetch(
        self, request: Request, redirect: str, context: Context, reply: FetchReply
    ) -> Pending | None:
        """See `channels.Asked`: not for a body that is still on its way."""
        if request.body.data is None:
            return None
        return Driver(self.fetch(request, redirect), context, reply)

    async def call(self, method: str, arguments: bytes) -> bytes:
        """See `channels.Capability`."""
        raise NotImplementedError

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        """See `channels.Capability`."""
        raise NotImplementedError


class Driver:
    """Runs a coroutine in a context. `reply` takes its result or exception, perhaps before this is made."""

    __slots__ = ("_cancelled", "_context", "_reply", "_waits_for", "_work")

    def __init__(
        self, work: Coroutine[Any, Any, Any], context: Context, reply: Callable[[Any, Exception | None], None]
    ) -> None:
        self._work = work
        self._context = context.copy()  # calls of one invocation take turns, and may begin within each other
        self._reply: Callable[[Any, Exception | None], None] | None = reply
        self._waits_for: asyncio.Future[Any] | None = None
        self._cancelled = False
        """It has to hear so itself, since what it waited for was there already."""
        self._go_on()

    def _go_on(self, _: object = None) -> None:
        cancelled, self._cancelled = self._cancelled, False
        try:
            if cancelled:
                self._waits_for = self._context.run(self._work.throw, asyncio.CancelledError())
            else:
                self._waits_for = self._context.run(self._work.send, None)
        except StopIteration as stop:
            self._end(stop.value, None)
        except asyncio.CancelledError:
            self._end(None, StorageError("what was asked for was cancelled"))
        except Exception as error:  # noqa: BLE001 - it is the outcome
            self._end(None, error)
        else:
            if self._waits_for is None:  # `asyncio.sleep(0)`: it lets others go first
                asyncio.get_running_loop().call_soon(self._go_on)
            else:
                self._waits_for.add_done_callback(self._go_on)

    def _end(self, result: Any, error: Exception | None) -> None:
        reply, self._reply, self._waits_for = self._reply, None, None
        if reply is not None:
            reply(result, error)

    def done(self) -> bool:
        """See `services.base.Pending`."""
        return self._reply is None

    def cancel(self) -> None:
        """See `services.base.Pending`. The coroutine is cancelled where it waits, and may clean up."""
        if self._reply is not None:
            self._reply = None
            self._cancelled = self._waits_for is None or not self._waits_for.cancel()
