"""A statement ends when it has used its time, when nobody waits, and before it fills the disk."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyworkerd.storage import watch as watching
from pyworkerd.storage.watch import CPU, DISK, GONE, WALL, Watch, disk_free

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def interrupted(watch: Watch) -> str | None:
    """Its verdict on a statement without an end. On a thread, which gives way to others from then on."""

    def run() -> str | None:
        connection = sqlite3.connect(":memory:")
        with watch.over(connection), pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(FOREVER).fetchall()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        connection.close()
        return watch.verdict

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def test_time() -> None:
    assert interrupted(Watch(20)) == CPU


def test_nobody_waits() -> None:
    watch = Watch(60_000)
    watch.cancel()
    assert interrupted(watch) == GONE


def test_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_WALL", 0.0)
    assert interrupted(Watch(60_000)) == WALL


def test_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watching, "RESERVE", 1 << 62)
    assert interrupted(Watch(60_000, tmp_path)) == DISK
    assert interrupted(Watch(200)) == CPU


def test_what_is_free(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    assert disk_free(tmp_path, lambda _: found) == found.f_bavail * found.f_frsize
    assert disk_free(Path("/there/is/nothing")) == 1 << 62


def test_what_it_took_is_told_however_it_ends() -> None:
    told: list[tuple[int, str | None]] = []
    assert interrupted(Watch(20, spent=lambda *each: told.append(each))) == CPU
    connection = sqlite3.connect(":memory:")
    with Watch(60_000, spent=lambda *each: told.append(each)).over(connection):
        connection.execute("SELECT 1").fetchall()
    connection.close()
    (first, cpu), (second, nothing) = told
    assert (cpu, nothing) == (CPU, None)
    assert first >= 20_000_000
    assert 0 <= second < first


def test_what_is_watched_again_has_what_is_left() -> None:
    told: list[int] = []
    watch = Watch(20, spent=lambda used, _: told.append(used))
    assert interrupted(watch) == interrupted(watch) == CPU
    first, second = told
    assert second < first / 2


def test_short_work_is_left_alone() -> None:
    connection = sqlite3.connect(":memory:")
    watch = Watch(60_000)
    with watch.over(connection):
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert watch.verdict is None
    connection.close()
