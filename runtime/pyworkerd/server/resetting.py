"""An end that nobody can take for an orderly one."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

# Linger, for no time at all: what is unsent is dropped, and the peer gets RST instead of FIN (socket(7)).
_NO_FAREWELL: Final = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Close at once, with a TCP reset.

    `transport.abort()` alone drops what this process holds and then says goodbye as usual. A client whose body ends
    with the connection (HTTP/1.0) would take the part that it got for the whole. Unix sockets know no reset.
    """
    wire = transport.get_extra_info("socket")
    if wire is not None and wire.family != socket.AF_UNIX:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_FAREWELL)
    transport.abort()
