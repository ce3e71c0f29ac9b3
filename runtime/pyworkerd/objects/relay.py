"""Stubs between two processes: what one call for an object elsewhere brought to either side, as long as it is there.

The call's own connection carries it: questions, answers and what is let go, both ways. A value's stubs are not named:
both sides count those that cross, in the order in which they do. With the value goes what each is: None for a stub, for
a stream its length in a list.

Rule 1: what is lent across counts as held by the relay, until the other side lets go of it or the connection ends.
Rule 2: whoever asked first closes the connection, when the call is answered and nothing is lent either way.
Rule 3: nothing waits for a side that does not read: what it is owed is bounded, and then the connection ends.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pyworkerd_isolates import wire

from pyworkerd.errors import Overloaded, PyworkerdError
from pyworkerd.messages import Body
from pyworkerd.observe.scope import scope
from pyworkerd.services.stubs import Carried, Flow, close, gone, release

from . import flows
from .framing import MOST, receive_head
from .telling import about, enter, made, raised, told

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import CallReply, Pending
    from pyworkerd.services.stubs import Loan

Kind: TypeAlias = list[int | None] | None
UNREAD: Final = 2 * MOST
"""Bytes that one side may be behind."""


class _Remote:
    """What the other side lends. Implements `services.stubs.Loan`."""

    __slots__ = ("_holders", "_number", "_relay")

    def __init__(self, relay: Relay, number: int) -> None:
        self._relay, self._number, self._holders = relay, number, 0

    def take(self) -> None:
        """See `Loan`."""
        self._holders += 1

    def give_back(self) -> None:
        """See `Loan`."""
        self._holders -= 1
        if not self._holders:
            self._relay.drop(self._number)

    def ask(
        self, method: str, reads: bool, arguments: bytes, span: Scope, context: Context, reply: CallReply
    ) -> Pending:
        """See `Loan`."""
        return self._relay.ask(self._number, method, reads, arguments, (span, context), reply)


class _Asked:
    """A question that the other side has not answered. See `services.base.Pending`."""

    __slots__ = ("_number", "_relay")

    def __init__(self, relay: Relay, number: int) -> None:
        self._relay, self._number = relay, number

    def done(self) -> bool:
        """Whether it was answered meanwhile."""
        return self._number not in self._relay.asked

    def cancel(self) -> None:
        """Its caller has gone."""
        self._relay.forget(self._number)


class Relay:
    """One side of it. `answered` is called once with what the call itself returned, or why it did not: on the side that
    made it, which calls `settled` when it has taken that.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answered: CallReply | None = None,
        span: Scope | None = None,
    ) -> None:
        """`span` is what the call is for, on the side that makes it."""
        self._reader, self._writer, self._answered, self._span = reader, writer, answered, span
        self._asks_first = answered is not None
        self._settled = False
        self._lent: dict[int, Loan] = {}
        self._lends, self._borrows, self._asks = count(1), count(1), count(1)
        self._held: set[int] = set()
        self.asked: dict[int, tuple[CallReply, Scope]] = {}
        self._running: dict[int, Pending] = {}
        self._over = False
        self.serving: asyncio.Task[None] | None = None
        """Who performs the call on this side: it is cancelled if the connection ends."""

    @property
    def needed(self) -> bool:
        """Whether there is anything across."""
        return not self._over and bool(self._lent or self._held or self.asked or self._running)

    def lend(self, value: bytes) -> list[Kind]:
        """Let the other side have the stubs of a value that is about to be sent. What each is: nothing, once nothing
        crosses any more."""
        if type(value) is not Carried or self._over:
            return []
        return [self._lend(loan) for loan in value.stubs]

    def _lend(self, loan: Loan) -> Kind:
        kind: Kind = None
        if isinstance(loan, Flow):
            kind, loan = [loan.length], flows.Sent(loan)
        loan.take()
        self._lent[next(self._lends)] = loan
        return kind

    def borrow(self, value: bytes, kinds: list[Kind]) -> bytes:
        """A value that came, with stubs of these kinds. Whoever has it lets go of them."""
        return Carried.of(value, list(map(self._borrow, kinds))) if kinds else value

    def _borrow(self, kind: Kind) -> Loan:
        number = next(self._borrows)
        self._held.add(number)
        loan = _Remote(self, number)
        if kind is None:
            return loan
        return Flow(Body(chunks=flows.Received(loan), length=kind[0]), close)

    def settled(self) -> bool:
        """The call is answered, and what that brought is taken. Whether there is anything across."""
        self._settled = True
        self._close_if_done()
        return not self._over

    # asking ----------------------------------------------------------------------------------------------------------

    def ask(
        self,
        loan: int,
        method: str,
        reads: bool,
        arguments: bytes,
        work_for: tuple[Scope, Context],
        reply: CallReply,
    ) -> Pending:
        """Call what the other side lends. Raises `BrokenStub`."""
        if self._over:
            raise gone()
        number = next(self._asks)
        span, context = work_for
        self.asked[number] = reply, span
        self._write(
            ["ask", number, loan, method, reads, context.run(about, span), self.lend(arguments)], arguments
        )
        return _Asked(self, number)

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        if self.asked.pop(number, None) is not None:
            self._write(["cancel", number])
            self._close_if_done()

    def drop(self, number: int) -> None:
        """Nobody here holds this any more."""
        self._held.discard(number)
        self._write(["drop", number])
        self._close_if_done()

    # being asked -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read what the other side writes, until the connection ends."""
        try:
            while True:
                self.hear(*await receive_head(self._reader))
        except (EOFError, OSError, ValueError):
            pass  # the other side has gone
        finally:
            self.end()
            if self.serving is not None:
                self.serving.cancel()

    def hear(self, head: list[Any], blob: bytes) -> None:
        """Do what one frame says."""
        kind, *rest = head
        _HEARD[kind](self, rest, blob)

    def _hear_ask(self, rest: list[Any], blob: bytes) -> None:
        number, loan, method, reads, work_for, stubs = rest
        arguments = self.borrow(blob, stubs)
        context = copy_context()
        context.run(enter, work_for)
        span = context[scope]
        assert span is not None
        reply = partial(self._reply, number, arguments, span, work_for)
        try:
            found = self._lent.get(loan)
            if found is None:
                raise gone()
            pending = found.ask(method, reads, arguments, span, context, reply)
        except PyworkerdError as error:
            reply(None, error)
            return
        if not pending.done():
            self._running[number] = pending

    def _reply(
        self,
        number: int,
        arguments: bytes,
        span: Scope,
        work_for: list[Any],
        value: bytes | None,
        error: Exception | None,
    ) -> None:
        self._running.pop(number, None)
        release(arguments)
        calls = made(work_for, span)
        if value is None:
            self._write(["failed", calls, number, *told(error)])
        else:
            self._write(["answer", calls, number, self.lend(value)], value)
        release(value)
        self._close_if_done()

    def _hear_answer(self, rest: list[Any], blob: bytes) -> None:
        calls, number, stubs = rest
        value = self.borrow(blob, stubs)
        reply = self._answers(number, calls)
        if reply is None:
            release(value)
        else:
            reply(value, None)
        self._close_if_done()

    def _answers(self, number: int, calls: int) -> CallReply | None:
        """Who waits for this answer, if anybody does; the calls that it took are counted for the request."""
        reply, span = self.asked.pop(number, (None, None))
        if span is not None:
            span.root.calls += calls
        return reply

    def _hear_failed(self, rest: list[Any], _: bytes) -> None:
        calls, number, *error = rest
        reply = self._answers(number, calls)
        if reply is not None:
            reply(None, raised(error))
        self._close_if_done()

    def _hear_cancel(self, rest: list[Any], _: bytes) -> None:
        pending = self._running.pop(rest[0], None)
        if pending is not None:
            pending.cancel()
        self._close_if_done()

    def _hear_drop(self, rest: list[Any], _: bytes) -> None:
        loan = self._lent.pop(rest[0], None)
        if loan is not None:
            loan.give_back()
        self._close_if_done()

    def _hear_value(self, rest: list[Any], blob: bytes) -> None:
        calls, stubs = rest
        self._count(calls)
        self._outcome(self.borrow(blob, stubs), None)

    def _hear_error(self, rest: list[Any], _: bytes) -> None:
        calls, *error = rest
        self._count(calls)
        self._outcome(None, raised(error))

    def _count(self, calls: int) -> None:
        if self._span is not None:
            self._span.root.calls += calls

    def _outcome(self, value: bytes | None, error: Exception | None) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(value, error)
        else:
            release(value)

    # the end ---------------------------------------------------------------------------------------------------------

    def _write(self, head: list[Any], blob: bytes = b"") -> None:
        if self._over:
            return
        frame = wire.encode(head, [blob])
        self._writer.write(len(frame).to_bytes(4, "big") + frame)
        if self._writer.transport.get_write_buffer_size() > UNREAD:
            self.end()

    def _close_if_done(self) -> None:
        if self._asks_first and self._settled and not self.needed:
            self.end()

    def end(self) -> None:
        """Nothing crosses any more. Harmless when called again."""
        if self._over:
            return
        self._over = True
        self._writer.close()
        for loan in tuple(self._lent.values()):
            loan.give_back()
        for pending in tuple(self._running.values()):
            pending.cancel()
        for reply, _ in tuple(self.asked.values()):
            reply(None, gone())
        self._lent.clear()
        self._running.clear()
        self.asked.clear()
        self._outcome(None, Overloaded("the process of a Durable Object ended"))


_HEARD: Final[dict[str, Callable[[Relay, list[Any], bytes], None]]] = {
    "ask": Relay._hear_ask,  # noqa: SLF001 - the class's own table
    "answer": Relay._hear_answer,  # noqa: SLF001
    "failed": Relay._hear_failed,  # noqa: SLF001
    "cancel": Relay._hear_cancel,  # noqa: SLF001
    "drop": Relay._hear_drop,  # noqa: SLF001
    "value": Relay._hear_value,  # noqa: SLF001
    "error": Relay._hear_error,  # noqa: SLF001
}
