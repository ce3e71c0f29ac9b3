"""What every provider of D1 databases promises. A new provider is a new row of PROVIDERS."""

# ruff: noqa: E501 - SQL and the platform's sentences

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.d1 import execute, rules
from pyworkerd.bindings.d1.rules import Statement
from pyworkerd.bindings.d1.sqlite import DESIGN, SQLiteD1
from pyworkerd.bindings.d1.store import rows_of
from pyworkerd.errors import BadCall, StorageFull
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

from tests.runtime.storage.test_watch import FOREVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from pyworkerd.bindings.d1.store import SQLStore


@asynccontextmanager
async def sqlite(folder: Path, size_mb: int | None = None, query_ms: int = 2000) -> AsyncIterator[SQLiteD1]:
    stores = Stores()
    location = layout.own(folder / "state", "d1", "shop", "db")
    store = SQLiteD1(stores.use(location, DESIGN, size_mb), stores, query_ms)
    try:
        yield store
    finally:
        await store.aclose()
        await stores.aclose()


PROVIDERS: dict[str, Callable[[Path], AbstractAsyncContextManager[SQLStore]]] = {"sqlite": sqlite}
provider = pytest.mark.parametrize("make", PROVIDERS.values(), ids=PROVIDERS)
Make = Any


def run(make: Make, test: Callable[[SQLStore], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with make(Path(folder), **options) as store:
                await test(store)

    asyncio.run(main())


rows = rows_of


async def sql(store: SQLStore, text: str, *parameters: Any) -> list[list[Any]]:
    return rows((await store.run([Statement(text, parameters)])).results[0])


TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"


@provider
def test_rows_and_columns(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        await sql(store, "INSERT INTO t VALUES (7, 'a'), (8, NULL)")
        (result,) = (await store.run([Statement("SELECT name, id AS number FROM t")])).results
        assert result.columns == ["name", "number"]
        assert rows(result) == [["a", 7], [None, 8]]
        values = (1, 2.5, "hé\0", b"\0\xff", None, (1 << 63) - 1)
        assert await sql(store, "SELECT ?, ?, ?, ?, ?, ?", *values) == [list(values)]
        assert await sql(store, "SELECT CAST(x'ff41' AS TEXT)") == [["\N{REPLACEMENT CHARACTER}A"]]
        assert await sql(store, "SELECT ?2 || ?1", "a", "b") == [["ba"]]

    run(make, test)


@provider
def test_what_is_told_of_a_statement(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        outcome = await store.run(
            [
                Statement(TABLE),
                Statement("INSERT INTO t VALUES (7, 'a'), (9, 'b')"),
                Statement("SELECT * FROM t"),
                Statement("DELETE FROM t"),
                Statement("UPDATE t SET name = 'x'"),
            ]
        )
        metas = [result.meta for result in outcome.results]
        assert [meta.changes for meta in metas] == [0, 2, 0, 2, 0]
        assert [meta.rows_read for meta in metas] == [0, 0, 2, 0, 0]
        assert [meta.changed_db for meta in metas] == [True, True, False, True, False]
        assert metas[1].last_row_id == 9
        assert all(meta.duration >= 0 and meta.size_after > 0 for meta in metas)

    run(make, test)


@provider
def test_rows_are_the_same_where_nothing_else_is_told(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        for text in ("INSERT INTO t VALUES (7, 'a') RETURNING name", "SELECT * FROM t", "SELECT 1 WHERE 0"):
            (quiet,) = (await store.run([Statement(text)], told=False)).results
            (again,) = (await store.run([Statement(text.replace("7", "8").replace("'a'", "'b'"))])).results
            assert quiet.columns == again.columns
            assert (quiet.meta.duration, quiet.meta.size_after) == (0.0, 0)
        assert await sql(store, "SELECT * FROM t") == [[7, "a"], [8, "b"]]
        assert rows(quiet) == []

    run(make, test)


@provider
def test_a_batch_counts_as_a_whole_or_not_at_all(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        one, bad = Statement("INSERT INTO t (name) VALUES ('a')"), Statement("INSERT INTO missing VALUES (1)")
        for wrong in (bad, one, Statement(FOREVER)):
            with pytest.raises(BadCall, match="D1_ERROR"):
                await store.run([one, wrong])
            assert await sql(store, "SELECT count(*) FROM t") == [[0]]
        spoiler = Statement("INSERT OR ROLLBACK INTO t (name) VALUES ('a')")
        with pytest.raises(BadCall, match="UNIQUE"):
            await store.run([one, spoiler])
        assert await sql(store, "SELECT count(*) FROM t") == [[0]]

    run(make, test, query_ms=200)


@provider
def test_constraints_that_wait_for_the_end(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        await sql(store, "CREATE TABLE c (t REFERENCES t(id))")
        with pytest.raises(BadCall, match="FOREIGN KEY constraint failed: SQLITE_CONSTRAINT"):
            await sql(store, "INSERT INTO c VALUES (1)")
        await store.run(
            [
                Statement("PRAGMA defer_foreign_keys = on"),
                Statement("INSERT INTO c VALUES (1)"),
                Statement("INSERT INTO t VALUES (1, 'x')"),
            ]
        )
        with pytest.raises(BadCall, match="FOREIGN KEY"):
            await store.run(
                [Statement("PRAGMA defer_foreign_keys = on"), Statement("INSERT INTO c VALUES (2)")]
            )
        assert await sql(store, "SELECT * FROM c") == [[1]]

    run(make, test)


@provider
@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ("SELEC", (), 'near "SELEC": syntax error: SQLITE_ERROR'),
        ("SELECT * FROM missing", (), "no such table: missing: SQLITE_ERROR"),
        ("INSERT INTO t VALUES (1, 'a'), (1, 'b')", (), "UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT"),
        ("INSERT INTO t VALUES ('x', 'a')", (), "datatype mismatch: SQLITE_MISMATCH"),
        ("SELECT ?", (), "Wrong number of parameter bindings for SQL query."),
        ("SELECT 1", (1,), "Wrong number of parameter bindings for SQL query."),
        ("SELECT 1; SELECT 2", (), "A prepared SQL statement must contain only one statement."),
        ("SELECT ?101", (), "variable number must be between ?1 and ?100: SQLITE_ERROR"),
        ("SELECT zeroblob(2000001)", (), "string or blob too big: SQLITE_TOOBIG"),
        ("SELECT ?", ("x" * 2_000_001,), "string or blob too big: SQLITE_TOOBIG"),
        (f"SELECT {'+'.join('1' * 102)}", (), "Expression tree is too large (maximum depth 100): SQLITE_ERROR"),
        ("SELECT 'x' LIKE '" + "%" * 51 + "'", (), "LIKE or GLOB pattern too complex: SQLITE_ERROR"),
        (FOREVER, (), "D1 DB exceeded its CPU time limit and was reset."),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t (id) SELECT i FROM n", (), "D1 DB exceeded its CPU time limit and was reset."),
        ("SELECT hex(zeroblob(900000)) FROM t, (SELECT 1 UNION SELECT 2)", (), None),
    ],
)  # fmt: skip
def test_errors(make: Make, text: str, parameters: tuple[Any, ...], message: str | None) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        if message is None:
            await sql(store, text, *parameters)
            return
        with pytest.raises(BadCall) as caught:
            await sql(store, text, *parameters)
        assert str(caught.value) == f"D1_ERROR: {message}"
        assert await sql(store, "SELECT count(*) FROM t") == [[0]]

    run(make, test, query_ms=200)


@provider
@pytest.mark.parametrize(
    "text",
    [
        "ATTACH '{outside}' AS y",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO '{outside}'",
        "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT job", "RELEASE job", "ROLLBACK TO job",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "PRAGMA database_list",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA max_page_count = 1000000000",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "PRAGMA synchronous = NORMAL",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT * FROM _cf_METADATA",
        "SELECT * FROM main._CF_metadata",
        "UPDATE main._cf_METADATA SET value = value + 1 WHERE key = 1",
        "DROP TABLE _cf_METADATA",
        "ALTER TABLE _cf_METADATA RENAME TO mine",
        "CREATE TRIGGER x AFTER UPDATE ON _cf_METADATA BEGIN DELETE FROM t; END",
        "CREATE TABLE _cf_mine (x)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP VIEW _cf_METADATA AS SELECT 1",
        "CREATE VIRTUAL TABLE x USING dbstat",
        "CREATE VIRTUAL TABLE x USING fts4(y)",
        "SELECT * FROM dbstat",
        "SELECT * FROM sqlite_stmt",
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x(y)')",
    ],
)  # fmt: skip
def test_sql_never_leaves_its_database(make: Make, text: str, tmp_path: Path) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        before = await store.run([Statement("SELECT 1")], bookmark=True)
        for _ in range(2):  # the second time it may have been compiled already
            with pytest.raises(BadCall):
                await store.run([Statement(text.format(outside=tmp_path / "x")), Statement("DELETE FROM t")])
            with pytest.raises(BadCall):
                await sql(store, text.format(outside=tmp_path / "x"))
        after = await store.run([Statement("SELECT 1")], bookmark=True)
        assert after.bookmark == before.bookmark
        assert list(tmp_path.iterdir()) == []
        await sql(store, "INSERT INTO t VALUES (1, 'still there')")

    run(make, test)


@provider
def test_what_is_allowed(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        await sql(store, "INSERT INTO t VALUES (1, 'a')")
        for text in (
            "CREATE INDEX i ON t (name)",
            "CREATE VIEW v AS SELECT name FROM t",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET name = upper(name) WHERE id = NEW.id; END",
            "ALTER TABLE t ADD COLUMN extra",
            "ALTER TABLE t RENAME COLUMN extra TO more",
            "ALTER TABLE t RENAME TO u",
            "ALTER TABLE u RENAME TO t",
            "CREATE VIRTUAL TABLE f USING fts5(body)",
            "INSERT INTO f VALUES ('the quick brown fox')",
            "PRAGMA optimize", "ANALYZE", "REINDEX",
            "EXPLAIN QUERY PLAN SELECT * FROM t",
            "PRAGMA table_list", "PRAGMA quick_check", "PRAGMA foreign_keys = on",
        ):  # fmt: skip
            await sql(store, text)
        assert await sql(store, "SELECT body FROM f WHERE f MATCH 'quick'") == [["the quick brown fox"]]
        assert await sql(store, "SELECT json_extract('{\"a\": [5]}', '$.a[0]')") == [[5]]
        assert await sql(store, "SELECT name FROM pragma_table_info('t')") == [["id"], ["name"], ["more"]]
        assert await sql(
            store, "/* it */ -- writes\n WITH x AS (SELECT 5) INSERT INTO t (id) SELECT * FROM x RETURNING id"
        ) == [[5]]
        assert await sql(store, "SELECT * FROM v ORDER BY 1") == [[None], ["a"]]

    run(make, test)


@provider
def test_results_are_bounded(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT hex(zeroblob(?)) FROM n"
        assert len(await sql(store, many, 1000)) == 300
        with pytest.raises(BadCall, match="the result is larger than"):
            await sql(store, many, 20_000)

    run(make, test)


@provider
def test_scripts_stop_at_the_first_wrong_line(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        lines = [
            TABLE,
            "",
            "INSERT INTO t VALUES (1, 'a')",
            "INSERT INTO missing VALUES (1)",
            "DELETE FROM t",
        ]
        count, stopped = await store.script(lines)
        assert count == 2
        assert stopped == (4, lines[3], "no such table: missing: SQLITE_ERROR")
        assert await sql(store, "SELECT count(*) FROM t") == [[1]]
        assert await store.script(lines[4:]) == (1, None)

    run(make, test)


@provider
@pytest.mark.parametrize("rows", [1, 20_000])
def test_the_lines_of_a_script_share_its_time(make: Make, rows: int) -> None:
    async def test(store: SQLStore) -> None:
        count = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows}) SELECT max(i) FROM n"
        done, stopped = await store.script([count] * 100_000)
        assert stopped is not None
        assert 0 < done < 100_000
        assert stopped.message == "D1 DB exceeded its CPU time limit and was reset."

    run(make, test, query_ms=100)


@provider
@pytest.mark.parametrize(
    "pragma",
    ["PRAGMA foreign_keys = 0", "/**/ pragma main.Foreign_Keys(off)", "PRAGMA defer_foreign_keys = 1"],
)
def test_what_is_set_is_set_for_nobody_else(make: Make, pragma: str) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, pragma)
        assert await sql(store, "PRAGMA foreign_keys") == [[1]]
        assert await sql(store, "PRAGMA defer_foreign_keys") == [[0]]

    run(make, test)


def test_long_statements_are_not_kept_without_a_bound(tmp_path: Path) -> None:
    async def main() -> None:
        async with sqlite(tmp_path) as store:
            await sql(store, "CREATE TABLE t (id)")
            for text in ("SELECT count(*) FROM t", "INSERT INTO t SELECT 1 WHERE 0"):
                for number in range(30):
                    await sql(store, f"{text} -- {number} {'x' * 50_000}")
            database = store._database
            kept = [execute.guard_of(each).long for each in (database._writer, *database._readers) if each]
            assert max(kept) <= execute.MAX_LONG

    asyncio.run(main())


@provider
def test_bookmarks_are_true(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        one = await store.run([Statement(TABLE)], bookmark=True)
        two = await store.run([Statement("SELECT 1")], bookmark=True)
        three = await store.run([Statement("INSERT INTO t VALUES (1, 'a')")], bookmark=True)
        four = await store.run([Statement("SELECT 1")], after=three.bookmark)
        assert one.bookmark == two.bookmark
        assert three.bookmark is not None
        assert two.bookmark is not None
        assert three.bookmark > two.bookmark
        assert four.bookmark == three.bookmark
        high, low, rest, which = three.bookmark.split("-")
        future = f"{high}-{int(low, 16) + 1:08x}-{rest}-{which}"
        other = f"{high}-{low}-{rest}-{'0' * 32}"
        for text in (future, other, "x", "", "1-2-3"):
            with pytest.raises(BadCall, match="D1_SESSION_ERROR"):
                await store.run([Statement("SELECT 1")], after=text)
            with pytest.raises(BadCall, match="D1_SESSION_ERROR"):
                await store.run([Statement("DELETE FROM t")], after=text)
        assert await sql(store, "SELECT count(*) FROM t") == [[1]]

    run(make, test)


MIGRATIONS = [
    ("0001_init.sql", "CREATE TABLE m (x);\nINSERT INTO m VALUES (';');\n-- done"),
    ("0002_more.sql", "CREATE TRIGGER g AFTER INSERT ON m BEGIN DELETE FROM m WHERE x = 1; END;\nINSERT INTO m VALUES (2)"),
]  # fmt: skip


@provider
def test_migrations_are_applied_once(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        assert await store.migrate(MIGRATIONS[:1]) == ["0001_init.sql"]
        assert await store.migrate(MIGRATIONS) == ["0002_more.sql"]
        assert await store.migrate(MIGRATIONS) == []
        assert await sql(store, "SELECT * FROM m") == [[";"], [2]]
        assert await sql(store, "SELECT id, name FROM d1_migrations") == [
            [1, "0001_init.sql"],
            [2, "0002_more.sql"],
        ]
        with pytest.raises(BadCall, match=r"0003.sql: D1_ERROR: no such table: missing"):
            await store.migrate(
                [*MIGRATIONS, ("0003.sql", "CREATE TABLE n (x); INSERT INTO missing VALUES (1);")]
            )
        with pytest.raises(BadCall, match="no such table: n"):
            await sql(store, "SELECT * FROM n")
        with pytest.raises(BadCall, match="not authorized"):
            await store.migrate([("0004.sql", "COMMIT; DELETE FROM m")])
        assert await store.migrate([("0003.sql", "CREATE TABLE n (x)")]) == ["0003.sql"]

    run(make, test)


@provider
def test_an_export_can_be_imported(make: Make, tmp_path: Path) -> None:
    async def fill(store: SQLStore) -> None:
        await store.script(
            [
                'CREATE TABLE "odd name" (id INTEGER PRIMARY KEY AUTOINCREMENT, "a""b" TEXT, n, g AS (n + 1))',
                'CREATE TABLE child (p REFERENCES "odd name"(id))',
                "INSERT INTO \"odd name\" (\"a\"\"b\", n) VALUES ('it''s; -- x', 1), (NULL, 2.5), ('z', x'00ff')",
                "INSERT INTO child VALUES (2)",
                "CREATE INDEX i ON child (p)",
                'CREATE VIEW v AS SELECT n FROM "odd name"',
                "CREATE TRIGGER g AFTER DELETE ON child BEGIN SELECT 1; SELECT 2; END",
                "CREATE VIRTUAL TABLE f USING fts5(body)",
                "INSERT INTO f VALUES ('quick')",
                'DELETE FROM "odd name" WHERE id = 3',
            ]
        )
        await sql(store, 'INSERT INTO "odd name" (n) VALUES (?)', b"\xab" * 1_500_000)

    async def see(store: SQLStore) -> list[Any]:
        return [
            await sql(store, 'SELECT *, typeof(n) FROM "odd name"'),
            await sql(store, "SELECT * FROM child"),
            await sql(store, "SELECT * FROM f WHERE f MATCH 'quick'"),
            await sql(store, "SELECT seq FROM sqlite_sequence"),
            await sql(store, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"),
        ]

    async def test(store: SQLStore) -> None:
        await fill(store)
        await store.export(tmp_path / "dump.sql")
        text = (tmp_path / "dump.sql").read_text()
        assert "_cf_" not in text

        async def second(other: SQLStore) -> None:
            assert await other.import_script(f"BEGIN TRANSACTION;\n{text}COMMIT;\n") > 10
            assert await see(other) == await see(store)
            with pytest.raises(BadCall, match="already exists"):
                await other.import_script(text)
            with pytest.raises(BadCall, match="not authorized"):
                await other.import_script(f"ATTACH '{tmp_path / 'x'}' AS y; CREATE TABLE z (q);")

        with tempfile.TemporaryDirectory() as folder:
            async with make(Path(folder)) as other:
                await second(other)

    run(make, test)


@provider
def test_readers_beside_a_writer(make: Make) -> None:
    async def test(store: SQLStore) -> None:
        await sql(store, TABLE)
        slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) INSERT INTO t (id) SELECT i FROM n"
        writing = asyncio.ensure_future(sql(store, slow))
        while not writing.done():
            assert await sql(store, "SELECT count(*) FROM t") in ([[0]], [[400_000]])
        await writing
        assert await sql(store, "SELECT count(*) FROM t") == [[400_000]]

    run(make, test, query_ms=30_000)


# what only stores on disk promise ---------------------------------------------------------------------


def test_a_database_that_is_full(tmp_path: Path) -> None:
    async def main() -> None:
        async with sqlite(tmp_path, size_mb=1) as store:
            await sql(store, TABLE)
            with pytest.raises(StorageFull, match=r"^D1_ERROR: Exceeded maximum DB size\.$"):
                await sql(
                    store,
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) INSERT INTO t (name) SELECT hex(zeroblob(2000)) || i FROM n",
                )
            assert await sql(store, "SELECT count(*) FROM t") == [[0]]
            await sql(store, "INSERT INTO t VALUES (1, 'a')")

    asyncio.run(main())


def test_migrations_of_two_processes(tmp_path: Path) -> None:
    """Two stores on one file know as little of each other as two processes."""

    async def main() -> None:
        async with sqlite(tmp_path) as one, sqlite(tmp_path) as two:
            many = [
                (f"{i:04}.sql", f"CREATE TABLE t{i} (x); INSERT INTO t{i} VALUES ({i})") for i in range(20)
            ]
            first, second = await asyncio.gather(one.migrate(many), two.migrate(many))
            assert sorted(first + second) == [name for name, _ in many]
            assert await sql(two, "SELECT count(*) FROM d1_migrations") == [[20]]

    asyncio.run(main())


def test_a_query_whose_asker_has_gone(tmp_path: Path) -> None:
    async def main() -> None:
        async with sqlite(tmp_path, query_ms=rules.MAX_QUERY_MS) as store:
            waiting = [asyncio.ensure_future(sql(store, FOREVER)) for _ in range(3)]
            while store._database.running < 3:
                await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
            while store._database.running:
                await asyncio.sleep(0)
            assert await sql(store, "SELECT 1") == [[1]]

    asyncio.run(main())
