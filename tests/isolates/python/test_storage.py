"""The storage of an object: what can be asked of it, its limits, and what goes out to the host with each step."""

from __future__ import annotations

import sqlite3

import pytest
from pyworkerd_isolates.testing import LATER

ID = "0a" * 32
PAGE = 4096
SOURCE = """
import asyncio
from workers import DurableObject, Response

class Room(DurableObject):
    asyncio = asyncio

    async def run(self, code):
        names = {"storage": self.ctx.storage, "kv": self.ctx.storage.kv, "sql": self.ctx.storage.sql, "self": self}
        exec("async def main():\\n" + "\\n".join("    " + line for line in code.splitlines()), names)
        return await names["main"]()

    async def put(self, key, value):
        await self.ctx.storage.put(key, value)
        return await self.ctx.storage.get(key)
"""


@pytest.fixture
def room(start):
    def begin(**options):
        bindings = [("ELSE", "callable", 1)]
        return start(SOURCE, bindings=bindings, answer=lambda _: LATER, is_object=("Room", ID), **options)

    return begin


def ran(driver, code):
    return driver.call("run", code).value


def failed(driver, code):
    failure = driver.call("run", code).failure
    assert failure is not None
    return f"{failure.type_name}: {failure.message}"


def stored(driver):
    """What a host would have: the pages of all commits."""
    pages = {}
    size = 0
    for commit in driver.commits:
        size = commit.size
        for index, number in enumerate(commit.numbers):
            pages[number] = commit.pages[index * PAGE : (index + 1) * PAGE]
    return b"".join(pages[number] for number in range(size))


# keys and values ------------------------------------------------------------------------------------------------------


def test_what_is_put_is_there_and_goes_out_with_the_step(room):
    driver = room()
    assert driver.call("put", "a", {"n": [1, b"x", None]}).value == {"n": [1, b"x", None]}
    (commit,) = driver.commits
    assert commit.size == len(commit.numbers) == len(commit.pages) // PAGE
    again = room(pages=stored(driver))
    assert ran(again, "return [await storage.get('a'), await storage.get('b')]") == [
        {"n": [1, b"x", None]},
        None,
    ]
    assert again.commits == []


def test_only_pages_that_changed_go_out(room):
    driver = room()
    ran(driver, "for n in range(200): kv.put(f'{n:04}', 'x' * 1000)")
    everything = stored(driver)
    ran(driver, "kv.put('0100', 'y' * 1000)")
    assert len(driver.commits[1].numbers) <= 3
    assert len(everything) == driver.commits[1].size * PAGE
    assert ran(room(pages=stored(driver)), "return [kv.get('0100')[0], kv.get('0101')[0]]") == ["y", "x"]


def test_a_step_that_writes_nothing_keeps_nothing(room):
    driver = room()
    ran(driver, "kv.put('a', 1)")
    ran(driver, "return [kv.get('a'), kv.list(), list(sql.exec('SELECT 1')), kv.delete('none')]")
    assert len(driver.commits) == 1
    assert ran(driver, "return kv.get('a')") == 1


def test_several_at_once(room):
    driver = room()
    assert ran(
        driver,
        "await storage.put({'a': 1, 'b': 2, 'c': 3})\n"
        "return [await storage.get(['a', 'c', 'x']), await storage.delete('a'), await storage.delete('a'),"
        " await storage.delete(['b', 'c', 'x']), await storage.list()]",
    ) == [{"a": 1, "c": 3}, True, False, 2, {}]


