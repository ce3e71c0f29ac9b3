"""How QuickJS counts references: as it ships, and so that an image's own objects are not counted.

Every object that a step looks at is counted up and down again, and each of these writes has the kernel copy a page of
the image for the isolate. So what is in an image has a count from which on nobody counts (`IMMORTAL`, given to it by
`marking`), and wherever QuickJS counts it looks at the count first. All else is counted as before: no other object can
have so many references, each of which takes eight bytes.

QuickJS is compiled for size. What gives up a reference calls a function that calls another one, which makes room on
the stack for a message that it never writes; and each instruction of a program asks first whether it is to be printed.
Here the first is decided where it is called, and the second is left out: nobody can switch that on.

What is looked for are sequences of instructions, so another build of QuickJS may have none of them; then an
`EngineError` says so.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.wasm.core import I32, I64, FunctionType
from pyworkerd_isolates.wasm.instructions import CALLS, INDEX, Sought, named, replaced, with_local
from pyworkerd_isolates.wasm.leb import encode_signed, encode_unsigned

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from pyworkerd_isolates.wasm.core import CoreModule
    from pyworkerd_isolates.wasm.leb import Buffer

IMMORTAL: Final = 0x7A00_0000
"""The count of what is in an image. Places that count unseen may go this far from it (and no further than 2^31)."""
UNCOUNTED: Final = 0x7800_0000
"""Counts from here on stay as they are. As an address, which code that is not QuickJS's counts up in the same way, it
lies where only a worker of 2 GiB gets to, and misleads nobody else."""

_COUNTED: Final = Sought(
    rb"(?P<first>[\x20\x22])(?P<at>%(i)s)\x20(?P=at)\x28\x02\x00(?:\x22(?P<old>%(i)s))?"
    rb"\x41(?P<step>[\x01\x02\x7f])\x6a(?:\x22(?P<new>%(i)s))?\x36\x02\x00" % {b"i": INDEX}
)
"""local.get or local.tee, local.get, i32.load, i32.const 1, 2 (one value twice) or -1, i32.add, i32.store; on the way
perhaps local.tee of what was there, and of what is there then.

No place that counts up may be left out: what is in an image would have too many references in the end, and be freed.
One that counts down may, and costs pages: below `UNCOUNTED` all others count as well."""
_CHECKED: Final = Sought(
    rb"(?P<check>\x20(?P<at>%(i)s)\x28\x02\x00\x22(?P<old>%(i)s)\x41\x00\x4c\x0d%(i)s)"
    rb"\x20(?P=at)\x20(?P=old)\x41(?P<step>\x7f)\x6a(?:\x22(?P<new>%(i)s))?\x36\x02\x00" % {b"i": INDEX}
)
"""Down, where QuickJS makes sure first that what was there is above 0 (i32.le_s, br_if): variables of closures."""
_PRINTS: Final = Sought(
    rb"\x20%(i)s(?:\x28\x02\x10)?\x2f\x00\xf9\x01\x41%(i)s\x71\x45\x0d(?P<label>%(i)s)" % {b"i": INDEX}
)
"""Whether a bit of `JSRuntime.dump_flags` is not set: br_if."""
_GIVE_UP: Final = FunctionType(bytes((I32, I64)), b"")
_HANDS_ON: Final = b"\x00\x20\x00\x28\x02\x10\x20\x01\x10"
"""The body of `JS_FreeValue`, up to the number of `JS_FreeValueRT`: no locals; what it is given, and the runtime."""


_FEWEST: Final = 400
"""Places where QuickJS counts; there are 514."""


def recount(module: CoreModule) -> None:
    """Change QuickJS's code. Raises `EngineError` if it is not as expected."""
    imported, bodies = len(module.imported["func"]), module.bodies
    interpreter = max(range(len(bodies)), key=lambda place: len(bodies[place]))
    give_up = _given_up_by(module, bodies[interpreter])
    bodies[interpreter], prints = _changed(
        bodies[interpreter], _PRINTS, lambda found: b"\x0c" + found["label"]
    )
    sites = 0
    for place, body in enumerate(bodies):
        roomy, number = with_local(body, I32, len(module.type_of(imported + place).params))
        changed, here = _changed(roomy, _COUNTED, partial(_counted, scratch=encode_unsigned(number)))
        changed, checked = _changed(changed if here else body, _CHECKED, _checked)
        if here or checked:
            bodies[place] = changed
            sites += here
    if sites < _FEWEST or not prints:
        raise EngineError(f"QuickJS counts in {sites} places, and asks in {prints} whether to print: too few")
    bodies[give_up - imported] = _giving_up(bodies[give_up - imported])


def _changed(body: Buffer, sought: Sought, make: Callable[[re.Match[bytes]], bytes]) -> tuple[bytes, int]:
    """The body with all that is found made another, and how much was found."""
    count = 0

    def counted(found: re.Match[bytes]) -> bytes:
        nonlocal count
        count += 1
        return make(found)

    return replaced(body, sought, counted), count


def _given_up_by(module: CoreModule, interpreter: Buffer) -> int:
    """The number of `JS_FreeValue`: what the interpreter calls most often."""
    calls = Counter(number for op, number in named(interpreter) if op in CALLS)
    found, _ = calls.most_common(1)[0]
    body = bytes(module.bodies[found - len(module.imported["func"])])
    if module.type_of(found) != _GIVE_UP or not body.startswith(_HANDS_ON):
        raise EngineError("what QuickJS's interpreter calls most often does not give up references")
    return found


def _counted(found: re.Match[bytes], scratch: bytes) -> bytes:
    old = found["old"] or scratch
    return b"".join(
        (
            b"\x21" + found["at"] if found["first"] == b"\x22" else b"",
            b"\x20" + found["at"] + b"\x28\x02\x00\x21" + old,
            _unless_immortal(found, old),
        )
    )


def _checked(found: re.Match[bytes]) -> bytes:
    return found["check"] + _unless_immortal(found, found["old"])


def _unless_immortal(found: re.Match[bytes], old: bytes) -> bytes:
    """Count, where `old` is what was there. A local for what is there then is set in any case."""
    more = b"\x20" + old + b"\x41" + found["step"] + b"\x6a"
    return b"".join(
        (
            b"\x02\x40\x20" + old + b"\x41" + encode_signed(UNCOUNTED) + b"\x4e\x0d\x00",
            b"\x20" + found["at"] + more + b"\x36\x02\x00\x0b",
            more + b"\x21" + found["new"] if found["new"] else b"",
        )
    )


def _giving_up(body: Buffer) -> bytes:
    """`JS_FreeValue`: what has no count, or one that does not come to 0, needs no other function."""
    hand_on = bytes(body)[1:]
    return b"".join(
        (
            b"\x01\x02\x7f",  # two locals: 2 is the address, 3 the count
            b"\x20\x01\x42"
            + encode_signed(-9 << 32)
            + b"\x54\x04\x40\x0f\x0b",  # below JS_TAG_FIRST, unsigned
            b"\x20\x01\xa7\x22\x02\x28\x02\x00\x22\x03\x41\x01\x4a\x04\x40",
            b"\x20\x03\x41" + encode_signed(UNCOUNTED) + b"\x48\x04\x40",
            b"\x20\x02\x20\x03\x41\x7f\x6a\x36\x02\x00\x0b\x0f\x0b",
            hand_on,
        )
    )
