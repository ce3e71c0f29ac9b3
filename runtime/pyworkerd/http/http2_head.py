"""What an HTTP/2 request means: RFC 9113 section 8.3, read as strictly as `semantics` reads HTTP/1.1. Pure.

Here no body can be misread, since frames delimit it. But what comes in is handed on by programs that may speak HTTP/1.1
on the other side (section 10.3), so nothing passes that could not stand there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import BadRequest, HeadersTooLarge, NotImplementedByServer, UriTooLong

from .events import RequestHead
from .semantics import HOP_BY_HOP, TOKEN, body_length, checked_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyworkerd.messages import Headers

    from .limits import HttpLimits

_PSEUDO: Final = (b":method", b":scheme", b":authority", b":path")
_METHOD: Final = re.compile(TOKEN + rb"+")
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE: Final = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_PATH: Final = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_FORBIDDEN: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""Section 8.2.2."""


def read_head(fields: Iterable[tuple[bytes, bytes]], limits: HttpLimits) -> RequestHead:
    """A request from its decoded fields. Raises a `ClientError`."""
    pseudo: dict[bytes, bytes] = {}
    regular: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name[:1] == b":":
            if regular or name in pseudo or name not in _PSEUDO:
                raise BadRequest("a pseudo-header is unknown, repeated or out of place")
            pseudo[name] = value
        else:
            _check_field(name, value)
            regular.append((name, value))
    if len(regular) > limits.fields:
        raise HeadersTooLarge(f"more than {limits.fields} header fields")
    method, target = _read_line(pseudo, limits)
    authority = _authority(pseudo, regular)
    lengths = [value for name, value in regular if name == b"content-length"]
    return RequestHead(
        method,
        target,
        _headers(authority, regular),
        "2",
        authority,
        True,
        any(name == b"expect" and value.lower() == b"100-continue" for name, value in regular),
        body_length(lengths, limits) if lengths else None,
        False,
        False,
    )


def _check_field(name: bytes, value: bytes) -> None:
    """Sections 8.2.1 and 8.2.2."""
    if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
        raise BadRequest("a header field is malformed")
    if name in _FORBIDDEN or (name == b"te" and value.lower() != b"trailers"):
        raise BadRequest("a header field that only HTTP/1.1 has")


def _read_line(pseudo: dict[bytes, bytes], limits: HttpLimits) -> tuple[str, str]:
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if _METHOD.fullmatch(method) is None:
        raise BadRequest("the method is missing or malformed")
    if method == b"CONNECT":
        raise NotImplementedByServer("CONNECT is not served")
    if pseudo.get(b":scheme") not in (b"http", b"https"):
        raise BadRequest("the scheme is missing, or neither http nor https")
    if len(method) + len(path) > limits.request_line:
        raise UriTooLong(f"method and path are longer than {limits.request_line} bytes")
    if _PATH.fullmatch(path) is None and not (path == b"*" and method == b"OPTIONS"):
        raise BadRequest("the path is missing or malformed")
    return method.decode("ascii"), path.decode("ascii")


def _authority(pseudo: dict[bytes, bytes], regular: list[tuple[bytes, bytes]]) -> str:
    """Section 8.3.1: `:authority` or Host; two that differ are a request for two servers."""
    named = [value for name, value in regular if name == b"host"]
    if b":authority" in pseudo:
        named.append(pseudo[b":authority"])
    if not named or any(each != named[0] for each in named) or len(named) > 2:
        raise BadRequest("the authority is missing, repeated or contradicted")
    return checked_host(named[0])


def _headers(authority: str, regular: list[tuple[bytes, bytes]]) -> Headers:
    kept = ((name.decode("ascii"), value.decode("latin-1")) for name, value in regular if name != b"host")
    return (("host", authority), *(pair for pair in kept if pair[0] not in HOP_BY_HOP))
