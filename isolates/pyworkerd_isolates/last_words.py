"""What a guest has logged in the step that it does not survive: it is nowhere but in its memory.

Effects leave with the end of a step. So a guest also writes each log entry into a *box*, a piece of its memory that
lies where it lay in the engine's base image: a mark, the length of what follows, and effects as a frame has them, with
commas between. Where that is full it begins anew, and a step that ends empties it. Who writes there is the guest, so
what the host finds is as hostile as any other output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .errors import ProtocolError
from .protocol import Log, decode_effects

if TYPE_CHECKING:
    from .limits import Limits
    from .native import Instance

MARK: Final = bytes(byte ^ 0x55 for byte in b"last words of it")
"""What a box begins with. Guests compute it as well, so that it stands nowhere else."""
ROOM: Final = 32_768
"""Bytes of a box behind its mark and the four of the length."""
_HEAD: Final = len(MARK) + 4


def find(memory: bytes | bytearray) -> int:
    """Where the box of a base image is; 0 if it has none."""
    empty = MARK + bytes(4 + ROOM)
    found = memory.find(empty)
    return max(found, 0)


def read(instance: Instance, box: int, limits: Limits) -> tuple[Log, ...]:
    """What is in the box of a guest that is not going to run again; nothing where it is not as agreed."""
    if not box:
        return ()
    (view,) = instance.views([(box, box + _HEAD + ROOM)])
    size = int.from_bytes(view[len(MARK) : _HEAD], "little")
    if not 0 < size <= ROOM or view[: len(MARK)] != MARK:
        return ()
    header = b"[[],[null,[" + view[_HEAD : _HEAD + size].tobytes() + b"]]]"
    try:
        effects = decode_effects(len(header).to_bytes(4, "little") + header, limits).effects
    except ProtocolError:
        return ()
    return tuple(effect for effect in effects if type(effect) is Log)
