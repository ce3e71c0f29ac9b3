"""A database in the hands of the program, and in those of its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import BadCall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.DB.prepare("INSERT INTO t VALUES (?)").bind("from the worker").run()
        return Response.json((await self.env.DB.prepare("SELECT x FROM t").raw()))
"""


def test_the_program_and_its_workers_share_a_database(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "0001.sql").write_text("CREATE TABLE t (x);")

    async def main(runtime: Runtime) -> None:
        db = runtime.d1("shop")
        assert repr(db) == "<d1 store 'shop'>"
        assert await db.migrate(tmp_path) == ["0001.sql"]
        assert await db.migrate(tmp_path) == []
        assert await db.batch(
            [("INSERT INTO t VALUES (?)", ["from the program"]), ("SELECT * FROM t", [])]
        ) == [
            [],
            [{"x": "from the program"}],
        ]
        worker = await runtime.load({"w.py": SOURCE}, bindings={"DB": db})
        assert await (await worker.fetch("/")).json() == [["from the program"], ["from the worker"]]
        assert len(await db.query("SELECT * FROM t")) == 2
        with pytest.raises(BadCall, match="D1_ERROR: no such table: missing"):
            await db.query("SELECT * FROM missing")
        await db.export(tmp_path / "dump.sql")
        other = runtime.d1("other")
        await other.import_sql((tmp_path / "dump.sql").read_text())
        assert await other.query("SELECT count(*) AS n FROM t") == [{"n": 2}]
        await db.aclose()

    with_runtime(main)