KEYS = ["a", "ab", "abc", "b", "ba", "\uffff", "\U0001f600", ""]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["", "a", "ab", "abc", "b", "ba", "\uffff", "\U0001f600"]),
        ({"prefix": "a"}, ["a", "ab", "abc"]),
        ({"prefix": "\uffff"}, ["\uffff"]),
        ({"start": "ab"}, ["ab", "abc", "b", "ba", "\uffff", "\U0001f600"]),
        ({"startAfter": "ab", "end": "ba"}, ["abc", "b"]),
        ({"start": "ab", "end": "b", "reverse": True}, ["abc", "ab"]),
        ({"reverse": True, "limit": 2}, ["\U0001f600", "\uffff"]),
        ({"prefix": "a", "limit": 1, "start": "ab"}, ["ab"]),
        ({"prefix": "a", "end": "a"}, []),
        ({"limit": None, "allowConcurrency": True, "noCache": True}, sorted(KEYS)),
    ],
)
def test_lists(room, options, expected):
    driver = room()
    code = f"kv.put({dict.fromkeys(KEYS, 0)!r})\nreturn [*(await storage.list({options!r}))]"
    assert ran(driver, code) == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("kv.put('k' * 2049, 1)", "Keys cannot be larger than 2048 bytes."),
        ("kv.get('\u00fc' * 1025)", "Keys cannot be larger than 2048 bytes."),
        ("kv.put('k', b'x' * 131072)", "Values cannot be larger than 131072 bytes."),
        ("kv.put(dict.fromkeys(map(str, range(129)), 0))", "Maximum number of pairs is 128."),
        ("kv.get([str(n) for n in range(129)])", "Maximum number of keys is 128."),
        ("kv.delete([str(n) for n in range(129)])", "Maximum number of keys is 128."),
        ("kv.put(1, 1)", "TypeError"),
        ("kv.put('a', (1,))", "cannot be sent over RPC"),
        ("kv.put('a', lambda: 1)", "cannot be sent over RPC"),
        ("kv.list(limit=0)", "List limit must be positive."),
        ("kv.list(limit='x')", "List limit must be positive."),
        ("kv.list(start='a', startAfter='b')", "both start and startAfter"),
        ("kv.list(strat='a')", "no option"),
    ],
)
def test_what_keys_and_values_are_refused(room, code, message):
    driver = room()
    assert message in failed(driver, code)
    assert ran(driver, "return kv.list()") == {}


def test_the_largest_key_and_the_largest_value_fit(room):
    driver = room()
    assert ran(driver, "kv.put('k' * 2048, b'x' * 131000)\nreturn len(kv.get('k' * 2048))") == 131000


def test_of_several_none_is_put_if_one_is_refused(room):
    driver = room()
    failed(driver, "kv.put({'a': 1, 'b': (1,)})")
    assert ran(driver, "return kv.list()") == {}


# SQL ------------------------------------------------------------------------------------------------------------------


def test_sql(room):
    driver = room()
    code = """
made = sql.exec("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT, b BLOB); INSERT INTO t (s) VALUES ('a;b'); -- end")
wrote = sql.exec("INSERT INTO t (s, b) VALUES (?, ?), (?, ?)", "x", b"\\0", None, 1.5)
c = sql.exec("SELECT * FROM t ORDER BY n")
first = c.next()
rest = c.to_array()
return [made.rows_written, wrote.rows_written, c.column_names, c.rowsRead, first["value"].s, rest, c.next(),
        sql.exec("SELECT count(*) AS n FROM t").one().n, list(sql.exec("SELECT n, s FROM t").raw()),
        sql.database_size % 4096, [row.n for row in sql.exec("SELECT n FROM t WHERE n > ?", 1)]]
"""
    assert ran(driver, code) == [
        1,
        2,
        ["n", "s", "b"],
        3,
        "a;b",
        [{"n": 2, "s": "x", "b": b"\0"}, {"n": 3, "s": None, "b": 1.5}],
        {"done": True},
        3,
        [[1, "a;b"], [2, "x"], [3, None]],
        0,
        [2, 3],
    ]


