"""What a request means: the strict reading of RFC 9112 that both parsers share. Pure functions over bytes.

Smuggling lives on two readers who disagree about where a message ends. So the rules here come before any
library sees the head, and leave nothing to interpret:

Rule 1. A head is made of CRLF lines of allowed octets. A bare CR or LF, a control character, a folded line, a
        space before a colon: 400.
Rule 2. A body is framed by one Content-Length of digits or by one `Transfer-Encoding: chunked`, spelled so,
        in HTTP/1.1; never by both, never twice.
Rule 3. One valid Host (none is allowed in HTTP/1.0), and a target that is a path, an http(s) URL or, for
        OPTIONS, `*`.

Faults are found by position: the first octet that decides wins. Hence the answer to a byte sequence does not
depend on how the network cut it up.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import (
    BadRequest,
    BodyTooLarge,
    ClientError,
    HeadersTooLarge,
    NotImplementedByServer,
    UriTooLong,
    VersionNotSupported,
)

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

    from .events import RequestHead
    from .limits import HttpLimits

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""RFC 9110 section 5.6.2."""
_FIELD_LINES: Final = rb"(?:" + TOKEN + rb"++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"

# `#` is the one visible character left out of targets: a fragment is never sent (RFC 9112 section 3.2).
_REQUEST_LINE: Final = rb"(" + TOKEN + rb"++) ([\x21\x22\x24-\x7e]++) HTTP/(1\.[01])\r\n"
HEAD: Final = re.compile(_REQUEST_LINE + _FIELD_LINES + rb"\r\n")
"""A complete head. Groups: method, target, version."""
PLAIN_LINE: Final = re.compile(
    rb"(GET|POST|HEAD|PUT|PATCH|DELETE|OPTIONS) (/[\x21\x22\x24-\x7e]*+) HTTP/1\.1\r\n"
)
"""A request line after which only the fields decide how the request is read. Groups: method, target."""
TRAILERS: Final = re.compile(rb"\r\n" + _FIELD_LINES + rb"\r\n")
"""A trailer section, with the CRLF that ends the last chunk's line before it."""
BAD_OCTET: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")
_OTHER_VERSION: Final = re.compile(TOKEN + rb"++ [\x21-\x7e]++ HTTP/(?!1\.[01]\r)[0-9](?:\.[0-9])?\r\n")

