"""Whom a request comes from, and where it believes to be: decided for each request, from what can be trusted. Pure.

| peer | headers about the client | `cf-connecting-ip`, `x-real-ip` | scheme and host of the URL |
|---|---|---|---|
| anybody | removed | the peer | the connection's, and a target that names another is refused; the request's Host |
| trusted | the believed stay, others are removed | whom the believed name | what the believed say |

A client that a PROXY header names takes the peer's place in this table.

Headers about the client are the names of `ABOUT_CLIENT`. Whatever a worker finds under them was written by this
server or by a proxy that the operator trusts.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pyworkerd.errors import Misdirected
from pyworkerd.http.forwarded import told
from pyworkerd.http.semantics import request_url, with_host
from pyworkerd.observe.scope import Given, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyworkerd.http import RequestHead
    from pyworkerd.messages import Headers

    from .info import ConnectionInfo

BELIEVED: Final = ("x-forwarded-for", "x-forwarded-proto")
"""What trusted peers are believed by default. Nearly every proxy sets these two itself. Not so the host: some pass on
whatever a client wrote there."""

# `_` counts as `-`: programs that read headers as CGI variables cannot tell them apart.
ABOUT_CLIENT: Final = re.compile(
    r"cf[-_].*|x[-_]forwarded[-_].*|x[-_]real[-_]ip|forwarded|true[-_]client[-_]ip|client[-_]cert.*"
)
"""Names of headers by which those in front of a server tell it about clients."""
_INITIALS: Final = "cfxt"


@dataclass(frozen=True, slots=True)
class Trust:
    """Peers whose word about clients counts, and which headers of theirs."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    unix: bool = False
    """Whether peers on a Unix socket are among them."""
    believed: frozenset[str] = frozenset(BELIEVED)

    @classmethod
    def of(cls, entries: Iterable[str], believed: Iterable[str] = BELIEVED) -> Trust:
        """From the words of a configuration: CIDR blocks, addresses, `unix`. Raises ValueError for others."""
        entries = list(entries)
        networks = tuple(ipaddress.ip_network(entry) for entry in entries if entry != "unix")
        return cls(networks, "unix" in entries, frozenset(believed))

    def covers(self, address: str | None) -> bool:
        """Whether a peer is trusted: an address in its usual form, None for a peer on a Unix socket."""
        if address is None:
            return self.unix
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self.networks)


NOBODY: Final = Trust()


class Told(NamedTuple):
    """What is handed on of a request's head."""

    url: str
    headers: Headers
    info: ConnectionInfo
    """Who sent it."""
    trace: Given | None
    """What it continues."""


class Origin:
    """The client side of one connection, as requests of it are told."""

    __slots__ = ("_added", "_head", "_own", "_told", "_trust", "_trusted", "info")

    def __init__(self, info: ConnectionInfo, trust: Trust) -> None:
        self.info = info
        self._trust = trust
        self._trusted = trust.covers(info.client)
        self._added = _added(info)
        self._own = frozenset(name for name, _ in self._added)
        self._head: RequestHead | None = None
        self._told = cast("Told", None)
        """What was made of this head: a parser that is sent the same again gives the very same one, or the same headers
        with another target."""

    def read(self, head: RequestHead) -> Told:
        """What is handed on of a request. Raises `Misdirected`."""
        before = self._head
        if head is before:
            return self._told
        self._told = told = self._read_trusted(head) if self._trusted else self._read(head, before)
        self._head = head
        return told

    def _read(self, head: RequestHead, before: RequestHead | None) -> Told:
        info = self.info
        if head.target[0] != "/":
            _check_scheme(head.target, info.scheme)
        url = request_url(head, info.server, info.scheme)
        if before is not None and head.headers is before.headers:
            return self._told._replace(url=url)
        kept = [
            pair
            for pair in head.headers
            if pair[0][0] not in _INITIALS or not ABOUT_CLIENT.fullmatch(pair[0])
        ]
        trace, headers = read((*kept, *self._added))
        return Told(url, headers, info, trace)

    def _read_trusted(self, head: RequestHead) -> Told:
        believed = self._trust.believed - self._own
        client, scheme, host = told(head.headers, believed, self.info.client, self._trust.covers)
        headers: Headers = tuple(
            pair for pair in head.headers if not ABOUT_CLIENT.fullmatch(pair[0]) or pair[0] in believed
        )
        info, added = self.info, self._added
        if client != info.client or (scheme or info.scheme) != info.scheme:
            port = info.client_port if client == info.client else None
            info = replace(info, client=client, client_port=port, scheme=scheme or info.scheme)
            added = _added(info)
        if host is not None:
            head = head._replace(authority=host)
            headers = with_host(headers, host)
        trace, headers = read((*headers, *added))
        return Told(request_url(head, info.server, info.scheme), headers, info, trace)


def _check_scheme(target: str, scheme: str) -> None:
    """RFC 9110 section 7.4: who asks for an `https` resource has to have been sure whom it asks. Only a gateway that is
    trusted may have been so on another connection. (In HTTP/2 `:scheme` is not looked at: gateways write there what
    their own client spoke.)
    """
    if target != "*" and target.partition(":")[0].lower() != scheme:
        raise Misdirected(f"the target's scheme is not that of the connection, {scheme}")


def _added(info: ConnectionInfo) -> Headers:
    """What this server itself says about the client."""
    address: Headers = ()
    if info.client is not None:
        address = (("cf-connecting-ip", info.client), ("x-real-ip", info.client))
    return address + (info.certificate.headers if info.certificate is not None else ())
