"""Values of any size in a store, written and read piece by piece: one piece of each is in memory, however large it is.

A small value is part of the row that names it. A larger one is rows of a table `pieces`, each written in a transaction
of its own before anything names the value, and found by the value's number and its place. Rules of all who keep such
values:

Rule 1: pieces are written `relaxed`: nobody relies on them yet. Whether the row that names the value is on disk before
        anybody hears of it is the store's to say; a sync that is waited for takes along what was written before.
Rule 2: a value that nothing names has a row that says until when it may stay. While it comes in, each piece puts that
        moment off (`UPLOAD_S`); one that is too late finds the row gone, and fails. When it is not named any more, the
        store gives those who read it still their time.
Rule 3: whoever sweeps does a little with each write (`SWEEP`), and forgets what is only read when room is needed: its
        reader is told so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

    from pyworkerd.messages import Body

    from .database import Database

INLINE: Final = 65_536
"""Bytes of a value that is kept in the row that names it: it is read and written at once."""
PIECE: Final = 262_144
"""Bytes of a piece of a larger one, as many as may be in flight of a body (`protocol.WINDOW`)."""
UPLOAD_S: Final = 3_600
"""How long a value may wait for its next piece before it counts as given up."""
SWEEP: Final = 16
"""Rows that one write cleans up at most."""
TABLE: Final = "CREATE TABLE pieces (piece INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT"


@dataclass(frozen=True, slots=True)
class Pieces:
    """How one kind of store keeps them."""

    most: int
    """Pieces of a value at most, so that the number of a piece follows from those of value and place."""
    begin: str
    """SQL that inserts the row of a value that comes in, until the moment that is its parameter."""
    put_off: str
    """SQL that changes that moment: parameters are the moment and the value's number."""
    late: str
    """What is said of a value that was given up while it came in."""
    gone: str
    """What is said of one that was forgotten while it was read."""

    def place(
        self, connection: sqlite3.Connection, value: int | None, place: int, data: bytes, now: float
    ) -> int:
        """Write a piece of a value that nobody sees yet, None for a new one; its number. Raises `StorageError`."""
        until = int(now) + UPLOAD_S
        if value is None:
            value = connection.execute(self.begin, (until,)).lastrowid or 0
        elif not connection.execute(self.put_off, (until, value)).rowcount:
            raise StorageError(self.late)
        connection.execute("INSERT INTO pieces VALUES (?, ?)", (value * self.most + place, data))
        return value

    def forget(self, connection: sqlite3.Connection, value: int) -> None:
        """Forget the pieces of a value."""
        first = value * self.most
        connection.execute("DELETE FROM pieces WHERE piece BETWEEN ? AND ?", (first, first + self.most - 1))

    def read(self, database: Database, value: int, offset: int, length: int) -> AsyncIterator[bytes]:
        """Some bytes of a value, each piece read when it is asked for. Raises `StorageError`."""
        return _Reading(self, database, value, offset, length)


class Upload:
    """A value that comes in. `receive` it; then let a row name it, and say so (`named`)."""

    def __init__(self, place: Callable[[int | None, int, bytes], Awaitable[int]]) -> None:
        self._place = place
        self.value: int | None = None
        """Its number as long as it has pieces that nothing names: somebody has to forget them."""
        self.data: bytes | None = None
        """All of it, if it has no pieces."""
        self.size = 0

    async def receive(self, body: Body, check: Callable[[int], None]) -> None:
        """Write all of a body. `check` is told its size as far as that is known, and raises where it is too much."""
        if body.length is not None:
            check(body.length)
        placed, waiting = 0, bytearray()
        async for chunk in body:
            self.size += len(chunk)
            check(self.size)
            view = memoryview(chunk)
            while len(waiting) + len(view) > PIECE:
                part = PIECE - len(waiting)
                waiting += view[:part]
                view = view[part:]
                self.value = await self._place(self.value, placed, bytes(waiting))
                waiting.clear()
                placed += 1
            waiting += view
        if self.value is not None or len(waiting) > INLINE:
            self.value = await self._place(self.value, placed, bytes(waiting))
        else:
            self.data = bytes(waiting)

    def named(self) -> None:
        """Something names its pieces now."""
        self.value = None


class _Reading(AsyncIterator[bytes]):
    """It is an object, since a generator that never began would close nothing."""

    __slots__ = ("_at", "_database", "_left", "_pieces", "_value")

    def __init__(self, pieces: Pieces, database: Database, value: int, offset: int, length: int) -> None:
        self._pieces, self._database, self._value = pieces, database, value
        self._at, self._left = offset, length

    async def __anext__(self) -> bytes:
        if self._left <= 0:
            raise StopAsyncIteration
        place, skip = divmod(self._at, PIECE)
        number = self._value * self._pieces.most + place
        row = await self._database.read(
            lambda c: c.execute("SELECT data FROM pieces WHERE piece = ?", (number,)).fetchone()
        )
        if row is None:
            self._left = 0
            raise StorageError(self._pieces.gone)
        data: bytes = row[0][skip : skip + self._left]
        self._left -= len(data)
        self._at += len(data)
        return data

    async def aclose(self) -> None:
        """Read no more."""
        self._left = 0