def test_a_trigger_is_one_statement(room):
    code = """
sql.exec('''CREATE TABLE t (n); CREATE TABLE log (n);
CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.n); INSERT INTO log VALUES (-new.n); END;
INSERT INTO t VALUES (?)''', 7)
return [*sql.exec("SELECT n FROM log").raw()]
"""
    assert ran(room(), code) == [[7], [-7]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM missing", "no such table: missing"),
        ("SELEKT", "syntax error"),
        ("BEGIN", "To execute a transaction"),
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
        ("SELECT * FROM _cf_KV", "prohibited"),
        ("INSERT INTO _cf_KV VALUES (x'00', x'00')", "prohibited"),
        ("DROP TABLE _cf_KV", "prohibited"),
        ("CREATE TABLE _CF_mine (n)", "prohibited"),
        ("CREATE INDEX i ON _cf_KV (value)", "prohibited"),
        ("ALTER TABLE _cf_KV RENAME TO mine", "prohibited"),
        ("SELECT load_extension('x')", "no such function"),
        ("SELECT zeroblob(2097153)", "too big"),
        ("SELECT 'abc' LIKE '" + "a" * 51 + "'", "too complex"),
    ],
)
def test_what_sql_is_refused(room, query, message):
    driver = room()
    assert message in failed(driver, f"sql.exec({query!r}).to_array()")
    assert ran(driver, "kv.put('a', 1); return kv.get('a')") == 1


def test_bindings_have_to_fit(room):
    driver = room()
    assert "SqlError" in failed(driver, "sql.exec('SELECT ?')")
    assert "SqlError" in failed(driver, "sql.exec('SELECT 1', 2)")
    assert "TypeError" in failed(driver, "sql.exec(1)")
    assert failed(driver, "sql.exec('SELECT ?', {})") != ""
    assert "no results" in failed(driver, "sql.exec('SELECT 1 WHERE 0').one()")
    assert "multiple results" in failed(driver, "sql.exec('VALUES (1), (2)').one()")


def test_values_of_two_megabytes_fit_and_no_more(room):
    driver = room()
    ran(driver, "sql.exec('CREATE TABLE t (b)'); sql.exec('INSERT INTO t VALUES (?)', bytes(2000000))")
    assert ran(driver, "return len(sql.exec('SELECT b FROM t').one().b)") == 2_000_000
    assert failed(driver, "sql.exec('INSERT INTO t VALUES (?)', bytes(2097153))")


def test_sorting_much_needs_no_file(room):
    code = """
sql.exec("CREATE TABLE t (n, s)")
sql.exec("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) "
         "INSERT INTO t SELECT random(), hex(randomblob(100)) FROM c")
return sql.exec("SELECT count(*) AS n FROM (SELECT * FROM t ORDER BY s DESC, n)").one().n
"""
    assert ran(room(), code) == 20000


def test_random_numbers_of_two_isolates_differ(room):
    code = "return [sql.exec('SELECT random() AS n').one().n for _ in range(3)]"
    pages = b""
    assert not set(ran(room(pages=pages), code)) & set(ran(room(pages=pages), code))


