"""D1 as a worker sees it: methods by both spellings, Python's values, the platform's errors."""

# ruff: noqa: E501 - the sentences are the platform's

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def run(self, code):
        db = self.env.DB
        await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)\\nINSERT INTO t VALUES (1, 'a'), (2, 'b')")
        scope = {"db": db, "p": db.prepare}
        exec("async def main():\\n " + code.replace("\\n", "\\n "), scope)
        return await scope["main"]()

    async def caught(self, code):
        try:
            return await self.run(code)
        except Exception as error:
            return [type(error).__name__, str(error), getattr(error, "code", None)]
"""


def run(code: str, method: str = "run") -> Any:
    async def main() -> Any:
        async with Runtime() as runtime:
            bindings = {"DB": Binding("DB", "d1", "shop")}
            worker = await runtime.load({"w.py": SOURCE}, bindings=bindings, limits=Limits(cpu_ms=3000))
            return await worker.call(method, code)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("(await p('SELECT * FROM t ORDER BY id').all()).results", [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]),
        ("(await p('SELECT * FROM t').run()).results[0].name", "a"),
        ("await p('SELECT * FROM t WHERE id = ?').bind(2).first()", {"id": 2, "name": "b"}),
        ("await p('SELECT * FROM t WHERE id = ?').bind(2).first('name')", "b"),
        ("await p('SELECT * FROM t WHERE id = 9').first()", None),
        ("await p('SELECT * FROM t WHERE id = 9').first('nothing')", None),
        ("await p('SELECT id, id FROM t').raw()", [[1, 1], [2, 2]]),
        ("await p('SELECT id FROM t').raw({'columnNames': True})", [["id"], [1], [2]]),
        ("await p('SELECT id FROM t').raw(column_names=True)", [["id"], [1], [2]]),
        ("(await p('DELETE FROM t').run()).meta.changes", 2),
        ("(await p('SELECT 1').all()).success", True),
        ("(await db.exec('SELECT 1\\n\\nSELECT 2')).count", 2),
        ("await db.batch([])", []),
        ("[r.results for r in await db.batch([p('DELETE FROM t'), p('SELECT count(*) AS n FROM t')])]", [[], [{"n": 0}]]),
        ("await p('SELECT ? AS v').bind(None).first('v')", None),
        ("await p('SELECT ? AS v').bind(True).first('v')", 1),
        ("await p('SELECT ? AS v').bind(1 << 62).first('v')", 1 << 62),
        ("await p('SELECT ? AS v').bind(0.1).first('v')", 0.1),
        ("await p('SELECT ? AS v').bind('hé\\ud800').first('v')", "hé\N{REPLACEMENT CHARACTER}"),
        ("await p('SELECT ? AS v').bind('x' * 1_999_000).first('v') == 'x' * 1_999_000", True),
        ("await p('SELECT ?, ?, ?').bind(-5, '\"$\\\\\\0', None).raw()", [[-5, '"$\\\0', None]]),
        ("await p('SELECT ?, ?, ?').bind(7, 'x', 0.5).raw()", [[7, "x", 0.5]]),
        ("await p('SELECT ?, ?').bind(type('F', (float,), {})(0.5), type('S', (str,), {})('x')).raw()", [[0.5, "x"]]),
        ("await p('SELECT ? AS v').bind(b'', 'no').bind(3).first('v')", 3),
        ("await p('SELECT ? AS v').bind(bytearray(b'\\0\\xff')).first('v')", b"\0\xff"),
        ("await p('SELECT ? AS v').bind([0, 255]).first('v')", b"\0\xff"),
        ("len((await p('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) SELECT i FROM n').all()).results)", 3000),
        ("[len(await p('SELECT ?2 || ?1 AS v').bind('a', 'b').first('v')), p('SELECT ?').bind(1) is not None]", [2, True]),
    ],
)  # fmt: skip
def test_values(code: str, expected: Any) -> None:
    assert run(f"return {code}") == expected


def test_sessions() -> None:
    code = """s = db.{with_session}('first-primary')
before = s.{get_bookmark}()
await s.prepare('SELECT 1').first()
one = s.{get_bookmark}()
await s.batch([s.prepare('DELETE FROM t')])
two = s.{get_bookmark}()
later = db.with_session(two)
return [before, one < two, later.get_bookmark() == two, await later.prepare('SELECT count(*) AS n FROM t').first('n')]"""
    for names in (("with_session", "get_bookmark"), ("withSession", "getBookmark")):
        found = run(code.replace("{with_session}", names[0]).replace("{get_bookmark}", names[1]))
        assert found == [None, True, True, 0]


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("p('SELECT * FROM missing').all()", "CallError", "D1_ERROR: no such table: missing: SQLITE_ERROR"),
        ("p('SELECT 1 AS x').first('y')", "CallError", "D1_COLUMN_NOTFOUND: Column not found (y)"),
        ("db.exec('SELECT 1\\nSELEC')", "CallError", 'D1_EXEC_ERROR: Error in line 2: SELEC: near "SELEC": syntax error: SQLITE_ERROR'),
        ("p('SELECT ?').bind({})", "CallError", "D1_TYPE_ERROR: Type 'dict' not supported for value '{}'"),
        ("p('SELECT ?').bind(1 << 63)", "CallError", "D1_TYPE_ERROR: an integer has 64 bits at most, found 9223372036854775808"),
        ("p('SELECT ?').bind(['x'])", "CallError", "D1_TYPE_ERROR: Type 'list' not supported for value '['x']'"),
        ("db.with_session('x').prepare('SELECT 1').first()", "CallError", "D1_SESSION_ERROR: the bookmark is none of this database"),
        ("db.with_session('\"x').prepare('SELECT 1').first()", "CallError", "D1_SESSION_ERROR: the bookmark is none of this database"),
        ("db.with_session('')", "CallError", "D1_SESSION_ERROR: Invalid bookmark or constraint"),
        ("db.dump()", "CallError", "D1_DUMP_ERROR: dump() is not supported; a program can export the database"),
        ("p('SELECT ?').bind(b'x' * 7_000_000).first()", "CallError", "D1_ERROR: string or blob too big: SQLITE_TOOBIG"),
        ("p(5)", "TypeError", "a statement has to be str, not int"),
        ("db.exec(5)", "TypeError", "exec() takes a str, not int"),
        ("db.batch(['SELECT 1'])", "TypeError", "batch() takes a list of prepared statements"),
        ("db.batch([p('INSERT INTO t VALUES (1, 1)')])", "CallError", "D1_ERROR: UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT"),
    ],
)  # fmt: skip
def test_refusals(code: str, kind: str, message: str) -> None:
    found = run(f"return await {code}", "caught")
    assert found == [kind, message, "bad_call" if kind == "CallError" else None]
