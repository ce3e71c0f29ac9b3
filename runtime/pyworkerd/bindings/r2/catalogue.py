"""What a bucket knows of its objects, in SQL: which keys there are, and which files their bytes lie in.

Every function takes a connection of `storage.database` and is one piece of work on it. Files belong to an *owner*, by
name: an object's version, or an upload. What nobody owns any more is handed back as `Litter`, for the files to be
deleted once it is certain that nobody needs them.

Rule 1: a file is listed here only after it is complete and on disk; whatever is not listed is litter.
Rule 2: the files of an object of several parts may be read for as long as the first of them is locked. They stay listed
under an owner of their own until they are deleted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd.errors import StorageFull
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema

from . import rules
from .faults import fault
from .model import HttpMetadata, R2Object, R2Objects

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from .model import Conditions, ListOptions, Part, PutOptions

_TABLES: Final = (
    """CREATE TABLE objects (
        key BLOB PRIMARY KEY, version TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
        uploaded INTEGER NOT NULL, http TEXT NOT NULL, custom TEXT NOT NULL, checksums TEXT NOT NULL,
        class TEXT NOT NULL)""",
    """CREATE TABLE files (
        name TEXT PRIMARY KEY, owner TEXT NOT NULL, position INTEGER NOT NULL, size INTEGER NOT NULL,
        etag TEXT NOT NULL) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX files_of ON files (owner, position)",
    """CREATE TABLE uploads (
        id TEXT PRIMARY KEY, key BLOB NOT NULL, begun INTEGER NOT NULL, http TEXT NOT NULL,
        custom TEXT NOT NULL, class TEXT NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX uploads_by_age ON uploads (begun)",
    "CREATE TABLE used (bytes INTEGER NOT NULL)",
    "INSERT INTO used VALUES (0)",
)
DESIGN: Final = Design(Schema(0x70775232, (_TABLES,)), default_mb=1024)  # "pwR2"
"""`default_mb` is for this file: about a million objects without metadata."""

UPLOAD_MS: Final = 7 * 24 * 3600 * 1000
"""After which an upload that nobody completed is aborted (R2: seven days)."""
MAX_PAGE: Final = 384 * 1024
"""Bytes of a listing's keys and metadata: it is cut there and goes on with its cursor, as in R2."""
_DOOMED: Final = "doomed "
_SELECT: Final = "SELECT key, version, size, etag, uploaded, http, custom, checksums, class FROM objects"


class File(NamedTuple):
    """A file of the bucket, by the name that we gave it."""

    name: str
    size: int
    etag: str = ""
    """MD5 of what is in it."""


class Litter(NamedTuple):
    """Files that nobody owns any more."""

    files: tuple[str, ...] = ()
    """These can be deleted."""
    owners: tuple[str, ...] = ()
    """Of these as soon as nobody reads them (rule 2)."""

    def __add__(self, other: Litter) -> Litter:  # type: ignore[override]
        return Litter(self.files + other.files, self.owners + other.owners)

    def __bool__(self) -> bool:
        return bool(self.files or self.owners)


class Written(NamedTuple):
    """What became of a write. `found` is None if a condition did not hold."""

    found: R2Object | None
    litter: Litter
    used: int
    """Bytes of the bucket now."""


# reading -----------------------------------------------------------------------------------------------------


def find(connection: sqlite3.Connection, key: bytes) -> R2Object | None:
    """What is there under a key."""
    row = connection.execute(_SELECT + " WHERE key = ?", (key,)).fetchone()
    return None if row is None else _object(row)


def find_files(connection: sqlite3.Connection, key: bytes) -> tuple[R2Object | None, tuple[File, ...]]:
    """What is there under a key, and its files in their order, as they were at one moment."""
    connection.execute("BEGIN")
    try:
        found = find(connection, key)
        return found, () if found is None else files_of(connection, found.version)
    finally:
        connection.execute("COMMIT")


def files_of(connection: sqlite3.Connection, owner: str) -> tuple[File, ...]:
    """The files of an owner, in their order."""
    rows = connection.execute(
        "SELECT name, size, etag FROM files WHERE owner = ? ORDER BY position", (owner,)
    )
    return tuple(File(*row) for row in rows)


def known(connection: sqlite3.Connection, names: Sequence[str]) -> set[str]:
    """Which of these files are somebody's."""
    marks = ",".join("?" * len(names))
    query = f"SELECT name FROM files WHERE name IN ({marks})"  # noqa: S608 - nothing but marks
    return {row[0] for row in connection.execute(query, names)}


