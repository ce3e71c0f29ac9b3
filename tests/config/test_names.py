"""The small grammars, and that they agree with the modules of the runtime that use what they let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.routing import Route
from pyworkerd.services.egress import Policy
from pyworkerd_config import SystemdAddress, TcpAddress, UnixAddress, parse_address
from pyworkerd_config.names import (
    binding_name_fault,
    date_fault,
    name_fault,
    network_fault,
    route_fault,
    route_key,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8787", TcpAddress("127.0.0.1", 8787)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("*:80", TcpAddress("*", 80)),
        ("[::1]:65535", TcpAddress("::1", 65535)),
        ("unix:/run/shop.sock", UnixAddress("/run/shop.sock")),
        ("unix:shop.sock", UnixAddress("shop.sock")),
        ("systemd:shop.socket", SystemdAddress("shop.socket")),
    ],
)
def test_addresses(text: str, address: object) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8787",
        ":8787",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:٣",
        "127.0.0.1:-1",
        "256.0.0.1:80",
        "1.2.3:80",
        "::1:80",
        "[::1:80",
        "[127.0.0.1]:80",
        "a b:80",
        "a\n:80",
        "http://a:80",
        "unix:",
        "unix:/" + "a" * 107,
        "unix:/a\x00b",
        "systemd:",
        "systemd:a:b",
        "systemd:" + "a" * 256,
        "systemd:\u00e4",
    ],
)
def test_malformed_addresses(text: str) -> None:
    assert parse_address(text) is None


@given(st.text())
def test_any_text_is_an_address_or_not(text: str) -> None:
    found = parse_address(text)
    if isinstance(found, TcpAddress):
        assert 0 <= found.port <= 65535
        assert found.host


@pytest.mark.parametrize("name", ["shop", "a", "1", "Shop.v2_x-y", "a" * 63])
def test_names(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".a", "-a", "a b", "é", "a\n", "a" * 64])
def test_malformed_names(name: str) -> None:
    assert name_fault(name) is not None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("API_KEY", None),
        ("_x", None),
        ("1x", "not an identifier"),
        ("a-b", "not an identifier"),
        ("é", "not an identifier"),
        ("", "not an identifier"),
        ("class", "a word of Python"),
        ("then", "reserved"),
        ("__proto__", "reserved"),
    ],
)
def test_binding_names(name: str, fault: str | None) -> None:
    assert binding_name_fault(name) == fault


PATTERNS = st.one_of(
    st.text(alphabet="a*./:[]1?# @"),
    st.from_regex(
        r"(https?://|\*://|ftp://)?(\*?\.?[a-z.]*|\[::1\])(:[0-9]{0,6})?(/[a-z*]*)?", fullmatch=True
    ),
)


@given(PATTERNS)
def test_a_route_without_fault_is_one_that_the_routing_table_takes(pattern: str) -> None:
    if route_fault(pattern) is None:
        assert Route.parse(pattern).pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("/*", None),
        ("/", None),
        ("*/*", None),
        ("shop.example.com/*", None),
        ("*.example.com:8080/api/*", None),
        ("*example.com./x", None),
        ("https://[::1]:80/x", None),
        ("*://bücher.example/", None),
        ("", "a route has a path"),
        ("shop.example.com", "a route has a path"),
        ("http://a", "a route has a path"),
        ("a]b/", "the host is not a name, *.name or *"),
        ("[::1]x/", "it is not [host]/path"),
        ("ftp://a/x", "the scheme must be http or https"),
        ("https:///x", "there is no host"),
        (":80/x", "there is no host"),
        ("a:0/x", "the port is not a port"),
        ("a:65536/x", "the port is not a port"),
        ("a.*.b/x", "the host is not a name, *.name or *"),
        ("a b/x", "the host is not a name, *.name or *"),
        ("./x", "the host is not a name, *.name or *"),
        ("/x?y", "a route ends with the path"),
        ("/a*b", "a path has no blanks, and * only as its last character"),
        ("/a\nb", "a path has no blanks, and * only as its last character"),
    ],
)
def test_routes(pattern: str, fault: str | None) -> None:
    assert route_fault(pattern) == fault


@given(PATTERNS, PATTERNS)
def test_routes_of_one_key_are_one_route(one: str, other: str) -> None:
    if route_fault(one) is None and route_fault(other) is None:
        assert (route_key(one) == route_key(other)) == (Route.parse(one) == Route.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a", "*/a"), ("Shop.example/*", "http://shop.example:80/*"), ("a.example./x", "a.example/x")],
)
def test_routes_that_are_the_same(one: str, other: str) -> None:
    assert route_key(one) == route_key(other)
    assert Route.parse(one) == Route.parse(other)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("public", None),
        ("10.0.0.0/8", None),
        ("10.1.2.3", None),
        ("2001:db8::/32", None),
        ("publc", "not a CIDR block and none of public, private, local, network"),
        ("10.0.0.1/8", "it has bits set after the prefix; its block is 10.0.0.0/8"),
        ("10.0.0.0/33", "not a CIDR block and none of public, private, local, network"),
        ("::ffff:10.0.0.0/104", "such addresses are judged as IPv4; write the IPv4 block"),
    ],
)
def test_networks(entry: str, fault: str | None) -> None:
    assert network_fault(entry) == fault


@given(
    st.one_of(st.text(alphabet="0123456789./:af"), st.from_regex(r"(::ffff:)?[12]?[0-9]\.0\.0\.[01]/[0-9]+"))
)
def test_networks_are_what_the_policy_takes(entry: str) -> None:
    try:
        Policy.parse([entry])
    except ValueError:
        assert network_fault(entry) is not None
    else:
        assert network_fault(entry) is None


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("2026-11-01", True),
        ("2026-13-01", False),
        ("20261101", False),
        ("2026-11-1", False),
        ("today", False),
    ],
)
def test_dates(text: str, ok: bool) -> None:
    assert (date_fault(text) is None) == ok
