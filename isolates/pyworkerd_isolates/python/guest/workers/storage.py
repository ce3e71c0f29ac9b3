"""`ctx.storage` of a Durable Object: keys and values, SQL, transactions. What is written is durable before anybody
hears of it.

await ctx.storage.put("count", 1)
ctx.storage.kv.put("count", 2)
ctx.storage.sql.exec("SELECT count(*) AS n FROM visits WHERE day > ?", day).one()

All of it is there without waiting: `await` never lets another event in between. Names are Python's, the platform's
beside them.
"""

import _sqlite3
import asyncio

from _pyworkerd import objects

from .rpc import JsDict, python_from_rpc, python_to_rpc

MAX_KEY = 2048
"""Bytes of a key in UTF-8 (Workers: 2 KB)."""
MAX_VALUE = 131_072
"""Bytes of a value as it is stored (Workers: 128 KB)."""
MAX_KEYS = 128
"""Keys of one call (Workers)."""
_GET = "SELECT value FROM _cf_KV WHERE key = ?"
_PUT = "INSERT INTO _cf_KV (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2"
_DELETE = "DELETE FROM _cf_KV WHERE key = ?"
_ROWS = frozenset(("SELECT", "VALUES", "EXPLAIN", "PRAGMA"))
"""What begins with these writes nothing."""
_OVERLAP = (
    "a transaction ended before one that had begun within it: wait for each before the next one begins; "
    "nothing of what they wrote is kept"
)


class SqlError(Exception):
    """SQLite refused a statement: its message and the name of its result."""


def _key(key):
    if not isinstance(key, str):
        raise TypeError(f"a key is a str, not {type(key).__name__}")
    data = key.encode("utf-8", "surrogatepass")
    if len(data) > MAX_KEY:
        raise ValueError(f"Keys cannot be larger than {MAX_KEY} bytes.")
    return data


def _value(value):
    data = python_to_rpc(value)
    if len(data) > MAX_VALUE:
        raise ValueError(f"Values cannot be larger than {MAX_VALUE} bytes.")
    return data


def _several(items, what):
    if len(items) > MAX_KEYS:
        raise ValueError(f"Maximum number of {what} is {MAX_KEYS}.")
    return items


class SyncKvStorage:
    """`storage.kv`: keys and values without `await`."""

    __slots__ = ("_database",)

    def __init__(self, database):
        self._database = database

    def get(self, key, options=None, **named):
        """The value of a key, None if there is none; of a list of keys, a dictionary of those that there are."""
        if isinstance(key, str):
            row = self._run(_GET, (_key(key),)).fetchone()
            return None if row is None else python_from_rpc(row[0])
        found = ((each, self._run(_GET, (_key(each),)).fetchone()) for each in _several(list(key), "keys"))
        return {each: python_from_rpc(row[0]) for each, row in found if row is not None}

    def put(self, key, value=None, options=None, **named):
        """Store a value under a key; or all of a dictionary, or nothing of it."""
        if isinstance(key, str):
            self._run(_PUT, (_key(key), _value(value)))
            return
        rows = [(_key(each), _value(what)) for each, what in _several(dict(key), "pairs").items()]
        self._all(lambda: [self._run(_PUT, row) for row in rows])

    def delete(self, key, options=None, **named):
        """Whether there was such a key; of a list of keys, how many there were."""
        if isinstance(key, str):
            return self._run(_DELETE, (_key(key),)).rowcount > 0
        rows = [(_key(each),) for each in _several(list(key), "keys")]
        return self._all(lambda: sum(self._run(_DELETE, row).rowcount for row in rows))

    def list(self, options=None, **named):
        """Keys and values in the order of the keys' bytes: a dictionary.

        Options: `start` (with it), `start_after` (without it), `end` (without it), `prefix`, `reverse`, `limit`.
        """
        return _list(self._run, {**(options or {}), **named})

    def _run(self, statement, arguments):
        try:
            cursor = self._database.own(statement, arguments)
        except _sqlite3.Error as error:
            raise _explained(error) from None
        if not statement.startswith("SELECT"):
            self._database.dirty = True
        return cursor

    def _all(self, work):
        depth = self._database.begin()
        try:
            result = work()
        except BaseException:
            _end(self._database, depth, False)
            raise
        _end(self._database, depth, True)
        return result


def _end(database, depth, keep):
    if depth != database.depth:
        objects.this.abort(_OVERLAP)
        raise RuntimeError(_OVERLAP)
    try:
        database.end(depth, keep)
    except _sqlite3.Error as error:
        raise _explained(error) from None


_OPTIONS = {"startAfter": "start_after", "allowConcurrency": None, "noCache": None}


