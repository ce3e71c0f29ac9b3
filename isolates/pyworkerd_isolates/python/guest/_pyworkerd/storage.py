"""The storage of a Durable Object: SQLite inside the isolate, on pages that the host keeps.

The platform's SQL is synchronous, and a guest cannot wait in the middle of a step. So the database is here, in memory,
as large as the isolate has room for: reads and writes need nobody. When a step ends, the pages that it has changed are
the first of its effects, and the host lets nothing else of the step leave before they are durable. The host never looks
into a page: what a hostile worker makes of its database is opened nowhere but in its own isolate.

Rule 1: what is committed here at the end of a step is what the host keeps. A transaction that is still open then is not
        part of it: SQLite holds its pages back (`cache_spill`), and `serialize()` gives what was committed last.
Rule 2: changed pages are found by comparing with what was kept last, a block at a time. Only steps that wrote pay.
"""

import _sqlite3

from . import entropy, outbox

PAGE = 4096
BLOCK = 16 * PAGE
WORD = 8
MAX_VALUE = 2 << 20
"""Bytes of a text, a blob or a row (Workers: 2 MB)."""
LIMITS = (
    (_sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE),
    (_sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (_sqlite3.SQLITE_LIMIT_COLUMN, 100),
    (_sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 100),
    (_sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 5),
    (_sqlite3.SQLITE_LIMIT_VDBE_OP, 25_000),
    (_sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 127),
    (_sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (_sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
    (_sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 100),
    (_sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 10),
)
"""As of workerd (sqlite.c++), but for the length."""
PRAGMAS = frozenset(
    (
        "table_list",
        "table_info",
        "table_xinfo",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_check",
        "foreign_key_list",
        "defer_foreign_keys",
        "quick_check",
        "function_list",
        "compile_options",
    )
)
"""Those that a worker may use: none of them changes how the database is kept."""
_STRUCTURE = frozenset(
    (
        _sqlite3.SQLITE_CREATE_TABLE,
        _sqlite3.SQLITE_CREATE_INDEX,
        _sqlite3.SQLITE_CREATE_TRIGGER,
        _sqlite3.SQLITE_CREATE_VIEW,
        _sqlite3.SQLITE_DROP_TABLE,
        _sqlite3.SQLITE_DROP_INDEX,
        _sqlite3.SQLITE_DROP_TRIGGER,
        _sqlite3.SQLITE_DROP_VIEW,
        _sqlite3.SQLITE_ALTER_TABLE,
        _sqlite3.SQLITE_INSERT,
        _sqlite3.SQLITE_UPDATE,
        _sqlite3.SQLITE_DELETE,
        _sqlite3.SQLITE_READ,
    )
)
_OWN = "_cf_"
"""What tables of the platform begin with."""


def _blank():
    connection = _sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE}")
    connection.execute(
        "CREATE TABLE _cf_KV (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
    )
    data = connection.serialize()
    connection.close()
    return data


BLANK = _blank()
"""A database in which nothing is stored."""


class Database:
    """Opened when it is used first. `pages` is what the host has kept, empty if nothing."""

    def __init__(self, pages, alarm, most):
        self._kept = bytes(pages)
        self._kept_alarm = self.alarm = alarm
        self.ringing = None
        """What the handler was given that runs just now, for the alarm that is kept until it has ended."""
        self._most = most
        self._connection = None
        self._internal = False
        self._denied = None
        self.depth = 0
        self.dirty = False

    def _open(self):
        connection = _sqlite3.connect(":memory:", isolation_level=None)
        connection.deserialize(self._kept or BLANK)
        for pragma in (
            "temp_store = MEMORY",
            "journal_mode = MEMORY",
            "cache_spill = OFF",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            f"max_page_count = {self._most}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        entropy.give_to_sqlite(connection)
        for limit, value in LIMITS:
            connection.setlimit(limit, value)
        connection.set_authorizer(self._authorize)
        self._connection = connection
        return connection

    def _authorize(self, action, first, second, database, trigger):
        if self._internal:
            return _sqlite3.SQLITE_OK
        refused = None
        if action == _sqlite3.SQLITE_PRAGMA:
            if first.lower() not in PRAGMAS:
                refused = f"PRAGMA {first} is not allowed"
        elif action in (_sqlite3.SQLITE_TRANSACTION, _sqlite3.SQLITE_SAVEPOINT):
            refused = (
                "To execute a transaction, please use storage.transaction() or storage.transaction_sync() "
                "instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements"
            )
        elif action in (_sqlite3.SQLITE_ATTACH, _sqlite3.SQLITE_DETACH):
            refused = "ATTACH and DETACH are not allowed"
        elif action in _STRUCTURE and _is_own(first, second, action):
            refused = f"access to {first} is prohibited"
        if refused is None:
            return _sqlite3.SQLITE_OK
        self._denied = refused
        return _sqlite3.SQLITE_DENY

    @property
    def connection(self):
        return self._connection or self._open()

    def _ready(self):
        # What SQLite has undone by itself is no transaction any more, and nothing may be written as if it were.
        if self.depth and not self.connection.in_transaction:
            raise _undone()
        return self.connection

    def run(self, statement, arguments=()):
        """A statement of a worker's own. What it was refused for is `_sqlite3.DatabaseError` with that text."""
        connection, self._denied = self._ready(), None
        try:
            return connection.execute(statement, arguments)
        except _sqlite3.Error as error:
            if self._denied is not None:
                error.args = (self._denied,)
            raise

    def own(self, statement, arguments=()):
        """A statement of ours."""
        connection = self._ready()
        self._internal = True
        try:
            return connection.execute(statement, arguments)
        finally:
            self._internal = False

    @property
    def size(self):
        """Bytes."""
        return self.own("PRAGMA page_count").fetchone()[0] * PAGE

    # transactions ----------------------------------------------------------------------------------------------------

    def begin(self):
        """A transaction, perhaps within another. Returns what `end` needs."""
        self.own(f"SAVEPOINT _cf_{self.depth + 1}")
        self.depth += 1
        return self.depth

    def end(self, depth, keep):
        """Keep what was written since, or none of it. What cannot be kept, such as a foreign key that was deferred and
        leads nowhere, is undone."""
        self.depth = depth - 1
        if not self.connection.in_transaction:
            if keep:
                raise _undone()
            return
        self.dirty = True
        if not keep:
            self._undo(depth)
            return
        try:
            self.own(f"RELEASE _cf_{depth}")
        except _sqlite3.Error:
            self._undo(depth)
            raise

    def _undo(self, depth):
        if self.connection.in_transaction:
            self.own(f"ROLLBACK TO _cf_{depth}")
            self.own(f"RELEASE _cf_{depth}")

    def clear(self):
        """Nothing is stored any more."""
        self.connection.close()
        self._connection, self.depth = None, 0
        kept, self._kept = self._kept, b""
        self._open()
        self._kept = kept
        self.dirty = True

    # what the host keeps ---------------------------------------------------------------------------------------------

    def commit(self):
        """Put what has changed before all other effects of the step."""
        if not self.dirty and self.alarm == self._kept_alarm:
            return
        numbers, pages = [], []
        data = self._kept
        if self.dirty and self._connection is not None:
            self.dirty = self.depth > 0
            data = self._connection.serialize()
            if data == BLANK:
                data = b""
            if data != self._kept:
                _compare(self._kept, data, numbers, pages)
            elif self.alarm == self._kept_alarm:
                return
        effect = ["commit", len(data) // PAGE, numbers, outbox.blob(b"".join(pages)), self.alarm]
        outbox.effects.insert(0, effect)
        self._kept, self._kept_alarm = data, self.alarm


def _undone():
    return _sqlite3.OperationalError(
        "SQLite has undone the transaction: it was full, or a statement said ROLLBACK"
    )


def _compare(before, after, numbers, pages):
    """The pages of `after` that are not those of `before`."""
    old, new = _words(before), _words(after)
    for start in range(0, len(after), BLOCK):
        end = start + BLOCK
        if new[start // WORD : end // WORD] == old[start // WORD : end // WORD]:
            continue
        for place in range(start, min(end, len(after)), PAGE):
            words = slice(place // WORD, (place + PAGE) // WORD)
            if new[words] != old[words]:
                numbers.append(place // PAGE)
                pages.append(after[place : place + PAGE])


def _words(data):
    # Bytes are compared one by one in the sandbox: eight at a time take a quarter of the time.
    return memoryview(data).cast("Q") if data else memoryview(data)


def _is_own(first, second, action):
    names = (first, second) if action != _sqlite3.SQLITE_READ else (first,)
    return any(name is not None and name.lower().startswith(_OWN) for name in names)
