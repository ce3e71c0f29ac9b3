"""Values in pieces: whole or not there, whatever the sizes, and read from anywhere."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import StorageError
from pyworkerd.messages import Body
from pyworkerd.storage.connection import Design
from pyworkerd.storage.pieces import INLINE, PIECE, TABLE, UPLOAD_S, Pieces, Upload
from pyworkerd.storage.schema import Schema
from pyworkerd.storage.stores import Stores

from tests.runtime.storage.files import at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pyworkerd.storage.database import Database

LOOSE = "CREATE TABLE loose (value INTEGER PRIMARY KEY AUTOINCREMENT, until INTEGER NOT NULL) STRICT"
DESIGN = Design(Schema(78, ((LOOSE, TABLE),)), default_mb=64)
PIECES = Pieces(
    most=8,
    begin="INSERT INTO loose VALUES (NULL, ?)",
    put_off="UPDATE loose SET until = ? WHERE value = ?",
    late="too late",
    gone="it has gone",
)
NOW = 1000.0


class Store:
    def __init__(self, database: Database) -> None:
        self.database = database

    def upload(self, now: Callable[[], float] = lambda: NOW) -> Upload:
        async def place(value: int | None, place: int, data: bytes) -> int:
            return await self.database.write(
                lambda c: PIECES.place(c, value, place, data, now()), relaxed=True
            )

        return Upload(place)

    async def rows(self, sql: str) -> list[tuple[int, ...]]:
        return await self.database.read(lambda c: c.execute(sql).fetchall())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    stores = Stores()
    try:
        yield Store(stores.use(at(folder), DESIGN))
    finally:
        await stores.aclose()


def body(*sizes: int) -> Body:
    async def chunks() -> AsyncIterator[bytes]:
        for number, size in enumerate(sizes):
            yield bytes((number % 256,)) * size

    return Body(chunks=chunks())


def content(*sizes: int) -> bytes:
    return b"".join(bytes((number % 256,)) * size for number, size in enumerate(sizes))


@pytest.mark.parametrize("sizes", [(), (0,), (1, 2), (INLINE,), (1,) * 100])
def test_a_small_value_has_no_pieces(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            upload = store.upload()
            await upload.receive(body(*sizes), lambda _: None)
            assert (upload.value, upload.data, upload.size) == (None, content(*sizes), sum(sizes))

    asyncio.run(main())


@pytest.mark.parametrize(
    "sizes",
    [(INLINE + 1,), (PIECE,), (PIECE, 1), (PIECE - 1, 2), (PIECE * 2,), (PIECE * 3 + 5, 0, 7), (1000,) * 700],
)
def test_a_large_one_is_rows_of_at_most_a_piece(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            for number in (1, 2):  # beside another one
                upload = store.upload()
                await upload.receive(body(*sizes), lambda _: None)
                assert (upload.value, upload.data, upload.size) == (number, None, sum(sizes))
            whole = content(*sizes)
            lengths = [
                length for (length,) in await store.rows("SELECT length(data) FROM pieces ORDER BY piece")
            ]
            assert max(lengths) <= PIECE
            assert sum(lengths) == 2 * len(whole)
            for offset, length in ((0, len(whole)), (1, 1), (PIECE - 1, 2), (len(whole) - 3, 3), (5, 0)):
                read = PIECES.read(store.database, 2, offset, min(length, len(whole) - offset))
                assert b"".join([data async for data in read]) == whole[offset : offset + length]

    asyncio.run(main())


def test_what_is_too_much_is_refused_and_named_for_who_cleans_up(tmp_path: Path) -> None:
    class TooMuch(Exception):
        pass

    def check(size: int) -> None:
        if size > 2 * PIECE:
            raise TooMuch

    async def main() -> None:
        async with opened(tmp_path) as store:
            upload = store.upload()
            with pytest.raises(TooMuch):
                await upload.receive(Body(bytes(2 * PIECE + 1)), check)
            assert (upload.value, upload.size) == (None, 0), "its length was known"
            with pytest.raises(TooMuch):
                await upload.receive(body(PIECE + 1, PIECE), check)
            assert upload.value == 1
            await store.database.write(lambda c: PIECES.forget(c, 1))
            assert await store.rows("SELECT piece FROM pieces") == []

    asyncio.run(main())


def test_each_piece_puts_off_when_it_counts_as_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            now = iter((NOW, NOW + 10))
            upload = store.upload(lambda: next(now))
            await upload.receive(body(PIECE, 1), lambda _: None)
            assert await store.rows("SELECT until FROM loose") == [(int(NOW) + 10 + UPLOAD_S,)]
            await store.database.write(lambda c: c.execute("DELETE FROM loose").rowcount)
            with pytest.raises(StorageError, match="too late"):
                await store.database.write(lambda c: PIECES.place(c, upload.value, 2, b"", NOW))

    asyncio.run(main())


def test_what_is_forgotten_while_it_is_read_breaks_off(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as store:
            upload = store.upload()
            await upload.receive(body(PIECE, 1), lambda _: None)
            read = PIECES.read(store.database, 1, 0, PIECE + 1)
            assert len(await anext(read)) == PIECE
            await store.database.write(lambda c: PIECES.forget(c, 1))
            with pytest.raises(StorageError, match="it has gone"):
                await anext(read)
            assert [data async for data in read] == []

    asyncio.run(main())
