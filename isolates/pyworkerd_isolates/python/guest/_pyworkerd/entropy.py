"""No entropy before the snapshot, fresh entropy after it.

While a worker's top level runs, asking for random numbers is an error: they would be in the image, equal in every
isolate. The engine itself refuses (it has no key yet); this module says so with a traceback first, and notices the
use of `random`'s shared generator, which needs no system call. After the snapshot, `renew` reseeds.
"""

import contextlib
import os
import sys

MESSAGE = (
    "random numbers were asked for while the worker's top level ran: every isolate would start with the same ones. "
    "Ask for them inside a handler"
)


class EntropyAtTopLevel(RuntimeError):
    """Raised at the line that asked for entropy too early."""


_urandom = os.urandom


def _refuse(size):
    raise EntropyAtTopLevel(MESSAGE)


def _state():
    random = sys.modules.get("random")
    return None if random is None else random._inst.getstate()


def forbid():
    """Before the top level runs. Hands back what `check` needs."""
    import random

    os.urandom = random._urandom = _refuse
    seed = random.Random.seed

    def guarded(self, a=None, version=2):
        if a is None and type(self) is not random.SystemRandom:
            raise EntropyAtTopLevel(MESSAGE)
        return seed(self, a, version)

    random.Random.seed = guarded
    return random, seed, _state()


def check(before):
    """After the top level ran: raise if it used the shared generator; otherwise let entropy be asked for again."""
    random, seed, state = before
    os.urandom = random._urandom = _urandom
    random.Random.seed = seed
    if _state() != state:
        raise EntropyAtTopLevel(MESSAGE)


@contextlib.contextmanager
def pretended():
    """For a key that guards nothing: zeros, whenever it is asked for."""
    before, os.urandom = os.urandom, bytes
    try:
        yield
    finally:
        os.urandom = before


def renew():
    """In the first step of a new isolate: whatever was seeded before the snapshot gets a new seed."""
    random = sys.modules.get("random")
    if random is not None:
        random._inst.seed(int.from_bytes(_urandom(32)))
