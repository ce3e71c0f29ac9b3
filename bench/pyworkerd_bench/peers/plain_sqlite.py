"""`sqlite3` of the standard library, in this process: what a query costs where nothing is in between."""

from __future__ import annotations

import platform
import sqlite3
import time
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import PLAIN_SQLITE, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.folder import Folder
from pyworkerd_bench.subject.bindings import FILL, QUERIES, QUERY, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence


class PlainSQLite:
    """The same rows in a file of the same kind."""

    name = PLAIN_SQLITE

    def __init__(self) -> None:
        self._folder = Folder()
        self._connection: sqlite3.Connection | None = None

    def available(self) -> str | None:
        """Python has it."""
        return None

    def about(self) -> str:
        """Versions."""
        return f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}, one thread"

    def start(self) -> None:
        """Make the file."""
        connection = sqlite3.connect(self._folder.make() / "items.sqlite3", isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", SCHEMA, FILL):
            connection.execute(statement)
        self._connection = connection

    def stop(self) -> None:
        """Remove it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._folder.remove()

    def probes(self) -> Sequence[Probe]:
        """One query, many times."""
        return [Probe("d1", self._query, 60, 3)]

    def _query(self) -> float:
        if self._connection is None:
            raise BenchError("the file was not made")
        execute = self._connection.execute
        began = time.perf_counter()
        for number in range(QUERIES):
            if execute(QUERY, (number,)).fetchone()[0] != number:
                raise BenchError("a row was lost")
        return (time.perf_counter() - began) / QUERIES
