"""What this isolate lends to other workers, and what it was lent: functions and objects that are called where they are.

The host knows what is lent by a number of this isolate's, and gives stubs numbers of its own, which mean nothing in any
other isolate. What is lent belongs to the invocation whose code lent it, and ends with it: as an argument when that has
nothing left to do, while what a method returned keeps it from ending. A stub ends with the invocation that was given
it.
"""

from . import invocation as invocations
from . import outbox, streams
from .sending import Streamed

MAX_LENT = 1000
MAX_STUBS = 250
"""What an isolate lends at once, and what one value may name, as on the host, which refuses more; here the caller hears
it at once."""
DISPOSED = (
    "RPC stub used after being disposed. One among a method's arguments is disposed of when the method returns, "
    "unless it keeps dup() of it."
)
ENDED = "RPC stub used after the request that it came with has ended."

_lent = {}
_times = {}
"""How often each target is lent, by its identity."""
_next = 1


def _begins(target):
    _times[id(target)] = _times.get(id(target), 0) + 1


def _ends(target):
    """One less stands for a target. Returns what is to be called then, if that was the last."""
    left = _times.pop(id(target)) - 1
    if left:
        _times[id(target)] = left
    return None if left else getattr(type(target), "_disposed", None)


class Kept:
    """What is lent and keeps its invocation from ending, as an argument too."""

    def _disposed(self):
        """Nobody holds it any more, or it was not lent after all."""


class Lent:
    """A function or an object that others may call."""

    __slots__ = ("invocation", "keeps", "number", "target")

    def __init__(self, target, invocation, keeps):
        global _next
        self.target, self.invocation, self.keeps, self.number = target, invocation, keeps, _next
        _next += 1
        _lent[self.number] = self
        _begins(target)
        if keeps:
            invocation.hold()
        _of(invocation).add(self)

    def end(self):
        """The invocation ends, and nobody can call it any more."""
        disposed = self.forget()
        if disposed is not None:
            self.invocation.within(disposed, self.target, "_disposed() failed")

    def forget(self):
        """Nobody can call it any more. Returns what is to be called then, if nothing else stands for its target."""
        return None if _lent.pop(self.number, None) is None else _ends(self.target)

    def let_go(self):
        """Nobody holds a stub of it any more."""
        self.invocation.stubs.discard(self)
        # Not here and now: the program's code runs when the invocation's turn has come.
        self.invocation.soon(_finish, self, self.forget())

    def forsake(self):
        """The invocation's caller has gone: for what it lent nobody has to be waited for."""
        if isinstance(self.target, Kept):
            self.let_go()


class Ref:
    """A stub as the host knows it. `count` is how many objects of the program stand for it."""

    __slots__ = ("count", "invocation", "number")

    def __init__(self, number, invocation):
        self.number, self.invocation, self.count = number, invocation, 1
        _of(invocation).add(self)

    def drop(self):
        """One less stands for it."""
        self.count -= 1
        if not self.count and self.invocation is not None:
            self.invocation.stubs.discard(self)
            self.invocation = None
            drop(self.number)

    def end(self):
        """The invocation that it was given has ended: the host has dropped it."""
        self.invocation = None

    def forsake(self):
        """Whoever lends it hears when the invocation ends."""

    def needed(self):
        """Its number. RuntimeError if it has ended."""
        if self.invocation is None:
            raise RuntimeError(ENDED if self.count else DISPOSED)
        return self.number


class Own(Ref):
    """A stub of what this isolate has itself: it has no number, and counts as somebody who holds its target."""

    __slots__ = ("target",)

    def __init__(self, target, invocation):
        super().__init__(0, invocation)
        self.target = target
        _begins(target)

    def drop(self):
        """One less stands for it."""
        self.count -= 1
        if not self.count and self.invocation is not None:
            self.invocation.stubs.discard(self)
            self.end()

    def end(self):
        """It stands for nothing any more."""
        invocation, self.invocation = self.invocation, None
        disposed = _ends(self.target)
        if disposed is not None:
            invocation.within(disposed, self.target, "_disposed() failed")


def missing(name, reads):
    """What is said where there is no such member."""
    what = f"{'property' if reads else 'method'} {name!r}" if name else "function"
    return f"the RPC receiver does not implement the {what}"


class Sendable:
    """An encoded value with what it names by its place: what it lends, stubs to hand on, and bodies that stream. Those
    go nowhere if a `with` block of it fails, and begin after the effect that it is part of.
    """

    __slots__ = ("data", "targets")

    def __init__(self, data, targets):
        self.data, self.targets = data, targets

    def __len__(self):
        return len(self.data)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            for stream in self.streams():
                stream.cancel()
            for each in self.targets:
                if isinstance(each, Kept):
                    each._disposed()

    def streams(self):
        """The bodies that stream."""
        return [each for each in self.targets if isinstance(each, Streamed)]

    def start(self, invocation):
        """The effect is out: bodies follow."""
        for stream in self.streams():
            stream.start(invocation)


class Received:
    """An encoded value with what it names: numbers of stubs, and bodies that stream; None if there was no room."""

    __slots__ = ("data", "numbers")

    def __init__(self, data, numbers):
        self.data, self.numbers = data, numbers

    def drop(self):
        """Nobody will read it."""
        for number in self.numbers or ():
            drop(number)


def arriving(number, invocation):
    """A body that streams beside a value, which came for this invocation."""
    body = streams.Inbound(number[1])
    invocation.receives(body)
    return body


def _of(invocation):
    if invocation.stubs is None:
        invocation.stubs = set()
    return invocation.stubs


def drop(number):
    """Let go of a stub, or of a body that streams."""
    outbox.effects.append(["drop", number] if type(number) is int else ["stop", number[1]])


def received(blobs, value):
    """A value as an event has it."""
    return blobs[value] if type(value) is int else Received(blobs[value[0]], value[1])


def sent(value, invocation, keeps):
    """A value as an effect has it. What it lends `keeps` the invocation or not. Raises ValueError for too many stubs,
    RuntimeError for one that has ended; then nothing is lent."""
    if type(value) is not Sendable:
        return outbox.blob(value)
    targets = value.targets
    if len(targets) > MAX_STUBS:
        raise ValueError(f"functions, objects, stubs and streams in one call or result may be {MAX_STUBS}")
    numbers = [
        target._needed() if type(target) is invocations.stub_kind else -isinstance(target, Streamed)
        for target in targets
    ]
    if len(_lent) + numbers.count(0) > MAX_LENT:
        raise ValueError(
            f"an isolate lends {MAX_LENT} functions and objects at once: dispose of stubs of them first"
        )
    return [
        outbox.blob(value.data),
        [_refer(*each, invocation, keeps) for each in zip(targets, numbers, strict=True)],
    ]


def _refer(target, number, invocation, keeps):
    if number < 0:
        return target.refer()
    if number:
        return [False, number]
    own = target._ref.target if type(target) is invocations.stub_kind else target
    return [True, Lent(own, invocation, keeps or isinstance(own, Kept)).number]


def find(number):
    """What is lent by this number; None if it is not any more."""
    found = _lent.get(number)
    return None if found is None else found.target


def on_released(number):
    """Event: nobody holds a stub of this any more."""
    lent = _lent.get(number)
    if lent is not None:
        lent.let_go()


def _finish(lent, disposed):
    try:
        if disposed is not None:
            disposed(lent.target)
    except BaseException as error:
        lent.invocation.report("_disposed() failed", error)
    finally:
        if lent.keeps:
            lent.invocation.release()