OF_CONNECTION: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Fields for one connection alone (RFC 9110 section 7.6.1)."""
OF_PROXY: Final = frozenset(("proxy-authenticate", "proxy-authentication-info", "proxy-authorization"))
"""Fields for the next proxy alone (RFC 9110 section 11.7), which are not kept either (RFC 9111 section 3.1)."""
HOP_BY_HOP: Final = OF_CONNECTION | {"http2-settings", "expect"}
"""What of a request is not a worker's. Fields that `Connection` nominates are kept: dropping what a client names would
let it remove headers that a proxy in front of us added."""

_FRAMING_FIELDS: Final = re.compile(
    rb"\r\n(?i:(host|content-length|connection|keep-alive|proxy-connection|te|trailer"
    rb"|transfer-encoding|upgrade|http2-settings|expect))"
    rb":([^\r]*+)"
)
# A value with a tab, a capital or a second coding is legal in parts, but no client sends it except to be read
# differently by two servers.
_EXACTLY_CHUNKED: Final = re.compile(rb"\r\n(?i:transfer-encoding): *chunked *\r\n")
_DIGITS: Final = re.compile(rb"[0-9]+")
_MAX_DIGITS: Final = 20
"""As h11: as many as 2^64 has."""
_AUTHORITY: Final = (
    rb"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{0,5}))?"
)
_HOST_LENGTH: Final = 255 + len(":65535")
"""RFC 3986 section 3.2.2: registered names of up to 255 characters, as in DNS."""
_HOST: Final = re.compile(_AUTHORITY)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?]++)")


class Framing(NamedTuple):
    """What the fields that steer the connection say."""

    authority: str
    keep_alive: bool
    expect_continue: bool
    body_length: int | None
    chunked: bool
    has_hop_by_hop: bool
    upgrade: bool


def first_fault(
    data: bytes, limits: HttpLimits, *, end: int, complete: bool, scanned: int = 0
) -> ClientError | None:
    """The fault at the lowest position of a head, `data[:end]`; octets before `scanned` are known to be
    allowed."""
    line, head = limits.request_line, limits.head
    faults: list[tuple[int, ClientError]] = []
    bad = BAD_OCTET.search(data, max(scanned - 1, 0), end)
    if bad is not None:
        # A CR is only known to be bare once the octet after it is there.
        decided = bad.start() + (2 if data[bad.start()] == 13 else 1)
        faults.append((decided, BadRequest("a control character, or a line that does not end in CRLF")))
    if end >= line + 2 and data.find(b"\r\n", 0, line + 2) < 0:
        faults.append((line + 2, UriTooLong(f"the request line is longer than {line} bytes")))
    if end > head or (end == head and not complete):
        faults.append((head, HeadersTooLarge(f"the head is larger than {head} bytes")))
    return min(faults, key=_position)[1] if faults else None


def _position(fault: tuple[int, ClientError]) -> int:
    return fault[0]


def malformed(head: bytes) -> ClientError:
    """Why a complete head without a bad octet is not one that `HEAD` matches."""
    if _OTHER_VERSION.match(head):
        return VersionNotSupported("only HTTP/1.0 and HTTP/1.1 are spoken here")
    return BadRequest("the request line or a header line is malformed")


def read_framing(head: bytes, method: bytes, target: bytes, version: bytes, limits: HttpLimits) -> Framing:
    """Read the fields that steer the connection from a head that `HEAD` matched. Raises a `ClientError`."""
    if method == b"CONNECT":
        raise NotImplementedByServer("CONNECT is not served")
    found = _FRAMING_FIELDS.findall(head)
    if len(found) == 1 and version == b"1.1" and target[:1] == b"/" and found[0][0].lower() == b"host":
        # What most requests are: nothing but a Host steers them.
        return Framing(checked_host(found[0][1].strip(b" \t")), True, False, 0, False, False, False)
    fields: dict[bytes, list[bytes]] = {}
    for name, value in found:
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    hosts = fields.pop(b"host", ())
    lengths = fields.pop(b"content-length", ())
    authority = _authority(hosts, version)
    if target[:1] != b"/":
        authority = _authority_of_target(method, target) or authority
    if not fields and not lengths:
        return Framing(authority, version == b"1.1", False, 0, False, False, False)
    coded = b"transfer-encoding" in fields
    if coded:
        _check_coding(head, fields[b"transfer-encoding"], lengths, version)
    keep_alive = _keep_alive(fields.get(b"connection", ()), version)
    length = None if coded else body_length(lengths, limits)
    return Framing(
        authority,
        keep_alive,
        version == b"1.1" and any(v.lower() == b"100-continue" for v in fields.get(b"expect", ())),
        length,
        coded,
        bool(fields),
        b"upgrade" in fields
        and (method, version, length, keep_alive) == (b"GET", b"1.1", 0, True)
        and _asks_for_websocket(fields),
    )


def _asks_for_websocket(fields: dict[bytes, list[bytes]]) -> bool:
    """RFC 6455 section 4.2.1, items 3 and 4; an upgrade to anything else is ignored, as RFC 9110 section 7.8 allows."""
    return b"websocket" in _options(fields[b"upgrade"]) and b"upgrade" in _options(
        fields.get(b"connection", ())
    )


def _authority(hosts: list[bytes] | tuple[()], version: bytes) -> str:
    """RFC 9112 section 3.2: a request without a Host, with several or with an invalid one is answered 400."""
    if not hosts:
        if version == b"1.0":
            return ""
        raise BadRequest("the Host header is missing")
    if len(hosts) > 1:
        raise BadRequest("the Host header is repeated")
    return checked_host(hosts[0])


def checked_host(host: bytes) -> str:
    """An authority as text. Raises `BadRequest` for what is none (RFC 3986 section 3.2)."""
    if len(host) > _HOST_LENGTH:
        raise BadRequest("the host is too long")
    return _valid_host(host)


@lru_cache(1024)
def _valid_host(host: bytes) -> str:
    """Kept, because servers hear the same few names all day. Faults are not kept."""
    match = _HOST.fullmatch(host)
    if match is None:
        raise BadRequest("the host is invalid")
    address, port = match.groups()
    if address is not None:
        try:
            IPv6Address(address.decode("ascii"))
        except ValueError:
            raise BadRequest("the host is not an IPv6 address") from None
    if port and int(port) > 65535:
        raise BadRequest("the port of the host is too large")
    return host.decode("ascii")


def _authority_of_target(method: bytes, target: bytes) -> str | None:
    if target == b"*" and method == b"OPTIONS":
        return None
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise BadRequest("the request target is neither a path nor an http URL")
    return checked_host(absolute[1])


def _check_coding(
    head: bytes, codings: list[bytes], lengths: list[bytes] | tuple[()], version: bytes
) -> None:
    """RFC 9112 section 6.1 and 6.3, without the leniencies."""
    if lengths:
        raise BadRequest("Content-Length and Transfer-Encoding together")
    if version == b"1.0":
        raise BadRequest("Transfer-Encoding in HTTP/1.0")
    if len(codings) > 1:
        raise BadRequest("Transfer-Encoding is repeated")
    if _EXACTLY_CHUNKED.search(head) is not None:
        return
    names = [part.strip(b" \t").lower() for part in codings[0].split(b",")]
    if any(name and name != b"chunked" for name in names):
        raise NotImplementedByServer("only the transfer coding `chunked` is implemented")
    raise BadRequest("Transfer-Encoding must be exactly `chunked`")


def body_length(lengths: list[bytes] | tuple[()], limits: HttpLimits) -> int:
    """RFC 9112 section 6.3: one Content-Length, of digits. Equal repetitions are refused as well."""
    if not lengths:
        return 0
    if len(lengths) > 1 or _DIGITS.fullmatch(lengths[0]) is None:
        raise BadRequest("Content-Length is repeated or not a number")
    # Long digit strings never reach int(), whose cost is quadratic.
    digits = lengths[0].lstrip(b"0") or b"0"
    if len(digits) > 18 or int(digits) > limits.body:
        raise BodyTooLarge(limits.body)
    if len(lengths[0]) > _MAX_DIGITS:
        raise BadRequest("Content-Length has too many leading zeros")
    return int(digits)


def _keep_alive(values: list[bytes] | tuple[()], version: bytes) -> bool:
    """RFC 9112 section 9.3."""
    options = _options(values)
    if b"close" in options:
        return False
    return version == b"1.1" or b"keep-alive" in options


def _options(values: list[bytes] | tuple[()]) -> set[bytes]:
    return {option.strip(b" \t").lower() for value in values for option in value.split(b",")}


def without_hop_by_hop(headers: Headers) -> Headers:
    """The headers that are the request's own."""
    return tuple(pair for pair in headers if pair[0] not in HOP_BY_HOP)


