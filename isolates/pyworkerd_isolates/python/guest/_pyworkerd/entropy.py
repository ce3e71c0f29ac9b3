"""No entropy before the snapshot, fresh entropy after it.

While a worker's top level runs, asking for random numbers is an error: they would be in the image, equal in every
isolate. The engine itself refuses (it has no key yet); this module says so with a traceback first, and notices the
use of `random`'s shared generator, which needs no system call. After the snapshot, `renew` reseeds.
"""

import _random
import contextlib
import os
import random

MESSAGE = (
    "random numbers were asked for while the worker's top level ran: every isolate would start with the same ones. "
    "Ask for them inside a handler"
)


class EntropyAtTopLevel(RuntimeError):
    """Raised at the line that asked for entropy too early."""


_urandom = os.urandom
_shared = random._inst
_seed = _random.Random.seed


def _refuse(size):
    raise EntropyAtTopLevel(MESSAGE)


def _state():
    return _shared.getstate()


@contextlib.contextmanager
def refused():
    """While the top level runs. Raises at its end if that used the shared generator; after it there is entropy again.

    Where the top level fails the isolate is of no use, and nothing is put back.
    """
    seed, before = random.Random.seed, _state()
    os.urandom = random._urandom = _refuse

    def guarded(self, a=None, version=2):
        if a is None and type(self) is not random.SystemRandom:
            raise EntropyAtTopLevel(MESSAGE)
        return seed(self, a, version)

    random.Random.seed = guarded
    yield
    os.urandom = random._urandom = _urandom
    random.Random.seed = seed
    if _state() != before:
        raise EntropyAtTopLevel(MESSAGE)


@contextlib.contextmanager
def pretended():
    """For a key that guards nothing: zeros, whenever it is asked for."""
    before, os.urandom = os.urandom, bytes
    try:
        yield
    finally:
        os.urandom = before


def give_to_sqlite(connection):
    """Let SQL's `random()` and `randomblob()` draw from the isolate's own generator."""
    connection.create_function("random", 0, lambda: int.from_bytes(os.urandom(8), "little", signed=True))
    connection.create_function("randomblob", 1, lambda size: os.urandom(max(int(size), 1)))


def replace_sqlites(dbapi2):
    """SQLite seeds its generator from the clock and once only, in memory that an image keeps: every isolate would draw
    the same numbers. So SQL's `random()` and `randomblob()` draw from the isolate's own generator."""
    import _sqlite3

    class Connection(_sqlite3.Connection):
        __doc__ = _sqlite3.Connection.__doc__

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            give_to_sqlite(self)

    def connect(*arguments, _connect=_sqlite3.connect, **options):
        if len(arguments) < 6:
            options.setdefault("factory", Connection)
        return _connect(*arguments, **options)

    Connection.__module__, Connection.__qualname__ = "sqlite3", "Connection"
    connect.__doc__ = _sqlite3.connect.__doc__
    dbapi2.Connection = _sqlite3.Connection = Connection
    dbapi2.connect = _sqlite3.connect = connect


def renew():
    """In the first step of a new isolate: whatever was seeded before the snapshot gets a new seed."""
    # As `random.seed()` does it, without its Python half, whose code every isolate would have to copy.
    _seed(_shared, int.from_bytes(_urandom(32)))
    _shared.gauss_next = None
