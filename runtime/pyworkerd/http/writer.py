"""The response side: heads and body framing to bytes. No I/O, no clock: the caller passes the date."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import BadEffect
from pyworkerd.messages import Headers, header
from pyworkerd.observe.trace import REQUEST_ID

from .semantics import OF_CONNECTION

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pyworkerd.messages import Body
    from pyworkerd.observe.scope import Scope

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES: Final = {code: f"HTTP/1.1 {code} {phrase}\r\n" for code, phrase in _REASONS.items()}

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

_DROPPED: Final = OF_CONNECTION | {"content-length", REQUEST_ID}
"""Framing is decided here; `content-length` comes back if it is true. `proxy-*` is dropped by its prefix. The
request's id is the server's to give."""
_NO_BODY: Final = frozenset((204, 304))
_UPGRADE: Final = "upgrade: websocket\r\nconnection: upgrade\r\n"
"""What a 426 has to say (RFC 9110 sections 15.5.22 and 7.8): a worker's `Upgrade` would be dropped like any other."""
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


SHORT_HEAD: Final = 1024
"""Characters of headers in a head that is known when it is written again."""
KNOWN_HEADS: Final = 256
"""Of each server. When it knows so many it forgets them all: what most workers send is soon known again."""


class Framing(Enum):
    """How the body is delimited (RFC 9112 section 6.3)."""

    NONE = "none"
    """No body follows the head, whatever the handler gave."""
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    """The end of the connection is the end of the body: all that HTTP/1.0 knows for an unknown length."""


_SIZED: Final = Framing.LENGTH


@dataclass(frozen=True, slots=True)
class Exchange:
    """What about a request shapes its response."""

    head_only: bool
    """The method was HEAD."""
    http_1_1: bool
    """False for HTTP/1.0, which knows no chunks and wants to be told of keep-alive."""


EXCHANGES: Final = {
    (head_only, http_1_1): Exchange(head_only, http_1_1)
    for head_only in (False, True)
    for http_1_1 in (False, True)
}
"""Every exchange that there can be."""


def reason_phrase(status: int) -> str:
    """The standard phrase, or an empty string, which RFC 9112 section 4 allows."""
    return _REASONS.get(status, "")


class Heads:
    """The heads of a server's responses. `server` is added where the headers name none.

    Workers repeat themselves as clients do: the status and the headers of a short head that was written before are
    neither checked nor written again.
    """

    __slots__ = ("_known", "_server")

    def __init__(self, server: str) -> None:
        self._server = server
        self._known: dict[tuple[str, int, Headers], tuple[str, bool]] = {}
        """By the service as well: what one has sent is nothing that another might find out."""

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def encode(
        self,
        scope: Scope,
        status: int,
        headers: Headers,
        length: int | None,
        exchange: Exchange,
        keep_alive: bool,
        date: str,
    ) -> tuple[bytes, Framing, int | None]:
        """The head's bytes, how the body after it is framed, and the length that it then must have, if one was
        promised.

        `length` is the body's size where it is known, otherwise None. `date` is added where the headers have none, the
        id of the request, whose `scope` this is, always. The head says `connection: close` if `keep_alive` is false or
        the framing is `CLOSE`.
        Raises `BadEffect` if the status is not a final one or a header cannot be sent.
        """
        if type(headers) is not tuple:  # whoever made this response is not type-checked, and may change them
            headers = tuple(headers)
        key = scope.service, status, headers
        try:
            known = self._known.get(key)
        except TypeError:  # pairs that are lists
            headers = tuple([(name, value) for name, value in headers])
            known, key = None, (scope.service, status, headers)
        start, has_date = known if known is not None else self._begin(key)
        promised: int | None
        if status == 200 and length is not None and not exchange.head_only:  # what most are
            framing, promised = _SIZED, length
        else:
            framing, promised = _framing(status, headers, length, exchange)
        if promised is not None:
            start = f"{start}content-length: {promised}\r\n"
        elif framing is Framing.CHUNKED:
            start = f"{start}transfer-encoding: chunked\r\n"
        if not has_date:
            start = f"{start}date: {date}\r\n"
        if not keep_alive or framing is Framing.CLOSE:
            end = "\r\nconnection: close\r\n\r\n"
        else:
            end = "\r\n\r\n" if exchange.http_1_1 else "\r\nconnection: keep-alive\r\n\r\n"
        return f"{start}{REQUEST_ID}: {scope.request_id}{end}".encode("latin-1"), framing, promised

    def _begin(self, key: tuple[str, int, Headers]) -> tuple[str, bool]:
        """What a head begins with, and whether it has a date. Raises `BadEffect`."""
        _, status, headers = key
        if not 200 <= status <= 599:
            raise BadEffect(f"{status} is not the status of a response")
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
        has_date, has_server = _add_fields(lines, headers)
        if not has_server:
            lines.append(f"server: {self._server}\r\n")
        if status == 426:
            lines.append(_UPGRADE)
        begun = "".join(lines), has_date
        if sum(len(name) + len(value) for name, value in headers) <= SHORT_HEAD:
            if len(self._known) >= KNOWN_HEADS:
                self._known.clear()
            self._known[key] = begun
        return begun


