"""Clients that never stop asking, and know which of their connections belonged to a process that was killed."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    import psutil

CLIENTS = 16
PER_CONNECTION = 50
"""Requests before a client connects anew: connections have to survive as well as requests."""
PATHS = ("/", "/", "/", "/slow", "/stream")
"""`/slow` and `/stream` take a while, so that something always runs when something happens."""


class Load:
    """Asks `address` from a thread of its own, while it is entered. Afterwards `lost` says what went wrong."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.doomed: set[int] = set()
        """Local ports of connections to processes that are about to be killed."""
        self.versions: Counter[str] = Counter()
        self.at_least = ""
        """Requests that begin from now on are answered by this version or a later one."""
        self.lost: list[str] = []
        self.excused = 0
        """Requests that were on their way to a process that was killed."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def answered(self) -> int:
        """Requests with the right answer."""
        return self.versions.total()

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests have been answered."""
        goal = self.answered + more
        while self.answered < goal and not self.lost:
            self._stop.wait(0.005)

    def kill(self, process: psutil.Process) -> None:
        """End a process at this very moment, and excuse what it takes along."""
        process.suspend()  # now it accepts nothing more, and its connections can be counted
        self.doomed |= {each.raddr.port for each in process.net_connections("tcp") if each.raddr}
        process.kill()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError as error:
                self.lost.append(f"cannot connect: {error}")
                return
            port = writer.get_extra_info("sockname")[1]
            try:
                for count in range(PER_CONNECTION):
                    path = PATHS[(number + count) % len(PATHS)]
                    if self._stop.is_set() or not await self._ask(reader, writer, path):
                        break
            except (OSError, EOFError) as error:
                if port in self.doomed:
                    self.excused += 1
                else:
                    self.lost.append(f"{error!r} on a connection that nobody killed")
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bool:
        """One request. Returns whether the connection may be used again."""
        expected = self.at_least
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if " 200 " not in head.split("\r\n")[0]:
            self.lost.append(head)
            return False
        if "transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
        parts = set(body.decode().split())
        version = parts.pop()
        if parts or version < expected:
            self.lost.append(f"{body!r} after {expected} had been loaded")
        self.versions[version] += 1
        return "connection: close" not in head
