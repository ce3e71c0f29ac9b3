"""Takes connections from a listening socket, which may be shared with other processes: then as far as it is our turn.

Rule 1. What is not accepted stays in the kernel's queue, where any process can take it: also when descriptors run out.
Rule 2. Who has more connections than another leaves the next one to the others for some milliseconds. Then he takes it
        all the same: they may be busy or hang, and no client may be kept waiting for that. Each time that they do not
        come he waits half as long for them, and takes twice as many.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .balance import Balance

logger: Final = logging.getLogger("pyworkerd.server")

DOUBLINGS: Final = 5
BURST: Final = 1 << DOUBLINGS
"""Connections taken in one turn of the loop, before it serves those that are there."""
LOOK_S: Final = 0.001
"""Between two looks at whether it is our turn by now; event loops count in milliseconds."""
LOOKS: Final = 1 << DOUBLINGS
"""After so many it is. So long may a process wait for a processor that others want as well: measured with two of them
for each processor, 5 ms left all of 96 connections to one of two processes, 32 ms gave each its half."""
FAILED_S: Final = 1.0
"""Pause after any other error: no descriptors or memory for another connection. asyncio: ACCEPT_RETRY_DELAY."""
_PASSING: Final = frozenset(
    (
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.EPERM,
        errno.EPROTO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
    )
)
"""Another process was faster, or something was wrong with that one connection, which is gone: accept(2)."""


class Acceptor:
    """Accepts on one listening socket, inside a running event loop. The socket stays the caller's.

    `protocol` makes the protocol of a connection, as for `loop.create_server`. That is not used, because it cannot be
    held back: it empties the queue, and where descriptors run out libuv's closes those who wait.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        balance: Balance | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._protocol = protocol
        self._balance = balance
        self._coming: set[asyncio.Task[Any]] = set()
        self._uncounted = 0
        """Those that are not among their server's connections yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._missed = 0
        """How many times in a row the others did not come."""
        self._closed = False
        listening.setblocking(False)
        self._listen()

    def _has_turn(self) -> bool:
        return self._balance is None or self._balance.has_turn(self._uncounted)

    def _listen(self) -> None:
        self._loop.add_reader(self._listening, self._readable)

    def _readable(self) -> None:
        if self._has_turn():
            self._take_turn()
        else:
            self._loop.remove_reader(self._listening)
            self._pause(LOOK_S, self._look, LOOKS >> self._missed)

    def _pause(self, seconds: float, then: Callable[..., None], *arguments: int) -> None:
        """The reader is removed, and added again by what comes then."""
        self._timer = self._loop.call_later(seconds, then, *arguments)

    def _look(self, looks: int) -> None:
        """Somebody waits, unless others have taken him meanwhile."""
        self._timer = None
        if looks > 1 and not self._has_turn():
            self._pause(LOOK_S, self._look, looks - 1)
            return
        self._listen()
        if self._has_turn():
            self._take_turn()
        else:
            most = 1 << self._missed
            missed = self._accept(most, in_turn=False) == most
            self._missed = min(self._missed + 1, DOUBLINGS) if missed else 0

    def _take_turn(self) -> None:
        self._missed = 0
        self._accept(BURST, in_turn=True)

    def _accept(self, most: int, *, in_turn: bool) -> int:
        """Returns how many were taken."""
        for taken in range(most):
            try:
                client, _ = self._listening.accept()
            except OSError as error:
                self._could_not(error)
                return taken
            client.setblocking(False)
            self._uncounted += 1
            task = self._loop.create_task(self._welcome(client))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)
            if in_turn and not self._has_turn():
                return taken + 1
        return most

    def _could_not(self, error: OSError) -> None:
        if error.errno not in _PASSING:
            logger.error("cannot accept connections: %s", error.strerror)
            self._loop.remove_reader(self._listening)
            self._pause(FAILED_S, self._listen_again)

    def _listen_again(self) -> None:
        self._timer = None
        self._listen()

    async def _welcome(self, client: socket.socket) -> None:
        # In the loop's next turn a server hears of it, right after this.
        self._loop.call_soon(self._count)
        try:
            await self._loop.connect_accepted_socket(self._protocol, client)
        except (OSError, RuntimeError):  # uvloop's word for one that was aborted in `connection_made`
            client.close()

    def _count(self) -> None:
        self._uncounted -= 1

    def close(self) -> None:
        """Accept nothing more; before the socket is closed. Harmless when called again."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._loop.remove_reader(self._listening)

    async def settle(self) -> None:
        """Wait until all that were accepted have reached their server."""
        while self._coming:
            await asyncio.wait(self._coming)