def response_fields(
    status: int,
    headers: Headers,
    length: int | None,
    *,
    head_only: bool,
    date: str,
    server: str,
    request_id: str,
) -> tuple[list[tuple[str, str]], Framing, int | None]:
    """As `encode_head`, for HTTP/2: fields in place of bytes. Frames delimit the body (RFC 9113 section 8.1), so one of
    unknown length is what HTTP/1.0 would end by closing.
    """
    if not 200 <= status <= 599:
        raise BadEffect(f"{status} is not the status of a response")
    lines: list[str] = []
    has_date, has_server = _add_fields(lines, headers)
    framing, promised = _framing(status, headers, length, EXCHANGES[head_only, False])
    own = {
        "date": None if has_date else date,
        "server": None if has_server else server,
        REQUEST_ID: request_id,
    }
    fields = [(":status", str(status))]
    for line in lines:
        name, _, value = line[:-2].partition(": ")
        fields.append((name, value.strip(" \t")))
    if promised is not None:
        fields.append(("content-length", str(promised)))
    return [*fields, *((name, value) for name, value in own.items() if value is not None)], framing, promised


def encode_switch(own: Headers, headers: Headers, *, date: str, server: str, request_id: str) -> bytes:
    """The head of a 101: fields of the new protocol's handshake, then the handler's. Raises `BadEffect`."""
    lines = ["HTTP/1.1 101 Switching Protocols\r\n", *(f"{name}: {value}\r\n" for name, value in own)]
    has_date, has_server = _add_fields(lines, headers)
    if not has_date:
        lines.append(f"date: {date}\r\n")
    if not has_server:
        lines.append(f"server: {server}\r\n")
    lines.append(f"{REQUEST_ID}: {request_id}\r\n\r\n")
    return "".join(lines).encode("latin-1")


def _add_fields(lines: list[str], headers: Headers) -> tuple[bool, bool]:
    """A handler's header fields as lines; whether `date` and `server` are among them. Raises `BadEffect`."""
    has_date = has_server = False
    for name, value in headers:
        sent = _sent_name(name) if len(name) <= 64 else _check_name(name)
        if not sent:
            continue
        # Printable ASCII, which nearly every value is, needs no expression.
        if not (value.isascii() and value.isprintable()) and _VALUE.fullmatch(value) is None:
            raise BadEffect(f"the value of a header cannot be sent: {sent[:64]!r}")
        has_date = has_date or sent == "date"
        has_server = has_server or sent == "server"
        lines.append(f"{sent}: {value}\r\n")
    return has_date, has_server


def _check_name(name: str) -> str:
    """In lower case; empty if the server decides about this field itself. Raises `BadEffect`."""
    name = name.lower()
    if _NAME.fullmatch(name) is None:
        raise BadEffect(f"the name of a header cannot be sent: {name[:64]!r}")
    return "" if name in _DROPPED or name.startswith("proxy-") else name


_sent_name: Final = lru_cache(512)(_check_name)
"""For short names, so that what a tenant can make it hold is small."""


def _framing(
    status: int, headers: Headers, length: int | None, exchange: Exchange
) -> tuple[Framing, int | None]:
    """Framing and the content-length to send. A handler's own length counts only where the body's is
    unknown."""
    if status == 204:
        return Framing.NONE, None
    if exchange.head_only or status in _NO_BODY:
        # An empty body here says nothing about what GET would have sent; a handler's header does.
        given = _given_length(headers) if not length else None
        return Framing.NONE, given if given is not None else (length if status != 304 else length or None)
    if status == 205:
        return Framing.NONE, 0
    promised = length if length is not None else _given_length(headers)
    if promised is not None:
        return Framing.LENGTH, promised
    return (Framing.CHUNKED if exchange.http_1_1 else Framing.CLOSE), None


def _given_length(headers: Headers) -> int | None:
    value = header(headers, "content-length")
    return int(value) if value is not None and _LENGTH.fullmatch(value) else None


async def encode_body(body: Body, framing: Framing, promised: int | None) -> AsyncGenerator[bytes, None]:
    """A body's pieces, as they are sent. Whoever stops early closes it, and the body after it.

    Raises `BadEffect` if it is longer or shorter than was promised.
    """
    written = 0
    async with aclosing(body.__aiter__()) as chunks:
        async for chunk in chunks:
            if not chunk:
                continue
            written += len(chunk)
            if promised is not None and written > promised:
                raise BadEffect(f"the body is longer than its content-length of {promised}")
            yield encode_chunk(chunk) if framing is Framing.CHUNKED else chunk
    if promised is not None and written < promised:
        raise BadEffect(f"the body ended after {written} of {promised} bytes")
    if framing is Framing.CHUNKED:
        yield LAST_CHUNK


def encode_chunk(data: bytes) -> bytes:
    """One chunk. Never call it with nothing: an empty chunk is the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)
