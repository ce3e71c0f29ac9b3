from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd.services.egress import Policy, carried

# address -> the classes that it belongs to, in the words of workerd.capnp
CLASSES = {
    "1.1.1.1": "public network",
    "8.8.8.8": "public network",
    "192.31.196.1": "public network",
    "192.175.48.1": "public network",
    "223.255.255.255": "public network",
    "100.63.255.255": "public network",
    "100.128.0.0": "public network",
    "172.15.255.255": "public network",
    "172.32.0.0": "public network",
    "2606:4700::1": "public network",
    "2620:4f:8000::1": "public network",
    "2001:200::1": "public network",
    "2001:1::1": "public network",
    "2001:20::1": "public network",
    "127.0.0.1": "local private",
    "127.255.255.255": "local private",
    "0.0.0.0": "local private",
    "::1": "local private",
    "::": "local private",
    "10.0.0.1": "private network",
    "172.16.0.1": "private network",
    "172.31.255.255": "private network",
    "192.168.1.1": "private network",
    "100.64.0.1": "private network",
    "100.127.255.255": "private network",
    "169.254.169.254": "private network",
    "fc00::1": "private network",
    "fd00:ec2::254": "private network",
    "fe80::1": "private network",
    "febf::1": "private network",
    "fe80::1%eth0": "private network",
    "0.0.0.1": "",
    "0.255.255.255": "",
    "192.0.0.1": "",
    "192.0.0.9": "",
    "192.0.0.192": "",
    "192.0.2.1": "",
    "192.88.99.1": "",
    "198.18.0.1": "",
    "198.19.255.255": "",
    "198.51.100.1": "",
    "203.0.113.1": "",
    "224.0.0.1": "",
    "239.255.255.255": "",
    "240.0.0.1": "",
    "255.255.255.255": "",
    "2001:2::1": "",
    "2001:100::1": "",
    "2001:db8::1": "",
    "3fff::1": "",
    "100::1": "",
    "5f00::1": "",
    "fec0::1": "",
    "ff02::1": "",
    "4000::1": "",
    "::ffff:0:808:808": "",
    # Forms that carry an IPv4 address.
    "::ffff:8.8.8.8": "public network",
    "::ffff:127.0.0.1": "local private",
    "::ffff:10.0.0.1": "private network",
    "::ffff:169.254.169.254": "private network",
    "::127.0.0.1": "local private",
    "64:ff9b::8.8.8.8": "public network",
    "64:ff9b::10.0.0.1": "private network",
    "64:ff9b:1::10.0.0.1": "private network",
    "64:ff9b:1:7f00:0:100:808:808": "",
    "2002:808:808::1": "public network",
    "2002:7f00:1::1": "local private",
    "2002:e000:1::1": "",
    "2001:0:808:808::f7f7:f7f7": "public network",
    "2001:0:808:808::80ff:fffe": "",  # a public server, a loopback client: in no class together
}


@pytest.mark.parametrize("name", ["public", "private", "local", "network"])
@pytest.mark.parametrize("address", CLASSES)
def test_classes(address: str, name: str) -> None:
    assert Policy.parse([name]).permits(ip_address(address)) is (name in CLASSES[address].split())


@pytest.mark.parametrize(
    ("allow", "deny", "address", "expected"),
    [
        ((), (), "8.8.8.8", False),
        (("10.0.0.0/8",), (), "10.1.2.3", True),
        (("10.0.0.0/8",), (), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), (), "11.0.0.0", False),
        (("10.1.2.3",), (), "10.1.2.3", True),
        (("224.0.0.0/4",), (), "224.0.0.1", True),
        (("fd00::/8",), (), "fd12::1", True),
        (("fd00::/8",), (), "10.0.0.1", False),
        (("::/0",), (), "::ffff:127.0.0.1", False),
        (("::/0",), (), "2002:7f00:1::", False),
        (("::/0",), (), "::1", True),
        (("public",), ("8.8.8.0/24",), "8.8.8.8", False),
        (("public",), ("8.8.8.0/24",), "64:ff9b::8.8.8.8", False),
        (("public",), ("8.8.8.0/24",), "8.8.9.8", True),
        (("public",), ("64:ff9b::/96",), "64:ff9b::1.1.1.1", False),
        (("public", "private"), ("local",), "127.0.0.1", False),
        (("public", "private"), ("local",), "10.0.0.1", True),
        (("public",), ("public",), "8.8.8.8", False),
        (("unix", "unix-abstract"), (), "127.0.0.1", False),
        (("public",), ("unix",), "8.8.8.8", True),
    ],
)
def test_allow_and_deny(allow: tuple[str, ...], deny: tuple[str, ...], address: str, expected: bool) -> None:
    assert Policy.parse(allow, deny).permits(ip_address(address)) is expected


@pytest.mark.parametrize(
    "entry", ["", "Public", "10.0.0.1/8", "10.0.0.0/33", "example.com", "::ffff:10.0.0.0/104"]
)
def test_unreadable_entries_are_named(entry: str) -> None:
    for allow, deny in (([entry], []), ([], [entry])):
        with pytest.raises(ValueError) as caught:
            Policy.parse(allow, deny)
        assert repr(entry) in str(caught.value)


CARRIERS = {
    "mapped": lambda v4: IPv6Address(0xFFFF << 32 | v4),
    "compatible": IPv6Address,
    "nat64": lambda v4: IPv6Address(0x64FF9B << 96 | v4),
    "nat64 local": lambda v4: IPv6Address(0x64FF9B0001 << 80 | v4),
    "6to4": lambda v4: IPv6Address(0x2002 << 112 | v4 << 80),
    "teredo": lambda v4: IPv6Address(0x20010000 << 96 | v4 << 64 | (~v4 & 0xFFFFFFFF)),
}
POLICIES = [
    Policy.parse(["public"]),
    Policy.parse(["private"]),
    Policy.parse(["local"]),
    Policy.parse(["network"], ["128.0.0.0/1"]),
    Policy.parse(["0.0.0.0/0"], ["private"]),
]


@pytest.mark.parametrize("form", CARRIERS)
@given(value=st.integers(2, 2**32 - 1))
@example(value=int(IPv4Address("127.0.0.1")))
@example(value=int(IPv4Address("10.0.0.1")))
@example(value=int(IPv4Address("8.8.8.8")))
def test_a_carried_address_has_the_verdict_of_its_own(form: str, value: int) -> None:
    address = CARRIERS[form](value)
    assert set(carried(address)) == {IPv4Address(value)}
    for policy in POLICIES:
        assert policy.permits(address) is policy.permits(IPv4Address(value))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_classes_do_not_contradict_each_other(address: IPv4Address | IPv6Address) -> None:
    public, private, local, network = (
        Policy.parse([name]).permits(address) for name in ("public", "private", "local", "network")
    )
    assert not (public and private)
    assert not (network and local)
    assert private or not local
    assert network == (public or (private and not local))


@given(st.ip_addresses(v=4))
def test_public_is_never_wider_than_the_interpreter_thinks(address: IPv4Address) -> None:
    if Policy.parse(["public"]).permits(address):
        assert address.is_global
        assert not address.is_multicast
