"""What a tenant could do to others, or to the host, by means of its stores: each was tried and is held."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ExceededWallTime, PyworkerdError, WorkerException
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.storage.stores import Stores
from pyworkerd.storage.threads import MOST
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from pathlib import Path

KV = """
import asyncio
from _pyworkerd import calls, outbox, invocation
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fill(self, size):
        stored = 0
        try:
            for i in range(1000):
                await self.env.KV.put(f"k{i}", "x" * size)
                stored += 1
        except Exception as error:
            return [stored, error.code]

    async def many(self, count):
        found = await asyncio.gather(*(self.env.KV.put(f"k{i}", "") for i in range(count)), return_exceptions=True)
        return sorted({getattr(each, "code", "done") for each in found})

    async def forever(self):
        async def chunks():
            yield b"x" * 100_000
            await asyncio.Event().wait()
        await self.env.KV.put("endless", chunks())

    async def grow(self):
        async def chunks():
            while True:
                yield b"x" * 65_536
        try:
            await self.env.KV.put("endless", chunks())
        except Exception as error:
            return str(error)

    async def keys(self, keys):
        for key in keys:
            await self.env.KV.put(key, key)
        return [[key.name for key in (await self.env.KV.list()).keys], [await self.env.KV.get(key) for key in keys]]

    async def forge(self, method, url, headers):
        number = await calls.finish_fetch(calls.begin_fetch(self.env.KV._index, method, url, headers, None, "manual"))
        return number[0]

    async def get(self, key):
        return await self.env.KV.get(key)
"""


D1 = """
import asyncio
from workers import WorkerEntrypoint

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "

class Default(WorkerEntrypoint):
    async def run(self, sql, *values):
        try:
            return await self.env.DB.prepare(sql).bind(*values).raw()
        except Exception as error:
            return [str(error), error.code]

    async def many(self, count, sql):
        found = await asyncio.gather(*(self.env.DB.prepare(sql).all() for _ in range(count)), return_exceptions=True)
        return sorted({getattr(each, "code", "done") for each in found})

    async def forever(self):
        await self.env.DB.prepare(FOREVER + "SELECT max(i) FROM n").first()

    async def burn_all(self):
        names = [name for name in dir(self.env) if name.startswith("DB")]
        statements = [getattr(self.env, name).prepare(FOREVER + "SELECT max(i) FROM n") for name in names]
        await asyncio.gather(*(each.first() for each in statements), return_exceptions=True)

    async def burn(self, count):
        await asyncio.gather(*(self.forever() for _ in range(count)), return_exceptions=True)
