"""A store that workers share takes over what one of them stored in its own before. Blocks: for threads of the storage.

Rule 1: nothing begins empty where something of that name was stored before: it is moved, once, or the use refused.
Rule 2: only files that nobody has open are moved. SQLite says so: a log that is written ahead cannot be put away while
another connection is there.
Rule 3: what was half moved by a process, or machine, that died is moved on by the next: the catalogue goes last, when
all else of the store is where it belongs, on disk.
Rule 4: a folder stays where the store was, so that nobody makes an empty one there: neither whoever still has the
configuration of before, or its version, nor whoever shares it no more. It is the operator's to remove.
Rule 5: what cannot be looked at is not taken for nothing, and links are the operator's to move: they lead elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import StorageBusy, StorageError

from .connection import TAKEN, primary_code, translate
from .layout import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .layout import Location

PATIENCE_S: Final = 0.2
"""How long somebody else may still have the files open. The next piece of work tries again."""

logger = logging.getLogger("pyworkerd.storage")


def take_over(location: Location) -> None:
    """Move what lies at an earlier place of a store to where it belongs, if nothing is there yet. Its folder is there.

    Raises `StorageError` where that cannot be, and where the store itself was moved away.
    """
    try:
        if _is_there(location.path) or not _there(location):
            _must_not_be_away(location)
            return
        with _alone(location.path.parent):
            found = _there(location)
            if _is_there(location.path) or not found:
                return
            if len(found) > 1:
                logger.error(
                    "%s: the %s is shared, and several workers have stored something in their own before: move the one "
                    "to be shared there, and the others away: %s",
                    location.path,
                    location.label,
                    ", ".join(map(str, found)),
                )
                raise StorageError(
                    f"the {location.label} is shared, and several of its workers had one of their own before"
                )
            _move(found[0], location)
    except OSError as error:
        logger.error(  # noqa: TRY400 (it is the operator's, and says all)
            "%s: the %s, which is shared, cannot be moved here: %s", location.path, location.label, error
        )
        raise StorageError(f"the {location.label} cannot be moved: {error.strerror}") from error
    logger.warning("%s: the %s was moved here from %s", location.path, location.label, found[0])


def _must_not_be_away(location: Location) -> None:
    if location.path.is_dir():
        logger.error(
            "%s: the %s was moved, because workers share it: remove this folder to begin with an empty one, or move "
            "into its place what is to be there",
            location.path,
            location.label,
        )
        raise StorageError(f"the {location.label} was moved to where workers share it")


def tell_of_others(location: Location) -> None:
    """Log what was stored elsewhere before and is not used, since the store was there already."""
    try:
        found = _there(location)
    except OSError as error:
        logger.warning("%s: whether something was stored before is not known: %s", location.path, error)
        return
    for path in found:
        logger.warning(
            "%s: the %s is used; what was stored before in %s is not: remove it if nobody misses it",
            location.path,
            location.label,
            path,
        )


def _there(location: Location) -> list[Path]:
    return [path for path in location.earlier() if _is_there(path)]


def _is_there(path: Path) -> bool:
    """A store, also a link to one that is not there. Not `Path.exists`, to which what may not be looked at is not."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else takes over into this folder, in any process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _move(source: Path, location: Location) -> None:
    files, to = source.with_suffix(FILES), location.path.with_suffix(FILES)
    for each in (source, files, to):
        if each.is_symlink():
            raise OSError(errno.ELOOP, "it is a link: move what it leads to yourself", str(each))
    folders = (location.path.parent.parent, location.path.parent, source.parent)
    try:
        with closing(_opened(source)) as connection:
            _put_log_away(connection, location)
            connection.execute("BEGIN EXCLUSIVE")
            if files.is_dir():
                files.rename(to)
            for folder in folders:
                _sync(folder)
            source.rename(location.path)
            with contextlib.suppress(FileExistsError):
                source.mkdir(mode=0o700)
    except sqlite3.Error as error:
        raise translate(error, location._replace(path=source)) from error
    for folder in folders:
        _sync(folder)


def _put_log_away(connection: sqlite3.Connection, location: Location) -> None:
    """Raises `StorageBusy` as long as somebody else has the database open."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if primary_code(error) not in TAKEN:
            raise
        mode = "wal"
    if mode == "wal":
        raise StorageBusy(f"the {location.label} is shared from now on, and still in use where it was before")


def _opened(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=PATIENCE_S, isolation_level=None)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
