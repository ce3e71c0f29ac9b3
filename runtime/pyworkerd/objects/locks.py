"""Which process has which object: a lock of the kernel's on a byte of a file that all processes of a `state_dir` have.

The byte's place is made of the object's key. Nothing has to be cleaned up: a process that is killed has no locks any
more, and whoever is refused one is told by the kernel which process has it (POSIX, fcntl: F_SETLK, F_GETLK). Such locks
are a process's, and gone as soon as it closes any descriptor of the file: so it is open once in a process, for good.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import StorageError
from pyworkerd.storage import layout

if TYPE_CHECKING:
    from pathlib import Path

    from .owners import Key

_PLACES: Final = (1 << 62) - 1
_LINUX: Final = sys.platform == "linux"
_FLOCK: Final = "hhqqi" if _LINUX else "qqihh"
"""`struct flock`: type, whence, start, length, pid on Linux; start, length, pid, type, whence on macOS."""


def _flock(kind: int, place: int) -> bytes:
    fields = (kind, os.SEEK_SET, place, 1, 0) if _LINUX else (place, 1, 0, kind, os.SEEK_SET)
    return struct.pack(_FLOCK, *fields)


def _holder(answer: bytes) -> int | None:
    fields = struct.unpack_from(_FLOCK, answer)
    kind, pid = (fields[0], fields[4]) if _LINUX else (fields[3], fields[2])
    return None if kind == fcntl.F_UNLCK else int(pid)


class _File:
    """The file in this process."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.held: set[int] = set()
        self.pid = os.getpid()


_files: dict[str, _File] = {}
"""By real path; of this process alone, since a fork inherits the descriptor, but no lock."""


class Locks:
    """Of one runtime."""

    def __init__(self, root: Path) -> None:
        self._location = layout.durable_object_locks(root)

    def take(self, key: Key) -> int | None:
        """None if this runtime has the object from now on, or else the number of the process that has it.

        Raises `StorageError` where there can be no locks. Does not wait.
        """
        place = _place(key)
        try:
            file = self._file()
            for _ in range(10):
                if place in file.held:
                    return os.getpid()
                try:
                    fcntl.fcntl(file.descriptor, fcntl.F_SETLK, _flock(fcntl.F_WRLCK, place))
                except (BlockingIOError, PermissionError):
                    answer = fcntl.fcntl(file.descriptor, fcntl.F_GETLK, _flock(fcntl.F_WRLCK, place))
                    if (pid := _holder(answer)) is not None:
                        return pid
                else:
                    file.held.add(place)
                    return None
        except OSError as error:
            raise StorageError(f"Durable Objects cannot be locked: {error.strerror}") from error
        raise StorageError("a Durable Object changes hands all the time")

    def release(self, key: Key) -> None:
        """Have it no more. Harmless for what is not had."""
        place, file = _place(key), self._file()
        if place in file.held:
            file.held.discard(place)
            fcntl.fcntl(file.descriptor, fcntl.F_SETLK, _flock(fcntl.F_UNLCK, place))

    def _file(self) -> _File:
        path = self._location.path
        name = os.path.realpath(path)
        file = _files.get(name)
        if file is None or file.pid != os.getpid():
            layout.make_private(self._location)
            file = _files[name] = _File(path)
        return file


def _place(key: Key) -> int:
    unique_key, object_id = key
    digest = hashlib.sha256(f"{len(unique_key)}:{unique_key}{object_id}".encode()).digest()
    return int.from_bytes(digest[:8]) & _PLACES
