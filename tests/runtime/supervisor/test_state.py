"""Stores under several serving processes: one truth for all, and nothing acknowledged is lost when one is killed."""

from __future__ import annotations

import http.client
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.runtime.cli.command import ask, project
from tests.runtime.supervisor.supervised import supervised

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "w"

[[services]]
name = "w"
[services.worker]
main = "w.py"
limits = { cpu_ms = 2000 }
bindings = { KV = { kv = "cache" } }
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
