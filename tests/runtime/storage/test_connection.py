"""How files are opened: what is acknowledged is on disk, and readers cannot write."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import StorageBusy, StorageCorrupt, StorageError, StorageFull
from pyworkerd.storage.connection import bound, open_reader, open_writer, primary_code, size_of, translate
from pyworkerd.storage.layout import make_private

from tests.runtime.storage.files import DESIGN, at

if TYPE_CHECKING:
    from pathlib import Path


def test_settings(tmp_path: Path) -> None:
    make_private(at(tmp_path))
    writer = open_writer(at(tmp_path), DESIGN)
    reader = open_reader(at(tmp_path), DESIGN)
    for connection, query_only in ((writer, 0), (reader, 1)):
        for pragma, value in {
            "journal_mode": "wal",
            "synchronous": 2,
            "trusted_schema": 0,
            "query_only": query_only,
            "mmap_size": 0,
        }.items():
            assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,), pragma
    bound(writer, 1)
    assert writer.execute("PRAGMA max_page_count").fetchone() == (256,)
    assert size_of(writer) > 0
    with pytest.raises(sqlite3.OperationalError) as caught:
        reader.execute("INSERT INTO t VALUES (1, 1)")
    assert primary_code(caught.value) == sqlite3.SQLITE_READONLY
    reader.close()
    writer.close()


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


def test_what_errors_mean(tmp_path: Path) -> None:
    for code, kind in {
        sqlite3.SQLITE_BUSY: StorageBusy,
        sqlite3.SQLITE_BUSY_SNAPSHOT: StorageBusy,
        sqlite3.SQLITE_LOCKED: StorageBusy,
        sqlite3.SQLITE_FULL: StorageFull,
        sqlite3.SQLITE_CORRUPT: StorageCorrupt,
        sqlite3.SQLITE_NOTADB: StorageCorrupt,
        sqlite3.SQLITE_IOERR_FSYNC: StorageError,
    }.items():
        found = translate(failed(code), at(tmp_path))
        assert type(found) is kind
        assert str(tmp_path) not in str(found)
    assert type(translate(sqlite3.ProgrammingError("x"), at(tmp_path))) is StorageError
