"""A private folder of native code and images, each file sealed with a key that only this user has.

A `.cwasm` file is native code: to load one that somebody else wrote is to run what they wrote. So a file counts only
if its seal, a keyed MAC over name and content beside it, is right; otherwise it is treated as absent and built again.
The MAC is checked before anything else in a seal is read.

The key lies outside the cached files. A cache that was restored from elsewhere therefore does not match, and is
rebuilt, which is the wanted outcome.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import logging
import mmap
import os
import secrets
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

import msgpack

from .errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger("pyworkerd.cache")

HOME_VARIABLE: Final = "PYWORKERD_HOME"
KEY_BYTES: Final = 32
MAC_BYTES: Final = 32
SEAL_LIMIT: Final = 32 * 1024 * 1024
"""Notes of an image hold what its top level logged, which the image's builder bounds."""
FORMAT: Final = 2
LOCKS: Final = 64
WAIT_S: Final = 60.0
"""For another process's lock. An engine takes some ten seconds to build; whoever holds a lock for longer was stopped in
the middle, or its machine is so slow that building twice is not what hurts."""
TELL_S: Final = 5.0
"""After so long the log says for whom it waits."""
_LOOK_S: Final = 0.02
STALE_S: Final = 3600
"""A file that is still being written after an hour is what a killed process left behind."""


def default_home() -> Path:
    """Where caches and the key live: $PYWORKERD_HOME, else below $XDG_CACHE_HOME or ~/.cache."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pyworkerd"


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed file: its path, and the notes that were sealed with it."""

    name: str
    path: Path
    notes: dict[str, Any]
    size: int


