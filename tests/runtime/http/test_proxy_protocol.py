"""PROXY headers of both versions: what is understood, what is refused, and that nothing behind them is touched."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd.http.proxy_protocol import (
    V1_MAX,
    V2_MAX,
    Endpoint,
    ProxyHeader,
    ProxyHeaderError,
    read_header,
)

if TYPE_CHECKING:
    import ipaddress

START = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int = 0x21, family: int = 0x11, body: bytes = b"") -> bytes:
    return START + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


INET = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 5000, 443)
INET6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 5000, 443)
)
SSL = tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3"))
FROM = Endpoint("192.0.2.7", 5000)
TO = Endpoint("198.51.100.1", 443)
FROM6 = Endpoint("2001:db8::7", 5000)
TO6 = Endpoint("2001:db8::1", 443)

GOOD = {
    "tcp4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n", ProxyHeader(FROM, TO, False, False)),
    "tcp6": (b"PROXY TCP6 2001:db8::7 2001:DB8:0::1 5000 443\r\n", ProxyHeader(FROM6, TO6, False, False)),
    "unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader(None, None, False, False)),
    "unknown with a rest": (
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
        ProxyHeader(None, None, False, False),
    ),
    "the longest line": (
        b"PROXY UNKNOWN " + b"x" * (V1_MAX - 16) + b"\r\n",
        ProxyHeader(None, None, False, False),
    ),
    "v2 tcp4": (v2(body=INET), ProxyHeader(FROM, TO, False, False)),
    "v2 tcp6": (v2(family=0x21, body=INET6), ProxyHeader(FROM6, TO6, False, False)),
    "v2 local": (v2(0x20, 0, b"anything"), ProxyHeader(None, None, True, False)),
    "v2 unspecified": (v2(family=0), ProxyHeader(None, None, False, False)),
    "v2 unix": (v2(family=0x31, body=bytes(216)), ProxyHeader(None, None, False, False)),
    "v2 with TLVs": (v2(body=INET + tlv(4, b"no-op") + tlv(2, b"host")), ProxyHeader(FROM, TO, False, False)),
    "v2 over TLS": (v2(body=INET + SSL), ProxyHeader(FROM, TO, False, True)),
    "v2 with the TLS of no client": (
        v2(body=INET + tlv(0x20, bytes(5))),
        ProxyHeader(FROM, TO, False, False),
    ),
}

BAD = {
    "http": b"GET / HTTP/1.1\r\n",
    "tls": b"\x16\x03\x01\x02\0",
    "lower case": b"proxy TCP4 192.0.2.7 198.51.100.1 5000 443\r\n",
    "two blanks": b"PROXY  TCP4 192.0.2.7 198.51.100.1 5000 443\r\n",
    "a bare LF": b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\n",
    "a family that is none": b"PROXY UDP4 192.0.2.7 198.51.100.1 5000 443\r\n",
    "too few": b"PROXY TCP4 192.0.2.7 198.51.100.1 5000\r\n",
    "too many": b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443 1\r\n",
    "a name": b"PROXY TCP4 localhost 198.51.100.1 5000 443\r\n",
    "leading zeros": b"PROXY TCP4 192.0.2.07 198.51.100.1 5000 443\r\n",
    "IPv6 as IPv4": b"PROXY TCP4 ::1 198.51.100.1 5000 443\r\n",
    "IPv4 as IPv6": b"PROXY TCP6 192.0.2.7 198.51.100.1 5000 443\r\n",
    "a zone": b"PROXY TCP6 fe80::1%1 fe80::2%1 5000 443\r\n",
    "a port too large": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    "a port with zeros": b"PROXY TCP4 192.0.2.7 198.51.100.1 0443 443\r\n",
    "a port with a sign": b"PROXY TCP4 192.0.2.7 198.51.100.1 +443 443\r\n",
    "digits of another script": "PROXY TCP4 192.0.2.7 198.51.100.1 \u0661 443\r\n".encode(),
    "a control character": b"PROXY UNKNOWN \0\r\n",
    "a line too long": b"PROXY UNKNOWN " + b"x" * (V1_MAX - 15) + b"\r\n",
    "a line without an end": b"PROXY UNKNOWN " + b"x" * V1_MAX,
    "v2 of another version": v2(0x11, body=INET),
    "v2 of another command": v2(0x22, body=INET),
    "v2 over UDP": v2(family=0x12, body=INET),
    "v2 addresses cut off": v2(body=INET[:-1]),
    "v2 IPv6 with IPv4's length": v2(family=0x21, body=INET),
    "v2 unix cut off": v2(family=0x31, body=bytes(215)),
    "v2 TLV cut off": v2(body=INET + tlv(4, b"abc")[:-1]),
    "v2 TLV without a length": v2(body=INET + b"\x04\0"),
    "v2 SSL TLV too short": v2(body=INET + tlv(0x20, b"\x01")),
    "v2 too long": START + struct.pack("!BBH", 0x21, 0x11, V2_MAX - 15),
    "v2 magic gone wrong": START[:-1] + b"\r" + v2(body=INET)[12:],
}


def read_from(stream: bytes) -> tuple[ProxyHeader, int]:
    """As a connection does: only what was asked for is ever taken. Returns the header and the bytes taken."""
    taken = 0
    while isinstance(result := read_header(stream[:taken]), int):
        assert result > 0
        if taken == len(stream):
            raise EOFError
        taken = min(taken + result, len(stream))
    return result, taken


@pytest.mark.parametrize("case", GOOD)
def test_what_is_a_header(case: str) -> None:
    data, header = GOOD[case]
    assert read_header(data) == header


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("follows", [b"", b"\x16\x03\x01", b"\n\n\n", b"\r\nPROXY TCP4"])
def test_what_follows_is_left_alone(case: str, follows: bytes) -> None:
    data, header = GOOD[case]
    assert read_from(data + follows) == (header, len(data))


@pytest.mark.parametrize("case", BAD)
def test_what_is_none(case: str) -> None:
    with pytest.raises(ProxyHeaderError):
        read_header(BAD[case])
    with pytest.raises(ProxyHeaderError):
        read_from(BAD[case] + bytes(V2_MAX))


@pytest.mark.parametrize("case", GOOD)
def test_a_part_of_a_header_asks_for_no_more_than_is_missing(case: str) -> None:
    data = GOOD[case][0]
    for size in range(len(data)):
        wanted = read_header(data[:size])
        assert isinstance(wanted, int)
        assert 0 < wanted <= len(data) - size


def test_nobody_is_waited_for_without_end() -> None:
    assert read_header(b"") == 15
    for start in (b"PROXY UNKNOWN ", START + b"\x21\x11\xff\xff"):
        with pytest.raises(ProxyHeaderError):
            read_from(start + b"x" * 100_000)


@given(st.binary(max_size=200))
@example(b"PROXY TCP4 \xb2.0.0.1 198.51.100.1 5000 443\r\n")
def test_arbitrary_bytes(data: bytes) -> None:
    for each in (data, b"PROXY " + data, b"PROXY TCP4 " + data + b"\r\n", START + data, v2(body=data)):
        try:
            result = read_header(each)
        except ProxyHeaderError:
            continue
        assert isinstance(result, ProxyHeader) or result > 0


PORTS = st.integers(0, 65535)


@given(
    st.one_of(st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(*[st.ip_addresses(v=6)] * 2)),
    PORTS,
    PORTS,
)
def test_both_versions_say_the_same(
    ends: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...], source: int, destination: int
) -> None:
    header = ProxyHeader(Endpoint(str(ends[0]), source), Endpoint(str(ends[1]), destination), False, False)
    version = ends[0].version
    line = f"PROXY TCP{version} {ends[0]} {ends[1]} {source} {destination}\r\n".encode()
    packed = ends[0].packed + ends[1].packed + struct.pack("!HH", source, destination)
    if ends[0].version == 6 and (ends[0].scope_id or ends[1].scope_id):
        return
    assert read_from(line + b"x") == (header, len(line))
    binary = v2(family=0x11 if version == 4 else 0x21, body=packed)
    assert read_from(binary + b"x") == (header, len(binary))