def doomed(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Owners whose files are to be deleted."""
    rows = connection.execute(
        "SELECT DISTINCT owner FROM files WHERE owner >= ? AND owner < ? LIMIT 100", (_DOOMED, _DOOMED + "~")
    )
    return tuple(row[0] for row in rows)


def _object(row: tuple[Any, ...], *, http: bool = True, custom: bool = True) -> R2Object:
    return R2Object(
        key=row[0].decode(),
        version=row[1],
        size=row[2],
        etag=row[3],
        uploaded_ms=row[4],
        http_metadata=HttpMetadata(**json.loads(row[5])) if http else HttpMetadata(),
        custom_metadata=json.loads(row[6]) if custom else {},
        checksums={name: bytes.fromhex(value) for name, value in json.loads(row[7]).items()},
        storage_class=row[8],
    )


# listing -----------------------------------------------------------------------------------------------------


def listing(connection: sqlite3.Connection, options: ListOptions) -> R2Objects:
    """A page of the keys, in the order of their bytes. Each delimited prefix costs one look into the index."""
    prefix, delimiter = (rules.searched(text) for text in (options.prefix, options.delimiter))
    lower = max(prefix, rules.list_start(options))
    upper = rules.after_prefix(prefix) if prefix else None
    http, custom = ("httpMetadata" in options.include), ("customMetadata" in options.include)
    objects: list[R2Object] = []
    prefixes: list[str] = []
    cursor, size = "", 0
    while lower is not None:
        jump = None
        for row in _rows(connection, lower, upper):
            if len(objects) + len(prefixes) == options.limit or size > MAX_PAGE:
                return R2Objects(tuple(objects), tuple(prefixes), cursor)
            end = row[0].find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                jump = row[0][: end + len(delimiter)]
                prefixes.append(jump.decode())
                cursor, size = rules.to_cursor(b"p", jump), size + len(jump)
                break
            objects.append(_object(row, http=http, custom=custom))
            cursor = rules.to_cursor(b"k", row[0])
            size += len(row[0]) + 100 + http * len(row[5]) + custom * len(row[6])
        if jump is None:
            break
        following = rules.after_prefix(jump)
        if following is None:
            break
        lower = following
    return R2Objects(tuple(objects), tuple(prefixes))


def _rows(connection: sqlite3.Connection, lower: bytes, upper: bytes | None) -> Iterator[tuple[Any, ...]]:
    if upper is None:
        return connection.execute(_SELECT + " WHERE key >= ? ORDER BY key", (lower,))
    return connection.execute(_SELECT + " WHERE key >= ? AND key < ? ORDER BY key", (lower, upper))


# writing -----------------------------------------------------------------------------------------------------


def put(
    connection: sqlite3.Connection, found: R2Object, file: File | None, only_if: Conditions | None, quota: int
) -> Written:
    """Make an object of a file, in place of what was there, if the condition holds now."""
    key = found.key.encode()
    if not rules.holds(only_if, find(connection, key)):
        return Written(None, Litter((file.name,) if file else ()), used(connection))
    litter = _drop(connection, key)
    if file is not None:
        _own(connection, found.version, 0, file)
    _insert(connection, found)
    return Written(found, litter, _within(connection, quota))


def delete(connection: sqlite3.Connection, keys: Sequence[bytes]) -> Written:
    """Delete what is there of these."""
    litter = Litter()
    for key in dict.fromkeys(keys):
        litter += _drop(connection, key)
    return Written(None, litter, used(connection))


def _insert(connection: sqlite3.Connection, found: R2Object) -> None:
    connection.execute(
        "INSERT INTO objects VALUES (?,?,?,?,?,?,?,?,?)",
        (
            found.key.encode(),
            found.version,
            found.size,
            found.etag,
            found.uploaded_ms,
            json.dumps(found.http_metadata.to_json()),
            json.dumps(dict(found.custom_metadata)),
            json.dumps({name: value.hex() for name, value in found.checksums.items()}),
            found.storage_class,
        ),
    )


def _own(connection: sqlite3.Connection, owner: str, position: int, file: File) -> None:
    connection.execute(
        "INSERT INTO files (name, owner, position, size, etag) VALUES (?,?,?,?,?)",
        (file.name, owner, position, file.size, file.etag),
    )
    connection.execute("UPDATE used SET bytes = bytes + ?", (file.size,))


def _drop(connection: sqlite3.Connection, key: bytes) -> Litter:
    row = connection.execute("SELECT version FROM objects WHERE key = ?", (key,)).fetchone()
    if row is None:
        return Litter()
    connection.execute("DELETE FROM objects WHERE key = ?", (key,))
    return _disown(connection, row[0], read=True)


def _disown(connection: sqlite3.Connection, owner: str, *, read: bool) -> Litter:
    """Take the files from an owner. `read`: somebody may be reading them."""
    files = files_of(connection, owner)
    connection.execute("UPDATE used SET bytes = bytes - ?", (sum(file.size for file in files),))
    if not read or len(files) < 2:
        connection.execute("DELETE FROM files WHERE owner = ?", (owner,))
        return Litter(tuple(file.name for file in files))
    new = _DOOMED + owner
    connection.execute("UPDATE files SET owner = ? WHERE owner = ?", (new, owner))
    return Litter(owners=(new,))


def forget(connection: sqlite3.Connection, owner: str) -> None:
    """The files of a doomed owner are deleted."""
    connection.execute("DELETE FROM files WHERE owner = ?", (owner,))


def used(connection: sqlite3.Connection) -> int:
    """Bytes of all objects and parts."""
    return int(connection.execute("SELECT bytes FROM used").fetchone()[0])


def _within(connection: sqlite3.Connection, quota: int) -> int:
    """Bytes of the bucket. Raises `StorageFull` if they are too many, which undoes all that was done before."""
    bytes_used = used(connection)
    if bytes_used > quota:
        raise StorageFull("the bucket is as large as it may become (size_mb)")
    return bytes_used


# multipart ---------------------------------------------------------------------------------------------------


def begin(connection: sqlite3.Connection, upload: str, key: bytes, options: PutOptions, now: int) -> Written:
    """Begin an upload; those that are too old end. Raises the fault if too many are open."""
    litter = _expire(connection, now)
    (number,) = connection.execute("SELECT count(*) FROM uploads").fetchone()
    if number >= rules.MAX_UPLOADS:
        raise fault("createMultipartUpload", "uploads")
    connection.execute(
        "INSERT INTO uploads (id, key, begun, http, custom, class) VALUES (?,?,?,?,?,?)",
        (
            upload,
            key,
            now,
            json.dumps(options.http.to_json()),
            json.dumps(dict(options.custom)),
            options.storage_class,
        ),
    )
    return Written(None, litter, used(connection))


def has_old(connection: sqlite3.Connection, now: int) -> bool:
    """Whether there are uploads that are too old."""
    return (
        connection.execute("SELECT 1 FROM uploads WHERE begun < ?", (now - UPLOAD_MS,)).fetchone() is not None
    )


def clean(connection: sqlite3.Connection, now: int) -> Written:
    """End some uploads that are too old."""
    litter = _expire(connection, now)
    return Written(None, litter, used(connection))


def _expire(connection: sqlite3.Connection, now: int) -> Litter:
    litter = Litter()
    old = connection.execute(
        "SELECT id FROM uploads WHERE begun < ? LIMIT 100", (now - UPLOAD_MS,)
    ).fetchall()
    for (upload,) in old:
        litter += _end(connection, upload)
    return litter


def is_open(connection: sqlite3.Connection, upload: str, key: bytes) -> bool:
    """Whether a part may come."""
    if not upload.isascii():
        return False  # not every text can be asked for, and ids are hexadecimal digits
    row = connection.execute("SELECT 1 FROM uploads WHERE id = ? AND key = ?", (upload, key)).fetchone()
    return row is not None


def add_part(
    connection: sqlite3.Connection, upload: str, key: bytes, number: int, file: File, quota: int
) -> Written:
    """Keep a part, in place of one of the same number."""
    if not is_open(connection, upload, key):
        raise fault("uploadPart", "no_upload")
    place = (upload, number)
    old = connection.execute(
        "SELECT name, size FROM files WHERE owner = ? AND position = ?", place
    ).fetchall()
    connection.execute("DELETE FROM files WHERE owner = ? AND position = ?", place)
    connection.execute("UPDATE used SET bytes = bytes - ?", (sum(row[1] for row in old),))
    _own(connection, upload, number, file)
    return Written(None, Litter(tuple(row[0] for row in old)), _within(connection, quota))


def complete(
    connection: sqlite3.Connection, upload: str, key: bytes, parts: Sequence[Part], version: str, now: int
) -> Written:
    """Make an object of an upload's parts; those that are not named are litter."""
    if not is_open(connection, upload, key):
        raise fault("completeMultipartUpload", "no_upload")
    row = connection.execute("SELECT http, custom, class FROM uploads WHERE id = ?", (upload,)).fetchone()
    there = connection.execute("SELECT position, etag, size FROM files WHERE owner = ?", (upload,)).fetchall()
    numbers, etag, size = rules.assemble(parts, {number: (tag, length) for number, tag, length in there})
    litter = _drop(connection, key)
    for position, number in enumerate(numbers):
        connection.execute(
            "UPDATE files SET owner = ?, position = ? WHERE owner = ? AND position = ?",
            (version, position, upload, number),
        )
    found = R2Object(
        key.decode(),
        version,
        size,
        etag,
        now,
        HttpMetadata(**json.loads(row[0])),
        json.loads(row[1]),
        {},
        row[2],
    )
    _insert(connection, found)
    return Written(found, litter + _end(connection, upload), used(connection))


def abort(connection: sqlite3.Connection, upload: str, key: bytes) -> Written:
    """End an upload without an object."""
    if not is_open(connection, upload, key):
        raise fault("abortMultipartUpload", "no_upload")
    return Written(None, _end(connection, upload), used(connection))


def _end(connection: sqlite3.Connection, upload: str) -> Litter:
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload,))
    return _disown(connection, upload, read=False)
