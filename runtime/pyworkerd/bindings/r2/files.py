"""The files of a bucket: written once, never changed, under names of our own. Blocks: for threads of the storage.

Rule 1: whoever writes a file holds an exclusive lock on it (flock) until the catalogue lists it. A file that is not
locked and not listed is litter: its writer is dead.
Rule 2: whoever reads several files one after the other holds a shared lock on the first. One that is open stays
readable when it is deleted, so that one file needs no lock.
Rule 3: locks die with their process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd.errors import StorageCorrupt, StorageError, StorageFull
from pyworkerd.storage.layout import FILES, make_private
from pyworkerd.storage.takeover import take_over
from pyworkerd.storage.watch import RESERVE, disk_free

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pyworkerd.storage.layout import Location

    from .catalogue import File

LOOK_EVERY: Final = 8 << 20
"""Bytes that are written between two looks at the disk."""
_HEX: Final = frozenset("0123456789abcdef")
_BATCH: Final = 400
"""Names that the catalogue is asked about at once (SQLite before 3.32: 999 parameters)."""


class Gone(Exception):
    """A file is not there any more: what was known of it is old."""


class Slice(NamedTuple):
    """Bytes of a file."""

    file: File
    offset: int
    length: int


def slices(files: Sequence[File], offset: int, length: int) -> list[Slice]:
    """The parts of files, put one after the other, that these bytes lie in. Pure."""
    found, start = [], 0
    for file in files:
        first, last = max(offset, start), min(offset + length, start + file.size)
        if first < last:
            found.append(Slice(file, first - start, last - first))
        start += file.size
    return found


class Folder:
    """Where the files of one bucket are."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self.path = location.path.with_suffix(FILES)

    def of(self, name: str) -> Path:
        """The path of a file. The name is ours: 32 hexadecimal digits."""
        return self.path / name[:2] / name

    def make(self) -> None:
        """Make the folder, for this user alone."""
        make_private(self._location)
        take_over(self._location)
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
            _sync(self.path.parent)

    def create(self) -> tuple[str, int]:
        """A new file, locked: its name and descriptor."""
        while True:
            name = secrets.token_hex(16)
            path = self.of(name)
            try:
                descriptor = _create(path)
            except FileNotFoundError:
                self.make()
                with contextlib.suppress(FileExistsError):
                    path.parent.mkdir(mode=0o700)
                    _sync(self.path)
                descriptor = _create(path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_there(path, descriptor):
                return name, descriptor
            os.close(descriptor)  # taken for litter before it was locked

    def open(self, file: File) -> int:
        """A file to read. Raises `Gone`, and `StorageCorrupt` for one that is not as it was written."""
        try:
            descriptor = os.open(self.of(file.name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise Gone from None
        if os.fstat(descriptor).st_size != file.size:
            os.close(descriptor)
            raise StorageCorrupt("a file of the bucket is damaged: restore it from a backup")
        return descriptor

    def open_first(self, file: File) -> int:
        """The first of several files, locked against its deletion. Raises `Gone`."""
        descriptor = self.open(file)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # it is being deleted
            os.close(descriptor)
            raise Gone from None
        if not _is_there(self.of(file.name), descriptor):
            os.close(descriptor)
            raise Gone
        return descriptor

    def read(self, part: Slice) -> bytes:
        """A few bytes of one file at once. Raises `Gone`."""
        descriptor = self.open(part.file)
        try:
            return read_all(descriptor, part.offset, part.length)
        finally:
            os.close(descriptor)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files that nobody owns. What is gone already is no error."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.of(name).unlink()

    def delete_unread(self, names: Sequence[str]) -> bool:
        """Delete the files of one owner unless somebody reads them; whether they are deleted."""
        try:
            descriptor = os.open(self.of(names[0]), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:  # the first is deleted first: nobody has begun to read since
            self.delete(names)
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            self.delete(names)
            return True
        finally:
            os.close(descriptor)

    def portions(self) -> Iterator[list[str]]:
        """The names of all files, some at a time."""
        for first in sorted(_names(self.path)):
            names = [name for name in _names(self.path / first) if name[:2] == first and _is_ours(name)]
            for start in range(0, len(names), _BATCH):
                yield names[start : start + _BATCH]

    def lock(self, names: Iterable[str]) -> Held:
        """Lock those of these files that nobody is writing."""
        held = Held(self)
        for name in names:
            with contextlib.suppress(OSError):
                held.add(name, os.open(self.of(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        return held


class Held:
    """Files that may be litter, locked while the catalogue is asked about them."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._descriptors: dict[str, int] = {}

    def add(self, name: str, descriptor: int) -> None:
        """Lock one, or let go of it if that cannot be."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            self._descriptors[name] = descriptor

    @property
    def names(self) -> list[str]:
        """Those that are locked."""
        return list(self._descriptors)

    def end(self, listed: Iterable[str]) -> int:
        """Delete all but those that are listed, and let go of them; how many were deleted."""
        litter = self._descriptors.keys() - set(listed)
        self._folder.delete(litter)
        self.close()
        return len(litter)

    def close(self) -> None:
        """Let go of them."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def __del__(self) -> None:
        self.close()


def _is_ours(name: str) -> bool:
    return len(name) == 32 and _HEX.issuperset(name)


def _names(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_there(path: Path, descriptor: int) -> bool:
    """Whether an open file still has its name. That it has one is not enough: a backup may have given it another."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_all(descriptor: int, offset: int, length: int) -> bytes:
    """Bytes that are known to be there. Raises `StorageCorrupt` if they are not."""
    parts: list[bytes] = []
    while length > 0:
        data = os.pread(descriptor, length, offset)
        if not data:
            raise StorageCorrupt("a file of the bucket is shorter than it was: restore it from a backup")
        parts.append(data)
        offset, length = offset + len(data), length - len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Draft:
    """A file that is being written, with its checksums. Its methods take turns; after `discard` they raise."""

    def __init__(self, folder: Folder, checksums: Iterable[str]) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._sums: dict[str, Any] = {kind: hashlib.new(kind, usedforsecurity=False) for kind in checksums}
        self._descriptor: int | None = None
        self._ended = False
        self._look = 0
        self.name: str | None = None
        """None as long as nothing was written: what is empty needs no file."""
        self.size = 0

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Add to it. Raises `StorageFull`, `StorageError`."""
        with self._lock, explained():
            if self._ended:
                raise StorageError("the file was given up")
            if self._descriptor is None:
                self.name, self._descriptor = self._folder.create()
            if self.size >= self._look:
                self._look = self.size + LOOK_EVERY
                if disk_free(self._folder.path) < RESERVE:
                    raise StorageFull("there is no room on the disk for the bucket")
            for piece in pieces:
                for each in self._sums.values():
                    each.update(piece)
            _write(self._descriptor, pieces)
            self.size += sum(map(len, pieces))

    def finish(self) -> dict[str, bytes]:
        """Bring it to disk. Its checksums. It stays locked until `release`."""
        with self._lock, explained():
            if self._ended:
                raise StorageError("the file was given up")
            if self._descriptor is not None and self.name is not None:
                os.fsync(self._descriptor)
                _sync(self._folder.of(self.name).parent)
            return {kind: each.digest() for kind, each in self._sums.items()}

    def release(self) -> None:
        """The catalogue has it: let go of it."""
        with self._lock:
            self._ended = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def discard(self) -> None:
        """Nobody will have it."""
        with self._lock:
            self._ended = True
            if self._descriptor is not None and self.name is not None:
                self._folder.delete((self.name,))
                os.close(self._descriptor)
                self._descriptor = None

    def __del__(self) -> None:
        if self._descriptor is not None:  # what it wrote is litter then
            os.close(self._descriptor)


def _write(descriptor: int, pieces: Sequence[bytes | memoryview]) -> None:
    views = [memoryview(piece) for piece in pieces if len(piece)]
    while views:
        written = os.writev(descriptor, views[:64])
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What the disk says, in words for whoever asked: they name no path."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("there is no room on the disk for the bucket") from error
        raise StorageError(f"the bucket's files cannot be used: {error.strerror}") from error


class Reader:
    """Bytes of one or several files, in their order. Its methods take turns; `close` may come at any time."""

    def __init__(self, folder: Folder, parts: Sequence[Slice], first: File | None) -> None:
        """`first` is the file to lock, where an object has several. Raises `Gone`."""
        self._folder, self._parts = folder, list(parts)
        self._lock = threading.Lock()
        self._guard: int | None = None
        self._descriptor: int | None = None
        self._closed = False
        try:
            self._guard = None if first is None else folder.open_first(first)
            self._descriptor = folder.open(self._parts[0].file)
        except BaseException:
            self.close()
            raise

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; b"" at the end."""
        with self._lock, explained():
            if self._closed or not self._parts:
                return b""
            part = self._parts[0]
            if self._descriptor is None:
                self._descriptor = self._next(part)
            size = min(size, part.length)
            data = read_all(self._descriptor, part.offset, size)
            if size < part.length:
                self._parts[0] = Slice(part.file, part.offset + size, part.length - size)
            else:
                del self._parts[0]
                os.close(self._descriptor)
                self._descriptor = None
            return data

    def _next(self, part: Slice) -> int:
        try:
            return self._folder.open(part.file)
        except Gone:
            raise StorageCorrupt("a file of the bucket is missing: restore it from a backup") from None

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._closed = True
            for descriptor in (self._descriptor, self._guard):
                if descriptor is not None:
                    os.close(descriptor)
            self._descriptor = self._guard = None

    def __del__(self) -> None:
        self.close()