def with_host(headers: Headers, authority: str) -> Headers:
    """RFC 9112 section 3.2.2: an absolute-form target replaces the Host that came with it."""
    return (("host", authority), *(pair for pair in headers if pair[0] != "host"))


def is_authority(text: str) -> bool:
    """Whether a text could be a Host: a name or an address, and perhaps a port."""
    return len(text) <= _HOST_LENGTH and text.isascii() and _HOST.fullmatch(text.encode()) is not None


def request_url(head: RequestHead, default_authority: str, scheme: str = "http") -> str:
    """The absolute URL, always with a path (RFC 9110 section 4.2.3). `OPTIONS *` becomes the path `/`; an
    HTTP/1.0 request without a Host gets the default.

    The scheme is what the caller knows of the connection; one in the target is only the client's word
    (RFC 9110 section 4.2.2: `https` means that the connection is secured), and `server.origin` refuses another.
    """
    target, authority = head.target, head.authority or default_authority
    if target[0] != "/":
        target = _path_of(target)
    return f"{scheme}://{authority}{target}"


def _path_of(target: str) -> str:
    """Path and query of an absolute-form target, or of `*`."""
    if target == "*":
        return "/"
    rest = target[target.index("//") + 2 :]
    start = next((i for i, char in enumerate(rest) if char in "/?"), len(rest))
    return rest[start:] if rest[start : start + 1] == "/" else "/" + rest[start:]