def _list(run, options):
    given = {_OPTIONS.get(name, name): value for name, value in options.items() if value is not None}
    given.pop(None, None)
    start, after, end = given.pop("start", None), given.pop("start_after", None), given.pop("end", None)
    prefix, reverse, limit = given.pop("prefix", None), given.pop("reverse", False), given.pop("limit", None)
    if given:
        raise TypeError(f"list() has no option {next(iter(given))!r}")
    if start is not None and after is not None:
        raise TypeError("list() cannot be called with both start and startAfter values.")
    if limit is not None and (type(limit) is not int or limit <= 0):
        raise TypeError("List limit must be positive.")
    where, arguments = [], []
    for bound, comparison in ((start, ">="), (after, ">"), (end, "<")):
        if bound is not None:
            where.append(f"key {comparison} ?")
            arguments.append(_key(bound))
    if prefix:
        first = _key(prefix)
        where += ["key >= ?", "key < ?"]
        arguments += [first, _next(first)]
    statement = "SELECT key, value FROM _cf_KV"
    if where:
        statement += " WHERE " + " AND ".join(where)
    statement += f" ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT ?"
    arguments.append(-1 if limit is None else limit)
    rows = run(statement, arguments)
    return {key.decode("utf-8", "surrogatepass"): python_from_rpc(value) for key, value in rows}


def _next(prefix):
    """The first key behind all that begin with this. UTF-8 has no byte 0xff, so the last one can be raised."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


class DurableObjectStorage:
    """What the object has stored."""

    __slots__ = ("_database", "kv", "sql")

    def __init__(self, database):
        self._database = database
        self.kv = SyncKvStorage(database)
        self.sql = SqlStorage(database)

    async def get(self, key, options=None, **named):
        """See `SyncKvStorage.get`."""
        return self.kv.get(key)

    async def put(self, key, value=None, options=None, **named):
        """See `SyncKvStorage.put`."""
        self.kv.put(key, value)

    async def delete(self, key, options=None, **named):
        """See `SyncKvStorage.delete`."""
        return self.kv.delete(key)

    async def list(self, options=None, **named):
        """See `SyncKvStorage.list`."""
        return self.kv.list(options, **named)

    async def delete_all(self, options=None, **named):
        """Forget everything, tables too."""
        if self._database.depth:
            raise RuntimeError("delete_all() cannot be called inside a transaction")
        self._database.clear()

    async def get_alarm(self, options=None):
        """When the alarm is due, in milliseconds since 1970; None without one, and for its own handler."""
        return None if self._database.ringing is not None else self._database.alarm

    async def set_alarm(self, time, options=None):
        """Let `alarm()` be called at this time: milliseconds since 1970, or a `datetime`. There is one alarm, the last
        one that was set."""
        if not callable(getattr(objects.this.found, "alarm", None)):
            raise TypeError("A Durable Object class must have an alarm() handler in order to set an alarm")
        if hasattr(time, "timestamp"):
            time = time.timestamp() * 1000
        if not 0 < time < 2**53:
            raise TypeError("setAlarm() cannot be called with an alarm time <= 0")
        database = self._database
        same = database.ringing is not None and int(time) == database.ringing.scheduled_time
        database.alarm = int(time) + same  # another alarm, not the one that rings
        database.ringing = None

    async def delete_alarm(self, options=None):
        """Have no alarm any more."""
        self._database.alarm = self._database.ringing = None

    async def sync(self):
        """Wait until what was written so far is durable."""
        loop = asyncio.get_running_loop()
        durable = loop.create_future()
        loop.call_next_step(durable.set_result, None)
        await durable

    async def transaction(self, function):
        """Run `await function(transaction)` while the object takes no other event; keep all that it writes, or none if
        it raises, or calls `transaction.rollback()`. Those that begin meanwhile are within it. If one of them is not
        over when it ends, nobody knows who wrote what, and the object is reset."""

        async def run():
            transaction = DurableObjectTransaction(self)
            depth = self._database.begin()
            try:
                result = function(transaction)
                if hasattr(result, "__await__"):
                    result = await result
            except BaseException:
                _end(self._database, depth, False)
                raise
            _end(self._database, depth, not transaction.rolled_back)
            return result

        return await objects.this.block(run, fatal=False)

    def transaction_sync(self, function):
        """Run `function()`; keep all that it writes, or none if it raises."""
        return self.kv._all(function)

    getAlarm = get_alarm
    setAlarm = set_alarm
    deleteAlarm = delete_alarm
    deleteAll = delete_all
    transactionSync = transaction_sync


class AlarmInvocationInfo:
    """What `alarm()` is given: for when it was set, and whether it was tried before."""

    __slots__ = ("_database", "_given_up", "is_retry", "retry_count", "scheduled_time")

    def __init__(self, event):
        self.scheduled_time = event["scheduledTime"]
        self.retry_count = event["retryCount"]
        self.is_retry = event["isRetry"]
        self._given_up = event["givenUp"]

    isRetry = property(lambda self: self.is_retry)
    retryCount = property(lambda self: self.retry_count)
    scheduledTime = property(lambda self: self.scheduled_time)

    def _begins(self, database):
        # What is noted of alarms may be too much: the object itself knows which one it has.
        self._database = database
        if database.alarm != self.scheduled_time:
            return False
        if self._given_up:
            database.alarm = None
            return False
        database.ringing = self
        return True

    def _outcome(self):
        if self._database.ringing is self:
            self._database.alarm = self._database.ringing = None

    def _ended(self):
        if self._database.ringing is self:
            self._database.ringing = None


class DurableObjectTransaction:
    """What the function of `transaction()` is given: the storage's keys and values, and a way back."""

    __slots__ = ("_storage", "rolled_back")

    def __init__(self, storage):
        self._storage = storage
        self.rolled_back = False

    def rollback(self):
        """Keep nothing of what was written."""
        self.rolled_back = True

    def __getattr__(self, name):
        if name in ("get", "put", "delete", "list"):
            return getattr(self._storage, name)
        raise AttributeError(name)


