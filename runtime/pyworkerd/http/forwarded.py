"""What proxies say about a request in its headers: `X-Forwarded-*`, and `Forwarded` (RFC 7239). Pure.

Each proxy appends the address that it got the request from, so the list is believed from its right end for as long
as those who wrote it are trusted: entry n was written by the machine that entry n + 1 names, the last one by our
peer. The first address that is not trusted is the client. What stands left of it, the client may have made up.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from .semantics import is_authority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd.messages import Headers

MAX_HOPS: Final = 32
"""Proxies in a row that are looked through. Our own figure, and far more than anybody has: it bounds the work."""

_NODE: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::\w{1,32})?|([0-9.]+)(?::\w{1,32})?|([0-9A-Fa-f:.]+)", re.ASCII
)
_PAIR: Final = re.compile(
    r"""\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\.)*)")\s*([;,]|$)""",
    re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\(.)")
_SCHEMES: Final = ("http", "https")
_X_FORWARDED: Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
_MAX_FIELD: Final = 4096
"""Characters of one `Forwarded` field that is read. Our own figure; an element has about fifty."""


class Told(NamedTuple):
    """What trusted proxies said. None: nothing that can be used."""

    client: str | None
    """The address that the outermost trusted proxy got the request from; None if it did not tell."""
    scheme: str | None = None
    host: str | None = None


class _Hop(NamedTuple):
    """What one proxy said about the request that it got; empty where it said nothing."""

    node: str
    proto: str
    host: str


_SILENT: Final = _Hop("", "", "")
_UNKNOWN: Final = _Hop("unknown", "", "")


def plain_address(text: str) -> str | None:
    """An IP address in its usual form: an IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is what it carries, and a
    zone (`%eth0`) is left out. None for anything else.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def node_address(node: str) -> str | None:
    """The address of `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` or `2001:db8::1`.

    None for `unknown`, for obfuscated identifiers (`_hidden`, RFC 7239 section 6.3) and for what is malformed.
    """
    match = _NODE.fullmatch(node)
    return None if match is None else plain_address(match[1] or match[2] or match[3])


def told(headers: Headers, believed: frozenset[str], peer: str | None, trusts: Callable[[str], bool]) -> Told:
    """What the believed headers of a request say that came from a trusted peer.

    `believed` names headers in lower case; where `forwarded` is one of them it alone is read, otherwise
    `x-forwarded-for`, `-proto` and `-host` are, each as far as it is named.
    """
    standard = "forwarded" in believed
    hops = _forwarded(_values(headers, "forwarded")) if standard else _x_forwarded(headers, believed)
    client, hop = peer, _SILENT
    for hop in hops:
        if hop.node == "":
            break
        client = node_address(hop.node)
        if client is None or not trusts(client):
            break
    scheme, host = hop.proto.lower(), hop.host
    return Told(client, scheme if scheme in _SCHEMES else None, host if is_authority(host) else None)


def _values(headers: Headers, name: str) -> list[str]:
    return [value for key, value in headers if key == name]


def _x_forwarded(headers: Headers, believed: frozenset[str]) -> list[_Hop]:
    """Nearest proxy first. Lists of equal length were written together; otherwise only the nearest proxy's word
    counts for what the others have fewer of.
    """
    nodes, protos, hosts = (
        _from_the_right(_values(headers, name)) if name in believed else [] for name in _X_FORWARDED
    )
    return [
        _Hop(node, _beside(i, nodes, protos), _beside(i, nodes, hosts))
        for i, node in enumerate(nodes or [""])
    ]


def _beside(i: int, nodes: list[str], others: list[str]) -> str:
    return others[i if len(others) == len(nodes) else 0] if others else ""


def _from_the_right(values: Sequence[str]) -> list[str]:
    """The last entries of a comma-separated list over several fields, last one first; empty ones do not count."""
    entries: list[str] = []
    for value in reversed(values):
        last = [entry.strip(" \t") for entry in value.rsplit(",", MAX_HOPS)[-MAX_HOPS:]]
        entries += filter(None, reversed(last))
    return entries[:MAX_HOPS]


def _forwarded(values: Sequence[str]) -> list[_Hop]:
    """Nearest proxy first. A field that is malformed hides itself and what came before it."""
    hops: list[_Hop] = []
    for value in reversed(values):
        elements = _elements(value) if len(value) <= _MAX_FIELD else None
        if elements is None:
            return [*hops[: MAX_HOPS - 1], _UNKNOWN]
        hops += [
            _Hop(each.get("for") or "unknown", each.get("proto", ""), each.get("host", ""))
            for each in reversed(elements)
        ]
        if len(hops) >= MAX_HOPS:
            break
    return hops[:MAX_HOPS]


def _elements(value: str) -> list[dict[str, str]] | None:
    """The elements of one field (RFC 7239 section 4), or None if it is malformed."""
    elements: list[dict[str, str]] = []
    position, begins = 0, True
    while position < len(value) or begins:
        match = _PAIR.match(value, position)
        if match is None:
            return None
        if begins:
            elements.append({})
        name, token, quoted, end = match[1].lower(), match[2], match[3], match[4]
        if name in elements[-1]:
            return None
        elements[-1][name] = token if token is not None else _ESCAPED.sub(r"\1", quoted)
        position, begins = match.end(), end == ","
    return elements


def neighbourhood(client: str) -> str:
    """What counts as one address: of IPv6 the network that one household has (RFC 6177)."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:  # as a socket for both families tells it
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return client
