"""What a worker's isolates ask of its caches. Responses cross as bodies, so that they stream both ways.

`match` is a GET of the URL that is the key, `put` a PUT with the request's headers before the response's. The first
header field says which cache, and what else a request has no place for. `delete` is a call.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.errors import NoSuchMethod
from pyworkerd.messages import Body, Response
from pyworkerd.storage.stores import Stores

from .answers import answer
from .memory import MemoryCache
from .rules import check_put, check_url, keep
from .sqlite import DESIGN, ROOM, SPARE_MB, SQLiteCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.bindings.base import Host
    from pyworkerd.messages import Headers, Request
    from pyworkerd.storage.layout import Location

    from .store import CacheStore

FIELD: Final = "x-pyworkerd-cache"
MAX_NAME: Final = 512
"""Characters of a cache's name."""
MEMORY_MB: Final = 8
"""Of the caches of a worker that a program has loaded: they are in the program's own memory."""
_MB: Final = 1 << 20


class _Said(NamedTuple):
    """What the first header field of a request through the capability says."""

    cache: str
    method: str
    status: int
    asked: Headers
    """Headers of the request that is the key."""
    headers: Headers
    """Headers of the response to keep."""


class Caches:
    """All caches of one worker. Nothing is opened before it is used."""

    external = False

    __slots__ = ("_now", "_open", "_store")

    def __init__(self, open_store: Callable[[], CacheStore], now: Callable[[], float]) -> None:
        self._open, self._now = open_store, now
        self._store: CacheStore | None = None

    def _opened(self) -> CacheStore:
        if self._store is None:
            self._store = self._open()
        return self._store

    async def call(self, method: str, arguments: bytes) -> bytes:
        """`delete(cache, url)`."""
        positional, named = args.decode(arguments)
        if method != "delete" or named or len(positional) != 2 or type(positional[1]) is not str:
            raise NoSuchMethod(f"caches have no method {method[:40]!r} with these arguments")
        cache, url = _name(positional[0]), check_url(positional[1])
        return wire.dump_value(await self._opened().delete(cache, url, self._now()))

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """GET of what is kept, PUT of what is to be kept."""
        try:
            said, url = _read(request.headers), check_url(request.url)
            if request.method == "PUT":
                check_put(said.method, said.status, said.headers)
            elif request.method != "GET":
                raise NoSuchMethod(f"caches have no method {request.method[:40]!r}")  # noqa: TRY301 (the body)
        except BaseException:
            await request.body.aclose()
            raise
        done = self._put if request.method == "PUT" else self._match
        return await done(said, url, request.body), request.url

    async def _match(self, said: _Said, url: str, body: Body) -> Response:
        await body.aclose()
        now = self._now()
        hit = await self._opened().find(said.cache, url, said.asked, now)
        if hit is None:
            return Response(204, ((FIELD, "miss"),))
        found = answer(said.asked, hit.kept, now)
        rest = Body() if found.span is None else hit.read(found.span)
        return Response(found.status, ((FIELD, "hit"), *found.headers), rest)

    async def _put(self, said: _Said, url: str, body: Body) -> Response:
        now = self._now()
        kept = keep(said.asked, said.status, said.headers, now)
        if kept is None:
            await body.aclose()
            return Response(204)
        await self._opened().put(said.cache, url, kept, body, now)
        return Response(204)

    async def aclose(self) -> None:
        """Let go of what was opened."""
        store, self._store = self._store, None
        if store is not None:
            await store.aclose()


def caches_at(location: Location | None, host: Host, size_mb: int) -> Caches:
    """The caches that are there, on disk; None: in memory. They may have so much in all."""
    if location is None:
        return Caches(lambda: MemoryCache(min(size_mb, MEMORY_MB) * _MB), host.now)

    def open_store() -> CacheStore:
        stores = host.shared.get(Stores, Stores)
        database = stores.use(location, DESIGN, int(size_mb * ROOM) + SPARE_MB)
        return SQLiteCache(database, stores, size_mb * _MB)

    return Caches(open_store, host.now)


def _read(headers: Headers) -> _Said:
    name, text = headers[0] if headers else ("", "")
    try:
        cache, method, status, count = json.loads(text if name == FIELD and len(text) <= 4 * MAX_NAME else "")
    except (ValueError, TypeError, RecursionError):
        raise args.type_error("a cache is asked by its name") from None
    if (type(method), type(status), type(count)) != (str, int, int) or not 0 <= count < len(headers):
        raise args.type_error("a cache is asked by its name")
    return _Said(_name(cache), method, status, headers[1 : 1 + count], headers[1 + count :])


def _name(name: Any) -> str:
    """None is `caches.default`, which no name is equal to."""
    if name is None:
        return ""
    if type(name) is not str or len(name) > MAX_NAME:
        raise args.type_error(f"the name of a cache is a text of at most {MAX_NAME} characters")
    return f"={name}".encode("utf-8", "replace").decode()