"""


FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def database(name: str, **options: int) -> dict[str, Binding]:
    return {"DB": Binding("DB", "d1", name, options)}


def own(name: str, size_mb: int | None = None) -> dict[str, Binding]:
    return {"KV": Binding("KV", "kv", name, {} if size_mb is None else {"size_mb": size_mb})}


def test_a_tenant_that_fills_its_store_stops_at_its_size(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            bad = await runtime.load({"w.py": KV}, bindings=own("c", 2), limits=Limits(cpu_ms=5000))
            good = await runtime.load({"w.py": KV}, bindings=own("c"), limits=Limits(cpu_ms=5000))
            for size in (50_000, 300_000):
                stored, code = await bad.call("fill", size)
                assert stored < 50
                assert code == "storage_full"
            assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 30 << 20
            assert (await good.call("keys", ["a"]))[1] == ["a"]
            assert await bad.call("get", "k0") is not None

    asyncio.run(main())


def test_thousands_of_calls_at_once_are_refused_or_done(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            limits = Limits(cpu_ms=5000, calls=100_000)
            bad = await runtime.load({"w.py": KV}, bindings=own("c"), limits=limits)
            good = await runtime.load({"w.py": KV}, bindings=own("c"), limits=limits)
            flood = asyncio.gather(*(bad.call("many", 900) for _ in range(6)), return_exceptions=True)
            assert (await good.call("keys", ["a"]))[1] == ["a"]
            for found in await flood:
                codes = found if isinstance(found, list) else [getattr(found, "code", repr(found))]
                assert set(codes) <= {"done", "storage_busy", "too_many_calls", "exceeded_subrequests"}

    asyncio.run(main())


def test_a_value_that_never_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            bad = await runtime.load(
                {"w.py": KV}, bindings=own("c"), limits=Limits(cpu_ms=20_000, wall_ms=1500)
            )
            with pytest.raises((ExceededWallTime, WorkerException)):
                await bad.call("forever")
            assert await bad.call("get", "endless") is None
            slow = await runtime.load({"w.py": KV}, bindings=own("c"), limits=Limits(cpu_ms=20_000))
            assert "413 Value length of" in await slow.call("grow")
            assert await slow.call("get", "endless") is None

    asyncio.run(main())


def test_keys_mean_nothing_to_the_file_system(tmp_path: Path) -> None:
    keys = ["../../x", "a\0b", "/etc/passwd", "'; DROP TABLE entries; --", "%2e%2e", "a/b", "\N{SNOWMAN}?&=#"]

    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path / "state")) as runtime:
            bad = await runtime.load({"w.py": KV}, bindings=own("../../c\0"), limits=Limits(cpu_ms=5000))
            listed, values = await bad.call("keys", keys)
            assert listed == sorted(keys, key=str.encode)
            assert values == keys
            outside = [path for path in tmp_path.iterdir() if path.name != "state"]
            assert outside == []
            (file,) = tmp_path.rglob("*.sqlite3")
            assert file.parent.parent == tmp_path / "state" / "kv"

    asyncio.run(main())


def test_forged_requests_reach_only_the_own_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            bad = await runtime.load({"w.py": KV}, bindings=own("c"))
            good = await runtime.load({"w.py": KV}, bindings=own("c"))
            await good.call("keys", ["secret"])
            for url in (
                "http://kv/secret",
                "http://other/secret",
                "http://kv/../own.worker-2/secret",
                "x://kv/secret",
            ):
                (found,) = await asyncio.gather(bad.call("forge", "GET", url, []), return_exceptions=True)
                assert found == 404 or "internal" not in getattr(found, "code", "internal")
            with pytest.raises(PyworkerdError):
                await bad.call(
                    "forge", "PUT", "http://kv/k?" + "&".join("expiration=1" for _ in range(100)), []
                )
            with pytest.raises(PyworkerdError):
                await bad.call("forge", "PUT", "http://kv/k?expiration=" + "[" * 39, [])
            assert await good.call("get", "secret") == "secret"

    asyncio.run(main())


def test_what_a_runtime_used_is_closed(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            worker = await runtime.load({"w.py": KV}, bindings=own("c"))
            await worker.call("keys", ["a"])
            stores = runtime.shared.get(Stores, Stores)
            assert len(stores) == 1
            await worker.aclose()
            assert len(stores) == 0
        assert not list(tmp_path.rglob("*-wal"))

    asyncio.run(main())


def test_endless_queries_end_and_hold_nobody_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            limits = Limits(cpu_ms=5000)
            bad = [
                await runtime.load({"w.py": D1}, bindings=database("c", query_ms=3000), limits=limits)
                for _ in range(3)
            ]
            good = await runtime.load({"w.py": D1}, bindings=database("c"), limits=limits)
            burning = [asyncio.ensure_future(worker.call("burn", 4)) for worker in bad]
            (stores,) = {runtime.shared.get(Stores, Stores)}
            while sum(database.running for database in stores._databases.values()) < 6:
                await asyncio.sleep(0)
            assert await good.call("run", "SELECT 1") == [[1]]
            assert await good.call("run", "CREATE TABLE t (x)") == []
            assert not any(each.done() for each in burning)
            for each in burning:  # their askers leave, and what they asked for ends
                each.cancel()
            await asyncio.wait(burning)
            assert await bad[0].call("run", "SELECT 2") == [[2]]

    asyncio.run(main())


def test_a_tenant_with_many_databases_leaves_threads_to_others(tmp_path: Path) -> None:
    """Endless queries of thirty took all threads, and others waited for a minute."""

    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            many = {f"DB{i}": Binding(f"DB{i}", "d1", f"d{i}", {"query_ms": 3000}) for i in range(20)}
            bad = await runtime.load({"w.py": D1}, name="bad", bindings=many, limits=Limits(cpu_ms=5000))
            good = await runtime.load({"w.py": D1}, bindings=database("c"), limits=Limits(cpu_ms=5000))
            burning = asyncio.ensure_future(bad.call("burn_all"))
            (stores,) = {runtime.shared.get(Stores, Stores)}
            while sum(database.running for database in stores._databases.values()) < MOST // 2:
                await asyncio.sleep(0)
            assert await good.call("run", "SELECT 1") == [[1]]
            assert not burning.done()
            assert sum(database.running for database in stores._databases.values()) <= MOST // 2
            burning.cancel()
            await asyncio.wait([burning])
            while any(database.running for database in stores._databases.values()):
                await asyncio.sleep(0)
            metrics = runtime.metrics()
            assert metrics["query_cpu_seconds"]["bad",][0] > 0
            short = await runtime.load(
                {"w.py": D1}, name="short", bindings=database("e", query_ms=20), limits=Limits(cpu_ms=5000)
            )
            assert "CPU time limit" in (await short.call("run", FOREVER))[0]
            assert runtime.metrics()["limits_hit"]["short", "query_ms"] == (1,)

    asyncio.run(main())


def test_sql_that_wants_too_much(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            bindings = database("c", query_ms=500, size_mb=4)
            bad = await runtime.load({"w.py": D1}, bindings=bindings, limits=Limits(cpu_ms=5000))
            forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            await bad.call("run", "CREATE TABLE t (x)")
            for sql, word in (
                (forever + "SELECT max(i) FROM n", "CPU time limit"),
                (forever + "INSERT INTO t SELECT hex(zeroblob(1000)) FROM n", "D1_ERROR: "),
                (forever + "SELECT group_concat(hex(zeroblob(1000))) FROM n", "D1_ERROR: "),
                (
                    forever + "SELECT count(*) FROM (SELECT DISTINCT hex(randomblob(500)) FROM n)",
                    "CPU time limit",
                ),
                ("SELECT zeroblob(1000000000)", "too big"),
                ("SELECT replace(hex(zeroblob(500000)), '0', hex(zeroblob(500000)))", "too big"),
                (f"SELECT {'(' * 5000}1{')' * 5000}", "D1_ERROR: "),
                (f"ATTACH '{tmp_path / 'other'}' AS x", "not authorized"),
            ):
                found = await bad.call("run", sql)
                assert len(found) == 2, (sql[:60], found)
                text, code = found
                assert word in text
                assert code in ("bad_call", "storage_full")
            assert await bad.call("run", "SELECT count(*) FROM t") == [[0]]
            assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 40 << 20
            assert not (tmp_path / "other").exists()

    asyncio.run(main())


def test_thousands_of_queries_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            limits = Limits(cpu_ms=10_000, calls=100_000)
            bad = await runtime.load({"w.py": D1}, bindings=database("c"), limits=limits)
            good = await runtime.load({"w.py": D1}, bindings=database("c"), limits=limits)
            slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) SELECT max(i) FROM n"
            flood = asyncio.gather(*(bad.call("many", 900, slow) for _ in range(4)), return_exceptions=True)
            assert await good.call("run", "SELECT 1") == [[1]]
            for found in await flood:
                codes = found if isinstance(found, list) else [getattr(found, "code", repr(found))]
                assert set(codes) <= {"done", "storage_busy", "too_many_calls", "exceeded_subrequests"}

    asyncio.run(main())


def test_another_tenants_database(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=tmp_path)) as runtime:
            good = await runtime.load({"w.py": D1}, name="good", bindings=database("c"))
            await good.call("run", "CREATE TABLE secret (x)")
            for name in ("c", "../own.good/c", "own.good/c", "c.sqlite3"):
                bad = await runtime.load({"w.py": D1}, bindings=database(name))
                text, _ = await bad.call("run", "SELECT * FROM secret")
                assert "no such table: secret" in text

    asyncio.run(main())