class Cache:
    """Sealed files by name. Safe for several processes at once; nothing is ever changed in place."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or default_home()
        self.folder = self.home / "sealed"
        private_folder(self.home)
        private_folder(self.folder)
        self._key = _load_key(self.home / "key")

    def get(self, name: str) -> Entry | None:
        """The file of this name if it is whole and ours; None if it is absent. What is wrong with it is logged."""
        entry, problem = self._look(name)
        if problem:
            log.warning("%s is not used and will be built again: %s", self.folder / name, problem)
        return entry

    def _look(self, name: str) -> tuple[Entry | None, str]:
        """The file of this name, or what is wrong with it; neither if it is absent."""
        if not _is_name(name):
            raise ValueError(f"{name!r} cannot name a file of the cache")
        path = self.folder / name
        try:
            return self._verify(name, path), ""
        except FileNotFoundError:
            return None, "it has no seal" if os.path.lexists(path) else ""
        except OSError as error:
            return None, error.strerror or type(error).__name__
        except _BadSealError as error:
            return None, str(error)

    def put(self, name: str, data: bytes, notes: dict[str, Any]) -> Entry:
        """Write a file and its seal. Readers see the old pair or the new one, or a mismatch, which counts as absent."""
        if not _is_name(name):
            raise ValueError(f"{name!r} cannot name a file of the cache")
        path = self.folder / name
        sealed = msgpack.packb({"format": FORMAT, "name": name, "notes": notes})
        if len(sealed) > SEAL_LIMIT or not data:
            raise ValueError(f"{name} is empty, or its notes are larger than {SEAL_LIMIT} bytes")
        mac = self._mac(sealed, data)
        _write_atomically(path, data)
        _write_atomically(_seal_path(path), mac + sealed)
        return Entry(name, path, notes, len(data))

    def get_or_build(
        self,
        name: str,
        build: Callable[[], tuple[bytes, dict[str, Any]]],
        complete: Callable[[Entry], bool] = lambda _: True,
    ) -> Entry:
        """The file of this name, built under a lock if need be: two processes do not build the same thing at once.

        Unless the other one holds the lock for longer than `WAIT_S`. What it writes when it goes on is whole, or does
        not match its seal and counts as absent.

        `complete` says whether what belongs to a sound file is there as well.
        """
        found, _ = self._look(name)  # what looks wrong may be half of a pair that another process is writing
        if found is not None and complete(found):
            self.touch(name)
            return found
        with self._lock(name):
            found = self.get(name)
            if found is not None and complete(found):
                return found
            return self.put(name, *build())

    def rebuild(self, name: str, build: Callable[[], tuple[bytes, dict[str, Any]]]) -> Entry:
        """Write the file of this name anew, under its lock: `build` may read it first, and nobody writes in between,
        with the exception of `get_or_build`.
        """
        with self._lock(name):
            return self.put(name, *build())

    def touch(self, name: str) -> None:
        """Note that a file was asked for: see `trim`. The file itself stays as it is, its times included."""
        with contextlib.suppress(
            OSError
        ):  # it has gone, or nothing may be written: then nothing is trimmed either
            os.utime(_seal_path(self.folder / name))

    def identity(self, name: str) -> tuple[int, ...] | None:
        """What a file looks like from outside: size, times, inode, device; equal only while nobody has changed it.

        None if it is absent, or anything but a private file of this user.
        """
        try:
            status = (self.folder / name).lstat()
            _must_be_private(status)
        except (OSError, _BadSealError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev

    def trim(self, prefix: str, budget: int) -> int:
        """Remove files of this prefix, those that were not asked for longest first, until `budget` bytes are kept.

        Returns how many bytes were freed. Running processes keep what they have mapped.
        """
        found = []
        with os.scandir(self.folder) as listed:  # each deploy does this, and there may be thousands
            for each in listed:
                if each.name.startswith(prefix) and _is_name(each.name):
                    path = self.folder / each.name
                    with contextlib.suppress(FileNotFoundError):
                        found.append((_asked_ns(path), each.stat(follow_symlinks=False).st_size, path))
        kept = freed = 0
        for _, size, path in sorted(found, reverse=True):
            kept += size
            if kept > budget:
                freed += size
                path.unlink(missing_ok=True)
                _seal_path(path).unlink(missing_ok=True)
        return freed

    def entries(self) -> list[Entry]:
        """All sound files, by name."""
        names = sorted(path.name for path in self.folder.iterdir() if _is_name(path.name))
        return [entry for entry in map(self.get, names) if entry is not None]

    def clean(self) -> int:
        """Remove every file. Returns how many bytes were freed. Running processes keep what they have mapped.

        What another process is writing at this moment stays, and so do locks: a lock that is removed while it is held
        is none.
        """
        freed = 0
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                written = path.name.endswith(_NEW) and time.time() - status.st_mtime < STALE_S
                if not written and not path.name.endswith(_LOCK) and not stat.S_ISDIR(status.st_mode):
                    freed += status.st_size
                    path.unlink()
        return freed

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        # A lock cannot be removed while somebody may hold it, so there is a fixed number of them.
        slot = hashlib.sha256(name.encode()).digest()[0] % LOCKS
        with (self.folder / f"{slot}{_LOCK}").open("a+") as handle:
            if _acquire(handle, name):
                handle.truncate(0)
                handle.write(f"{os.getpid()}")
                handle.flush()
            yield

    def _mac(self, sealed: bytes, data: bytes | mmap.mmap) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        mac.update(len(sealed).to_bytes(8, "little") + sealed)
        mac.update(data)
        return mac.digest()

    def _verify(self, name: str, path: Path) -> Entry:
        raw = _read_seal(path)
        with _open_plain(path) as handle:
            status = os.fstat(handle.fileno())
            _must_be_private(status)
            if status.st_size == 0:
                raise _BadSealError("it is empty")
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
                right = hmac.compare_digest(self._mac(raw[MAC_BYTES:], data), raw[:MAC_BYTES])
        if not right:
            raise _BadSealError("its seal does not match")
        return Entry(name, path, _notes(raw[MAC_BYTES:], name), status.st_size)


def _acquire(handle: TextIO, name: str) -> bool:
    """Lock a file, or give up after `WAIT_S`: its holder may never go on. The log says who that is."""
    began = time.monotonic()
    told = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return True
        waited = time.monotonic() - began
        if waited > WAIT_S:
            log.warning(
                "%s is made without its lock: %s has held it for %.0f s", name, _holder(handle), waited
            )
            return False
        if waited > TELL_S and not told:
            told = True
            log.warning("%s waits for %s, which makes it or something else", name, _holder(handle))
        time.sleep(_LOOK_S)


def _holder(handle: TextIO) -> str:
    handle.seek(0)
    written = handle.read(20)
    return f"process {written}" if written.isdecimal() else "another process"


class _BadSealError(Exception):
    """Why a file is not used."""


_SEAL, _LOCK, _NEW = ".seal", ".lock", ".new"
_ASIDE: Final = (_SEAL, _LOCK, _NEW)


def _is_name(name: str) -> bool:
    return (
        name != "" and name.isprintable() and "/" not in name and name[0] != "." and not name.endswith(_ASIDE)
    )


def _seal_path(path: Path) -> Path:
    return path.with_name(path.name + _SEAL)


def _asked_ns(path: Path) -> int:
    """When a file was asked for the last time: the time of its seal, so that its own says when it was written."""
    try:
        return _seal_path(path).lstat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _open_plain(path: Path) -> BinaryIO:
    """Open a regular file, and nothing that only stands for one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _BadSealError("it is a symbolic link") from None
        raise
    handle = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if handle is None:
        os.close(descriptor)
        raise _BadSealError("it is not a regular file")
    return handle


