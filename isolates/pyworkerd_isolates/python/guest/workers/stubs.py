"""Functions and objects of other workers, called where they are: stubs, and what they lead to.

    class Counter(RpcTarget):
        def __init__(self):
            self._value = 0

        def increment(self, by=1):
            self._value += by
            return self._value

    class Default(WorkerEntrypoint):
        async def counter(self):
            return Counter()

Whoever calls `counter()` gets an `RpcStub`, and `await stub.increment()` runs here. A function is lent in the same way.
"""

import warnings
from asyncio import CancelledError
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType

import _wire
from _pyworkerd import lending
from _pyworkerd.calls import CallError, begin, call, given_up
from _pyworkerd.invocation import current
from _pyworkerd.plain import UNREAD, dump_call, load

from . import rpc
from .body import BodyStream

NEVER = frozenset(("constructor", "dup", "then", "toJSON"))
"""Names that are no methods: those of stubs, and those by which JavaScript takes an object for something else."""


class RpcTarget:
    """Base of what is lent to other workers, and not copied. They can call its methods and read its properties: those
    that its class defines, unless their names begin with `_`; no attribute of the object.

    Where its class has `_disposed(self)`, that is called when nobody holds a stub of it any more.
    """


_METHODS = (FunctionType, staticmethod, classmethod)
_PROPERTIES = (property, cached_property)


def member(target, name, reads):
    """What somebody else means by a method's name, or a property's, of something that is lent; None if nothing."""
    if not isinstance(target, RpcTarget):
        return target if not name and not reads and not isinstance(target, RpcStub) else None
    if not name or name.startswith("_") or name in NEVER:
        return None
    kind = type(target)
    for each in kind.__mro__:
        found = None if each in (RpcTarget, object) else vars(each).get(name)
        if isinstance(found, _METHODS):
            function = found.__get__(target, kind)
            return partial(_itself, function) if reads else function
        if isinstance(found, _PROPERTIES):
            return partial(found.__get__, target, kind) if reads else None
        if found is not None:
            return None
    return None


def _itself(value):
    return value


class RpcPromise:
    """What a call will return. Await it, or call methods of the result before it is there: `await stub.a().b()`. It is
    a `Coroutine` by its methods, and neither derives from it nor has slots: objects of such classes are made slowly."""

    def __init__(self, coroutine):
        self._coroutine = coroutine

    def __await__(self):
        return self._coroutine.__await__()

    def send(self, value):
        """See `Coroutine`."""
        return self._coroutine.send(value)

    def throw(self, *error):
        """See `Coroutine`."""
        return self._coroutine.throw(*error)

    def close(self):
        """See `Coroutine`."""
        self._coroutine.close()

    def __getattr__(self, name):
        _check(name)
        return RpcProperty(self, name)


class Asked(RpcPromise):
    """What a method of a capability will return. The call begins when somebody waits for it. It is awaited without a
    coroutine of its own, which would be one more thing to make and to resume."""

    _driven = None

    def __init__(self, address, positional, named):
        self._address = address
        self._positional = positional
        self._named = named

    def __await__(self):
        positional, named = self._positional, self._named
        if positional is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self._positional = self._named = None
        arguments = dump_call(positional, named)
        if arguments is None:
            arguments = rpc.message([list(positional), named])
        number, future = begin(self._address, arguments)
        try:
            answer = yield from future
        except CancelledError:
            given_up(number, future)
            raise
        if type(answer) is bytes:
            value = load(answer, rpc.scan)
            if value is not UNREAD:
                return value
        return _read(answer)

    @property
    def _coroutine(self):
        if self._driven is None:
            self._driven = self.__await__()
        return self._driven

    def __del__(self):
        if self._positional is not None and self._driven is None:
            warnings.warn(
                f"the call of {self._address.name!r} was never awaited, and so not made",
                RuntimeWarning,
                stacklevel=2,
            )


class RpcProperty:
    """A name of something that another worker has: called, it is a method; awaited, a property."""

    __slots__ = ("_name", "_of")

    def __init__(self, of, name):
        self._of, self._name = of, name

    def __call__(self, *positional, **named):
        return RpcPromise(self._call(positional, named))

    def __await__(self):
        return self._read().__await__()

    def __getattr__(self, name):
        _check(name)
        return RpcProperty(self, name)

    async def _call(self, positional, named):
        of = self._of
        if type(of) is RpcStub:
            return await of._ask(self._name, False, positional, named)
        with _Briefly(await of) as value:
            result = _member(value, self._name)(*positional, **named)
            return await result if hasattr(result, "__await__") else result

    async def _read(self):
        of = self._of
        if type(of) is RpcStub:
            return await of._ask(self._name, True, (), {})
        with _Briefly(await of) as value:
            found = _member(value, self._name)
            return await found if type(found) is RpcProperty else found


class _Briefly:
    """What was only asked for something else: if it is a stub, it is not needed after that."""

    def __init__(self, value):
        self._value = value

    def __enter__(self):
        return self._value

    def __exit__(self, *exc):
        if type(self._value) is RpcStub:
            self._value.dispose()


def _member(value, name):
    if type(value) is RpcStub:
        return getattr(value, name)
    if isinstance(value, dict) and name in value:
        return value[name]
    raise AttributeError(f"what was returned has no {name!r}")


