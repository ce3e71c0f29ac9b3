"""`caches`: the Cache API. `caches.default`, and `await caches.open(name)`."""

import json

from _pyworkerd import calls, environment
from _pyworkerd.handlers import begin_fetch

from .request import Request
from .response import Response
from .rpc import python_to_rpc
from .stubs import read

FIELD = "x-pyworkerd-cache"
"""First header field of a request to the host's half, and of its answers."""


def _index():
    index = environment.meta.get("cache")
    if index is None:
        raise calls.CallError("this worker has no caches (limits.cache_mb)", "access_denied")
    return index


def _asked(request):
    return request if isinstance(request, Request) else Request(request)


class Cache:
    """Answers by the request that they are for. Each worker has its own."""

    __slots__ = ("_name",)

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return "<Cache default>" if self._name is None else f"<Cache {self._name!r}>"

    async def match(self, request, options=None, /, *, ignore_method=False):
        """The answer to this request or URL, None if there is none that is fresh."""
        asked = _asked(request)
        if asked.method != "GET" and not _ignores_method(options, ignore_method):
            return None
        pairs = asked._header_pairs()
        begun = calls.begin_fetch(
            _index(), "GET", asked.url, [self._head("GET", 0, pairs), *pairs], None, "manual"
        )
        status, headers, body, url = await calls.finish_fetch(begun)
        if tuple(headers[0]) != (FIELD, "hit"):
            return None
        return Response._of(status, headers[1:], body, url)

    async def put(self, request, response, /):
        """Keep this answer to a GET request. What its headers do not allow to keep is not kept, without a word."""
        asked = _asked(request)
        if not isinstance(response, Response):
            raise TypeError("the second argument of put() is a Response")
        if response.web_socket is not None:
            raise TypeError("Cannot cache WebSocket upgrade response.")
        pairs = asked._header_pairs()
        head = self._head(str(asked.method), response.status, pairs)
        answer = response._header_pairs()
        begun = begin_fetch(_index(), "PUT", asked.url, [head, *pairs, *answer], response._take())
        await calls.finish_fetch(begun)

    async def delete(self, request, options=None, /, *, ignore_method=False):
        """Forget all answers to this request's URL. Whether there were any."""
        asked = _asked(request)
        if asked.method != "GET" and not _ignores_method(options, ignore_method):
            return False
        return read(await calls.call(_index(), "delete", python_to_rpc([[self._name, asked.url], {}])))

    def _head(self, method, status, pairs):
        return FIELD, json.dumps([self._name, method, status, len(pairs)])


def _ignores_method(options, named):
    return named or bool(options and (options.get("ignoreMethod") or options.get("ignore_method")))


class CacheStorage:
    """`caches`."""

    default = Cache(None)

    async def open(self, name):
        """The cache of this name; there is nothing to create."""
        if not isinstance(name, str):
            raise TypeError("the name of a cache is a text")
        return Cache(name)


caches = CacheStorage()
