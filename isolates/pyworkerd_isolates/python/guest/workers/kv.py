"""KV on `env`: the methods and options of Workers, by both of their spellings, with Python's values."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import json
import re
from asyncio import CancelledError
from urllib.parse import quote

import _wire
from _pyworkerd import calls
from _pyworkerd.handlers import begin_fetch
from _pyworkerd.plain import dump_call

from .blob import Blob, decode_text, encode_text
from .body import BodyStream, extract
from .capability import Capability
from .rpc import JsDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TYPES = ("text", "json", "arrayBuffer", "bytes", "stream")
"""What a value can be read as; `bytes` is Python's word for `arrayBuffer`."""
MAX_HEADER = 8_192
"""Characters of metadata that are sent to be refused; more are refused here."""
MAX_KEY = 512
"""Bytes of a key, as on the host."""
_LONG, _THERE = b"e]", b"}]"
"""How the header ends of what the host says of an entry: it is false if the value has to be asked for as a body, or the
tag of a byte string, which follows, or null."""

_needs_no_quotes = re.compile(r"[A-Za-z0-9_.~-]{0,2048}").fullmatch


class KeyPage(JsDict):
    """What `list` answers: a dictionary whose attribute `keys` is the page's keys, as everywhere in Workers."""

    __slots__ = ()

    @property
    def keys(self):
        """The keys of the page."""
        return self["keys"]


class KVNamespace(Capability):
    """A KV store: `get`, `get_with_metadata`, `put`, `delete`, `list`. Options as a dictionary or by name."""

    __slots__ = ("_large",)

    def __init__(self, index):
        super().__init__(index)
        # Whether the value before did not come with the answer: to ask twice counts twice (`limits.calls`).
        self._large = False

    async def get(self, key, type=None, /, **options):
        """The value of a key, None if there is none; of a list of keys, a dictionary."""
        kind, ttl = _read_options(type, options)
        if isinstance(key, list):
            return {name: value for name, value, _ in await self._get_many(key, kind, ttl)}
        simple = ttl is None and kind != "stream" and key.__class__ is str
        if simple and not self._large and len(key) <= MAX_KEY and key.isascii():
            number, future = calls.begin(calls.address(self._index, "get"), dump_call((key,), {}))
            try:
                answer = await future
            except CancelledError:
                calls.given_up(number, future)
                raise
            end = 4 + answer[0]
            told = answer[end - 2 : end]
            if told != _LONG:
                return _as(kind, answer[end:]) if told == _THERE else None
        status, _, body, _ = await self._asked(key, ttl)
        if status == 404:
            return None
        in_hand = isinstance(body, bytes)
        self._large = not in_hand and body is not None
        return _as(kind, body) if in_hand and kind != "stream" else await _received(kind, body)

    async def get_with_metadata(self, key, type=None, /, **options):
        """`value` and `metadata` of a key; of a list of keys, a dictionary of these."""
        kind, ttl = _read_options(type, options)
        if isinstance(key, list):
            found = await self._get_many(key, kind, ttl)
            return {name: _with(value, metadata) for name, value, metadata in found}
        return _with(*await self._get(key, kind, ttl))

    getWithMetadata = get_with_metadata

    def _asked(self, key, ttl):
        url = _url(_key(key), cache_ttl=ttl) if ttl is not None else _url(_key(key))
        return calls.finish_fetch(calls.begin_fetch(self._index, "GET", url, (), None, "manual"))

    async def _get(self, key, kind, ttl):
        status, headers, body, _ = await self._asked(key, ttl)
        if status == 404:
            return None, None
        metadata = None
        for name, value in headers:
            if name == "cf-kv-metadata":
                metadata = _parse(value)
        return await _received(kind, body), metadata

    async def _get_many(self, keys, kind, ttl):
        if kind not in ("text", "json"):
            raise calls.CallError(
                f'KV GET_BULK failed: 400 "{kind}" is not a valid type. Use "json" or "text"', "bad_call"
            )
        body = _wire.dump_value([_key(key) for key in keys])
        begun = begin_fetch(self._index, "POST", _url("", cache_ttl=ttl), [], body)
        _, _, answer, _ = await calls.finish_fetch(begun)
        stream = _stream(answer)
        size = int.from_bytes(await stream.readexactly(4), "little")
        found = []
        for key, length, metadata in _wire.load_value(await stream.readexactly(size)):
            value = None if length is None else _as(kind, await stream.readexactly(length))
            found.append((key, value, None if metadata is None else _parse(metadata)))
        return found

    async def put(self, key, value, options=None, /, **named):
        """Write a value: text, bytes or a stream. It is on disk when this returns."""
        given = _options(options, named, "expiration", "expiration_ttl", "metadata")
        body = _value(value)
        headers = []
        if given["metadata"] is not None:
            text = json.dumps(given["metadata"], separators=(",", ":"), ensure_ascii=False)
            size = len(encode_text(text))
            text = json.dumps(given["metadata"], separators=(",", ":")) if not text.isascii() else text
            if size > 1024 or len(text) > MAX_HEADER:
                raise calls.CallError(
                    f"KV PUT failed: 413 Metadata length of {size} exceeds limit of 1024.", "bad_call"
                )
            headers.append(["cf-kv-metadata", text])
        url = _url(_key(key), expiration=given["expiration"], expiration_ttl=given["expiration_ttl"])
        begun = begin_fetch(self._index, "PUT", url, headers, body)
        await calls.finish_fetch(begun)

    async def delete(self, key, /):
        """Remove a key, if it is there."""
        await self._call("delete", _key(key))

    async def list(self, options=None, /, **named):
        """A page of keys: `keys` (each with `name`, and perhaps `expiration` and `metadata`), `list_complete`, and
        `cursor` for the next page where it is not the last.
        """
        given = _options(options, named, "prefix", "limit", "cursor")
        keys, cursor = await self._call("list", given["prefix"], given["limit"], given["cursor"])
        page = KeyPage(keys=[_listed(*key) for key in keys], list_complete=cursor is None)
        if cursor is not None:
            page["cursor"] = cursor
        page["cacheStatus"] = None
        return page


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key has to be str, not {type(key).__name__}")
    return key


