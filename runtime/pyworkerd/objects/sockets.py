"""Unix sockets whose path may be longer than the kernel takes (108 bytes on Linux, 104 on macOS)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST: Final = 100


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """Another name for a path, where it is too long: through an open folder, which Linux shows in /proc."""
    if len(os.fsencode(path)) <= MOST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def listen(
    path: Path, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
) -> asyncio.Server:
    """Listen there; a socket that a dead process of the same number has left is replaced. Raises `StorageError`."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - quick, on this loop
        with short(path) as name:
            return await asyncio.start_unix_server(connected, name)
    except OSError as error:
        raise StorageError(
            f"Durable Objects cannot be reached by other processes: {error.strerror}"
        ) from error


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to it. Raises OSError."""
    with short(path) as name:
        return await asyncio.open_unix_connection(name)