def _read_seal(path: Path) -> bytes:
    with _open_plain(_seal_path(path)) as handle:
        raw = handle.read(MAC_BYTES + SEAL_LIMIT + 1)
    if not MAC_BYTES < len(raw) <= MAC_BYTES + SEAL_LIMIT:
        raise _BadSealError("its seal is too short or too long")
    return raw


def _notes(sealed: bytes, name: str) -> dict[str, Any]:
    """What was sealed with the file. The MAC was right, so this is what some version of this program wrote."""
    header = msgpack.unpackb(sealed, strict_map_key=True)
    if header.get("format") != FORMAT or header.get("name") != name:
        raise _BadSealError("its seal belongs to another file or another version")
    notes: dict[str, Any] = header["notes"]
    return notes


def _must_be_private(status: os.stat_result) -> None:
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _BadSealError(
            f"others may write it (owner {status.st_uid}, mode {stat.filemode(status.st_mode)})"
        )


def private_folder(path: Path) -> None:
    """Make a folder that only this user may enter, unless it is there. Raises `EngineError` if it is another user's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.getuid():
        raise EngineError(f"{path} belongs to another user; set {HOME_VARIABLE} to a folder of your own")
    if status.st_mode & 0o077:
        path.chmod(0o700)


def _load_key(path: Path) -> bytes:
    try:
        with _open_plain(path) as handle:
            status = os.fstat(handle.fileno())
            key = handle.read(KEY_BYTES + 1)
    except FileNotFoundError:
        return _make_key(path)
    except (OSError, _BadSealError) as error:
        raise EngineError(
            f"{path} cannot be used ({error}); remove it, everything is then built again"
        ) from None
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        log.warning("%s could be read by others: a new key is made and everything is built again", path)
        path.unlink(missing_ok=True)
        return _make_key(path)
    if len(key) != KEY_BYTES:
        raise EngineError(f"{path} is damaged; remove it, everything is then built again")
    return key


def _make_key(path: Path) -> bytes:
    """A new key, in place at once and whole; of two processes that make one, both use the first."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=_NEW)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(secrets.token_bytes(KEY_BYTES))
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)
    Path(temporary).unlink()
    return path.read_bytes()


def _write_atomically(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=_NEW)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
