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


def settle():
    """Collect garbage, put everything that is alive out of the collector's reach, and answer what to mark.

    What an earlier call has put away is not looked at again: it was marked in the image that this one began from.
    Bound methods are left out: the one that is being called is gone when the heap is read.
    """
    gc.collect()
    pending = gc.get_objects()
    immortal = sys._is_immortal
    found, seen = {}, set()
    while pending:
        fresh = [item for item in pending if id(item) not in seen and not immortal(item)]
        seen.update(map(id, fresh))
        found.update((id(item), None) for item in fresh if type(item) is not MethodType)
        pending = gc.get_referents(*fresh)
        for item in fresh:
            if type(item) is CodeType:
                pending.extend(_parts(item))
    result = array("I", found).tobytes()
    del fresh, found, seen, item
    gc.freeze()
    return result


def _parts(code):
    # A code object does not show its parts to the collector.
    return (code.co_consts, code.co_names, code.co_filename, code.co_name, code.co_qualname, code.co_linetable,
            code.co_exceptiontable, *code.co_consts, *code.co_names)  # fmt: skip
