"""Keys and values, transactions and alarms, and what goes out to the host with each step."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire

if TYPE_CHECKING:
    from .conftest import Room

PAGE = 4096


def test_what_is_put_is_there_and_goes_out_with_the_step(room: Room) -> None:
    one = room()
    assert one.run("await storage.put('a', { n: [1, 'x', null] }); return storage.get('a')") == {
        "n": [1, "x", None]
    }
    (commit,) = one.driver.commits
    assert commit.size == len(commit.numbers) == len(commit.pages) // PAGE
    again = room(pages=one.stored)
    assert again.run("return [await storage.get('a'), await storage.get('b') === undefined]") == [
        {"n": [1, "x", None]},
        True,
    ]
    assert again.driver.commits == []


def test_only_pages_that_changed_go_out(room: Room) -> None:
    one = room()
    one.run("for (let n = 0; n < 200; n++) kv.put(String(n).padStart(4, '0'), 'x'.repeat(1000))")
    one.run("kv.put('0100', 'y'.repeat(1000))")
    assert len(one.driver.commits[1].numbers) <= 3
    assert room(pages=one.stored).run("return [kv.get('0100')[0], kv.get('0101')[0]]") == ["y", "x"]


def test_a_step_that_writes_nothing_keeps_nothing(room: Room) -> None:
    one = room()
    one.run("kv.put('a', 1)")
    one.run("return [kv.get('a'), [...kv.list()], [...sql.exec('SELECT 1')], kv.delete('none')]")
    assert len(one.driver.commits) == 1
    assert one.run("return kv.get('a')") == 1


def test_several_at_once(room: Room) -> None:
    code = """
      await storage.put({ a: 1, b: 2, c: 3, d: undefined });
      return [[...await storage.get(['c', 'a', 'x'])], await storage.delete('a'), await storage.delete('a'),
        await storage.delete(['b', 'c', 'x']), (await storage.list()).size];
    """
    assert room().run(code) == [[["a", 1], ["c", 3]], True, False, 2, 0]


KEYS = ["a", "ab", "abc", "b", "ba", "\uffff", "\U0001f600", ""]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{}", ["", "a", "ab", "abc", "b", "ba", "\uffff", "\U0001f600"]),
        ("{ prefix: 'a' }", ["a", "ab", "abc"]),
        ("{ prefix: '\\uffff' }", ["\uffff"]),
        ("{ start: 'ab' }", ["ab", "abc", "b", "ba", "\uffff", "\U0001f600"]),
        ("{ startAfter: 'ab', end: 'ba' }", ["abc", "b"]),
        ("{ start: 'ab', end: 'b', reverse: true }", ["abc", "ab"]),
        ("{ reverse: true, limit: 2 }", ["\U0001f600", "\uffff"]),
        ("{ prefix: 'a', limit: 1, start: 'ab' }", ["ab"]),
        ("{ prefix: 'a', end: 'a' }", []),
        ("{ limit: undefined, allowConcurrency: true, noCache: true }", sorted(KEYS)),
    ],
)
def test_lists(room: Room, options: str, expected: list[str]) -> None:
    code = f"""
      kv.put(Object.fromEntries(given[0].map((key) => [key, 0])));
      const found = [...(await storage.list({options})).keys()];
      if (found.join() !== Array.from(kv.list({options}), ([key]) => key).join()) throw new Error("they differ");
      return found;
    """
    assert room().run(code, KEYS) == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("kv.put('k'.repeat(2049), 1)", "RangeError: Keys cannot be larger than 2048 bytes."),
        ("kv.get('\u00fc'.repeat(1025))", "RangeError: Keys cannot be larger than 2048 bytes."),
        ("kv.put('k', new Uint8Array(131072))", "RangeError: Values cannot be larger than 131072 bytes."),
        (
            "kv.put(Object.fromEntries(Array(129).entries().map(([n]) => [n, 0])))",
            "Maximum number of pairs is 128.",
        ),
        ("kv.get(Array.from({ length: 129 }, String))", "Maximum number of keys is 128."),
        ("kv.delete(Array.from({ length: 129 }, String))", "Maximum number of keys is 128."),
        ("kv.put(true, 1)", "TypeError"),
        ("kv.get(undefined)", "TypeError"),
        ("await storage.getCurrentBookmark()", "there are no bookmarks here"),
        ("kv.put('a', undefined)", "TypeError: put() called with undefined value."),
        ("kv.put('a', () => 1)", "DataCloneError"),
        ("kv.put({ a: 1, b: Symbol() })", "DataCloneError"),
        ("const a = {}; a.a = a; kv.put('a', a)", "DataCloneError"),
        ("kv.list({ limit: Infinity })", "List limit must be positive."),
        ("kv.list({ limit: 0.5 })", "List limit must be positive."),
        ("kv.list({ limit: -1 })", "List limit must be positive."),
        ("kv.list({ limit: 0 })", "List limit must be positive."),
        ("kv.list({ limit: 'x' })", "List limit must be positive."),
        ("kv.list({ start: 'a', startAfter: 'b' })", "both start and startAfter"),
        ("await storage.setAlarm(0)", "TypeError: setAlarm() cannot be called with an alarm time <= 0"),
        ("await storage.setAlarm('soon')", "TypeError: setAlarm()"),
        ("storage.transactionSync(1)", "TypeError"),
        ("await storage.transaction()", "TypeError"),
    ],
)
def test_what_is_refused(room: Room, code: str, message: str) -> None:
    one = room()
    assert message in one.fails(code)
    assert one.run("return [...kv.list()]") == []


def test_numbers_are_keys_as_texts(room: Room) -> None:
    assert room().run(
        "kv.put(1, 'one'); return [kv.get('1'), kv.get(1), [...kv.list({ limit: null })].length]"
    ) == [
        "one",
        "one",
        1,
    ]


def test_a_large_database_fits_where_it_is_read(room: Room) -> None:
    one = room()
    for first in range(0, 140, 50):
        one.run(f"for (let n = {first}; n < {first} + 45; n++) kv.put(`${{n}}`, new Uint8Array(100000))")
    pages = one.stored
    assert len(pages) > 13_000_000
    again = room(pages=pages, memory_mb=64)
    assert again.run("kv.put('0', 1); return [kv.get('1').length, sql.databaseSize]")[0] == 100_000
    assert len(again.driver.commits[0].numbers) < 40


def test_the_largest_key_and_the_largest_value_fit(room: Room) -> None:
    code = "const key = 'k'.repeat(2048); kv.put(key, new Uint8Array(131000)); return kv.get(key).length"
    assert room().run(code) == 131000


@pytest.mark.parametrize(
    "value",
    [
        "1", "1.5", "-0", "NaN", "-Infinity", "9007199254740993n", "0n", "'\\u00e4\\ud83d\\ude00\\0'", "null", "true",
        "[1, undefined, 3]", "{ a: undefined, $: 1, __proto__: null }", "new Map([[{ a: 1 }, new Set([1, 'x'])]])",
        "new Date(5)", "new Date(NaN)", "/a+/gi", "new Uint8Array([1, 2])", "new Uint8Array([1, 2]).buffer",
        "new Float16Array([1.5])", "new Float64Array([1.5])", "new BigInt64Array([-1n])",
        "new Uint16Array([1, 2, 3]).subarray(1)", "new DataView(new ArrayBuffer(3), 1)", "new TypeError('no')",
        "new (class A { x = 1 })()", "[new ArrayBuffer(0), new Int8Array(0)]",
    ],
)  # fmt: skip
def test_values_are_as_a_structured_clone_has_them(room: Room, value: str) -> None:
    code = f"""
      const value = {value};
      kv.put("v", value);
      const show = (each) => [typeof each, Object.prototype.toString.call(each), Object.is(each, -0),
        each instanceof Error ? each.message : typeof each === "object" && each !== null && !Array.isArray(each)
          ? [...Object.entries(each), ...(each[Symbol.iterator] ?? (() => []))?.call(each) ?? []].map(show)
          : Array.isArray(each) ? each.map(show) : String(each)];
      return [show(kv.get("v")), show(structuredClone(value))].map((each) => JSON.stringify(each));
    """
    stored, cloned = room().run(code)
    assert stored == cloned


def test_python_reads_what_both_know(room: Room) -> None:
    one = room()
    one.run("kv.put('v', { a: [1, 'x', new Date(1000), new Uint8Array([7]), 2n ** 70n, new Set([1])] })")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(one.stored)
    ((key, value),) = connection.execute("SELECT key, value FROM _cf_KV").fetchall()
    connection.close()
    assert key == b"v"
    assert wire.load_value(value) == {
        "a": [1, "x", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), b"\7", 1 << 70, {1}]
    }


def test_keys_and_rows_are_one_database(room: Room) -> None:
    one = room()
    one.run("kv.put('a', 1); sql.exec('CREATE TABLE t (n)'); sql.exec('INSERT INTO t VALUES (2)')")
    assert len(one.driver.commits) == 1
    connection = sqlite3.connect(":memory:")
    connection.deserialize(one.stored)
    assert connection.execute("SELECT n FROM t").fetchall() == [(2,)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


# transactions ---------------------------------------------------------------------------------------------------------


def test_a_transaction_that_fails_leaves_nothing(room: Room) -> None:
    one = room()
    code = """
      const results = [];
      kv.put("a", 0);
      try {
        storage.transactionSync(() => {
          kv.put("a", 1);
          sql.exec("CREATE TABLE t (n)");
          throw new Error("no");
        });
      } catch (error) { results.push(error.message); }
      results.push(await storage.transaction(async (txn) => {
        await txn.put("a", 2);
        txn.rollback();
        return "rolled back";
      }));
      results.push(await storage.transaction(async (txn) => {
        await txn.put("b", 3);
        return txn.get("a");
      }));
      await storage.transaction(async (txn) => {
        await txn.put("b", 4);
        throw new Error("nor this");
      }).catch((error) => results.push(error.message));
      return [...results, [...kv.list()], sql.exec("SELECT * FROM sqlite_schema WHERE name = 't'").toArray().length];
    """
    assert one.run(code) == ["no", "rolled back", 0, "nor this", [["a", 0], ["b", 3]], 0]
    assert one.driver.aborted is None


def test_transactions_within_transactions(room: Room) -> None:
    code = """
      storage.transactionSync(() => {
        kv.put("a", 1);
        try {
          storage.transactionSync(() => {
            kv.put("a", 2);
            throw new Error();
          });
        } catch {}
        kv.put("b", kv.get("a"));
      });
      return [...kv.list()];
    """
    assert room().run(code) == [["a", 1], ["b", 1]]


def test_what_cannot_be_kept_in_the_end_is_undone(room: Room) -> None:
    """Else the transaction would stay open, and nothing that is written after it would ever go out."""
    one = room()
    code = """
      sql.exec("CREATE TABLE p (n INTEGER PRIMARY KEY)");
      sql.exec("CREATE TABLE c (p REFERENCES p (n) DEFERRABLE INITIALLY DEFERRED)");
      const results = [];
      const work = () => { sql.exec("INSERT INTO c VALUES (7)"); };
      try { storage.transactionSync(work); } catch (error) { results.push(error.message); }
      await storage.transaction(async () => work()).catch((error) => results.push(error.message));
      kv.put("after", 1);
      return [...results, sql.exec("SELECT * FROM c").toArray().length];
    """
    failed = "FOREIGN KEY constraint failed: SQLITE_CONSTRAINT"
    assert one.run(code) == [failed, failed, 0]
    assert room(pages=one.stored).run("return kv.get('after')") == 1


def test_nothing_is_written_in_a_transaction_that_is_undone_already(room: Room) -> None:
    code = """
      sql.exec("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1)");
      const results = [];
      try {
        storage.transactionSync(() => {
          kv.put("before", 1);
          for (const work of [
            () => sql.exec("INSERT OR ROLLBACK INTO t VALUES (1)"),
            () => kv.put("after", 1),
            () => storage.transactionSync(() => kv.put("within", 1)),
            () => sql.exec("INSERT INTO t VALUES (2)"),
          ]) {
            try { work(); } catch (error) { results.push(error.message.slice(-14)); }
          }
        });
      } catch (error) { results.push(error.message.slice(0, 34)); }
      kv.put("then", 1);
      return [results, [...kv.list()], sql.exec("SELECT n FROM t").toArray().length];
    """
    one = room()
    failed = ["ITE_CONSTRAINT", *[": SQLITE_ABORT"] * 3, "SQLite has undone the transaction:"]
    assert one.run(code) == [failed, [["then", 1]], 1]
    assert room(pages=one.stored).run("return [...kv.list()]") == [["then", 1]]


def test_async_transactions_within_transactions(room: Room) -> None:
    code = """
      await storage.transaction(async (txn) => {
        await txn.put("a", 1);
        await storage.transaction(async (inner) => {
          await inner.put("a", 2);
          inner.rollback();
        });
        await storage.transaction((inner) => inner.put("b", 3));
      });
      await storage.transaction(async () => {
        await storage.transaction((inner) => inner.put("c", 4));
        throw new Error();
      }).catch(() => {});
      return [...kv.list()];
    """
    assert room().run(code) == [["a", 1], ["b", 3]]


@pytest.mark.parametrize("fails", ["", "throw new Error()"])
def test_transactions_that_overlap_leave_nothing(room: Room, fails: str) -> None:
    """The second one is within the first. Who wrote what is not known, so what the first one undoes is not either."""
    one = room()
    code = """
      await storage.transaction((txn) => txn.put("before", 1));
      await storage.sync();
      await Promise.allSettled([
        storage.transaction(async (txn) => { await txn.put("a", 1); FAILS }),
        storage.transaction(async (txn) => {
          await txn.put("b", 1);
          for (let i = 0; i < 9; i++) await null;
          await txn.put("c", 1);
          throw new Error();
        }),
      ]);
    """
    one.driver.call("run", code.replace("FAILS", fails), entrypoint="Room")
    assert "wait for each before the next one begins" in (one.driver.aborted or "")
    assert room(pages=one.stored).run("return [...kv.list()]") == [["before", 1]]


def test_one_that_outlives_a_transaction_without_promises_leaves_nothing(room: Room) -> None:
    one = room()
    code = """
      storage.transactionSync(() => {
        kv.put("a", 1);
        storage.transaction(async (txn) => { await txn.put("b", 1); await null; throw new Error(); }).catch(() => {});
      });
    """
    assert "wait for each before the next one begins" in one.fails(code)
    assert "wait for each" in (one.driver.aborted or "")
    assert one.driver.commits == []


def test_what_a_transaction_has_not_kept_yet_does_not_go_out(room: Room) -> None:
    one = room()
    code = """
      kv.put("before", 1);
      await storage.transaction(async (txn) => {
        await txn.put("inside", 2);
        await self.env.ELSE();
        await txn.put("inside", 3);
      });
    """
    driver = one.driver
    run = driver.begin_call("run", code, entrypoint="Room")
    other = driver.begin_call("run", "kv.put('other', 1)", entrypoint="Room")
    driver.step()
    assert not run.done
    assert not other.done
    assert room(pages=one.stored).run("return [...kv.list()]") == [["before", 1]]
    driver.resolve(1, None)
    driver.settle()
    assert run.failure is None
    assert other.done
    assert driver.aborted is None
    kept = [["before", 1], ["inside", 3], ["other", 1]]
    assert room(pages=one.stored).run("return [...kv.list()]") == kept


def test_sync_waits_for_the_next_step(room: Room) -> None:
    one = room()
    run = one.driver.begin_call("run", "kv.put('a', 1); await storage.sync(); return 1", entrypoint="Room")
    one.driver.step()
    assert len(one.driver.commits) == 1
    assert not run.done
    one.driver.settle()
    assert run.value == 1


# bounds ---------------------------------------------------------------------------------------------------------------


def test_delete_all_forgets_everything(room: Room) -> None:
    one = room()
    one.run("kv.put('a', 1); sql.exec('CREATE TABLE t (n)'); await storage.setAlarm(5)")
    one.run("await storage.deleteAll()")
    commit = one.driver.commits[-1]
    assert (commit.size, commit.numbers, commit.alarm) == (0, (), None)
    assert one.run("return [[...kv.list()], sql.databaseSize]") == [[], 2 * PAGE]
    one.run("kv.put('b', 1)")
    assert one.driver.commits[-1].size == len(one.driver.commits[-1].numbers)
    assert "within a transaction" in one.fails("await storage.transaction(() => storage.deleteAll())")


def test_a_database_that_is_full_refuses_and_lives(room: Room) -> None:
    one = room()
    code = """
      let [n, end] = given;
      try {
        for (; n < end; n++) kv.put(String(n).padStart(8, "0"), new Uint8Array(100000));
      } catch (error) { return [n, error.message, kv.get("00000000") !== undefined]; }
      return [n, "", true];
    """
    for begin, end in ((0, 60), (60, 120)):
        assert one.run(code, begin, end) == [end, "", True]
    number, message, there = one.run(code, 120, 1000)
    assert number < 170
    assert message == "database or disk is full: SQLITE_FULL"
    assert there


def test_a_step_that_changes_too_much_ends_the_object(room: Room) -> None:
    one = room()
    code = "for (let n = 0; n < 80; n++) kv.put(`${n}`, new Uint8Array(100000)); return 'kept'"
    run = one.driver.call("run", code, entrypoint="Room")
    assert run.returned is None
    assert "changed more of the object's storage" in str(one.driver.aborted)
    assert one.driver.commits == []


def test_what_an_aborted_step_wrote_is_dropped(room: Room) -> None:
    one = room()
    one.run("kv.put('a', 1)")
    assert "no" in one.fails("kv.put('a', 2); self.ctx.abort('no')")
    assert one.driver.aborted == "no"
    assert len(one.driver.commits) == 1


def test_nobody_hears_of_what_an_aborted_step_wrote(room: Room) -> None:
    """Its own caller, another one in the same step, and whoever it would have called."""
    driver = room().driver
    code = "console.log('said'); kv.put('a', 2); self.env.ELSE('kept'); return 'kept'"
    first = driver.begin_call("run", code, entrypoint="Room")
    second = driver.begin_call("run", "self.ctx.abort('no')", entrypoint="Room")
    driver.settle()
    assert driver.aborted == "no"
    assert first.returned is None
    assert second.failure is not None
    assert not driver.seen
    assert [log.message for log in driver.logs] == ["said"]


# alarms ---------------------------------------------------------------------------------------------------------------


def test_an_alarm_is_kept_with_what_the_step_writes(room: Room) -> None:
    one = room()
    code = "kv.put('a', 1); await storage.setAlarm(new Date(5000)); return storage.getAlarm()"
    assert one.run(code) == 5000
    (commit,) = one.driver.commits
    assert (commit.alarm, commit.size) == (5000, 2)
    one.run("await storage.setAlarm(7000.9)")
    assert (one.driver.commits[1].alarm, one.driver.commits[1].numbers) == (7000, ())
    assert room(pages=one.stored, alarm=7000).run("return storage.getAlarm()") == 7000
    one.run("await storage.deleteAlarm()")
    assert one.driver.commits[2].alarm is None


def test_a_class_without_a_handler_has_no_alarm(room: Room) -> None:
    assert "must have an alarm() handler" in room(methods="").fails("await storage.setAlarm(1)")
