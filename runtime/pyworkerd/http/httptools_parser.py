"""The default parser: llhttp, through httptools, takes the fields apart.

llhttp knows a fixed list of methods, and keeps white space after a value; both are evened out here. What else
it would let through has been refused by `semantics` before it sees a byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httptools

from pyworkerd.errors import BadRequest

from .parser import Parser

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

    from .limits import HttpLimits

_PLAIN_METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))

_COMMON: Final = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "if-modified-since",
    "if-none-match",
    "origin",
    "pragma",
    "range",
    "referer",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-proto",
]
_NAMES: Final = {spelling.encode(): name for name in _COMMON for spelling in (name, name.title())}
"""Spellings that nearly every request uses, so that they need neither decoding nor a new string."""


class _Fields:
    """Collects llhttp's callbacks. Separate from the parser so that no reference cycle keeps a connection
    alive."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, in order."""
        self.pairs.append(
            (_NAMES.get(name) or name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t"))
        )


class HttptoolsParser(Parser):
    """Heads by httptools."""

    __slots__ = ("_fields", "_llhttp")

    def __init__(self, limits: HttpLimits) -> None:
        super().__init__(limits)
        self._fields = _Fields()
        self._llhttp: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self._fields)

    def _split(self, head: bytes, method: bytes, steers: bool) -> Headers:
        llhttp = self._llhttp
        if llhttp is None:
            llhttp = httptools.HttpRequestParser(self._fields)
        pairs = self._fields.pairs = []
        if method not in _PLAIN_METHODS:
            head = b"GET" + head[len(method) :]
        # llhttp is only fit for another head when this one is followed by nothing and ends nothing: a body or
        # an upgrade leave it waiting, and it takes more fields for an end of the connection than we do.
        self._llhttp = None
        try:
            llhttp.feed_data(head)
        except httptools.HttpParserUpgrade:
            return tuple(pairs)
        except httptools.HttpParserError as error:
            raise BadRequest("the head is malformed") from error
        if not steers:
            self._llhttp = llhttp
        return tuple(pairs)
