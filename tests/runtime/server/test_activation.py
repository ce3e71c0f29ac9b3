"""What systemd hands over: which descriptors are meant, and what becomes of them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from pyworkerd.errors import ConfigurationError
from pyworkerd.server import HttpServer, activation, bind
from pyworkerd.server.activation import NotActivated, adopt, given

from tests.runtime.server.client import Client, get, hello, run

if TYPE_CHECKING:
    from pathlib import Path

ME = os.getpid()


def environment(fds: object = 2, names: str | None = "a:b", process: object = ME) -> dict[str, str]:
    found = {"LISTEN_FDS": str(fds), "LISTEN_PID": str(process)}
    return found if names is None else {**found, "LISTEN_FDNAMES": names}


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        (environment(), {"a": (3,), "b": (4,)}),
        (environment(3, "a:b:a"), {"a": (3, 5), "b": (4,)}),
        (environment(2, None), {"unknown": (3, 4)}),
        (environment(3, "a::c"), {"a": (3,), "unknown": (4,), "c": (5,)}),
        (environment(1, "a:b"), {"a": (3,)}),
        (environment(0, ""), {}),
        (environment(process=ME + 1), {}),
        (environment(process=f"0{ME}"), {}),
        (environment(-1), {}),
        (environment("\u0663"), {}),
        (environment("2 "), {}),
        (environment(99999), {}),
        (environment(1025), {}),
        ({}, {}),
    ],
)
def test_what_is_meant_for_this_process(variables: dict[str, str], found: dict[str, tuple[int, ...]]) -> None:
    assert given(variables, ME) == found


@examples(st.text(), st.text())
def test_any_text(fds: str, names: str) -> None:
    found = given(environment(fds, names), ME)
    assert all(fd >= 3 for descriptors in found.values() for fd in descriptors)


def _side_by_side() -> tuple[socket.socket, socket.socket]:
    """At two descriptors of which the second follows the first; nothing is closed to make room for them."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    least = 200
    while True:
        places = [fcntl.fcntl(made[0], fcntl.F_DUPFD_CLOEXEC, least)]
        places.append(fcntl.fcntl(made[1], fcntl.F_DUPFD_CLOEXEC, places[0] + 1))
        if places[1] == places[0] + 1:
            break
        for place in places:
            os.close(place)
        least = places[1]
    for each in made:
        each.close()
    return socket.socket(fileno=places[0]), socket.socket(fileno=places[1])


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Two listening sockets, as systemd would have left them, but not at descriptor 3, which pytest may need."""
    first, second = _side_by_side()
    monkeypatch.setattr(activation, "FIRST", first.fileno())
    for name, value in environment(2, "a:b").items():
        monkeypatch.setenv(name, value)
    return [first, second]


def test_a_socket_is_served_and_stays_open_for_the_next(handed: list[socket.socket]) -> None:
    async def main() -> None:
        for _ in range(2):
            server = HttpServer(hello)
            address = await server.start("systemd:b")
            port = handed[1].getsockname()[1]
            assert address == f"127.0.0.1:{port}"
            client = await connect(port)
            assert (await client.ask(get("/")))[0] == 200
            await client.aclose()
            await server.aclose()
        waiting = await connect(port)  # the kernel keeps who comes in between
        server = HttpServer(hello)
        await server.start("systemd:b")
        assert (await waiting.ask(get("/")))[0] == 200
        await waiting.aclose()
        await server.aclose()

    run(main)
    for each in handed:
        each.close()


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


def test_what_is_not_there(handed: list[socket.socket]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"cannot listen on systemd:c: .* named 'c'; there are: a, b"
    ):
        bind("systemd:c")
    for each in handed:
        each.close()
    with pytest.raises(NotActivated, match=r"none: LISTEN_FDS and LISTEN_PID"):
        adopt("a", {})
    with pytest.raises(ConfigurationError, match="cannot listen on systemd:a"):
        bind("systemd:a")  # closed meanwhile


def test_what_is_no_stream_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        monkeypatch.setattr(activation, "FIRST", datagrams.fileno())
        with pytest.raises(OSError, match="no stream socket"):
            adopt("a", environment(1, "a"))


def test_a_unix_socket_keeps_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        monkeypatch.setattr(activation, "FIRST", made.fileno())
        for name, value in environment(1, "a").items():
            monkeypatch.setenv(name, value)
        listener = bind("systemd:a")
        assert str(listener.address) == f"unix:{path}"
        listener.close()
        assert path.is_socket()
