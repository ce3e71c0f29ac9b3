"""Binding, with the system's real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.server import HttpServer, bind, bind_socket, listening
from pyworkerd_config import Socket

from tests.runtime.server.client import Client, get, hello, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def port_of(text: str) -> int:
    return int(text.rpartition(":")[2])


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:0", "*:0"])
def test_the_port_is_known_before_anybody_listens(text: str) -> None:
    listener = bind(text)
    try:
        port = port_of(str(listener.address))
        assert str(listener.address) == text.replace(":0", f":{port}")
        assert {each.getsockname()[1] for each in listener.sockets} == {port}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        listener.listen(1)
        socket.create_connection(("127.0.0.1", port)).close()
    finally:
        listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    listener.close()


@pytest.mark.parametrize(
    "text", ["nonsense", "127.0.0.1:99999", "unix:", "192.0.2.1:80", "unix:/no/such/folder/s"]
)
def test_what_cannot_be_bound_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="listen on"):
        bind(text)


def test_an_address_that_somebody_else_listens_on() -> None:
    taken = bind("127.0.0.1:0")
    late = bind(str(taken.address))  # both are bound; who listens first has it
    taken.listen(1)
    with pytest.raises(ConfigurationError, match=f"cannot listen on {taken.address}"):
        late.listen(1)
    with pytest.raises(ConfigurationError, match=f"cannot listen on {taken.address}"):
        bind(str(taken.address))
    late.close()
    taken.close()


def test_all_addresses_of_a_name_get_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", 0)) for n in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    listener = bind("three:0")
    names = [each.getsockname() for each in listener.sockets]
    assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert {port for _, port in names} == {port_of(str(listener.address))}
    listener.close()


def test_addresses_that_the_machine_does_not_have_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    listener = bind("name:0")
    assert [each.getsockname()[0] for each in listener.sockets] == ["127.0.0.1"]
    listener.close()


def failing(times: int) -> Callable[..., tuple[socket.socket, ...]]:
    """`_bind_all`, whose port is taken at another address the first few times."""
    real, left = listening._bind_all, [times]

    def bind_all(places: Sequence[tuple[int, tuple[object, ...]]]) -> tuple[socket.socket, ...]:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(places)

    return bind_all


def test_another_port_is_tried_where_one_is_not_free_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_bind_all", failing(listening._TRIES - 1))
    bind("localhost:0").close()
    monkeypatch.undo()
    monkeypatch.setattr(listening, "_bind_all", failing(listening._TRIES))
    with pytest.raises(ConfigurationError, match="in use"):
        bind("localhost:0")


def test_a_stale_unix_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    listener = bind(f"unix:{path}")
    listener.listen(1)
    with pytest.raises(ConfigurationError, match="another server"):
        bind(f"unix:{path}")
    listener.close()
    assert not path.exists()


def test_what_is_not_a_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="cannot listen"):
        bind(f"unix:{path}")
    assert path.read_text() == "precious"


def test_only_the_file_that_was_made_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = bind(f"unix:{path}")
    path.rename(tmp_path / "moved")
    second = bind(f"unix:{path}")
    first.close()
    assert path.is_socket()
    second.close()
    assert not path.exists()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_two_servers_on_the_same_sockets(loop: str, tmp_path: Path) -> None:
    """As two processes do it: when one stops, the other has all the clients, also those that wait already."""

    async def main() -> None:
        for text in ("127.0.0.1:0", f"unix:{tmp_path / 's'}"):
            listener = bind(text)
            first, second = HttpServer(hello), HttpServer(hello)
            for server in (first, second):
                assert await server.start(listener.share()) == str(listener.address)
            await first.aclose()
            for _ in range(3):
                if text.startswith("unix:"):
                    client = Client(*await asyncio.open_unix_connection(text.removeprefix("unix:")))
                else:
                    client = Client(
                        *await asyncio.open_connection("127.0.0.1", port_of(str(listener.address)))
                    )
                assert (await client.ask(get("/x")))[0] == 200
                await client.aclose()
            await second.aclose()
            listener.close()

    run(main, loop)


@pytest.mark.parametrize("mode", ["0600", "666", "0660"])
def test_the_permissions_of_a_unix_socket(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = bind_socket(Socket("x", f"unix:{path}", mode=mode))
    try:
        assert path.stat().st_mode & 0o777 == int(mode, 8)
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(path))  # not even the short while before the permissions were right
    finally:
        listener.close()
