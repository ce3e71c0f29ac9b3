"""`wasi:keyvalue/store` on the worker's KV stores. No I/O.

A bucket is a KV binding, opened by its name; an empty name or `default` is the only one there is. What a store answers
crosses as for the other languages: values as bodies, the rest as calls (`pyworkerd.bindings.kv.capability`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import ProtocolError
from pyworkerd_isolates.protocol import WINDOW

from .abi import NOWHERE, Answer, Answering, allocate, put, put_list, text, u32
from .bodies import Inflow, Outflow
from .handles import Pollable, Resource

if TYPE_CHECKING:
    from collections.abc import Generator

    from pyworkerd_isolates.protocol import HeaderPairs

    from .host import Host

_MAX_NAME: Final = 256
_MAX_KEY: Final = 4096
"""Longer than any key may be: the store says what is wrong with it."""
MAX_VALUE: Final = 25 << 20
"""KV: 25 MiB."""
PAGE: Final = 1000
"""Keys that are listed at once."""
_NO_SUCH_STORE, _OTHER = 0, 2
"""Cases of `error`."""


class Bucket(Resource):
    """An open store."""

    __slots__ = ("capability",)

    def __init__(self, capability: int) -> None:
        self.capability = capability


class _Reply:
    """What a store answered: a status with a body, or why not."""

    __slots__ = ("body", "fault", "status")

    def __init__(self) -> None:
        self.status = -1
        self.body: Inflow | None = None
        self.fault: str | None = None

    def ready(self) -> bool:
        return self.body is not None or self.fault is not None

    def answered(self, status: int, headers: HeaderPairs, body: Inflow) -> None:
        del headers
        self.status, self.body = status, body

    def failed(self, code: str, message: str) -> None:
        self.fault = f"{code}: {message}"[:1024]


def _fetched(
    host: Host, bucket: Bucket, method: str, key: str, body: tuple[int, int] | None = None
) -> Generator[Any, int, _Reply]:
    """Send a request; `body` is where it lies in memory, which stays as it is while the program waits."""
    reply = _Reply()
    flow = None
    if body is not None:
        host.memory.read(sum(body), 0)  # it traps before the store has half of a value
        flow = Outflow(host.account, body[1])
    call = host.fetch(bucket.capability, method, f"http://kv/{quote(key, safe='')}", [], flow)
    host.calls[call] = reply
    if flow is not None and body is not None:
        at, left = body
        while left:
            size = min(max(flow.room, 0), left)
            flow.write(host.memory.read(at, size))
            at, left = at + size, left - size
            if left:
                yield [Pollable(flow.writable), Pollable(reply.ready)]
                if reply.ready():
                    return reply
        flow.complete()
    yield [Pollable(reply.ready)]
    return reply


def _called(host: Host, bucket: Bucket, method: str, arguments: list[object]) -> Generator[Any, int, _Reply]:
    reply = _Reply()
    call = host.call(bucket.capability, method, arguments)
    host.calls[call] = reply
    yield [Pollable(reply.ready)]
    return reply


def _failed(host: Host, to: int, why: str, offset: int = 4) -> Answer:
    """A result that is the error `other(why)`."""
    data = why.encode("utf-8", "replace")
    at = yield from put(host.memory, data)
    host.memory.write(to, u32(1) + bytes(offset - 4) + u32(_OTHER) + u32(at) + u32(len(data)))
    return None


def _key(host: Host, at: int, size: int) -> str:
    return text(host.memory, at, size, _MAX_KEY)


def _open(host: Host, at: int, size: int, to: int) -> None:
    name = text(host.memory, at, size, _MAX_NAME)
    stores = host.stores
    capability = stores.get(name)
    if capability is None and name in ("", "default") and len(stores) == 1:
        capability = next(iter(stores.values()))
    if capability is None:
        host.memory.write(to, u32(1) + u32(_NO_SUCH_STORE))
    else:
        host.memory.write(to, u32(0) + u32(host.handles.add(Bucket(capability))))


def _get(host: Host, me: int, at: int, size: int, to: int) -> Answer:
    bucket = host.handles.get(me, Bucket)
    reply = yield from _fetched(host, bucket, "GET", _key(host, at, size))
    if reply.body is None:
        return (yield from _failed(host, to, reply.fault or ""))
    if reply.status == 404:
        host.memory.write(to, u32(0) + u32(0))
        return None
    length = reply.body.length
    if length is None or length > MAX_VALUE:
        raise ProtocolError("a store does not say how long its value is, or it is too long")
    where = NOWHERE
    if length:
        where = yield from allocate(length, 1)
    if not (yield from _moved(host, reply.body, where, length)):
        return (yield from _failed(host, to, "the value broke off"))
    host.memory.write(to, u32(0) + u32(1) + u32(where) + u32(length))
    return None


def _moved(host: Host, body: Inflow, at: int, size: int) -> Generator[Any, int, bool]:
    """Have a body of so many bytes in memory, as it comes. Returns whether it was as long."""
    while True:
        yield [Pollable(body.ready, body.want)]
        piece = body.read(WINDOW)
        if not piece:
            return size == 0 and body.failed is None
        if len(piece) > size:
            return False
        host.memory.write(at, piece)
        at, size = at + len(piece), size - len(piece)


def _set(host: Host, me: int, at: int, size: int, value_at: int, value_size: int, to: int) -> Answer:
    bucket, key = host.handles.get(me, Bucket), _key(host, at, size)
    if value_size > MAX_VALUE:
        return (yield from _failed(host, to, f"a value has at most {MAX_VALUE} bytes"))
    reply = yield from _fetched(host, bucket, "PUT", key, (value_at, value_size))
    if reply.fault is not None:
        return (yield from _failed(host, to, reply.fault))
    host.memory.write(to, b"\0")
    return None


def _delete(host: Host, me: int, at: int, size: int, to: int) -> Answer:
    bucket = host.handles.get(me, Bucket)
    reply = yield from _called(host, bucket, "delete", [_key(host, at, size)])
    if reply.fault is not None:
        return (yield from _failed(host, to, reply.fault))
    host.memory.write(to, b"\0")
    return None


def _exists(host: Host, me: int, at: int, size: int, to: int) -> Answer:
    bucket = host.handles.get(me, Bucket)
    reply = yield from _fetched(host, bucket, "GET", _key(host, at, size))
    if reply.body is None:
        return (yield from _failed(host, to, reply.fault or ""))
    reply.body.stop()
    host.memory.write(to, u32(0) + u32(reply.status != 404))
    return None


def _listed(
    host: Host, me: int, cursor: str | None
) -> Generator[Any, int, tuple[list[bytes], str | None] | str]:
    """A page of keys and what the next one begins with, or why there is none."""
    reply = yield from _called(host, host.handles.get(me, Bucket), "list", [None, PAGE, cursor])
    if reply.body is None:
        return reply.fault or ""
    try:
        keys, further = wire.load_value(reply.body.read(len(reply.body)))  # what a call returns is in hand
        return [str(key[0]).encode("utf-8", "replace") for key in keys], further
    except (wire.WireError, ValueError, TypeError, IndexError):
        raise ProtocolError("the keys of a store cannot be read") from None


def _list_keys(host: Host, me: int, some: int, at: int, size: int, to: int) -> Answer:
    found = yield from _listed(host, me, text(host.memory, at, size, _MAX_KEY) if some else None)
    if isinstance(found, str):
        return (yield from _failed(host, to, found))
    keys, cursor = found
    where = yield from put_list(host.memory, keys)
    next_ = (cursor or "").encode()
    next_at = yield from put(host.memory, next_)
    host.memory.write(
        to, u32(0) + u32(where) + u32(len(keys)) + u32(cursor is not None) + u32(next_at) + u32(len(next_))
    )
    return None


def _list_keys_from(host: Host, me: int, some: int, cursor: int, to: int) -> Answer:
    # The first draft has a number for a cursor, which no store here knows: the first page is all there is.
    if some:
        del cursor
        return (yield from _failed(host, to, "this store has no numbered cursors", 8))
    found = yield from _listed(host, me, None)
    if isinstance(found, str):
        return (yield from _failed(host, to, found, 8))
    where = yield from put_list(host.memory, found[0])
    host.memory.write(to, bytes(8) + u32(where) + u32(len(found[0])) + bytes(16))
    return None


_STORE: Final = "wasi:keyvalue/store "
ANSWERS: Final[dict[str, Answering]] = {
    f"{_STORE}open": _open,
    f"{_STORE}bucket.get": _get,
    f"{_STORE}bucket.set": _set,
    f"{_STORE}bucket.delete": _delete,
    f"{_STORE}bucket.exists": _exists,
    f"{_STORE}bucket.list-keys": _list_keys,
    f"{_STORE}bucket.list-keys from": _list_keys_from,
}
