"""Several pieces of work in one transaction: one that fails does not touch the others."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.storage.watch import Watch
from pyworkerd.storage.work import Job, delivery, together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.execute("CREATE TABLE t(x UNIQUE)")
    yield opened
    opened.close()


def put(x: Any) -> Job:
    return Job(lambda connection: connection.execute("INSERT INTO t VALUES (?)", (x,)).lastrowid)


def kept(connection: sqlite3.Connection) -> list[Any]:
    return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY x")]


def test_all_of_them(connection: sqlite3.Connection) -> None:
    assert together(connection, [put(1), put(2), put(3)]) == [1, 2, 3]
    assert kept(connection) == [1, 2, 3]


def test_one_that_fails(connection: sqlite3.Connection) -> None:
    outcomes = together(connection, [put(1), put(1), put(2)])
    assert outcomes is not None
    assert [type(each) for each in outcomes] == [int, sqlite3.IntegrityError, int]
    assert kept(connection) == [1, 2]


def test_one_that_rolls_everything_back(connection: sqlite3.Connection) -> None:
    spoiler = Job(lambda c: c.execute("INSERT OR ROLLBACK INTO t VALUES (1)"))
    assert together(connection, [put(1), spoiler, put(2)]) is None
    assert kept(connection) == []
    (outcome,) = together(connection, [spoiler]) or []
    assert not connection.in_transaction
    (outcome,) = together(connection, [spoiler]) or []
    assert isinstance(outcome, sqlite3.IntegrityError)


def test_an_end_that_fails(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE child(x REFERENCES t(x) DEFERRABLE INITIALLY DEFERRED)")
    bad = Job(lambda c: c.execute("INSERT INTO child VALUES (9)").rowcount)
    assert together(connection, [put(1), bad]) is None
    (outcome,) = together(connection, [bad]) or []
    assert isinstance(outcome, sqlite3.IntegrityError)
    assert not connection.in_transaction
    assert kept(connection) == []


def test_a_file_that_another_process_holds_is_waited_for_once(tmp_path: Path) -> None:
    holding, waiting = (
        sqlite3.connect(tmp_path / "t.sqlite3", isolation_level=None, timeout=0.01) for _ in range(2)
    )
    holding.execute("CREATE TABLE t(x UNIQUE)")
    holding.execute("BEGIN IMMEDIATE")
    begun: list[str] = []
    waiting.set_trace_callback(begun.append)
    outcomes = together(waiting, [put(1), put(2), put(3)])
    assert outcomes is not None
    assert [str(each) for each in outcomes] == ["database is locked"] * 3
    assert begun == ["BEGIN IMMEDIATE"]
    holding.execute("ROLLBACK")
    assert together(waiting, [put(1), put(2)]) == [1, 2]
    holding.close()
    waiting.close()


def test_who_joins_whom() -> None:
    def work(_: object) -> None:
        pass

    assert Job(work).joins(Job(work))
    assert not Job(work).joins(Job(work, alone=True))
    assert not Job(work, relaxed=True).joins(Job(work))


def test_who_fails_at_hearing_of_an_outcome_keeps_it_from_nobody_else() -> None:
    def fails(outcome: Any) -> None:
        raise KeyError(outcome)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[Any] = []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        jobs = [put(1), put(2), put(3)]
        first, second, third = (job.begin(loop) for job in jobs)
        jobs[1].tell = fails
        await asyncio.to_thread(delivery(jobs, [1, 2, 3]))
        assert (await first, await third, second.done()) == (1, 3, False)
        assert [type(error) for error in told] == [KeyError]

    asyncio.run(main())


def test_outcomes_reach_those_who_wait() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        watch = Watch(1)
        jobs = [put(1), put(2), put(3)]
        first, second, third = (job.begin(loop) for job in jobs)
        gone = Job(put(4).work, watch)
        gone.begin(loop).cancel()
        gone.cancel()
        await asyncio.to_thread(delivery([*jobs, gone, put(5)], [1, ValueError("no"), None, 4, 5]))
        assert await first == 1
        with pytest.raises(ValueError, match="no"):
            await second
        assert await third is None
        assert gone.cancelled

    asyncio.run(main())
