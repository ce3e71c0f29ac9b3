"""Stores under several serving processes: one truth for all, and nothing acknowledged is lost when one is killed."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import signal
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.runtime.cli import command
from tests.runtime.cli.command import ask, project
from tests.runtime.supervisor.supervised import supervised

if TYPE_CHECKING:
    from pathlib import Path

KILLS: Final = int(os.environ.get("PYWORKERD_KILLS", "300"))
CONFIG = f"""\
{command.CONFIG}\
limits = {{ cpu_ms = 2000 }}
bindings = {{ KV = {{ kv = "cache" }} }}
"""
WORKER = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        key = request.url.rpartition("/")[2]
        if request.method == "PUT":
            await env.KV.put(key, request.body)
            return Response("ok")
        if not key:
            return Response.json([key.name for key in (await env.KV.list()).keys])
        return Response(await env.KV.get(key))
"""

BUCKET = WORKER.replace(
    "return Response(await env.KV.get(key))",
    "found = await env.KV.get(key)\n        return Response(found and found.body)",
).replace(
    "key.name for key in (await env.KV.list()).keys", "each.key for each in (await env.KV.list()).objects"
)

stored = pytest.mark.parametrize(
    ("config", "worker"),
    [(CONFIG, WORKER), (CONFIG.replace('{ kv = "cache" }', '{ r2 = "files" }'), BUCKET)],
    ids=["kv", "r2"],
)

SUMS = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        count = await env.KV.prepare("SELECT count(*) AS n FROM d1_migrations").first("n")
        every = " UNION ALL ".join(f"SELECT sum(x) AS s FROM t{i}" for i in range(4))
        rest = every.translate(str.maketrans("0123", "4567"))
        sums = [await env.KV.prepare(f"SELECT sum(s) AS s FROM ({each})").first("s") for each in (every, rest)]
        return Response(f"{count} {sum(sums)}")
"""


@stored
def test_all_processes_have_the_same_store(tmp_path: Path, config: str, worker: str) -> None:
    with supervised(project(tmp_path, config, w=worker)) as served:
        address = served.complete()
        for i in range(1, 40):
            assert ask(address, f"/k{i}", "PUT", "x" * i).status == 200
            assert {ask(address, f"/k{i}").body for _ in range(3)} == {"x" * i}
        assert served.stop(signal.SIGTERM) == 0
    assert (tmp_path / ".pyworkerd").stat().st_mode & 0o777 == 0o700
    with supervised(project(tmp_path, config, w=worker)) as served:
        assert ask(served.complete(), "/k7").body == "x" * 7
        assert served.stop(signal.SIGTERM) == 0


def test_migrations_are_applied_once_however_many_processes_deploy(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    for i in range(8):
        sql = f"CREATE TABLE t{i} (x); INSERT INTO t{i} VALUES ({i});"
        (tmp_path / "migrations" / f"{i:04}.sql").write_text(sql)
    config = CONFIG.replace('{ kv = "cache" }', '{ d1 = "shop", migrations = "migrations" }')
    with supervised(project(tmp_path, config, w=SUMS), processes=3) as served:
        address = served.complete()
        assert {ask(address).body for _ in range(6)} == {"8 28"}
        (tmp_path / "migrations" / "0008.sql").write_text("INSERT INTO t7 VALUES (100);")
        served.process.send_signal(signal.SIGHUP)
        served.errors.until("reloaded")
        assert {ask(address).body for _ in range(6)} == {"9 128"}
        assert served.stop(signal.SIGTERM) == 0


@stored
def test_nothing_acknowledged_is_lost_when_processes_are_killed(
    tmp_path: Path, config: str, worker: str
) -> None:
    rng = random.Random(4)
    with supervised(project(tmp_path, config, w=worker)) as served:
        address = served.complete()
        acknowledged: dict[str, str] = {}
        for i in range(120):
            if i % 30 == 10:
                served.kill(signal.SIGKILL)
            body = f"{i} " * rng.choice([1, 40_000, 120_000])
            try:
                if ask(address, f"/k{i % 50}", "PUT", body).status == 200:
                    acknowledged[f"k{i % 50}"] = body
                    continue
            except (OSError, http.client.HTTPException):
                pass
            # It may or may not have been written: either is right, but nothing in between.
            found = ask(address, f"/k{i % 50}").body
            assert found in (body, acknowledged.get(f"k{i % 50}", "None"), "None", "")
            acknowledged.pop(f"k{i % 50}", None)
        assert len(acknowledged) > 30
        for key, body in acknowledged.items():
            assert ask(address, f"/{key}").body == body
        assert served.stop(signal.SIGTERM) == 0


BOTH = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        key = request.url.rpartition("/")[2]
        if request.method == "GET":
            value = await env.KV.get(key)
            rows = await env.DB.prepare("SELECT count(*) FROM t WHERE key = ?").bind(key).first("count(*)")
            return Response(f"{value} {rows}")
        size = int(await request.text())
        await env.KV.put(key, f"{key} " * size)
        insert = env.DB.prepare("INSERT INTO t VALUES (?, ?)")
        await env.DB.batch([insert.bind(key, 1), insert.bind(key, 2)])
        return Response("ok")
"""


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_hundreds_of_kills_lose_nothing_and_break_nothing(tmp_path: Path) -> None:
    """Four clients write; a process is killed every now and then. What was acknowledged is there, and whole."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001.sql").write_text("CREATE TABLE t (key, part);")
    bound = '{ kv = "cache" }, DB = { d1 = "shop", migrations = "migrations" }'
    path = project(tmp_path, CONFIG.replace('{ kv = "cache" }', bound), w=BOTH)
    acknowledged: dict[str, int] = {}
    tried: set[str] = set()
    ended = threading.Event()

    def write(client: int, address: tuple[str, int]) -> None:
        rng = random.Random(client)
        for number in itertools.count():
            if ended.is_set():
                return
            key, size = f"c{client}n{number}", rng.choice([1, 10, 20_000, 60_000])
            tried.add(key)
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ask(address, f"/{key}", "POST", str(size)).status == 200:
                    acknowledged[key] = size

    rng = random.Random(7)
    with supervised(path) as served:
        address = served.complete()
        clients = [threading.Thread(target=write, args=(client, address)) for client in range(4)]
        for client in clients:
            client.start()
        for _ in range(KILLS):
            enough = len(acknowledged) + rng.randrange(12)
            while len(acknowledged) < enough:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.01)
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(rng.choice(served.children()).pid, signal.SIGKILL)
        ended.set()
        for client in clients:
            client.join()
        for key in tried:
            answer = ask(address, f"/{key}").body
            size = acknowledged.get(key)
            if size is not None:
                assert answer == f"{f'{key} ' * size} 2", key
            else:  # nothing in between: neither half a value nor half a batch
                value, _, rows = answer.rpartition(" ")
                assert rows in ("0", "2")
                assert value == "None" or set(value.split()) == {key}
        assert len(tried) - len(acknowledged) > KILLS // 50  # some were hit
        assert len(acknowledged) > KILLS
        assert served.stop(signal.SIGTERM) == 0
    for file in tmp_path.rglob("*.sqlite3"):
        connection = sqlite3.connect(file)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
