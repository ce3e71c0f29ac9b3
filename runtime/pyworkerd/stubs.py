"""What the program around the runtime lends to workers, and what workers lend to it: functions and objects that are
called where they are.

    class Log(RpcTarget):
        async def write(self, line): ...

    await worker.call("run", Log(), lambda share: print(share))
    with await worker.call("counter") as counter:
        await counter.call("increment", 5)

A `Body` streams, both ways. Everything here belongs to the runtime's event loop, also `Stub.close`.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Self

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.callable.functions import Functions, encode_result
from pyworkerd.bindings.service.capability import deeper
from pyworkerd.errors import BadEffect, NoSuchMethod
from pyworkerd.messages import Body
from pyworkerd.observe.scope import begin, scope
from pyworkerd.services.stubs import Carried, Flow, close, gone, release

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from contextvars import Context

    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import CallReply
    from pyworkerd.services.stubs import Loan

TAG: Final = "stub"
STREAM: Final = "ReadableStream"
BODY: Final = "body"
"""The tags of a stub, of a stream, and of what stands for its bytes, as in the guests' SDKs."""
NEVER: Final = frozenset(("constructor", "dup", "then", "toJSON"))
"""Names that are no methods, as in the guests' SDKs."""


class RpcTarget:
    """Base of objects that are lent to workers, and not copied. Workers can call the methods and read the properties
    that the object's class defines, unless their names begin with `_`; they reach nothing that the object itself holds.

    A coroutine function runs on the event loop, any other on a thread. Arguments come from the worker: do not trust
    them.
    """


class AnyStub:
    """What `Stub` and its kind without `await` have in common. Made and closed on the runtime's event loop."""

    def __init__(self, loan: Loan) -> None:
        self._loan: Loan | None = loan
        loan.take()

    def __repr__(self) -> str:
        return "<Stub, closed>" if self._loan is None else "<Stub>"

    def close(self) -> None:
        """Let go of it. Harmless when called again."""
        loan, self._loan = self._loan, None
        if loan is not None:
            loan.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def loan(self) -> Loan:
        """What it holds. RuntimeError if it is closed."""
        if self._loan is None:
            raise RuntimeError("this stub is closed")
        return self._loan

    async def ask(
        self,
        name: str,
        positional: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
        *,
        reads: bool = False,
    ) -> Any:
        """Call a method ("": the function itself), or read a property. Raises what `LoadedWorker.call` raises, and
        `BrokenStub`."""
        loan, sent = self.loan, write([list(positional), dict(named or {})])
        span = (scope.get() or begin()[0]).inner()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            inner = deeper(copy_context(), span)
            pending = loan.ask(name, reads, sent, span, inner, partial(_reply, answer))
            try:
                result = await answer
            except asyncio.CancelledError:
                pending.cancel()
                if answer.done() and not answer.cancelled() and answer.exception() is None:
                    release(answer.result())
                raise
        finally:
            release(sent)
        return read(result, f"{name or 'the function'}()", self._alike, self._stream)

    def _alike(self, loan: Loan) -> AnyStub:
        """A stub of this kind."""
        raise NotImplementedError

    def _stream(self, body: Body) -> object:
        """A stream, as a result of this kind has it."""
        return body


class Stub(AnyStub):
    """A function or an object that a worker lends. Close it when it is not needed any more: the worker's isolate holds
    what it leads to until then, at most for `limits.wall_ms` after its last use.
    """

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function. Raises what `LoadedWorker.call` raises, and `BrokenStub`."""
        return await self.ask("", arguments, named)

    async def call(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a method of the object."""
        return await self.ask(method, arguments, named)

    async def get(self, name: str) -> Any:
        """A property of the object."""
        return await self.ask(name, reads=True)

    def dup(self) -> Stub:
        """Another stub of the same, to be closed by itself: one that a binding's function was given is closed when the
        function returns."""
        return Stub(self.loan)

    def _alike(self, loan: Loan) -> Stub:
        return Stub(loan)


def _reply(answer: asyncio.Future[bytes], value: bytes | None, error: Exception | None) -> None:
    if answer.done():
        release(value)
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(value or b"")


class _Running:
    """A call of the program's own, as whoever asked sees it. See `services.base.Pending`."""

    def __init__(self, work: Coroutine[Any, Any, bytes], context: Context, reply: CallReply) -> None:
        self._reply = reply
        self._task: asyncio.Task[bytes] = asyncio.get_running_loop().create_task(work, context=context)
        self._task.add_done_callback(self._ended)
        self._cancelled = False

    def _ended(self, task: asyncio.Task[bytes]) -> None:
        if self._cancelled or task.cancelled():
            if not task.cancelled() and task.exception() is None:
                release(task.result())
            return
        error = task.exception()
        assert error is None or isinstance(error, Exception)
        self._reply(None if error is not None else task.result(), error)

    def done(self) -> bool:
        """Whether it was answered meanwhile."""
        return self._task.done()

    def cancel(self) -> None:
        """Its caller has gone."""
        self._cancelled = True
        self._task.cancel()


