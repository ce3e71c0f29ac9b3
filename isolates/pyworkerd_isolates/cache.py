"""A private folder of native code and images, each file sealed with a key that only this user has.

A `.cwasm` file is native code: to load one that somebody else wrote is to run what they wrote. So a file counts only
if its seal, a keyed MAC over name and content beside it, is right; otherwise it is treated as absent and built again.

The key lies outside the cached files. A cache that was restored from elsewhere therefore does not match, and is
rebuilt, which is the wanted outcome.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import logging
import mmap
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from .errors import EngineError

log = logging.getLogger("pyworkerd.cache")

HOME_VARIABLE: Final = "PYWORKERD_HOME"
KEY_BYTES: Final = 32
SEAL_LIMIT: Final = 65_536
FORMAT: Final = 1


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
        _private_folder(self.home)
        _private_folder(self.folder)
        self._key = _load_key(self.home / "key")

    def get(self, name: str) -> Entry | None:
        """The file of this name if it is whole and ours; None if it is absent. What is wrong with it is logged."""
        path = self.folder / name
        try:
            return self._verify(name, path)
        except FileNotFoundError:
            return None
        except _BadSealError as error:
            log.warning("%s is not used and will be built again: %s", path, error)
            return None

    def put(self, name: str, data: bytes, notes: dict[str, Any]) -> Entry:
        """Write a file and its seal. Readers see the old pair or the new one, or a mismatch, which counts as absent."""
        path = self.folder / name
        sealed = msgpack.packb({"format": FORMAT, "name": name, "size": len(data), "notes": notes})
        mac = self._mac(sealed, data)
        _write_atomically(path, data)
        _write_atomically(_seal_path(path), msgpack.packb({"sealed": sealed, "mac": mac}))
        return Entry(name, path, notes, len(data))

    def get_or_build(self, name: str, build: Callable[[], tuple[bytes, dict[str, Any]]]) -> Entry:
        """The file of this name, built under a lock if need be: two processes never build the same thing at once."""
        found = self.get(name)
        if found is not None:
            return found
        with self._lock(name):
            found = self.get(name)
            if found is not None:
                return found
            data, notes = build()
            return self.put(name, data, notes)

    def entries(self) -> list[Entry]:
        """All sound files, by name."""
        names = sorted(p.name for p in self.folder.iterdir() if not p.name.endswith((".seal", ".lock", ".new")))
        return [entry for entry in map(self.get, names) if entry is not None]

    def clean(self) -> int:
        """Remove every file. Returns how many bytes were freed. Running processes keep what they have mapped."""
        freed = 0
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                freed += path.stat().st_size
                path.unlink()
        return freed

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _mac(self, sealed: bytes, data: bytes | mmap.mmap) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        mac.update(len(sealed).to_bytes(8, "little") + sealed)
        mac.update(data)
        return mac.digest()

    def _verify(self, name: str, path: Path) -> Entry:
        sealed, mac = _read_seal(path)
        with path.open("rb") as handle:
            status = os.fstat(handle.fileno())
            _must_be_private(path, status)
            header = _read_header(sealed, name, status.st_size)
            if status.st_size == 0:
                raise _BadSealError("it is empty")
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
                right = hmac.compare_digest(self._mac(sealed, data), mac)
        if not right:
            raise _BadSealError("its seal does not match")
        return Entry(name, path, header["notes"], status.st_size)


class _BadSealError(Exception):
    """Why a file is not used."""


def _seal_path(path: Path) -> Path:
    return path.with_name(path.name + ".seal")


def _read_seal(path: Path) -> tuple[bytes, bytes]:
    with _seal_path(path).open("rb") as handle:
        raw = handle.read(SEAL_LIMIT + 1)
    outer = _unpack(raw)
    sealed, mac = outer.get("sealed"), outer.get("mac")
    if not isinstance(sealed, bytes) or not isinstance(mac, bytes):
        raise _BadSealError("its seal is malformed")
    return sealed, mac


def _read_header(sealed: bytes, name: str, size: int) -> dict[str, Any]:
    header = _unpack(sealed)
    if header.get("format") != FORMAT or header.get("name") != name or not isinstance(header.get("notes"), dict):
        raise _BadSealError("its seal belongs to another file or another version")
    if header.get("size") != size:
        raise _BadSealError("its size is not the sealed one")
    return header


def _unpack(raw: bytes) -> dict[str, Any]:
    if len(raw) > SEAL_LIMIT:
        raise _BadSealError("its seal is too large")
    try:
        value = msgpack.unpackb(raw, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise _BadSealError(f"its seal cannot be read ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise _BadSealError("its seal is malformed")
    return value


def _must_be_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _BadSealError(f"others may write it (owner {status.st_uid}, mode {stat.filemode(status.st_mode)})")


def _private_folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.getuid():
        raise EngineError(f"{path} belongs to another user; set {HOME_VARIABLE} to a folder of your own")
    if status.st_mode & 0o077:
        path.chmod(0o700)


def _load_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    else:
        status = path.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            log.warning("%s could be read by others: a new key is made and everything is built again", path)
            path.unlink(missing_ok=True)
            key = b""
    if len(key) == KEY_BYTES:
        return key
    if key:
        raise EngineError(f"{path} is damaged; remove it, everything is then built again")
    return _make_key(path)


def _make_key(path: Path) -> bytes:
    """A new key, in place at once and whole; of two processes that make one, both use the first."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(secrets.token_bytes(KEY_BYTES))
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)
    Path(temporary).unlink()
    return path.read_bytes()


def _write_atomically(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
