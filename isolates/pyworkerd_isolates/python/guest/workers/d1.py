"""D1 on `env`: the methods of Workers, by both of their spellings, with Python's values."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import json.encoder
import time
from asyncio import CancelledError

import _wire
from _pyworkerd.calls import CallError, address, begin, given_up

from .blob import encode_text
from .capability import Capability
from .rpc import JsDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TEXT = 8_192
"""Characters of a text beyond which it crosses beside the statements and not among them."""
MAX_CALL = 6 << 20
"""Bytes of all parameters of one call: a step of an isolate may give out 8 MiB."""
TOO_BIG = "D1_ERROR: string or blob too big: SQLITE_TOOBIG"
_escaped = json.encoder.encode_basestring_ascii
_SHORT = range(-(1 << 53) + 1, 1 << 53)


class D1Database(Capability):
    """A database: `prepare`, `batch`, `exec`, `with_session`."""

    __slots__ = ()

    def prepare(self, sql):
        """A statement. `bind` gives it values for its parameters."""
        return D1PreparedStatement(_Asker(self, None), sql)

    async def batch(self, statements):
        """Run statements as one transaction: all of them count, or none."""
        return await _Asker(self, None).batch(statements)

    async def exec(self, sql):
        """Run SQL without parameters, a statement in each line. Lines before one that is wrong count."""
        if not isinstance(sql, str):
            raise TypeError(f"exec() takes a str, not {type(sql).__name__}")
        began = time.perf_counter()
        count = await self._call("exec", sql)
        return JsDict(count=count, duration=(time.perf_counter() - began) * 1000)

    def with_session(self, constraint="first-unconstrained"):
        """A session: what it reads is never older than what it has seen, or than the bookmark that it begins with."""
        return D1DatabaseSession(self, constraint)

    withSession = with_session

    async def dump(self):
        """Not there any more, in Workers neither."""
        raise CallError(
            "D1_DUMP_ERROR: dump() is not supported; a program can export the database", "bad_call"
        )


class D1DatabaseSession:
    """Statements that see each other's effects, wherever they are run."""

    __slots__ = ("_asker",)

    def __init__(self, database, constraint):
        if not isinstance(constraint, str) or not constraint:
            raise CallError("D1_SESSION_ERROR: Invalid bookmark or constraint", "bad_call")
        begins = constraint in ("first-primary", "first-unconstrained")
        self._asker = _Asker(database, "" if begins else constraint)

    def prepare(self, sql):
        """See `D1Database.prepare`."""
        return D1PreparedStatement(self._asker, sql)

    async def batch(self, statements):
        """See `D1Database.batch`."""
        return await self._asker.batch(statements)

    def get_bookmark(self):
        """What this session has seen, for another one to begin with; None before its first query."""
        return self._asker.session or None

    getBookmark = get_bookmark


class _Asker:
    """Sends statements, for a session or for none."""

    __slots__ = ("_database", "session")

    def __init__(self, database, session):
        self._database, self.session = database, session

    async def ask(self, statements):
        if sum(statement._size for statement in statements) > MAX_CALL:
            raise CallError(TOO_BIG, "bad_call")
        asked = [[[each._sql, each._sent] for each in statements], self.session]
        return await self.send("query", _wire.dump_value([asked, {}]))

    async def ask_one(self, statement, method="rows"):
        if statement._size > MAX_CALL:
            raise CallError(TOO_BIG, "bad_call")
        text, session = statement._text, self.session
        if text is None:
            arguments = _wire.dump_value([[session, statement._sql, *statement._sent], {}])
        else:
            arguments = _wire.alone(f"[[{'null' if session is None else _escaped(session)},{text}],{{}}]")
        return (await self.send(method, arguments))[0]

    async def send(self, method, arguments):
        number, future = begin(address(self._database._index, method), arguments)
        try:
            answer = await future
        except CancelledError:
            given_up(number, future)
            raise
        results, bookmark = _wire.load_value(answer)  # the host's own words, which need no reader of RPC
        if self.session is not None and bookmark is not None and bookmark > self.session:
            self.session = bookmark
        return results

    async def batch(self, statements):
        statements = list(statements)
        if not all(isinstance(statement, D1PreparedStatement) for statement in statements):
            raise TypeError("batch() takes a list of prepared statements")
        return [_result(*found) for found in await self.ask(statements)] if statements else []