def _check(name):
    if name.startswith(("_", "cr_", "gi_")):  # by the latter asyncio asks what a coroutine does
        raise AttributeError(name)


class RpcStub:
    """A function or an object of another worker. Call it, call its methods, `await` its properties. `RpcStub(target)`
    is one of something of one's own, to have it disposed of when all have let go of it, oneself among them.

    It ends with the request that it came with. `dispose()`, or the end of a `with` block, lets go of it before that, so
    that its owner can forget what it leads to; a stub among the arguments of a method is disposed of when the method
    returns. `dup()` is another stub of the same.
    """

    __slots__ = ("_disposed_of", "_ref")

    def __init__(self, target):
        if not isinstance(target, rpc.lendable):
            raise TypeError("RpcStub() takes a function, or an object of a class that derives from RpcTarget")
        if type(target) is RpcStub:
            target._needed()
            target._ref.count += 1
        self._ref = target._ref if type(target) is RpcStub else lending.Own(target, current())
        self._disposed_of = False

    @classmethod
    def _of(cls, number, invocation):
        return cls._with(lending.Ref(number, invocation))

    @classmethod
    def _with(cls, ref):
        stub = object.__new__(cls)
        stub._ref, stub._disposed_of = ref, False
        return stub

    def _needed(self):
        if self._disposed_of:
            raise RuntimeError(lending.DISPOSED)
        return self._ref.needed()

    async def _ask(self, name, reads, positional, named):
        number = self._needed()
        message = rpc.message([list(positional), named])
        if not number:
            return await _ask_own(self._ref.target, name, reads, message)
        return read(await call([number, reads], name, message))

    def __call__(self, *positional, **named):
        return RpcPromise(self._ask("", False, positional, named))

    def __getattr__(self, name):
        _check(name)
        return RpcProperty(self, name)

    def dup(self):
        """Another stub of the same, which is disposed of by itself."""
        self._needed()
        self._ref.count += 1
        return self._with(self._ref)

    def dispose(self):
        """Let go of it. Harmless when called again."""
        if not self._disposed_of:
            self._disposed_of = True
            self._ref.drop()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.dispose()

    def __bool__(self):
        return True

    def __repr__(self):
        return "<RpcStub, disposed of>" if self._disposed_of else f"<RpcStub {self._ref.number}>"


async def _ask_own(target, name, reads, message):
    """A call through a stub of one's own: its values are copied, and lent, as if it came from elsewhere."""
    (positional, named), stubs = _read_own(message)
    try:
        function = member(target, name, reads)
        if function is None:
            raise CallError(lending.missing(name, reads), "no_method")
        result = function(*positional, **named)
        if hasattr(result, "__await__"):
            result = await result
        return _read_own(rpc.message(result))[0]
    finally:
        for stub in stubs:
            stub.dispose()


def _read_own(message):
    if type(message) is bytes:
        return rpc.python_from_rpc(message), ()
    stubs = []

    def special(tag, place):
        target = message.targets[place]
        if tag != rpc.STUB:
            return target._back() if tag == rpc.WRITABLE else target.back()
        stubs.append(RpcStub(target))
        return stubs[-1]

    return rpc.python_from_rpc(message.data, special), stubs


def read_message(message):
    """The value that `rpc.message` wrote, and the stubs in it. Raises `_wire.WireError`; then it keeps nothing."""
    if type(message) is not lending.Received:
        return rpc.python_from_rpc(message), ()
    numbers = message.numbers
    if numbers is None:
        raise _wire.WireError(
            "it names more stubs or streams than this isolate, or this request, may hold: dispose of some that it has"
        )
    holder = current()
    stubs, others = {}, {}
    """By place: stubs, which may be named again, and how what else there is is let go of."""

    def special(tag, place):
        number = numbers[place] if type(place) is int and 0 <= place < len(numbers) else None
        kind = None if number is None or place in others else type(number)
        if tag == rpc.BODY and kind is list:
            body = lending.arriving(number, holder)
            others[place] = body.cancel
            return BodyStream(body)
        if tag == rpc.WRITABLE and kind is int and place not in stubs:
            stub = RpcStub._of(number, holder)  # which does not end with the call: no stream does
            others[place] = stub.dispose
            return rpc.writable._to(stub)
        if tag != rpc.STUB or kind is not int:
            raise _wire.WireError(f"{tag!r} cannot be received here")
        if place not in stubs:
            stubs[place] = RpcStub._of(number, holder)
        return stubs[place]

    try:
        value = rpc.python_from_rpc(message.data, special)
    except BaseException:
        for let_go in (*(stub.dispose for stub in stubs.values()), *others.values()):
            let_go()
        raise
    finally:
        for place, number in enumerate(numbers):
            if place not in stubs and place not in others:
                lending.drop(number)
    return value, stubs.values()


def read(answer):
    """What a call was answered, as a value."""
    value = load(answer, rpc.scan) if type(answer) is bytes else UNREAD
    return _read(answer) if value is UNREAD else value


def _read(answer):
    try:
        return rpc.python_from_rpc(answer) if type(answer) is bytes else read_message(answer)[0]
    except _wire.WireError as error:
        raise CallError(f"the answer cannot be read: {error}", "bad_effect") from None


rpc.lendable = (RpcTarget, RpcStub, FunctionType, MethodType, BuiltinFunctionType, partial)
rpc.sendable = lending.Sendable
