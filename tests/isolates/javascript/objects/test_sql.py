"""`storage.sql`, and that the SQLite inside, which was cut out of another program, is a whole one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Room, Start, Tested


def test_sql(room: Room) -> None:
    code = """
      const table = "CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT, b BLOB)";
      const made = sql.exec(`${table}; INSERT INTO t (s) VALUES ('a;b'); -- end`);
      const wrote = sql.exec("INSERT INTO t (s, b) VALUES (?, ?), (?, ?)", "x", new Uint8Array([0]), null, 1.5);
      const cursor = sql.exec("SELECT * FROM t ORDER BY n");
      const first = cursor.next();
      const rest = cursor.toArray();
      return [made.rowsWritten, wrote.rowsWritten, cursor.columnNames, cursor.rowsRead, first.value.s,
        rest, cursor.next().done, sql.exec("SELECT count(*) AS n FROM t").one().n,
        [...sql.exec("SELECT n, s FROM t").raw()], sql.databaseSize % 4096,
        [...sql.exec("SELECT n FROM t WHERE n > ?", 1)].map(({ n }) => n),
        sql.exec("SELECT b FROM t WHERE n = 2").one().b instanceof ArrayBuffer,
        sql.exec("SELECT n FROM t").raw().toArray()];
    """
    assert room().run(code) == [
        1, 2, ["n", "s", "b"], 3, "a;b",
        [{"n": 2, "s": "x", "b": b"\0"}, {"n": 3, "s": None, "b": 1.5}], True, 3,
        [[1, "a;b"], [2, "x"], [3, None]], 0, [2, 3], True, [[1], [2], [3]],
    ]  # fmt: skip


def test_a_trigger_is_one_statement(room: Room) -> None:
    code = """
      sql.exec(`CREATE TABLE t (n); CREATE TABLE log (n);
        CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.n); INSERT INTO log VALUES (-new.n); END;
        INSERT INTO t VALUES (?)`, 7);
      return [...sql.exec("SELECT n FROM log").raw()];
    """
    assert room().run(code) == [[7], [-7]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM missing", "no such table: missing: SQLITE_ERROR"),
        ("SELEKT", "syntax error: SQLITE_ERROR"),
        ("", "SQL code did not contain a statement."),
        ("-- nothing", "SQL code did not contain a statement."),
        ("BEGIN", "To execute a transaction, please use the state.storage.transaction()"),
        ("SAVEPOINT a", "To execute a transaction"),
        ("COMMIT", "To execute a transaction"),
        ("ATTACH ':memory:' AS other", ""),
        ("ATTACH '/etc/passwd' AS other", ""),
        ("VACUUM", ""),
        ("VACUUM INTO '/tmp/x'", ""),
        ("PRAGMA journal_mode = OFF", "not allowed"),
        ("PRAGMA page_size = 512", "not allowed"),
        ("PRAGMA max_page_count = 1000000", "not allowed"),
        ("PRAGMA temp_store = FILE", "not allowed"),
        ("PRAGMA writable_schema = ON", "not allowed"),
        ("SELECT * FROM _cf_KV", "access to _cf_KV is prohibited: SQLITE_AUTH"),
        ("INSERT INTO _cf_KV VALUES (x'00', x'00')", "prohibited"),
        ("DROP TABLE _cf_KV", "prohibited"),
        ("CREATE TABLE _CF_mine (n)", "prohibited"),
        ("CREATE INDEX i ON _cf_KV (value)", "prohibited"),
        ("ALTER TABLE _cf_KV RENAME TO mine", "prohibited"),
        ("SELECT 1; DROP TABLE _cf_KV; SELECT 2", "prohibited"),
        ("CREATE VIEW v AS SELECT * FROM _cf_KV; SELECT * FROM v", "prohibited"),
        ("SELECT load_extension('x')", "no such function"),
        ("SELECT zeroblob(2097153)", "too big"),
        ("SELECT 'abc' LIKE '" + "a" * 51 + "'", "too complex"),
        ("SELECT " + ",".join(["1"] * 101), "too many columns"),
        (
            "CREATE TABLE u (n UNIQUE); INSERT INTO u VALUES (1), (1)",
            "UNIQUE constraint failed: u.n: SQLITE_CONSTRAINT",
        ),
    ],
)
def test_what_sql_is_refused(room: Room, query: str, message: str) -> None:
    one = room()
    assert message in one.fails("sql.exec(given[0]).toArray()", query)
    assert one.run("kv.put('a', 1); return kv.get('a')") == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sql.exec('SELECT ?')", "Error: Wrong number of parameter bindings for SQL query."),
        ("sql.exec('SELECT 1', 2)", "Error: Wrong number of parameter bindings for SQL query."),
        ("sql.exec(1)", "TypeError"),
        ("sql.exec('SELECT ?', {})", "TypeError"),
        ("sql.exec('SELECT ?', 1n)", "TypeError"),
        ("sql.exec('SELECT ?', Symbol())", "TypeError"),
        (
            "sql.exec('SELECT 1 WHERE 0').one()",
            "Error: Expected exactly one result from SQL query, but got no results",
        ),
        ("sql.exec('VALUES (1), (2)').one()", "but got multiple results"),
        ("sql.exec('SELECT ?', 'x'.repeat(2097153))", "string or blob too big: SQLITE_TOOBIG"),
        ("sql.exec('SELECT ?', new Uint8Array(2097153))", "string or blob too big: SQLITE_TOOBIG"),
        ("sql.exec('SELECT 1 -- ' + 'x'.repeat(100000))", "TOOBIG"),
        ("sql.exec('x'.repeat(3000000))", "TOOBIG"),
        ("new sql.constructor()", "TypeError: Illegal constructor"),
        ("new sql.constructor.Cursor()", "TypeError: Illegal constructor"),
    ],
)
def test_what_exec_is_given_has_to_fit(room: Room, code: str, message: str) -> None:
    assert message in room().fails(code)


def test_what_is_bound_comes_back(room: Room) -> None:
    code = """
      const values = [null, undefined, true, false, 1, -1.5, 1e300, 2 ** 53, "", "\\u00e4\\ud83d\\ude00", "a\\0b",
        new Uint8Array(0), new Uint8Array([1, 2]).buffer, new Uint16Array([1]), "\\ud800"];
      return sql.exec(`SELECT ${values.map(() => "?")}`, ...values).raw().toArray()[0];
    """
    found = room().run(code)
    assert found == [
        None, None, 1, 0, 1, -1.5, 1e300, 2**53, "", "ä😀", "a\0b", b"", b"\1\2", b"\1\0", "\ufffd",
    ]  # fmt: skip


def test_text_that_is_none_is_shown_as_far_as_it_is(room: Room) -> None:
    assert "a" in room().run("return sql.exec(\"SELECT CAST(x'61ff' AS TEXT) AS t\").one().t")


def test_values_of_two_megabytes_fit_and_no_more(room: Room) -> None:
    one = room()
    one.run("sql.exec('CREATE TABLE t (b)'); sql.exec('INSERT INTO t VALUES (?)', new Uint8Array(2000000))")
    assert one.run("return sql.exec('SELECT b FROM t').one().b.byteLength") == 2_000_000


def test_statements_are_prepared_once_and_see_a_new_schema(room: Room) -> None:
    code = """
      sql.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
      const before = sql.exec("SELECT * FROM t").one();
      sql.exec("ALTER TABLE t ADD COLUMN b DEFAULT 2");
      const after = sql.exec("SELECT * FROM t").one();
      for (let n = 0; n < 200; n++) sql.exec(`SELECT ${n}`);
      for (let n = 0; n < 200; n++) sql.exec(`SELECT ${n}, '${"x".repeat(50000)}'`);
      storage.transactionSync(() => kv.put("a", 1));
      sql.exec("DROP TABLE t");
      await storage.deleteAll();
      return [before, after, kv.get("a") === undefined];
    """
    assert room().run(code) == [{"a": 1}, {"a": 1, "b": 2}, True]


def test_sorting_much_needs_no_file(room: Room) -> None:
    code = """
      sql.exec("CREATE TABLE t (n, s)");
      sql.exec(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000)
        INSERT INTO t SELECT random(), hex(randomblob(100)) FROM c`);
      return sql.exec("SELECT count(*) AS n FROM (SELECT * FROM t ORDER BY s DESC, n)").one().n;
    """
    assert room().run(code) == 20000


def test_random_numbers_of_two_isolates_differ_and_time_is_the_isolates(room: Room) -> None:
    code = "return sql.exec('SELECT random() AS a, hex(randomblob(8)) AS b').raw().toArray()[0]"
    one, other = room(), room()
    drawn = [value for each in (one, other, one) for value in each.run(code)]
    assert len(set(drawn)) == 6
    assert one.run(
        "return Math.abs(Date.now() - sql.exec(\"SELECT unixepoch('now', 'subsec') * 1000 AS n\").one().n) < 2"
    )


# compared with another SQLite -----------------------------------------------------------------------------------------

DATA = Path(__file__).parents[1] / "data"


def lines(name: str) -> list[str]:
    return (DATA / name).read_text(encoding="utf-8").splitlines()


OTHER = """
from workers import DurableObject

class Room(DurableObject):
    async def exec(self, query, *values):
        try:
            return list(self.ctx.storage.sql.exec(query, *map(real, values)).raw())
        except Exception as error:
            return str(error)

def real(value):
    return float(value) if isinstance(value, int) else value
"""


def plain(found: Any) -> Any:
    """Rows as both sides have them: JavaScript has one kind of number. Of an error, what SQLite says."""
    if isinstance(found, str):
        return found.rpartition(": SQLITE_")[0]
    return [
        [
            int(each) if isinstance(each, float) and each.is_integer() and abs(each) < 1e15 else each
            for each in row
        ]
        for row in found
    ]


def here(one: Tested, query: str, values: tuple[Any, ...] = ()) -> Any:
    code = "try { return sql.exec(...given).raw().toArray(); } catch (error) { return error.message; }"
    return plain(one.run(code, query, *values))


@pytest.fixture
def other(start: Start) -> Callable[..., Any]:
    """The same SQLite as a whole: in a Python object."""
    driver = start(OTHER, is_object=("Room", "0a" * 32))
    return lambda query, values=(): plain(driver.call("exec", query, *values, entrypoint="Room").value)


def test_it_does_what_the_whole_one_does(room: Room, other: Callable[..., Any]) -> None:
    one = room()
    schema = (DATA / "schema.sql").read_text(encoding="utf-8")
    one.run("sql.exec(given[0])", schema)
    other(schema)
    different = [
        (query, found, expected)
        for query in lines("queries.sql")
        if (found := here(one, query)) != (expected := other(query))
    ]
    assert different == []


VALUES = st.none() | st.integers(-(2**40), 2**40).map(float) | st.floats(-1e6, 1e6).map(lambda n: round(n, 3)) | (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
)  # fmt: skip


def test_values_are_computed_as_by_the_whole_one(room: Room, other: Callable[..., Any]) -> None:
    one = room()

    @settings(max_examples=50)
    @given(st.sampled_from(lines("expressions.sql")), VALUES)
    def agree(form: str, value: Any) -> None:
        values = (value,) * form.count("?")
        assert here(one, form, values) == other(form, values)

    agree()