class SqlStorage:
    """`storage.sql`."""

    __slots__ = ("_database",)

    def __init__(self, database):
        self._database = database

    def exec(self, query, *bindings):
        """Run one statement, or several in a row, of which the last one gets the bindings. Raises `SqlError`."""
        if not isinstance(query, str):
            raise TypeError(f"a query is a str, not {type(query).__name__}")
        *before, last = _statements(query)
        for statement in before:
            self._run(statement, ()).fetchall()
        return self._cursor(last, bindings)

    def _run(self, statement, bindings):
        words = statement.split(None, 1)
        self._database.dirty = self._database.dirty or not words or words[0].upper() not in _ROWS
        try:
            return self._database.run(statement, bindings)
        except _sqlite3.Error as error:
            raise _explained(error) from None

    def _cursor(self, statement, bindings):
        database = self._database
        before = database.connection.total_changes
        cursor = self._run(statement, bindings)
        try:
            rows = cursor.fetchall()
        except _sqlite3.Error as error:
            raise _explained(error) from None
        names = [column[0] for column in cursor.description or ()]
        return SqlStorageCursor(names, rows, database.connection.total_changes - before)

    @property
    def database_size(self):
        """Bytes, of which keys and values are part."""
        return self._database.size

    databaseSize = database_size


def _statements(query):
    """The statements of a text, as SQLite itself tells where one ends."""
    statements, begun = [], ""
    for part in query.split(";")[:-1]:
        begun += part + ";"
        if _sqlite3.complete_statement(begun):
            if begun.strip("; \t\r\n\f"):
                statements.append(begun)
            begun = ""
    rest = begun + query.rsplit(";", 1)[-1]
    if rest.strip("; \t\r\n\f") or not statements:
        statements.append(rest)
    if len(statements) > 1 and _is_comment(statements[-1]):
        statements.pop()
    return statements


def _is_comment(text):
    lines = [line.strip() for line in text.strip().splitlines()]
    return all(not line or line.startswith("--") for line in lines)


class SqlStorageCursor:
    """The rows of one `exec`, each a dictionary by column. Iterate it, once."""

    __slots__ = ("_names", "_place", "_rows", "rows_written")

    def __init__(self, names, rows, written):
        self._names, self._rows, self._place = names, rows, 0
        self.rows_written = written

    def __iter__(self):
        return self

    def __next__(self):
        if self._place >= len(self._rows):
            raise StopIteration
        self._place += 1
        return JsDict(zip(self._names, self._rows[self._place - 1], strict=False))

    def next(self):
        """As JavaScript's iterators do it: `{"done": bool, "value": row}`."""
        row = next(self, None)
        return {"done": True} if row is None else {"done": False, "value": row}

    def to_array(self):
        """All rows that are left."""
        return list(self)

    def one(self):
        """The only row. Raises `SqlError` if there is none, or another."""
        if len(self._rows) - self._place != 1:
            found = "no results" if self._place >= len(self._rows) else "multiple results"
            raise SqlError(f"Expected exactly one result from SQL query, but got {found}")
        return next(self)

    def raw(self):
        """The rows that are left as lists of values."""
        while self._place < len(self._rows):
            self._place += 1
            yield list(self._rows[self._place - 1])

    @property
    def column_names(self):
        return list(self._names)

    @property
    def rows_read(self):
        """Rows that came out. What SQLite looked at to find them is not counted."""
        return len(self._rows)

    toArray = to_array
    columnNames = column_names
    rowsRead = rows_read

    @property
    def rowsWritten(self):  # noqa: N802 - the platform's name
        return self.rows_written


def _explained(error):
    return SqlError(f"{error}: {getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}")
