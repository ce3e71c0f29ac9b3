"""What a provider of D1 databases promises. `tests/contracts/test_d1_stores.py` holds every provider to it.

Rule 1: the statements of one `run` are one transaction: all of them count, or none.
Rule 2: what `run` and the others have returned from survives the process and the machine's power.
Rule 3: bookmarks are true: whoever comes with one sees everything that its giver saw, or is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pyworkerd_isolates import wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .rules import Statement


class Meta(NamedTuple):
    """What is told of a statement besides its rows."""

    duration: float
    """Milliseconds."""
    changes: int
    last_row_id: int
    changed_db: bool
    size_after: int
    rows_read: int
    rows_written: int


class Result(NamedTuple):
    """What one statement gave."""

    columns: list[str]
    rows: list[Any]
    """The first rows, if they are small, and of what JSON can say."""
    pieces: list[bytes]
    """The others, some hundred in each: encoded lists of lists (`wire`)."""
    meta: Meta


def rows_of(result: Result) -> list[list[Any]]:
    """All of its rows."""
    return [*result.rows, *(row for piece in result.pieces for row in wire.load_value(piece))]


class Outcome(NamedTuple):
    """What one call gave."""

    results: list[Result]
    bookmark: str | None
    """If one was asked for."""


class Stopped(NamedTuple):
    """A script that came to a line which failed."""

    line: int
    sql: str
    message: str


class SQLStore(Protocol):
    """A provider. SQL is a tenant's. Errors of it are `BadCall` in D1's words; others are `StorageError`."""

    async def run(
        self,
        statements: Sequence[Statement],
        *,
        after: str | None = None,
        bookmark: bool = False,
        told: bool = True,
    ) -> Outcome:
        """Run statements as one transaction, not before what the bookmark `after` stands for. Where it need not be
        `told`, what is said besides the rows is nothing.
        """

    async def script(self, lines: Sequence[str]) -> tuple[int, Stopped | None]:
        """Run lines of SQL one after the other, each for itself. How many were run, and what stopped it."""

    async def migrate(self, migrations: Sequence[tuple[str, str]]) -> list[str]:
        """Apply what is new of some scripts (name, SQL), each as one transaction, exactly once. The names of those.

        Raises `BadCall`, with the name.
        """

    async def export(self, file: Path) -> None:
        """Write the database as SQL text, as it is at one moment."""

    async def import_script(self, sql: str) -> int:
        """Run a script as one transaction. How many statements."""

    async def aclose(self) -> None:
        """Let go of everything. No call follows."""
