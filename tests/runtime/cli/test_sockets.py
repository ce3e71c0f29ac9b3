"""`--socket-addr`, without a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd.cli.sockets import with_addresses
from pyworkerd_config import Config, ConfigError, Place, Socket

CONFIG = Config(
    sockets=(Socket("http", "127.0.0.1:80", "w"), Socket("local", "unix:/s")), place=Place(Path("c.toml"))
)


def test_nothing_given_changes_nothing() -> None:
    assert with_addresses(CONFIG, []) == CONFIG


def test_the_last_one_counts_and_order_stays() -> None:
    moved = with_addresses(CONFIG, ["local=[::1]:0", "http=unix:/a=b", "local=*:1"])
    assert moved.sockets == (Socket("http", "unix:/a=b", "w"), Socket("local", "*:1"))


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        with_addresses(CONFIG, ["web=127.0.0.1:1", "http", "http=127.0.0.1:99999"])
    lines = str(caught.value).splitlines()
    assert lines[0] == "c.toml: --socket-addr: there is no socket named 'web': there are: http, local"
    assert lines[1].startswith("c.toml: --socket-addr: malformed address '': write for example")
    assert lines[2].startswith("c.toml: --socket-addr: malformed address '127.0.0.1:99999'")


def test_a_server_without_sockets() -> None:
    with pytest.raises(ConfigError, match="no socket to listen on"):
        with_addresses(Config(), [])
