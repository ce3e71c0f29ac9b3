"""Stubs and streams on their way from one program to another: references to what somebody lends, beside the value that
names them.

A value that names stubs is bytes like any other to all who pass it on. It counts as a holder of each: whoever has it
last lets go of them (`release`), and whoever it is for takes them for itself before that.

Rule 1: what is lent is given back when its last holder lets go of it; nothing waits for a garbage collector.
Rule 2: a stub that nobody answers for any more raises `BrokenStub`, whoever asks.
Rule 3: a stream has one reader, the first who takes it. What nobody takes is closed, so that its sender hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, Protocol, Self

from pyworkerd.errors import BadEffect, BrokenStub, UpstreamError
from pyworkerd.messages import Body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import Context

    from pyworkerd.observe.scope import Scope

    from .base import CallReply, Pending


class Loan(Protocol):
    """What a stub leads to: an object or a function that an isolate lends, or the program around the runtime."""

    def take(self) -> None:
        """There is one more holder."""

    def give_back(self) -> None:
        """There is one less. With the last one, the lender gets it back."""

    def ask(
        self, method: str, reads: bool, arguments: bytes, span: Scope, context: Context, reply: CallReply
    ) -> Pending:
        """Call a method ("": what is lent itself), or read a property. See `services.base.Asks`.

        Raises `BrokenStub` where it has gone.
        """


class Flow:
    """A body that streams, beside the value that names it. Implements `Loan`. `close` is called with the body if nobody
    took it; `Body.aclose` has to be awaited, which no holder can.
    """

    __slots__ = ("_body", "_close", "_holders", "length")

    def __init__(self, body: Body, close: Callable[[Body], object]) -> None:
        self._body: Body | None = body
        self._close = close
        self._holders = 0
        self.length = body.length

    def take(self) -> None:
        """See `Loan`."""
        self._holders += 1

    def give_back(self) -> None:
        """See `Loan`."""
        self._holders -= 1
        if not self._holders and self._body is not None:
            self._close(self.claim())

    def claim(self) -> Body:
        """The body, for its reader: a broken one if somebody has it already."""
        body, self._body = self._body, None
        return Body(chunks=_Taken()) if body is None else body

    def ask(self, *_: object) -> Pending:
        """Refused: a stream is read, not called."""
        raise BadEffect("a stream cannot be called")


_closing: Final[set[asyncio.Task[None]]] = set()


def close(body: Body) -> None:
    """Nobody reads this body: close it in a task of its own."""
    task = asyncio.get_running_loop().create_task(body.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


class _Taken(AsyncIterator[bytes]):
    async def __anext__(self) -> bytes:
        raise UpstreamError("this stream was given to somebody else")


class Carried(bytes):
    """An encoded value with the loans that it names, each of which it holds."""

    stubs: tuple[Loan, ...] = ()

    @classmethod
    def of(cls, value: bytes, stubs: Iterable[Loan]) -> Self:
        """This value, as a holder of these."""
        made = cls(value)
        made.stubs = tuple(stubs)
        for loan in made.stubs:
            loan.take()
        return made

    def release(self) -> None:
        """Nobody will take them from here any more. Harmless when called again."""
        stubs, self.stubs = self.stubs, ()
        for loan in stubs:
            loan.give_back()


def release(value: object) -> None:
    """Let go of the stubs of a value, if it has any."""
    if type(value) is Carried:
        value.release()


def gone() -> BrokenStub:
    """What is said of a loan that nobody answers for."""
    return BrokenStub(
        "what this stub leads to is gone: its isolate, or the request that made it, has ended, or nobody has used it "
        "for as long as the worker's limits.wall_ms"
    )
