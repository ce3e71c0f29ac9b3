"""Which objects the image should make immortal.

A live isolate that reads an object of its image counts references to it, and so writes to a page that it would
otherwise share with every other isolate. CPython does not count references to immortal objects. Nothing in an image
is ever freed for good, so all of it can be immortal: the host writes the mark into the image (see `snapshot.py`
there).

What is marked must still be alive when the host reads the heap: a mark on freed memory would damage the allocator.
So this is a call of its own, made while nothing else of the guest is under way.
"""

import gc
import sys
from array import array
from types import CodeType, MethodType

_BATCH = 1000
"""Objects looked at in one go: what this needs of memory for itself makes the image larger."""


def settle():
    """Collect garbage, put everything that is alive out of the collector's reach, and answer what to mark.

    What an earlier call has put away is not looked at again: it was marked in the image that this one began from.
    Bound methods are left out: the one that is being called is gone when the heap is read.
    """
    gc.collect()
    immortal = sys._is_immortal
    pending = gc.get_objects()
    found, seen = array("I"), set()  # made after that list, so that they are not on it
    while pending:
        batch = pending[-_BATCH:]
        del pending[-_BATCH:]
        fresh = [item for item in batch if not immortal(item) and id(item) not in seen]
        numbers = set(map(id, fresh))
        seen |= numbers
        found.extend(numbers.difference([id(item) for item in fresh if type(item) is MethodType]))
        pending += gc.get_referents(*fresh)
        for item in fresh:
            if type(item) is CodeType:
                pending += _parts(item)
    result = found.tobytes()
    del found, seen, batch, fresh, numbers, item
    gc.freeze()
    return result


def settle_or_not():
    """`settle`, or no addresses at all where it fails: an image without marks is larger, and no less right."""
    try:
        return settle()
    except BaseException:
        return b""


def _parts(code):
    # A code object does not show its parts to the collector.
    return (code.co_consts, code.co_names, code.co_filename, code.co_name, code.co_qualname, code.co_linetable,
            code.co_exceptiontable, *code.co_consts, *code.co_names)  # fmt: skip
