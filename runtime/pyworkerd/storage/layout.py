"""Which file is whose. Names come from configurations and programs; none of them can lead out of `state_dir`.

state_dir/kv/own.shop/cache.sqlite3       the store "cache" of the worker "shop" alone
state_dir/kv/shared/cache.sqlite3         the store "cache" that `[[stores]]` declares for several workers
state_dir/kv/program/cache.sqlite3        the store "cache" of the program that embeds the runtime
state_dir/do/shop-%52oom/0a1b...sqlite3   what one Durable Object has stored, by unique key and id
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
"""What stands for itself. Capitals do not: some file systems do not tell them apart."""
MAX_NAME: Final = 120
"""Characters of an encoded name; longer ones end with a hash (Linux: 255 bytes, eCryptfs: 143)."""
OWN: Final = "own."
SHARED: Final = "shared"
PROGRAM: Final = "program"
FILES: Final = ".files"
"""Of the folder beside a bucket's catalogue."""


class Location(NamedTuple):
    """A store, before anybody has opened it."""

    root: Path
    """The `state_dir`."""
    path: Path
    """Its file."""
    label: str
    """What messages call it: they never name a path."""
    size_mb: int | None = None
    """How large it may grow, where `[[stores]]` says so."""
    sharers: tuple[str, ...] = ()
    """Workers that it is shared by: each may have had one of its own before."""

    @property
    def owner(self) -> object:
        """The worker whose it is, or those that share it; nobody shares one of the program's."""
        folder = self.path.parent.name
        return folder if folder.startswith(OWN) else self.sharers or self.path

    def earlier(self) -> Iterator[Path]:
        """Where it may have been before it was shared."""
        kind = self.path.parent.parent
        return (kind / f"{OWN}{encoded(worker)}" / self.path.name for worker in self.sharers)


def encoded(name: str) -> str:
    """A name as a part of a path: different for different names, never hidden, never `..`, never too long."""
    data = name.encode("utf-8", "surrogatepass")
    text = "".join(chr(byte) if chr(byte) in PLAIN else f"%{byte:02x}" for byte in data)
    if 0 < len(text) <= MAX_NAME:
        return text
    return f"{text[: MAX_NAME - 33]}~{hashlib.sha256(data).hexdigest()[:32]}"


def draft_of(root: Path) -> Path:
    """Where a `state_dir` is, while a backup is made one again."""
    return root.with_name(f"{root.name}.restoring")


def own(root: Path, kind: str, worker: str, name: str) -> Location:
    """A store of one worker."""
    return _location(root, kind, f"{OWN}{encoded(worker)}", name)


def shared(
    root: Path, kind: str, name: str, size_mb: int | None = None, workers: tuple[str, ...] = ()
) -> Location:
    """A store that `[[stores]]` declares, for these workers: what one of them had in its own before is taken over."""
    return _location(root, kind, SHARED, name)._replace(size_mb=size_mb, sharers=workers)


def program(root: Path, kind: str, name: str) -> Location:
    """A store of the program that embeds the runtime."""
    return _location(root, kind, PROGRAM, name)


def durable_object(root: Path, unique_key: str, object_id: str) -> Location:
    """What one Durable Object has stored."""
    path = root / "do" / encoded(unique_key) / f"{encoded(object_id)}.sqlite3"
    return Location(root, path, "storage of a Durable Object")


def durable_object_locks(root: Path) -> Location:
    """The file that says which process has which object; beside it are the sockets of processes that have some."""
    return Location(root, root / "do" / ".run" / "locks", "folder of Durable Objects")


def durable_object_alarms(root: Path) -> Location:
    """When alarms of Durable Objects are due."""
    return Location(root, root / "do" / ".run" / "alarms.sqlite3", "table of alarms of Durable Objects")


def _location(root: Path, kind: str, owner: str, name: str) -> Location:
    return Location(root, root / kind / owner / f"{encoded(name)}.sqlite3", f"{kind} store {name!r}")


def make_private(location: Location) -> None:
    """Make the folders of a store that are not there yet, for this user alone. Blocks on the disk.

    Raises `StorageError` where somebody else could have put something in their place.
    """
    try:
        location.root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (location.root, location.path.parent.parent, location.path.parent):
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                _check(folder, location)
    except OSError as error:
        raise StorageError(f"the folder of the {location.label} cannot be made: {error.strerror}") from error


def _check(folder: Path, location: Location) -> None:
    status = folder.stat() if folder == location.root else folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise StorageError(f"the folder of the {location.label} is no folder")
    if status.st_uid not in (os.geteuid(), 0):
        raise StorageError(f"the folder of the {location.label} belongs to another user")
    if status.st_mode & stat.S_IWOTH:
        raise StorageError(f"the folder of the {location.label} can be written to by everybody")
