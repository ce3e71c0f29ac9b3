"""Versions of our own tables: each store knows what it is and how far it has come, and is brought up to date once.

A file says by its `application_id` what it is, and by its `user_version` how many of the steps have been taken (SQLite,
"The database file format", section 1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyworkerd.errors import StorageError

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one kind of store. Steps are only ever added: what a version has written, later ones can read."""

    application_id: int
    steps: tuple[tuple[str, ...], ...]
    """Statements that lead from each version to the next."""


def bring_up_to_date(connection: sqlite3.Connection, schema: Schema, label: str) -> None:
    """Take the steps that are missing, all or none. Safe in several processes at once.

    Raises `StorageError` for a file of another kind, or of a later version.
    """
    connection.execute(
        "BEGIN"
    )  # what is asked is answered of one moment: another process may be making the tables
    try:
        done = _state(connection, schema, label)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if done == len(schema.steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _state(connection, schema, label)
        for step in schema.steps[done:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        connection.execute(f"PRAGMA user_version = {len(schema.steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _state(connection: sqlite3.Connection, schema: Schema, label: str) -> int:
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if kind != schema.application_id and (kind or version or tables):
        raise StorageError(f"the file of the {label} is that of something else")
    if version > len(schema.steps):
        raise StorageError(f"the {label} was written by a later version of pyworkerd ({version})")
    return int(version)
