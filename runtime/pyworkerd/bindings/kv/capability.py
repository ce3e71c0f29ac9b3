"""What a worker's isolates ask of a KV store.

Values cross as bodies, so that they stream: `get` and `put` are requests, as in workerd (kv.c++), with the key as the
path. Everything else is a call, and `get` of a value that is in hand may be one: no request is made and read for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.driven import Driven
from pyworkerd.errors import NoSuchMethod
from pyworkerd.messages import Body, Response, header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pyworkerd.messages import Request

    from .namespace import Namespace
    from .store import Found

METADATA: Final = "cf-kv-metadata"
EXPIRATION: Final = "cf-expiration"
"""Headers of an entry, by the names that workerd has for them."""


_NONE: Final = wire.dump_value(None)
_LONG: Final = wire.dump_value(False)


class KVCapability(Driven):
    """Stages 3 and 4 of the binding."""

    __slots__ = ("_namespace",)

    external = False

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    async def call(self, method: str, arguments: bytes) -> bytes:
        """`get(key)`, `delete(key)` and `list(prefix, limit, cursor)`.

        `get` answers with the value as bytes; None where there is none, False where it is to be asked for as a body.
        """
        positional, named = args.decode(arguments)
        if named:
            raise args.type_error(f"{method[:40]}() takes no named arguments")
        if method == "get" and len(positional) == 1:
            return await self._small(positional[0])
        if method == "delete" and len(positional) == 1:
            await self._namespace.delete(positional[0])
            return wire.dump_value(None)
        if method == "list" and len(positional) == 3:
            page = await self._namespace.list(*positional)
            return wire.dump_value([[list(key) for key in page.keys], page.cursor])
        raise NoSuchMethod(f"this binding has no method {method[:40]!r} with {len(positional)} arguments")

    async def _small(self, key: Any) -> bytes:
        found = await self._namespace.get(key)
        if found is None:
            return _NONE
        if found.body.data is None:
            await found.body.aclose()
            return _LONG
        return wire.encode({"$": ["b", 0]}, (found.body.data,))  # as `dump_value` would, which looks at it

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """GET and PUT of a key, POST for many keys."""
        path, _, query = request.url.partition("://kv/")[2].partition("?")
        options: dict[str, Any] = (
            {key: _number(value) for key, value in parse_qsl(query, max_num_fields=8)} if query else {}
        )
        if request.method == "PUT":
            key, metadata = _key(path), header(request.headers, METADATA)
            await self._namespace.put(
                key, request.body, options.get("expiration"), options.get("expiration_ttl"), metadata
            )
            return Response(), request.url
        if request.method == "GET":
            await request.body.aclose()
            return _entry(await self._namespace.get(_key(path), options.get("cache_ttl"))), request.url
        if request.method == "POST":
            keys = await _keys(request.body)
            found = await self._namespace.get_many(keys, options.get("cache_ttl"))
            return Response(200, (), _many(found)), request.url
        await request.body.aclose()
        raise NoSuchMethod(f"this binding has no method {request.method[:40]!r}")

    async def aclose(self) -> None:
        """Let go of the store."""
        await self._namespace.aclose()


def _key(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise args.type_error("a key has to be text that UTF-8 can say") from None


def _number(value: str) -> Any:
    """Numbers come as JSON; what is none is refused by the rules, which say so."""
    try:
        return json.loads(value) if len(value) <= 40 else value
    except (ValueError, RecursionError):
        return value


def _entry(found: Found | None) -> Response:
    if found is None:
        return Response(404)
    headers = []
    if found.expires is not None:
        headers.append((EXPIRATION, str(found.expires)))
    if found.metadata is not None:
        headers.append((METADATA, found.metadata))
    return Response(200, tuple(headers), found.body)


async def _keys(body: Body) -> Any:
    data = await body.read(args.SMALL * 4)
    try:
        return wire.load_value(data)
    except wire.WireError as error:
        raise args.type_error(f"the keys cannot be read: {error}") from None


def _many(found: Sequence[tuple[str, Found | None]]) -> Body:
    """A table of key, size (None: there is none) and metadata, and the values one after the other."""
    table = [
        [key, None, None] if entry is None else [key, entry.size, entry.metadata] for key, entry in found
    ]
    head = wire.dump_value(table)
    start = len(head).to_bytes(4, "little") + head
    size = len(start) + sum(entry.size for _, entry in found if entry is not None)
    return Body(chunks=_values(start, found), length=size)


async def _values(start: bytes, found: Sequence[tuple[str, Found | None]]) -> AsyncIterator[bytes]:
    waiting = bytearray(start)
    for _, entry in found:
        if entry is None:
            continue
        async for chunk in entry.body:
            waiting += chunk
            if len(waiting) >= args.SMALL:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)
