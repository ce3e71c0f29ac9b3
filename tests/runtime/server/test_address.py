from __future__ import annotations

import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.server.address import SystemdAddress, TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", TcpAddress("127.0.0.1", 80)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:8787", TcpAddress("::1", 8787)),
        ("*:80", TcpAddress(None, 80)),
        ("unix:/run/a b", UnixAddress("/run/a b")),
        ("systemd:shop.socket", SystemdAddress("shop.socket")),
    ],
)
def test_addresses_and_back(text: str, expected: TcpAddress | UnixAddress | SystemdAddress) -> None:
    assert parse_address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80",
        ":80",
        "a:",
        "a:b",
        "a:65536",
        "::1:80",
        "[::1]",
        "unix:",
        "systemd:",
        "unix:a\0",
        "http://a:80",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationError, match="address to listen on"):
        parse_address(text)
