"""Header fields as programs handle them (`wasi:http/types.fields`). No I/O.

Names are told in lower case, values are bytes. Fields of hop-by-hop meaning, and `host`, belong to the server: a
program neither sees nor sets them, as in wasmtime.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.protocol import MAX_HEADER_BYTES, MAX_HEADERS, HeaderPairs

from .abi import pairs, return_list, text
from .handles import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .abi import Answer, Answering
    from .account import Account
    from .host import Host

FORBIDDEN: Final = frozenset(
    (
        "connection", "host", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "transfer-encoding", "upgrade",
    )
)  # fmt: skip
"""Names that belong to the server: wasmtime-wasi-http, DEFAULT_FORBIDDEN_HEADERS."""
INVALID, NOT_ALLOWED, IMMUTABLE = 0, 1, 2
"""`header-error`."""
_is_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110 section 5.6.2
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch  # RFC 9110 section 5.5
_OVERHEAD: Final = 64
"""Bytes that a field counts for besides its text."""


class Fields(Resource):
    """A list of names and values, in order."""

    __slots__ = ("_account", "_size", "entries", "immutable")

    def __init__(
        self, account: Account, entries: Iterable[tuple[str, bytes]] = (), *, immutable: bool = False
    ) -> None:
        self._account, self.immutable = account, immutable
        self.entries: list[tuple[str, bytes]] = []
        self._size = 0
        self._put(list(entries))

    def _put(self, entries: list[tuple[str, bytes]]) -> None:
        """Have these from now on. Raises `Trap` for more than a message may have."""
        size = sum(len(name) + len(value) for name, value in entries)
        if len(entries) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            raise Trap(
                f"header fields of a program are limited to {MAX_HEADERS}, and {MAX_HEADER_BYTES} bytes"
            )
        size += _OVERHEAD * len(entries)
        self._account.hold(size - self._size)
        self.entries, self._size = entries, size

    def dropped(self) -> None:
        """Forget what they took."""
        self._account.hold(-self._size)
        self._size = 0

    def get(self, name: str) -> list[bytes]:
        """The values of a name."""
        name = name.lower()
        return [value for known, value in self.entries if known == name]

    def set(self, name: str, values: list[bytes]) -> int | None:
        """Have exactly these values under a name. Returns a `header-error`, or None."""
        if (error := self._refuses(name, values)) is not None:
            return error
        name = name.lower()
        others = [entry for entry in self.entries if entry[0] != name]
        self._put(others + [(name, value) for value in values])
        return None

    def append(self, name: str, value: bytes) -> int | None:
        """Add one. Returns a `header-error`, or None."""
        if (error := self._refuses(name, [value])) is not None:
            return error
        self._put([*self.entries, (name.lower(), value)])
        return None

    def _refuses(self, name: str, values: list[bytes]) -> int | None:
        if self.immutable:
            return IMMUTABLE
        if not _is_name(name) or not all(map(_is_value, values)):
            return INVALID
        return NOT_ALLOWED if name.lower() in FORBIDDEN else None

    def length(self) -> int | None:
        """What `content-length` says, where it says something."""
        found = self.get("content-length")
        return int(found[0]) if len(found) == 1 and found[0].isdigit() and len(found[0]) < 16 else None

    def pairs(self) -> list[list[str]]:
        """For the protocol: text is latin-1 there."""
        return [[name, value.decode("latin-1")] for name, value in self.entries]


def told(account: Account, headers: HeaderPairs) -> Fields:
    """Fields of a message that came in."""
    own = [(name.lower(), value.encode("latin-1", "replace")) for name, value in headers]
    return Fields(account, [pair for pair in own if pair[0] not in FORBIDDEN][:MAX_HEADERS], immutable=True)


# questions -----------------------------------------------------------------------------------------------------------


def _name(host: Host, at: int, size: int) -> str:
    return text(host.memory, at, size, MAX_HEADER_BYTES)


def _value(host: Host, at: int, size: int) -> bytes:
    if size > MAX_HEADER_BYTES:
        raise Trap("the program handed over a header field that is too long")
    return host.memory.read(at, size)


def _said(host: Host, error: int | None, to: int) -> None:
    host.memory.write(to, b"\0" if error is None else bytes((1, error)))


def _new(host: Host) -> int:
    return host.handles.add(Fields(host.account))


def _from_list(host: Host, at: int, count: int, to: int) -> None:
    found = pairs(host.memory, at, 2 * count, 2 * MAX_HEADERS)
    fields = Fields(host.account)
    for name, value in zip(found[::2], found[1::2], strict=True):
        error = fields.append(_name(host, *name), _value(host, *value))
        if error is not None:
            host.memory.write(to, bytes((1, 0, 0, 0, error)))
            fields.dropped()
            return
    host.memory.write(to, b"\0\0\0\0" + host.handles.add(fields).to_bytes(4, "little"))


def _get(host: Host, me: int, at: int, size: int, to: int) -> Answer:
    return return_list(host.memory, to, host.handles.get(me, Fields).get(_name(host, at, size)))


def _has(host: Host, me: int, at: int, size: int) -> int:
    return bool(host.handles.get(me, Fields).get(_name(host, at, size)))


def _set(host: Host, me: int, at: int, size: int, values: int, count: int, to: int) -> None:
    found = pairs(host.memory, values, count, MAX_HEADERS)
    if sum(length for _, length in found) > MAX_HEADER_BYTES:  # before anything is read
        raise Trap("the program handed over header fields that are too long")
    said = [host.memory.read(*each) for each in found]
    _said(host, host.handles.get(me, Fields).set(_name(host, at, size), said), to)


def _delete(host: Host, me: int, at: int, size: int, to: int) -> None:
    _said(host, host.handles.get(me, Fields).set(_name(host, at, size), []), to)


def _append(host: Host, me: int, at: int, size: int, value_at: int, value_size: int, to: int) -> None:
    fields = host.handles.get(me, Fields)
    _said(host, fields.append(_name(host, at, size), _value(host, value_at, value_size)), to)


def _entries(host: Host, me: int, to: int) -> Answer:
    entries = host.handles.get(me, Fields).entries
    flat = [item for name, value in entries for item in (name.encode(), value)]
    return return_list(host.memory, to, flat, 2)


def _clone(host: Host, me: int) -> int:
    return host.handles.add(Fields(host.account, host.handles.get(me, Fields).entries))


_TYPES: Final = "wasi:http/types "
ANSWERS: Final[dict[str, Answering]] = {
    f"{_TYPES}fields": _new,
    f"{_TYPES}fields.from-list": _from_list,
    f"{_TYPES}fields.get": _get,
    f"{_TYPES}fields.has": _has,
    f"{_TYPES}fields.set": _set,
    f"{_TYPES}fields.delete": _delete,
    f"{_TYPES}fields.append": _append,
    f"{_TYPES}fields.entries": _entries,
    f"{_TYPES}fields.clone": _clone,
}
