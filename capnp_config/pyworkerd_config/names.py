"""The small grammars of the configuration: names, addresses, routes, networks, dates. Pure.

Each `*_fault` function gives the reason why a text cannot be used, or None.
"""

from __future__ import annotations

import ipaddress
import keyword
import re
from dataclasses import dataclass
from datetime import date

NETWORK_WORDS = ("public", "private", "local", "network")
"""Sets of addresses that have a name (workerd.capnp, Network)."""

RESERVED_BINDINGS = frozenset({"constructor", "prototype", "then"})
"""Names that every JavaScript object answers to, or by which `await env` would take it for a promise."""

MAX_NAME = 63
"""Characters of a name: a DNS label (RFC 1035 section 2.3.4), which Workers' names must fit as well."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_NAME - 1}}}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_ROUTE = re.compile(
    r"(?:(?P<scheme>[^:/]*)://)?(?P<host>\[[^/\]]*\]|[^/:\[]*)(?P<port>:[^/]*)?(?P<path>/.*)", re.DOTALL
)
_ROUTE_LABEL = r"[^\s*/?#@\\:\[\].]+"
_ROUTE_HOST = re.compile(rf"\*|(?:\*\.?)?{_ROUTE_LABEL}(?:\.{_ROUTE_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]")
_ROUTE_PATH = re.compile(r"/[^\s*?#]*\*?")
_PORT = re.compile(r"[0-9]{1,5}")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2
_FD_NAME = re.compile(r"[\x20-\x39\x3b-\x7e]{1,255}")  # sd_listen_fds(3), LISTEN_FDNAMES
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

MAX_UNIX_PATH = 107
"""Bytes of a Unix socket's path (Linux, unix(7): sun_path holds 108 with its zero)."""


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """`host:port`; a host of `*` means every address of the machine, port 0 one that the system picks."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """`unix:/path`."""

    path: str


@dataclass(frozen=True, slots=True)
class SystemdAddress:
    """`systemd:NAME`: what systemd opened under that name (FileDescriptorName=, or the name of the unit)."""

    name: str


def parse_address(text: str) -> TcpAddress | UnixAddress | SystemdAddress | None:
    """What an address means, or None if it is malformed. `[::1]:80` gives the host without its brackets."""
    if text.startswith("systemd:"):
        name = text.removeprefix("systemd:")
        return SystemdAddress(name) if _FD_NAME.fullmatch(name) else None
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        sound = path.isprintable() and 0 < len(path.encode(errors="replace")) <= MAX_UNIX_PATH
        return UnixAddress(path) if sound else None
    host, _, port = text.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > 65535 or not _is_host(host):
        return None
    return TcpAddress(host.strip("[]"), int(port))


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        return _is_ip(host[1:-1], 6)
    if re.fullmatch(r"[0-9.]+", host):
        return _is_ip(host, 4)
    return host == "*" or (len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None)


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def name_fault(name: str) -> str | None:
    """Of a service or socket: part of file names, metrics and logs, so it is kept plain."""
    if _NAME.fullmatch(name):
        return None
    return f"a name has 1 to {MAX_NAME} letters, digits and ._- and begins with a letter or digit"


def binding_name_fault(name: str) -> str | None:
    """Of a binding: it is written `env.NAME` in Python and in JavaScript."""
    if not _IDENTIFIER.fullmatch(name):
        return "not an identifier"
    if keyword.iskeyword(name):
        return "a word of Python"
    return "reserved" if name in RESERVED_BINDINGS or name.startswith("__") else None


def route_fault(pattern: str) -> str | None:
    """Of a route: `[scheme://][host[:port]]/path`; `*` may begin the host and end the path."""
    if "/" not in pattern.partition("://")[2 if "://" in pattern else 0]:
        return "a route has a path"
    parts = _ROUTE.fullmatch(pattern)
    if parts is None:
        return "it is not [host]/path"
    host, port, path = parts["host"], parts["port"], parts["path"]
    faults = (
        (parts["scheme"] not in (None, "http", "https", "*"), "the scheme must be http or https"),
        (not host and (parts["scheme"] or port), "there is no host"),
        (port and not (_PORT.fullmatch(port[1:]) and 0 < int(port[1:]) < 65536), "the port is not a port"),
        (host and not _ROUTE_HOST.fullmatch(host), "the host is not a name, *.name or *"),
        ("?" in path or "#" in path, "a route ends with the path"),
        (not _ROUTE_PATH.fullmatch(path), "a path has no blanks, and * only as its last character"),
    )
    return next((fault for wrong, fault in faults if wrong), None)


def route_key(pattern: str) -> str:
    """What a route matches by: two services cannot have routes of one key. Scheme and port take no part."""
    parts = _ROUTE.fullmatch(pattern)
    if parts is None:
        return pattern
    # No host and any host are the same set of requests.
    host = parts["host"].lower().removesuffix(".")
    return ("" if host == "*" else host) + parts["path"]


def network_fault(entry: str) -> str | None:
    """Of an entry of `allow` or `deny`: a CIDR block, an address, or one of `NETWORK_WORDS`."""
    if entry in NETWORK_WORDS:
        return None
    try:
        block = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return f"not a CIDR block and none of {', '.join(NETWORK_WORDS)}"
    try:
        ipaddress.ip_network(entry)
    except ValueError:
        return f"it has bits set after the prefix; its block is {block}"
    if isinstance(block, ipaddress.IPv6Network) and block.subnet_of(_MAPPED):
        return "such addresses are judged as IPv4; write the IPv4 block"
    return None


def peer_fault(entry: str) -> str | None:
    """Of an entry of `trusted`: a CIDR block, an address, or `unix`."""
    if entry == "unix":
        return None
    if entry in NETWORK_WORDS:
        return 'write CIDR blocks, for example "10.0.0.0/8", or "unix"'
    fault = network_fault(entry)
    return (
        'not a CIDR block, and not "unix"' if fault is not None and fault.startswith("not a CIDR") else fault
    )


def date_fault(text: str) -> str | None:
    """Of a compatibility date."""
    try:
        ok = _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        ok = False
    return None if ok else "not a date"
