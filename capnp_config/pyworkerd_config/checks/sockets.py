"""Cross checks of one socket: its address, and whom it believes about clients. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pyworkerd_config.model import FORWARDED, Place, Socket
from pyworkerd_config.names import UnixAddress, parse_address, peer_fault
from pyworkerd_config.problems import Problem, quote

ADDRESS_REMEDY = 'write for example "127.0.0.1:8787", "[::1]:8787" or "unix:/run/shop.sock"'
SOCKET_REMEDY = f'{ADDRESS_REMEDY}, or "systemd:shop" for a socket that systemd opened'

At = Callable[..., Place]

_MODE = re.compile(r"0?[0-7]{3}")
# What this server itself says about clients, and so nobody else.
_OWN = frozenset({"cf-connecting-ip", "x-real-ip"})
_ABOUT_CLIENT = re.compile(
    r"cf-[!#$%&'*+\-.^_`|~0-9a-z]+|x-forwarded-[!#$%&'*+\-.^_`|~0-9a-z]+|forwarded|true-client-ip|client-cert(-chain)?"
)


def socket_problems(socket: Socket, at: At) -> Iterator[Problem]:
    """What cannot work; `at` gives the place of a part of the socket."""
    address = parse_address(socket.address)
    if address is None:
        yield Problem(at("address"), f"malformed address {quote(socket.address)}", SOCKET_REMEDY)
    if socket.mode is not None and not _MODE.fullmatch(socket.mode):
        message = f"{quote(socket.mode)} is not a file mode"
        yield Problem(at("mode"), message, 'write three octal digits, for example "0660"')
    if socket.mode is not None and address is not None and not isinstance(address, UnixAddress):
        yield Problem(
            at("mode"),
            '"mode" is for Unix sockets that this server makes',
            "leave it out, or write unix:/path",
        )
    if socket.service is None and (socket.entrypoint is not None or socket.props is not None):
        key = "entrypoint" if socket.entrypoint is not None else "props"
        yield Problem(at(key), f'"{key}" needs "service": routes name none', 'write service = "..." as well')
    yield from _trust(socket, at)


def _trust(socket: Socket, at: At) -> Iterator[Problem]:
    for i, entry in enumerate(socket.trusted):
        if fault := peer_fault(entry):
            yield Problem(at("trusted", i), f"malformed peer {quote(entry)}", fault)
    if socket.proxy_protocol and not socket.trusted:
        message = (
            '"proxy_protocol" needs "trusted": a PROXY header counts only if it comes from a known proxy'
        )
        yield Problem(at("proxy_protocol"), message, 'write for example trusted = ["10.0.0.0/8"]')
    if socket.forwarded != FORWARDED and not socket.trusted:
        message = '"forwarded" needs "trusted": such headers are believed only if a known proxy sent them'
        yield Problem(at("forwarded"), message, 'write for example trusted = ["10.0.0.0/8"]')
    for i, name in enumerate(socket.forwarded):
        if name in _OWN:
            message = f"{quote(name)} is written by this server itself"
            yield Problem(at("forwarded", i), message, "leave it out; it is made of what the others say")
        elif not _ABOUT_CLIENT.fullmatch(name):
            message = f"{quote(name)} is no header about clients"
            yield Problem(at("forwarded", i), message, "leave it out; other headers are never removed")
    mixed = [
        name
        for name in socket.forwarded
        if name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
    ]
    if "forwarded" in socket.forwarded and mixed:
        message = f'"forwarded" and {quote(mixed[0])} may contradict each other'
        yield Problem(at("forwarded"), message, "keep the one that your proxies set")