class D1PreparedStatement:
    """A statement with its parameters. It does not change: `bind` makes another one.

    `_head` is its SQL as JSON, `_text` that and the parameters; None where one of them is not simple.
    """

    __slots__ = ("_asker", "_head", "_sent", "_size", "_sql", "_text")

    def __init__(self, asker, sql):
        if not isinstance(sql, str):
            raise TypeError(f"a statement has to be str, not {type(sql).__name__}")
        self._asker, self._sql, self._sent, self._size = asker, sql, [], len(sql)
        self._head = self._text = _escaped(sql)

    def bind(self, *values):
        """The statement with these values: None, bool, int, float, str, bytes."""
        text, sent, size = self._head, [], len(self._sql)
        for value in values:
            parameter = _parameter(value)
            sent.append(parameter)
            kind = type(parameter)
            if kind is int and parameter in _SHORT:
                text = text and f"{text},{parameter}"
            elif kind is str:
                size += len(parameter)
                text = text and f"{text},{_escaped(parameter)}"
            elif parameter is None:
                text = text and f"{text},null"
            else:
                text = None
                if kind is list:
                    size += len(parameter[0])
                elif isinstance(parameter, (str, bytes)):
                    size += len(parameter)
        bound = D1PreparedStatement.__new__(D1PreparedStatement)
        bound._asker, bound._sql, bound._head = self._asker, self._sql, self._head
        bound._sent, bound._size, bound._text = sent, size, text
        return bound

    async def all(self):
        """`results` (rows, as dictionaries), `meta` and `success`."""
        return _result(*await self._asker.ask_one(self, "one"))

    run = all

    async def first(self, column=None):
        """The first row, or one column of it; None if there is no row."""
        columns, rows, pieces, _ = await self._asker.ask_one(self)
        row = rows[0] if rows else _wire.load_value(pieces[0])[0] if pieces else None
        if column is not None and row is not None and column not in columns:
            raise CallError(f"D1_COLUMN_NOTFOUND: Column not found ({column})", "bad_call")
        if row is None:
            return None
        found = JsDict(zip(columns, row, strict=False))
        return found if column is None else found[column]

    async def raw(self, options=None, /, **named):
        """Rows as lists; with `columnNames`, after a list of the columns' names."""
        given = {**(options or {}), **named}
        columns, first, pieces, _ = await self._asker.ask_one(self)
        rows = _rows(first, pieces)
        return [columns, *rows] if given.get("columnNames") or given.get("column_names") else rows


META = ("duration", "changes", "last_row_id", "changed_db", "size_after", "rows_read", "rows_written")


def _rows(first: Any, pieces: Any) -> Any:
    return [*first, *(row for piece in pieces for row in _wire.load_value(piece))] if pieces else first


def _result(columns: Any, first: Any, pieces: Any, meta: Any) -> JsDict:
    rows = [JsDict(zip(columns, row, strict=False)) for row in _rows(first, pieces)]
    told = JsDict(zip(META, meta, strict=False), served_by="pyworkerd", served_by_primary=True)
    told["timings"] = JsDict(sql_duration_ms=told["duration"])
    return JsDict(success=True, meta=told, results=rows)


def _parameter(value: Any) -> Any:
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 63:
            return int(value)
        raise CallError(f"D1_TYPE_ERROR: an integer has 64 bits at most, found {str(value)[:40]}", "bad_call")
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT and value.isascii() else [encode_text(value)]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, list) and all(type(item) is int and 0 <= item <= 255 for item in value):
        return bytes(value)
    shown = f"{value!r:.100}" if not isinstance(value, (list, dict)) else f"{str(value)[:100]}"
    raise CallError(
        f"D1_TYPE_ERROR: Type '{type(value).__name__}' not supported for value '{shown}'", "bad_call"
    )
