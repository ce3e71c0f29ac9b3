"""Sockets that are sound; the messages for the others are in `data/problems.txt`."""

from __future__ import annotations

import ipaddress

import pytest
from pyworkerd.server.origin import ABOUT_CLIENT, BELIEVED, Trust
from pyworkerd_config import Place, Socket
from pyworkerd_config.checks.sockets import socket_problems
from pyworkerd_config.model import FORWARDED


def problems(socket: Socket) -> list[str]:
    return [str(problem) for problem in socket_problems(socket, lambda *_: Place())]


@pytest.mark.parametrize(
    "socket",
    [
        Socket("x", "unix:/run/x.sock", mode="0660"),
        Socket("x", "unix:/run/x.sock", mode="666", trusted=("unix",)),
        Socket("x", "systemd:x", trusted=("10.0.0.0/8", "fd00::/8", "192.0.2.1"), proxy_protocol=True),
        Socket("x", "*:80", trusted=("::1",), forwarded=("forwarded", "cf-ray", "x-forwarded-user")),
        Socket("x", "*:80", trusted=("::1",), forwarded=()),
        Socket("x", "*:80", "shop", entrypoint="Admin", props={"role": "admin"}),
    ],
)
def test_what_works(socket: Socket) -> None:
    assert problems(socket) == []
    assert Trust.of(socket.trusted, socket.forwarded).unix is ("unix" in socket.trusted)


@pytest.mark.parametrize(
    "name", ["cf-ray", "x-forwarded-user", "forwarded", "true-client-ip", "client-cert-chain"]
)
def test_what_can_be_believed_is_what_would_be_removed(name: str) -> None:
    assert ABOUT_CLIENT.fullmatch(name)
    assert problems(Socket("x", "*:80", trusted=("::1",), forwarded=(name,))) == []


def test_both_packages_believe_the_same_by_default() -> None:
    assert FORWARDED == BELIEVED


def test_trusted_peers_are_networks() -> None:
    trust = Trust.of(("10.0.0.0/8", "::1"))
    assert trust.networks == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    ("socket", "key"),
    [(Socket("x", "*:80", entrypoint="A"), "entrypoint"), (Socket("x", "*:80", props={}), "props")],
)
def test_routes_name_no_entrypoint(socket: Socket, key: str) -> None:
    assert problems(socket)[0].endswith(
        f'"{key}" needs "service": routes name none: write service = "..." as well'
    )
