"""Which addresses a network service may connect to. Pure: it is given addresses, never names.

The words are those of workerd.capnp (`Network`); the tables follow IANA's special-purpose address registries
(RFC 6890): https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry. They are
written out because `ipaddress.is_global` will not do: it calls 224.0.0.1 global, and Python 3.12 does the
same with 2002::/16 and 64:ff9b:1::/48 where 3.13 does not. A policy must not change with the interpreter.

Rule 1: an address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo) is judged as that IPv4 address,
because that is where its packets end.
Rule 2: an address is permitted if one `allow` entry matches and no `deny` entry does.
Rule 3: addresses reserved for something other than ordinary hosts (multicast, documentation, benchmarks)
belong to no class; only a CIDR block written out by the operator matches them.

Public addresses that lead inside all the same are the operator's to deny: 168.63.129.16 on Azure, for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def _blocks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ip_network(text) for text in texts)


_LOCAL = _blocks(
    "127.0.0.0/8",  # loopback, RFC 1122
    "0.0.0.0/32",  # a connection to it reaches this machine on Linux
    "::1/128",  # loopback, RFC 4291
    "::/128",
)
_PRIVATE = _blocks(
    "10.0.0.0/8",  # RFC 1918
    "172.16.0.0/12",  # RFC 1918
    "192.168.0.0/16",  # RFC 1918
    "100.64.0.0/10",  # shared by carriers' NAT, RFC 6598
    "169.254.0.0/16",  # link-local, RFC 3927; the metadata services of clouds
    "fc00::/7",  # unique local, RFC 4193
    "fe80::/10",  # link-local, RFC 4291
)
_RESERVED = _blocks(
    "0.0.0.0/8",  # "this network", RFC 791
    "192.0.0.0/24",  # protocol assignments, RFC 6890; with the two anycast addresses that IANA calls global
    "192.0.2.0/24",  # documentation, RFC 5737
    "192.88.99.0/24",  # 6to4 relays, withdrawn by RFC 7526
    "198.18.0.0/15",  # benchmarks, RFC 2544
    "198.51.100.0/24",  # documentation, RFC 5737
    "203.0.113.0/24",  # documentation, RFC 5737
    "224.0.0.0/4",  # multicast, RFC 1112
    "240.0.0.0/4",  # reserved, RFC 1112; with the broadcast address, RFC 919
    "2001::/23",  # protocol assignments, RFC 2928; exceptions below
    "2001:db8::/32",  # documentation, RFC 3849
    "2002::/16",  # 6to4, RFC 3056; judged by what it carries before this is asked
    "3fff::/20",  # documentation, RFC 9637
)
_GLOBAL_ASSIGNMENTS = _blocks(
    "2001:1::1/128",  # port control protocol anycast, RFC 7723
    "2001:1::2/128",  # TURN anycast, RFC 8155
    "2001:1::3/128",  # DNS-SD service registration anycast, RFC 9665
    "2001:3::/32",  # automatic multicast tunnelling, RFC 7450
    "2001:4:112::/48",  # AS112, RFC 7535
    "2001:20::/28",  # ORCHIDv2, RFC 7343
    "2001:30::/28",  # drone remote identification, RFC 9374
)
_UNICAST = _blocks("0.0.0.0/0", "2000::/3")
"""All that is handed out as global unicast: of IPv6 only this eighth (RFC 3587)."""

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 section 2.5.5.1
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/96")  # RFC 8215; other layouts of its /48 count as nothing known
_SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056
_TEREDO = IPv6Network("2001::/32")  # RFC 4380


def _low(address: int) -> tuple[int, ...]:
    return (address & 0xFFFFFFFF,)


def _six_to_four(address: int) -> tuple[int, ...]:
    return (address >> 80 & 0xFFFFFFFF,)


def _teredo(address: int) -> tuple[int, ...]:
    server, client = address >> 64 & 0xFFFFFFFF, ~address & 0xFFFFFFFF
    return (server, client)


_CARRIERS: tuple[tuple[IPv6Network, Callable[[int], tuple[int, ...]]], ...] = (
    (_MAPPED, _low),
    (_COMPATIBLE, _low),
    (_NAT64, _low),
    (_NAT64_LOCAL, _low),
    (_SIX_TO_FOUR, _six_to_four),
    (_TEREDO, _teredo),
)


def _within(address: Address, blocks: tuple[_Network, ...]) -> bool:
    return any(address in block for block in blocks)


def carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside an IPv6 one: none, one, or Teredo's server and client."""
    if isinstance(address, IPv4Address) or _within(address, _LOCAL):
        return ()
    for block, extract in _CARRIERS:
        if address in block:
            return tuple(IPv4Address(value) for value in extract(int(address)))
    return ()


def _is_local(address: Address) -> bool:
    return _within(address, _LOCAL)


def _is_private(address: Address) -> bool:
    return _within(address, _PRIVATE) or _is_local(address)


def _is_public(address: Address) -> bool:
    if _is_private(address) or not _within(address, _UNICAST):
        return False
    return not _within(address, _RESERVED) or _within(address, _GLOBAL_ASSIGNMENTS)


def _is_network(address: Address) -> bool:
    return not _is_local(address) and (_within(address, _PRIVATE) or _is_public(address))


def _never(_: Address) -> bool:
    return False


_CLASSES: dict[str, Callable[[Address], bool]] = {
    "local": _is_local,
    "private": _is_private,
    "public": _is_public,
    "network": _is_network,
    # Names of Unix sockets in workerd. No URL leads to one here (an external server has its own address).
    "unix": _never,
    "unix-abstract": _never,
}


def _matcher(entry: str) -> Callable[[Address], bool]:
    if entry in _CLASSES:
        return _CLASSES[entry]
    try:
        block = ip_network(entry)
    except ValueError as error:
        raise ValueError(
            f"{entry!r} is neither a CIDR block nor one of {', '.join(sorted(_CLASSES))} ({error})"
        ) from None
    if isinstance(block, IPv6Network) and block.subnet_of(_MAPPED):
        raise ValueError(f"{entry!r} never matches: such addresses are judged as IPv4, write the IPv4 block")
    return block.__contains__


@dataclass(frozen=True, slots=True)
class Policy:
    """What `allow` and `deny` of a network service mean."""

    allow: tuple[Callable[[Address], bool], ...]
    deny: tuple[Callable[[Address], bool], ...]

    @classmethod
    def parse(cls, allow: Iterable[str], deny: Iterable[str] = ()) -> Policy:
        """Read entries: CIDR blocks or class names. Raises ValueError with the entry in its sentence."""
        return cls(tuple(map(_matcher, allow)), tuple(map(_matcher, deny)))

    def permits(self, address: Address) -> bool:
        """Whether a connection to this address may be opened.

        An address that carries others needs a permit for each of those; `deny` may also name it directly.
        """
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            address = IPv6Address(int(address))
        inside = carried(address)
        if inside:
            return all(map(self.permits, inside)) and not self._denies(address)
        return any(match(address) for match in self.allow) and not self._denies(address)

    def _denies(self, address: Address) -> bool:
        return any(match(address) for match in self.deny)
