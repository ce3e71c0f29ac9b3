"""What a worker's isolates ask of a D1 database: `query` and `exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.driven import Driven
from pyworkerd.errors import NoSuchMethod

from . import rules

if TYPE_CHECKING:
    from pyworkerd.messages import Request, Response

    from .store import Outcome, SQLStore

MAX_ARGUMENTS: Final = 7 << 20
"""Bytes of all statements and parameters of one call: fewer than a step of an isolate may give out."""


class D1Capability(Driven):
    """Stages 3 and 4 of the binding."""

    __slots__ = ("_store",)

    external = False
    reads = True

    def __init__(self, store: SQLStore) -> None:
        self._store = store

    async def call(self, method: str, arguments: bytes) -> bytes:
        """`query(statements, session)`, `one(session, sql, *parameters)`, `rows`, which is `one` for somebody who wants
        nothing told but rows and has null for the rest, and `exec(sql)`.

        `session` is None for none, "" for one that begins, or its bookmark.
        """
        positional, named = args.decode(arguments, MAX_ARGUMENTS)
        if not named and method in ("one", "rows") and len(positional) >= 2:
            session, sql, *parameters = positional
            return await self._run([rules.statement(sql, parameters)], session, told=method == "one")
        if not named and method == "query" and len(positional) == 2:
            return await self._query(*positional)
        if not named and method == "exec" and len(positional) == 1:
            return await self._exec(positional[0])
        raise NoSuchMethod(f"this binding has no method {method[:40]!r} with these arguments")

    async def _query(self, statements: Any, session: Any) -> bytes:
        if type(statements) is not list or len(statements) > rules.MAX_STATEMENTS:
            raise rules.failed(f"a batch has at most {rules.MAX_STATEMENTS} statements")
        if any(type(each) is not list or len(each) != 2 for each in statements):
            raise rules.failed("a statement is not a text and its parameters")
        return await self._run([rules.statement(*each) for each in statements], session)

    async def _run(self, statements: list[rules.Statement], session: Any, *, told: bool = True) -> bytes:
        if session is not None and type(session) is not str:
            raise rules.failed("a session is a bookmark", "D1_SESSION_ERROR")
        bookmark = session is not None
        found = await self._store.run(statements, after=session or None, bookmark=bookmark, told=told)
        return encoded(found, told)

    async def _exec(self, sql: Any) -> bytes:
        if type(sql) is not str:
            raise args.type_error(f"exec() takes a text, not {type(sql).__name__}")
        count, stopped = await self._store.script(sql.strip().split("\n"))
        if stopped is not None:
            text = f"Error in line {stopped.line}: {stopped.sql[:200]}: {stopped.message}"
            raise rules.failed(text, "D1_EXEC_ERROR")
        return wire.dump_value(count)

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """Refused: a database does not answer requests."""
        await request.body.aclose()
        raise NoSuchMethod("this binding has no method 'fetch'")

    async def aclose(self) -> None:
        """Let go of the database."""
        await self._store.aclose()


def encoded(outcome: Outcome, told: bool = True) -> bytes:
    """Results as a value, as `wire.dump_value` would write it. Here is nothing to look for."""
    blobs: list[bytes] = []
    results: list[list[object]] = []
    for each in outcome.results:
        pieces = [{"$": ["b", number]} for number in range(len(blobs), len(blobs) + len(each.pieces))]
        blobs += each.pieces
        results.append([each.columns, each.rows, pieces, each.meta if told else None])
    return wire.encode([results, outcome.bookmark], blobs)
