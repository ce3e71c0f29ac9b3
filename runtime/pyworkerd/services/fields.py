"""Header fields on their way out and back: what a guest may not set, and what it need not see. Pure.

Fields that describe one connection rather than the message (RFC 9110 section 7.6.1) are dropped both ways,
together with those that a `Connection` field names. So are the ones by which a sender could make two readers
disagree about where a message ends or for whom it is: the framing belongs to the client, `Host` to the URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyworkerd.http.semantics import OF_CONNECTION, OF_PROXY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyworkerd.messages import Headers

_HOP_BY_HOP = OF_CONNECTION | OF_PROXY
_FORBIDDEN = _HOP_BY_HOP | {"host", "content-length", "expect", "http2-settings"}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 section 5.5
_FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})  # fetch standard, "forbidden method"


def check_method(method: str) -> str:
    """The method, if it may be sent. Raises ValueError."""
    if not _TOKEN.fullmatch(method) or method.upper() in _FORBIDDEN_METHODS:
        raise ValueError(f"the method {method[:40]!r} cannot be used")
    return method


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> set[str]:
    lists = (value.lower().split(",") for name, value in headers if name == "connection")
    return {name.strip() for names in lists for name in names}


def for_request(headers: Headers) -> Headers:
    """The fields that a guest's request takes along, names in lower case. ValueError for malformed ones."""
    lowered = tuple((name.lower(), value.strip(" \t")) for name, value in headers)
    for name, value in lowered:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"the header name {name[:40]!r} is malformed")
        if _BAD_VALUE.search(value) or not _is_latin(value):
            raise ValueError(f"the value of the header {name[:40]!r} contains characters that cannot be sent")
    dropped = _FORBIDDEN | _named_by_connection(lowered)
    return tuple(field for field in lowered if field[0] not in dropped)


def _is_latin(value: str) -> bool:
    return value.isascii() or max(value) <= "\xff"


def for_wire(headers: Headers) -> list[tuple[str, str]]:
    """The fields as aiohttp wants them, which writes text as UTF-8: each character here is one byte there.

    Raises ValueError for bytes that are not UTF-8; aiohttp has no way to send those.
    """
    try:
        return [(name, value.encode("latin-1").decode()) for name, value in headers]
    except UnicodeDecodeError:
        raise ValueError("a header value is not UTF-8") from None


def from_response(raw: Iterable[tuple[bytes, bytes]], *, max_bytes: int, max_fields: int) -> Headers:
    """The fields of an answer that a guest sees. Raises ValueError when they are malformed or too many."""
    fields: list[tuple[str, str]] = []
    size = 0
    for raw_name, raw_value in raw:
        size += len(raw_name) + len(raw_value) + 4
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        # The parser is lenient with servers; what comes out of here may become another server's answer.
        if not _TOKEN.fullmatch(name) or _BAD_VALUE.search(value):
            raise ValueError("malformed header field")
        fields.append((name, value))
    if size > max_bytes or len(fields) > max_fields:
        raise ValueError("header section too large")
    dropped = _HOP_BY_HOP | _named_by_connection(fields)
    return tuple(field for field in fields if field[0] not in dropped)