class _Lent:
    """What the program lends. Implements `services.stubs.Loan`."""

    def __init__(self, target: object) -> None:
        self._target = target
        self._functions: Functions | None = Functions()
        self._holders = 0

    def take(self) -> None:
        """See `Loan`."""
        self._holders += 1

    def give_back(self) -> None:
        """See `Loan`."""
        self._holders -= 1
        if not self._holders and self._functions is not None:
            self._functions.close()
            self._functions = None

    def ask(
        self, method: str, reads: bool, arguments: bytes, span: Scope, context: Context, reply: CallReply
    ) -> _Running:
        """See `Loan`."""
        del span
        if self._functions is None:
            raise gone()
        return _Running(self._run(self._functions, method, reads, arguments), context, reply)

    async def _run(self, functions: Functions, method: str, reads: bool, arguments: bytes) -> bytes:
        function = member(self._target, method, reads)
        if function is None:
            what = f"{'property' if reads else 'method'} {method[:40]!r}" if method else "function"
            raise NoSuchMethod(f"the RPC receiver does not implement the {what}")
        return await call(functions, function, arguments)


async def call(functions: Functions, function: Callable[..., Any], arguments: bytes) -> bytes:
    """Call a function of the program with what a worker sent; its stubs are closed when it has returned. A body is its
    own to read or to close."""
    stubs: list[AnyStub] = []
    try:
        positional, named = args.decode(arguments, wire.MAX_VALUE, special=_reader(arguments, stubs, []))
        return encode_result(await functions.run(function, positional, named), write)
    finally:
        for stub in stubs:
            stub.close()


_METHODS: Final = (FunctionType, staticmethod, classmethod)
_PROPERTIES: Final = (property, cached_property)


def member(target: object, name: str, reads: bool) -> Callable[..., Any] | None:
    """What a worker means by a method's name, or a property's; None if nothing."""
    if not isinstance(target, RpcTarget):
        return target if not name and not reads and callable(target) else None
    if not name or name.startswith("_") or name in NEVER:
        return None
    kind = type(target)
    for each in kind.__mro__:
        found = None if each in (RpcTarget, object) else vars(each).get(name)
        if isinstance(found, _METHODS):
            function: Callable[..., Any] = found.__get__(target, kind)
            return partial(_itself, function) if reads else function
        if isinstance(found, _PROPERTIES):
            return partial(found.__get__, target, kind) if reads else None
        if found is not None:
            return None
    return None


def _itself(value: object) -> object:
    return value


_FUNCTIONS: Final = (FunctionType, MethodType, BuiltinFunctionType, partial)


def write(value: object) -> bytes:
    """A value for a worker, with what it lends. Whoever has it lets go of that (`services.stubs.release`)."""
    loans: list[Loan] = []

    def special(found: object) -> tuple[str, object] | None:
        if isinstance(found, Body):
            return STREAM, [found.data if found.data is not None else _Streaming(found)]
        if isinstance(found, _Streaming):
            loans.append(Flow(found.body, close))
            return BODY, len(loans) - 1
        if isinstance(found, AnyStub):
            loans.append(found.loan)
        elif isinstance(found, (RpcTarget, *_FUNCTIONS)):
            loans.append(_Lent(found))
        else:
            return None
        return TAG, len(loans) - 1

    encoded = wire.dump_value(value, special)
    return Carried.of(encoded, loans) if loans else encoded


class _Streaming:
    """Stands in a value for a body that streams."""

    def __init__(self, body: Body) -> None:
        self.body = body


def read(
    value: bytes,
    what: str,
    make: Callable[[Loan], AnyStub] = Stub,
    stream: Callable[[Body], object] = _itself,
) -> Any:
    """What a worker returned; what it lends comes as stubs, what streams as `stream` makes of it. Raises `BadEffect`;
    then it holds nothing."""
    stubs: list[AnyStub] = []
    bodies: list[Body] = []
    try:
        return wire.load_value(args.bounded(value, "the result"), _reader(value, stubs, bodies, make, stream))
    except BaseException as error:
        for stub in stubs:
            stub.close()
        for body in bodies:
            close(body)
        if isinstance(error, wire.WireError):
            raise BadEffect(f"the result of {what} cannot be read: {error}") from None
        raise
    finally:
        release(value)


def _reader(
    value: bytes,
    stubs: list[AnyStub],
    bodies: list[Body],
    make: Callable[[Loan], AnyStub] = Stub,
    stream: Callable[[Body], object] = _itself,
) -> Callable[[str, object], object]:
    loans = value.stubs if type(value) is Carried else ()

    def special(tag: str, found: object) -> object:
        if tag == STREAM and type(found) is list and len(found) == 1 and isinstance(found[0], bytes | Body):
            return stream(Body(found[0]) if isinstance(found[0], bytes) else found[0])
        loan = loans[found] if type(found) is int and 0 <= found < len(loans) else None
        if tag == BODY and isinstance(loan, Flow):
            bodies.append(loan.claim())
            return bodies[-1]
        if tag != TAG or loan is None or isinstance(loan, Flow):
            raise wire.WireError(f"{tag[:40]!r} cannot be received here")
        stubs.append(make(loan))
        return stubs[-1]

    return special
