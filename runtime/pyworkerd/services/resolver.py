"""Names to addresses: the interface, and the operating system's resolver behind it."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from .lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .egress import Address

THREADS = 32
"""Look-ups at once. `getaddrinfo` cannot be cancelled, so a slow name server holds one for many seconds. No worker has
more of them than it leaves to others.
"""
PATIENCE_S = 19.0
"""As long as a connection may take (Cloudflare gives a TCP handshake 19 s before it answers 522)."""


class Resolver(Protocol):
    """Something that knows addresses."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """The addresses of a name, best first. Raises OSError if there are none."""

    async def aclose(self) -> None:
        """Let go of everything. Harmless when called again."""


class SystemResolver:
    """`getaddrinfo` in threads of its own.

    The event loop's `getaddrinfo` shares its few threads with everything else that runs in the default
    executor (or, under uvloop, with libuv's four); a tenant whose name server never answers could hold all of
    those.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._lines = Lines(THREADS, "names looked up at once", PATIENCE_S)

    async def resolve(self, host: str) -> Sequence[Address]:
        """Ask the system. Raises OSError, or `UpstreamError` if the worker that asks has too many look-ups under way.

        A look-up goes on when nobody waits for it any more, and keeps its place until it has ended.
        """
        give_back = await self._lines.take()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="pyworkerd-dns")
        found = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
        found.add_done_callback(lambda _: give_back())
        return await asyncio.shield(found)

    async def aclose(self) -> None:
        """Forget look-ups that wait; those under way end by themselves."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _look_up(host: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that DNS cannot carry
        raise socket.gaierror(socket.EAI_NONAME, "name not known") from error
    return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
