"""What somebody on an event loop waits for who has handed something to a thread.

With an asyncio.Future, who waits goes on in the loop's next turn but one: one turn for what the thread had to say, one
for the callbacks. With this it goes on in the first. It is as much of a future as a task needs (asyncio, "Extending",
`_asyncio_future_blocking`) and no more: it is awaited once, by one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context


class Answer:
    """Made and used on one event loop. `result` and `error` exclude each other."""

    __slots__ = (
        "_asyncio_future_blocking",
        "_cancelled",
        "_context",
        "_done",
        "_error",
        "_loop",
        "_result",
        "_told",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._done = self._cancelled = False
        self._result: Any = None
        self._error: Exception | None = None
        self._told: Callable[[Any], object] | None = None
        self._context: Context | None = None

    def __await__(self) -> Generator[Answer, None, Any]:
        """What was set. Raises what was set as an error; CancelledError."""
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Tasks look whether it is theirs."""
        return self._loop

    def add_done_callback(self, told: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Call this when it is done, in this context."""
        assert self._told is None, "it is awaited by one"
        self._told, self._context = told, context
        if self._done:
            self._loop.call_soon(self._tell)

    def done(self) -> bool:
        """Whether there is anything to wait for."""
        return self._done

    def result(self) -> Any:
        """What was set. Raises what was set as an error; CancelledError. Once, and only when it is done."""
        assert self._done, "it is asked when it is done"
        if self._cancelled:
            raise asyncio.CancelledError
        error, self._error = self._error, None  # it holds with its traceback whoever waits
        if error is not None:
            raise error
        return self._result

    def cancel(self, msg: object = None) -> bool:
        """Nobody waits for it any more; who did hears so in the loop's next turn. Whether it was not done before."""
        del msg
        if self._done:
            return False
        self._done = self._cancelled = True
        self._loop.call_soon(self._tell)
        return True

    def set(self, outcome: Any) -> None:
        """Give the outcome, an exception to be raised or anything else. Who waits goes on before this returns; nobody
        does if it was cancelled. From a callback of the loop, not within a task."""
        if self._done:
            return
        self._done = True
        if isinstance(outcome, Exception):
            self._error = outcome
        else:
            self._result = outcome
        self._tell()

    def _tell(self) -> None:
        told, self._told = self._told, None
        if told is None:
            return
        if self._context is None:
            told(self)
        else:
            self._context.run(told, self)