def _url(key: str, **options: Any) -> str:
    # Longer than any key may be: what is cut off is never looked at.
    path = key if _needs_no_quotes(key) else quote(encode_text(key[:2048]), safe="")
    if not options:
        return f"http://kv/{path}"
    query = "&".join(
        f"{name}={quote(json.dumps(value) if not isinstance(value, str) else value)}"
        for name, value in options.items()
        if value is not None
    )
    return f"http://kv/{path}?{query}" if query else f"http://kv/{path}"


def _options(options: Any, named: dict[str, Any], *known: str) -> dict[str, Any]:
    """Options by their Python names. None is as if it were not given; what is not known is ignored, as in Workers."""
    if options is not None and not isinstance(options, dict):
        raise TypeError(f"the options have to be a dictionary, not {type(options).__name__}")
    given = {**(options or {}), **named}
    return {name: given.get(name, given.get(_camel(name))) for name in known}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _read_options(kind: Any, named: dict[str, Any]) -> tuple[str, Any]:
    if kind is None and not named:
        return "text", None
    if isinstance(kind, str):
        named, kind = {**named, "type": kind}, None
    given = _options(kind, named, "type", "cache_ttl")
    found = given["type"] or "text"
    if found not in TYPES:
        raise TypeError(
            'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'
        )
    return found, given["cache_ttl"]


def _value(value: Any) -> Any:
    if isinstance(value, (str, bytes, bytearray, memoryview, BodyStream)) or (
        hasattr(type(value), "__aiter__")
        or (hasattr(type(value), "__iter__") and not hasattr(type(value), "__len__"))
        or isinstance(value, Blob)
    ):
        return extract(value, "KV")[0]
    raise TypeError(
        "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."
    )


def _stream(body: Any) -> BodyStream:
    return BodyStream.of(body or b"") if body is None or isinstance(body, bytes) else BodyStream(body)


async def _received(kind: str, body: Any) -> Any:
    stream = _stream(body)
    return stream if kind == "stream" else _as(kind, await stream.read())


def _as(kind: str, data: bytes) -> Any:
    if kind in ("arrayBuffer", "bytes"):
        return data
    text = decode_text(data)
    return _parse(text) if kind == "json" else text


def _parse(text: str) -> Any:
    if text.count("[") + text.count("{") > 1000 and _wire.deepest(encode_text(text)) > 1000:
        raise RecursionError("maximum recursion depth exceeded while decoding a JSON document")
    return json.loads(text, object_hook=JsDict)


def _with(value: Any, metadata: Any) -> JsDict:
    return JsDict(value=value, metadata=metadata, cacheStatus=None)


def _listed(name: str, expiration: int | None, metadata: str | None) -> JsDict:
    found = JsDict(name=name)
    if expiration is not None:
        found["expiration"] = expiration
    if metadata is not None:
        found["metadata"] = _parse(metadata)
    return found
