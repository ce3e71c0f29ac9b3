"""The PROXY protocol, versions 1 and 2: who the client is, said by a proxy before the client's own bytes. No I/O.

Specification: HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2. The receiver is told beforehand that a header
comes (section 2: it must not guess), so whatever is not one is an error. `read_header` never asks for a byte that
could belong to what follows: the next layer, TLS mostly, has to get its first bytes unread.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final, NamedTuple

V1_MAX: Final = 107
"""Bytes of a whole line with its CRLF (section 2.1)."""
V2_MAX: Final = 4096
"""Bytes of a whole binary header. The specification allows 65,551; proxies send addresses and some TLVs. Our own
figure: room for a client's certificate name and a cloud's identifiers."""

_V1_START: Final = b"PROXY "
_V2_START: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED: Final = struct.Struct("!12sBBH")
_V1_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [\x20-\x7e]*)?|(TCP[46]) (\S{2,39}) (\S{2,39}) (\d{1,5}) (\d{1,5}))\r\n"
)
_V1_SHORTEST: Final = len(b"PROXY UNKNOWN\r\n")
_LOCAL, _PROXY = 0x20, 0x21
_V2_ADDRESSES: Final = {
    0x11: struct.Struct("!4s4sHH"),  # AF_INET, SOCK_STREAM
    0x21: struct.Struct("!16s16sHH"),  # AF_INET6, SOCK_STREAM
}
_V2_UNADDRESSED: Final = {0x00: 0, 0x31: 216}
"""AF_UNSPEC, and AF_UNIX with its two paths: connections whose client has no address that could be told on."""
_TLV_SSL: Final = 0x20
_CLIENT_SSL: Final = 0x01


class ProxyHeaderError(ValueError):
    """What came is no PROXY header, or not one that can be believed. The connection has to be closed."""


class Endpoint(NamedTuple):
    """One end of the client's connection to the proxy."""

    address: str
    """In its usual form (RFC 5952)."""
    port: int


class ProxyHeader(NamedTuple):
    """A complete header."""

    source: Endpoint | None
    """The client; None where the proxy names nobody."""
    destination: Endpoint | None
    """Where the client connected to."""
    local: bool
    """The proxy speaks for itself, to see whether anybody answers (LOCAL, section 2.2)."""
    secure: bool
    """The client spoke TLS to the proxy (PP2_TYPE_SSL, section 2.2.6)."""


def read_header(data: bytes) -> ProxyHeader | int:
    """The header that `data` is, or how many more bytes certainly belong to it (at least one).

    Raises `ProxyHeaderError` as soon as the bytes cannot become a header. Feed exactly what it asked for.
    """
    if data[:1] == _V2_START[:1]:
        return _read_v2(data)
    if not _V1_START.startswith(data[: len(_V1_START)]):
        raise ProxyHeaderError("it begins neither like version 1 nor like version 2")
    return _read_v1(data)


def _read_v1(data: bytes) -> ProxyHeader | int:
    end = data.find(b"\n")
    if end < 0:
        if len(data) >= V1_MAX:
            raise ProxyHeaderError(f"the line is longer than {V1_MAX} bytes")
        # The end is CR LF: after a CR one byte is sure, after any other byte two are.
        return max(_V1_SHORTEST - len(data), 1 if data.endswith(b"\r") else 2)
    match = _V1_LINE.fullmatch(data)
    if match is None or len(data) > V1_MAX:
        raise ProxyHeaderError("the line is malformed")
    family, *parts = match.groups()
    if family is None:
        return ProxyHeader(None, None, False, False)
    source, destination, source_port, destination_port = (part.decode("ascii", "replace") for part in parts)
    version = 4 if family == b"TCP4" else 6
    return ProxyHeader(
        Endpoint(_address(source, version), _port(source_port)),
        Endpoint(_address(destination, version), _port(destination_port)),
        False,
        False,
    )


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ProxyHeaderError("an address is malformed") from None
    if address.version != version or "%" in text:
        raise ProxyHeaderError("an address is of another family")
    return str(address)


def _port(text: str) -> int:
    if int(text) > 65535 or (text[0] == "0" and len(text) > 1):
        raise ProxyHeaderError("a port is malformed")
    return int(text)


def _read_v2(data: bytes) -> ProxyHeader | int:
    if not _V2_START.startswith(data[: len(_V2_START)]):
        raise ProxyHeaderError("it begins neither like version 1 nor like version 2")
    if len(data) < _V2_FIXED.size:
        return _V2_FIXED.size - len(data)
    _, command, family, length = _V2_FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("its version or command is unknown")
    if _V2_FIXED.size + length > V2_MAX:
        raise ProxyHeaderError(f"it is longer than {V2_MAX} bytes")
    missing: int = _V2_FIXED.size + length - len(data)
    if missing > 0:
        return missing
    if missing < 0:
        raise ProxyHeaderError("more was read than belongs to it")
    body = data[_V2_FIXED.size :]
    if command == _LOCAL:
        return ProxyHeader(None, None, True, False)  # the rest has to be skipped, whatever it says
    if family in _V2_UNADDRESSED:
        return ProxyHeader(None, None, False, _secure(body, _V2_UNADDRESSED[family]))
    return _read_addresses(body, family)


def _read_addresses(body: bytes, family: int) -> ProxyHeader:
    addresses = _V2_ADDRESSES.get(family)
    if addresses is None:
        raise ProxyHeaderError("its address family or transport is not one that HTTP is served on")
    if len(body) < addresses.size:
        raise ProxyHeaderError("its addresses are incomplete")
    source, destination, source_port, destination_port = addresses.unpack_from(body)
    return ProxyHeader(
        Endpoint(str(ipaddress.ip_address(source)), source_port),
        Endpoint(str(ipaddress.ip_address(destination)), destination_port),
        False,
        _secure(body, addresses.size),
    )


def _secure(body: bytes, offset: int) -> bool:
    """Walk through the TLVs after the addresses (section 2.2, struct pp2_tlv); all of them have to fit."""
    secure = False
    if offset > len(body):
        raise ProxyHeaderError("its addresses are incomplete")
    while offset < len(body):
        start = offset + 3
        end = start + int.from_bytes(body[offset + 1 : start], "big")
        if end > len(body) or start > len(body):
            raise ProxyHeaderError("its last TLV is incomplete")
        if body[offset] == _TLV_SSL:
            if end - start < 5:
                raise ProxyHeaderError("its SSL TLV is incomplete")
            secure = secure or bool(body[start] & _CLIENT_SSL)
        offset = end
    return secure
