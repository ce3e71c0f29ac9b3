"""`https = { ... }` of a socket; the messages for what is wrong are in `data/problems.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Certificate, Https, Place, check, parse_toml

SOCKET = """
[[services]]
name = "s"
network = {}
[[sockets]]
name = "x"
address = "127.0.0.1:0"
service = "s"
"""
A = Certificate(Path("conf/a.pem"), Path("/keys/a.key"))
B = Certificate(Path("conf/b.pem"), Path("conf/b.key"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{ cert = "a.pem", key = "/keys/a.key" }', Https((A,))),
        ('{ certificates = [{ cert = "a.pem", key = "/keys/a.key" }] }', Https((A,))),
        (
            '{ certificates = [{ cert = "a.pem", key = "/keys/a.key" }, { cert = "b.pem", key = "b.key" }] }',
            Https((A, B)),
        ),
        (
            '{ cert = "b.pem", key = "b.key", min_version = "1.3", client_ca = "ca.pem" }',
            Https((B,), "1.3", Path("conf/ca.pem")),
        ),
        (
            '{ cert = "b.pem", key = "b.key", client_ca = "ca.pem", require_client_certs = false }',
            Https((B,), client_ca=Path("conf/ca.pem"), require_client_certs=False),
        ),
    ],
)
def test_what_is_understood(written: str, read: Https) -> None:
    config = parse_toml(f"{SOCKET}https = {written}", Place(Path("conf/config.toml")))
    assert config.sockets[0].https == read
    assert check(config) == []


def test_a_table_of_its_own_keeps_the_lines_of_its_keys() -> None:
    text = f'{SOCKET}[sockets.https]\ncert = "a.pem"\nkey = "/keys/a.key"\n'
    socket = parse_toml(text, Place(Path("conf/config.toml"))).sockets[0]
    assert socket.https == Https((A,))
    assert [socket.places.at("https", key).line for key in ("cert", "key")] == [10, 11]
