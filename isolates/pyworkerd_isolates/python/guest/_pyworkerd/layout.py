"""Where things lie in memory: what every request writes to side by side, and no gaps for it to scatter into.

A page that is written to is private to its isolate, so what counts is on how many pages a request writes. CPython
writes into code objects while they run (caches, branch history): those of the hot path are copied to lie together.
And whatever a request allocates would go into gaps of the heap, wherever they are, before it goes into fresh memory:
so the gaps are closed before an image is taken.

What is known of the allocator (dlmalloc; CPython for WASI is built without pymalloc and leaves everything to it): it
takes the smallest gap that is large enough, and fresh memory, which lies above all else, only when there is none.
Were it otherwise, nothing here would do harm.
"""

import gc
import sys
from types import FunctionType

_SIZES = (*(1 << power for power in range(16, 10, -1)), *range(1024, 8, -8))
"""Sizes of gaps in bytes, including what the allocator adds: halved first, then by its grain."""
_OVERHEAD = sys.getsizeof(b"") + 4
"""What a bytes object of no length takes of a gap: its header, its last zero, and the allocator's own word."""
_BLOCK = 1 << 16
_RUN = 16
"""So many blocks in a row are not found in a gap."""
_FEW = 16
_MANY = 1 << 16

_filling = []
"""What stands in the gaps. It is never read."""
_gathered = None


def gather(run):
    """Find out which functions `run()` calls, and give them fresh copies of their code, side by side in that order."""
    global _gathered  # a new list, so that `immortal` finds what is on it
    called = {}

    def note(frame, event, argument):
        if event == "call":
            called.setdefault(id(frame.f_code), (len(called), frame.f_code))

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    gc.unfreeze()
    functions = [
        item for item in gc.get_objects() if type(item) is FunctionType and id(item.__code__) in called
    ]
    functions.sort(key=lambda function: called[id(function.__code__)][0])
    for function in functions:
        function.__code__ = function.__code__.replace()
    _gathered = [function.__code__ for function in functions]


def close_gaps(end):
    """Fill the gaps of the heap with zeros, and leave zeros in the free memory above it, up to the address `end`.

    An image does not hold pages of zeros. To be called while nothing else of the guest is under way.
    """
    gc.collect()  # which also empties CPython's own lists of freed objects
    fresh = _fresh_memory()
    kept, used = [None] * _MANY, 0
    above, none = [None] * _FEW, [None] * _FEW
    for size in _SIZES:
        length = size - _OVERHEAD
        # What was freed last comes first, also if it lies in fresh memory: look behind it. Large sizes have no lists.
        enough, count = _FEW if size <= 1024 else 1, 0
        while count < enough and used < _MANY:
            filler = bytes(length) if length > 1 else object()  # shorter bytes are shared
            if id(filler) < fresh:
                kept[used] = filler
                used += 1
            else:
                above[count] = filler
                count += 1
        filler = None
        above[:] = none
    del kept[used:]
    _filling.append(kept)
    room = end - id(bytes(_FEW)) - _BLOCK
    if room > 0:
        bytes(room)


def _fresh_memory():
    """Where it begins: there, blocks of one size come one after the other."""
    blocks = [bytes(_BLOCK)]
    run = 0
    while run < _RUN:
        blocks.append(bytes(_BLOCK))
        run = run + 1 if 0 < id(blocks[-1]) - id(blocks[-2]) < _BLOCK + 64 else 0
    return id(blocks[-_RUN - 1])