def test_keys_and_rows_are_one_database(room):
    driver = room()
    ran(driver, "kv.put('a', 1); sql.exec('CREATE TABLE t (n)'); sql.exec('INSERT INTO t VALUES (2)')")
    assert len(driver.commits) == 1
    connection = sqlite3.connect(":memory:")
    connection.deserialize(stored(driver))
    assert connection.execute("SELECT n FROM t").fetchall() == [(2,)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


# transactions ---------------------------------------------------------------------------------------------------------


def test_a_transaction_that_fails_leaves_nothing(room):
    driver = room()
    code = """
kv.put("a", 0)
def fails():
    kv.put("a", 1)
    sql.exec("CREATE TABLE t (n)")
    raise ValueError("no")
try:
    storage.transaction_sync(fails)
except ValueError:
    pass
async def rolls_back(txn):
    await txn.put("a", 2)
    txn.rollback()
    return "rolled back"
async def keeps(txn):
    await txn.put("b", 3)
    return await txn.get("a")
async def breaks(txn):
    await txn.put("b", 4)
    raise ValueError("no")
results = [await storage.transaction(rolls_back), await storage.transaction(keeps)]
try:
    await storage.transaction(breaks)
except ValueError as error:
    results.append(str(error))
return [*results, kv.list(), len(sql.exec("SELECT * FROM sqlite_schema WHERE name = 't'").to_array())]
"""
    assert ran(driver, code) == ["rolled back", 0, "no", {"a": 0, "b": 3}, 0]
    assert driver.aborted is None


def test_transactions_within_transactions(room):
    code = """
def outer():
    kv.put("a", 1)
    def inner():
        kv.put("a", 2)
        raise ValueError
    try:
        storage.transaction_sync(inner)
    except ValueError:
        pass
    kv.put("b", kv.get("a"))
storage.transaction_sync(outer)
return kv.list()
"""
    assert ran(room(), code) == {"a": 1, "b": 1}


def test_what_cannot_be_kept_in_the_end_is_undone(room):
    """Else the transaction would stay open, and nothing that is written after it would ever go out."""
    driver = room()
    code = """
sql.exec("CREATE TABLE p (n INTEGER PRIMARY KEY)")
sql.exec("CREATE TABLE c (p REFERENCES p (n) DEFERRABLE INITIALLY DEFERRED)")
results = []
def work(*_):
    sql.exec("INSERT INTO c VALUES (7)")
try:
    storage.transaction_sync(work)
except Exception as error:
    results.append(str(error))
try:
    await storage.transaction(work)
except Exception as error:
    results.append(str(error))
kv.put("after", 1)
return [*results, len(sql.exec("SELECT * FROM c").to_array())]
"""
    first, second, count = ran(driver, code)
    assert "FOREIGN KEY constraint failed" in first
    assert "FOREIGN KEY constraint failed" in second
    assert count == 0
    assert ran(room(pages=stored(driver)), "return kv.get('after')") == 1


def test_nothing_is_written_in_a_transaction_that_is_undone_already(room):
    driver = room()
    code = """
sql.exec("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1)")
results = []
def outer():
    kv.put("before", 1)
    for work in (
        lambda: sql.exec("INSERT OR ROLLBACK INTO t VALUES (1)"),
        lambda: kv.put("after", 1),
        lambda: storage.transaction_sync(lambda: kv.put("within", 1)),
        lambda: sql.exec("INSERT INTO t VALUES (2)"),
    ):
        try:
            work()
        except Exception as error:
            results.append("undone" in str(error))
try:
    storage.transaction_sync(outer)
except Exception as error:
    results.append("undone" in str(error))
kv.put("then", 1)
return [results, kv.list()]
"""
    assert ran(driver, code) == [[False, True, True, True, True], {"then": 1}]
    assert ran(room(pages=stored(driver)), "return kv.list()") == {"then": 1}


def test_async_transactions_within_transactions(room):
    code = """
async def undone(inner):
    await inner.put("a", 2)
    inner.rollback()
async def outer(txn):
    await txn.put("a", 1)
    await storage.transaction(undone)
    await storage.transaction(lambda inner: inner.put("b", 3))
await storage.transaction(outer)
return kv.list()
"""
    assert ran(room(), code) == {"a": 1, "b": 3}


def test_transactions_that_overlap_leave_nothing(room):
    """The second one is within the first. Who wrote what is not known, so what the first one undoes is not either."""
    driver = room()
    code = """
await storage.transaction(lambda txn: txn.put("before", 1))
await storage.sync()
async def short(txn):
    await txn.put("a", 1)
    await asyncio.sleep(0)
async def long(txn):
    await txn.put("b", 1)
    for _ in range(9):
        await asyncio.sleep(0)
    await txn.put("c", 1)
    raise ValueError
await asyncio.gather(storage.transaction(short), storage.transaction(long), return_exceptions=True)
"""
    driver.call("run", code.replace("asyncio", "self.asyncio"))
    assert "wait for each before the next one begins" in driver.aborted
    assert ran(room(pages=stored(driver)), "return kv.list()") == {"before": 1}


def test_one_that_outlives_a_synchronous_transaction_leaves_nothing(room):
    driver = room()
    code = """
async def outlives(txn):
    await txn.put("b", 1)
    await self.asyncio.sleep(0)
    raise ValueError
def outer():
    coroutine = storage.transaction(outlives)
    kv.put("a", 1)
    try:
        coroutine.send(None)
    except StopIteration:
        pass
storage.transaction_sync(outer)
"""
    driver.call("run", code)
    assert "wait for each before the next one begins" in (driver.aborted or "")
    assert driver.commits == []


def test_what_a_transaction_has_not_kept_yet_does_not_go_out(room):
    driver = room()
    code = """
kv.put("before", 1)
async def waits(txn):
    await txn.put("inside", 2)
    await self.env.ELSE()
    await txn.put("inside", 3)
await storage.transaction(waits)
"""
    run = driver.begin_call("run", code)
    other = driver.begin_call("put", "other", 1)
    driver.step()
    assert not run.done
    assert not other.done
    assert ran(room(pages=stored(driver)), "return kv.list()") == {"before": 1}
    driver.resolve(1, None)
    driver.settle()
    assert other.value == 1
    assert driver.aborted is None
    assert ran(room(pages=stored(driver)), "return kv.list()") == {"before": 1, "inside": 3, "other": 1}


def test_sync_waits_for_the_next_step(room):
    driver = room()
    run = driver.begin_call("run", "kv.put('a', 1)\nawait storage.sync()\nreturn 1")
    driver.step()
    assert len(driver.commits) == 1
    assert not run.done
    driver.settle()
    assert run.value == 1


# bounds ---------------------------------------------------------------------------------------------------------------


def test_delete_all_forgets_everything(room):
    driver = room()
    ran(driver, "kv.put('a', 1); sql.exec('CREATE TABLE t (n)')")
    ran(driver, "await storage.delete_all(); await storage.deleteAll()")
    assert (driver.commits[-1].size, driver.commits[-1].numbers) == (0, ())
    assert ran(driver, "return [kv.list(), sql.database_size]") == [{}, 2 * PAGE]
    ran(driver, "kv.put('b', 1)")
    assert driver.commits[-1].size == len(driver.commits[-1].numbers)


def test_a_database_that_is_full_refuses_and_lives(room):
    driver = room()
    code = """
n = 0
try:
    while True:
        kv.put(f"{n:08}", bytes(100_000))
        n += 1
except Exception as error:
    return [n, str(error), kv.get("00000000") is not None]
return [n, "", True]
"""
    number, message, there = ran(
        driver, "sql.exec('SELECT 1')\n" + code.replace("while True", "while n < 60")
    )
    assert number == 60
    assert ran(driver, code.replace("n = 0", "n = 60", 1).replace("while True", "while n < 120"))[0] == 120
    number, message, there = ran(driver, code.replace("n = 0", "n = 120", 1))
    assert number < 170
    assert "full" in message
    assert there


def test_what_an_aborted_step_wrote_is_dropped(room):
    driver = room()
    ran(driver, "kv.put('a', 1)")
    driver.call("run", "kv.put('a', 2)\nself.ctx.abort('no')")
    assert len(driver.commits) == 1


def test_nobody_hears_of_what_an_aborted_step_wrote(room):
    """Its own caller, another one in the same step, and whoever it would have called."""
    driver = room()
    code = """
print('said')
kv.put('a', 2)
asyncio.ensure_future(self.env.ELSE('kept'))
return 'kept'
"""
    first = driver.begin_call("run", code.replace("asyncio", "self.asyncio"))
    second = driver.begin_call("run", "self.ctx.abort('no')")
    driver.settle()
    assert driver.aborted == "no"
    assert first.returned is None
    assert second.failure is not None
    assert not driver.seen
    assert [log.message for log in driver.logs] == ["said"]
