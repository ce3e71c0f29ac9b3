"""Files below a folder of the operator's, by paths that strangers chose. Blocks: for threads of the storage.

Rule 1: a path is a list of names. Each folder on it is opened below the one before (openat) and no symbolic link is
followed, so that nothing leads out, whatever is moved or linked meanwhile.
Rule 2: a file that is written is there at once and whole, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from pyworkerd.errors import StorageError, StorageFull

from .watch import RESERVE, disk_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

MAX_ENTRIES: Final = 10_000
"""Entries of a folder that are listed: about a megabyte of JSON."""
LOOK_EVERY: Final = 8 << 20
"""Bytes that are written between two looks at the disk."""
_NOT_THERE: Final = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
)
_IN_THE_WAY: Final = frozenset(
    (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS: Final = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "symlink"),
    (stat.S_ISBLK, "blockDevice"),
    (stat.S_ISCHR, "characterDevice"),
    (stat.S_ISFIFO, "namedPipe"),
    (stat.S_ISSOCK, "socket"),
)
FILE, DIRECTORY, OTHER = "file", "directory", "other"


T = TypeVar("T")


class Entry(NamedTuple):
    """Something in a folder, as it was when it was looked at."""

    kind: str
    size: int = 0
    modified_ns: int = 0
    inode: int = 0


def kind_of(mode: int) -> str:
    """What kind of entry it is, in the words of workerd."""
    return next((name for test, name in _KINDS if test(mode)), OTHER)


class Tree:
    """A folder. It need not be there: nothing is in it then."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def look(self, path: Sequence[str]) -> Entry | None:
        """What is there, without opening it."""
        return _unless_absent(partial(self._look, path))

    def _look(self, path: Sequence[str]) -> Entry:
        if not path:
            return _entry(self.root.stat())
        with self._folder(path[:-1]) as folder:
            return _entry(os.stat(path[-1], dir_fd=folder, follow_symlinks=False))

    def open(self, path: Sequence[str]) -> tuple[Entry, int] | None:
        """A file and its descriptor; None if there is none."""
        return _unless_absent(partial(self._open, path))

    def _open(self, path: Sequence[str]) -> tuple[Entry, int] | None:
        with self._folder(path[:-1]) as folder:
            # A pipe would wait for its writer.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(path[-1], flags, dir_fd=folder)
        entry = _entry(os.fstat(descriptor))
        if entry.kind == FILE:
            return entry, descriptor
        os.close(descriptor)
        return None

    def listing(self, path: Sequence[str], limit: int | None = None) -> list[tuple[str, str]] | None:
        """The names in a folder and their kinds, sorted; None if there is none. Raises `StorageError` for too many."""
        return _unless_absent(partial(self._listing, path, MAX_ENTRIES if limit is None else limit))

    def _listing(self, path: Sequence[str], limit: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        with self._folder(path) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if len(found) == limit:
                    raise StorageError(f"the folder has more than {limit} entries")
                found.append((entry.name, kind_of(entry.stat(follow_symlinks=False).st_mode)))
        return sorted(found)

    def delete(self, path: Sequence[str]) -> bool:
        """Delete a file, a link, or an empty folder; whether it was there. Raises FileExistsError for a folder with
        something in it.
        """
        return _unless_absent(partial(self._delete, path)) is not None

    def _delete(self, path: Sequence[str]) -> bool:
        with self._folder(path[:-1]) as folder:
            if kind_of(os.stat(path[-1], dir_fd=folder, follow_symlinks=False).st_mode) != DIRECTORY:
                os.unlink(path[-1], dir_fd=folder)
            else:
                try:
                    os.rmdir(path[-1], dir_fd=folder)
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                        raise FileExistsError from None
                    raise
            os.fsync(folder)
        return True

    def write(self, path: Sequence[str]) -> NewFile:
        """A file to write, for its `publish`. Folders that are not there are made. Raises FileExistsError where
        something else stands in the place of one.
        """
        with explained():
            descriptor = os.open(self.root, _FOLDER)
            try:
                for name in path[:-1]:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=descriptor)
                        os.fsync(descriptor)
                    below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                    os.close(descriptor)
                    descriptor = below
                return NewFile(descriptor, path[-1])
            except BaseException as error:
                os.close(descriptor)
                if isinstance(error, OSError) and error.errno in _IN_THE_WAY:
                    raise FileExistsError from None
                raise

    @contextlib.contextmanager
    def _folder(self, path: Sequence[str]) -> Iterator[int]:
        descriptor = os.open(self.root, _FOLDER)
        try:
            for name in path:
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _entry(status: os.stat_result) -> Entry:
    return Entry(kind_of(status.st_mode), status.st_size, status.st_mtime_ns, status.st_ino)


def _unless_absent(work: Callable[[], T]) -> T | None:
    """What the work gives; None if a name on the way is not there, or cannot be one."""
    try:
        with explained():
            return work()
    except StorageError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _NOT_THERE:
            raise
    except ValueError:  # a name with a NUL, or with what no file can have
        return None
    return None


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What the disk says, in words for whoever asked: they name no path."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("there is no room on the disk") from error
        raise StorageError(f"the file cannot be used: {error.strerror}") from error


class FileSource:
    """Bytes of an open file; see `bodies.Source`."""

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self._descriptor: int | None = descriptor
        self._offset, self._left = offset, length
        self._lock = threading.Lock()

    def read(self, size: int) -> bytes:
        """The next bytes. Raises `StorageError` if the file has become shorter."""
        with self._lock, explained():
            if self._descriptor is None or not self._left:
                return b""
            data = os.pread(self._descriptor, min(size, self._left), self._offset)
            if not data:
                raise StorageError("the file has become shorter while it was read")
            self._offset += len(data)
            self._left -= len(data)
            return data

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def __del__(self) -> None:
        self.close()


class NewFile:
    """A file that is being written, beside the place where it will be; see `bodies.Sink`."""

    def __init__(self, folder: int, name: str) -> None:
        """`folder` is a descriptor, and closed with this."""
        self._folder: int | None = folder
        self._name = name
        self._own = f".{secrets.token_hex(8)}.pyworkerd"
        """What it is called until it is published: short, hidden."""
        self._lock = threading.Lock()
        self._size = self._look = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor: int | None = os.open(self._own, flags, 0o644, dir_fd=folder)

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Add to it. Raises `StorageFull`, `StorageError`."""
        with self._lock, explained():
            if self._descriptor is None or self._folder is None:
                raise StorageError("the file was given up")
            if self._size >= self._look:
                self._look = self._size + LOOK_EVERY
                if disk_free(self._folder) < RESERVE:
                    raise StorageFull("there is no room on the disk")
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            self._size += sum(map(len, pieces))

    def finish(self) -> Mapping[str, bytes]:
        """Bring it to disk."""
        with self._lock, explained():
            if self._descriptor is None:
                raise StorageError("the file was given up")
            os.fsync(self._descriptor)
        return {}

    def publish(self) -> None:
        """Put it into its place, in place of what was there. Raises FileExistsError where a folder is."""
        with self._lock, explained():
            if self._folder is None:
                raise StorageError("the file was given up")
            try:
                os.rename(self._own, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except OSError as error:
                if error.errno in _IN_THE_WAY:
                    raise FileExistsError from None
                raise
            os.fsync(self._folder)
            self._own = ""
            self._close()

    def discard(self) -> None:
        """Give it up, unless it is published."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._folder is not None:
            if self._own:
                with contextlib.suppress(OSError):
                    os.unlink(self._own, dir_fd=self._folder)
            os.close(self._folder)
            self._folder = None

    def __del__(self) -> None:
        self._close()
