"""Whom a chain of proxies names, and how little of it a client can decide."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd.http.forwarded import MAX_HOPS, Told, node_address, plain_address, told

INNER = ipaddress.ip_network("10.0.0.0/8")
PEER = "10.0.0.1"
X = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
FORWARDED = frozenset({"forwarded"})


def trusts(address: str) -> bool:
    return ipaddress.ip_address(address) in INNER


def by_x(
    *chain: str, proto: str = "", host: str = "", believed: frozenset[str] = X, peer: str | None = PEER
) -> Told:
    headers = [("host", "inner"), *(("x-forwarded-for", each) for each in chain)]
    headers += [("x-forwarded-proto", proto)] if proto else []
    headers += [("x-forwarded-host", host)] if host else []
    return told(tuple(headers), believed, peer, trusts)


def by_forwarded(*fields: str) -> Told:
    return told(tuple(("forwarded", field) for field in fields), FORWARDED, PEER, trusts)


NODES = {
    "192.0.2.1": "192.0.2.1",
    "192.0.2.1:80": "192.0.2.1",
    "192.0.2.1:_port": "192.0.2.1",
    "[2001:DB8::1]": "2001:db8::1",
    "[2001:db8::1]:443": "2001:db8::1",
    "2001:db8::1": "2001:db8::1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "[::ffff:192.0.2.1]:1": "192.0.2.1",
    "unknown": None,
    "_hidden": None,
    "_10.0.0.1": None,
    "": None,
    "192.0.2": None,
    "192.0.2.01": None,
    "192.0.2.256": None,
    "192.0.2.1:": None,
    "192.0.2.1 ": None,
    "192.0.2.1/24": None,
    "[192.0.2.1]:": None,
    "2001:db8::1:99999": None,
    "fe80::1%eth0": None,
    "[::1": None,
    "localhost": None,
    "1": None,
    "\u0661.0.0.1": None,
}


@pytest.mark.parametrize("node", NODES)
def test_the_address_of_a_node(node: str) -> None:
    assert node_address(node) == NODES[node]


def test_plain_addresses() -> None:
    assert plain_address("::FFFF:10.0.0.1") == "10.0.0.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("2001:DB8:0:0::1") == "2001:db8::1"
    assert plain_address("/run/x.sock") is None


CHAINS = {
    "one proxy": (("192.0.2.7",), "192.0.2.7"),
    "nobody was named": ((), PEER),
    "a forged entry stands left": (("10.0.0.9, 192.0.2.7",), "192.0.2.7"),
    "a forged list of trusted addresses": (("10.1.1.1, 10.2.2.2, 192.0.2.7",), "192.0.2.7"),
    "two proxies": (("192.0.2.7, 10.0.0.2",), "192.0.2.7"),
    "two proxies and a forger": (("127.0.0.1, 192.0.2.7, 10.0.0.2",), "192.0.2.7"),
    "over several fields": (("127.0.0.1", "192.0.2.7", "10.0.0.2"), "192.0.2.7"),
    "ports": (("192.0.2.7:4711, 10.0.0.2:80",), "192.0.2.7"),
    "IPv6": (("[2001:db8::7]:4711 , 10.0.0.2",), "2001:db8::7"),
    "IPv4 inside IPv6": (("192.0.2.7, ::ffff:10.0.0.2",), "192.0.2.7"),
    "all are trusted": (("10.0.0.5, 10.0.0.2",), "10.0.0.5"),
    "the client is hidden": (("203.0.113.1, unknown",), None),
    "a trusted proxy's client is hidden": (("203.0.113.1, _secret, 10.0.0.2",), None),
    "garbage": (("203.0.113.1, <script>",), None),
    "empty entries": ((" , 192.0.2.7,, ,", ""), "192.0.2.7"),
}


@pytest.mark.parametrize("case", CHAINS)
def test_who_the_client_is(case: str) -> None:
    chain, client = CHAINS[case]
    assert by_x(*chain).client == client


@pytest.mark.parametrize("case", [case for case in CHAINS if case != "empty entries"])
def test_forwarded_says_the_same(case: str) -> None:
    chain, client = CHAINS[case]
    fields = [", ".join(f'for="{node.strip()}"' for node in field.split(",")) for field in chain]
    assert by_forwarded(*fields).client == client


def test_only_what_is_believed_is_read() -> None:
    only_for = frozenset({"x-forwarded-for"})
    assert by_x("192.0.2.7", proto="https", host="a", believed=only_for) == Told("192.0.2.7")
    assert by_x("192.0.2.7", proto="https", believed=frozenset({"x-forwarded-proto"})) == Told(PEER, "https")
    assert by_x("192.0.2.7", proto="https", host="a", believed=FORWARDED) == Told(PEER)
    assert told((("forwarded", "for=192.0.2.7"),), X, PEER, trusts) == Told(PEER)
    assert by_x("192.0.2.7", peer=None) == Told("192.0.2.7")
    assert by_x(peer=None) == Told(None)


SCHEMES_AND_HOSTS = {
    "one word for all": ("192.0.2.7, 10.0.0.2", "https", "shop.example", "https", "shop.example"),
    "in step with the addresses": ("192.0.2.7, 10.0.0.2", "https, http", "shop.example, in", "https", "shop.example"),
    "a forger in step": ("6.6.6.6, 192.0.2.7", "https, http", "evil.example, shop", "http", "shop"),
    "longer than the addresses": ("192.0.2.7", "https, http", "evil.example, shop:8080", "http", "shop:8080"),
    "no addresses": ("", "http, https", "evil.example, shop", "https", "shop"),
    "in capitals": ("192.0.2.7", "HTTPS", "Shop.Example", "https", "Shop.Example"),
    "another scheme": ("192.0.2.7", "gopher", "", None, None),
    "a host that is none": ("192.0.2.7", "", "a/b", None, None),
    "a host with a user": ("192.0.2.7", "", "user@host", None, None),
    "a host with a blank": ("192.0.2.7", "", "a b", None, None),
    "a host that is too long": ("192.0.2.7", "", "a" * 300, None, None),
    "a host beyond ASCII": ("192.0.2.7", "", "b\xfccher.example", None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", SCHEMES_AND_HOSTS)
def test_scheme_and_host(case: str) -> None:
    chain, proto, host, scheme, authority = SCHEMES_AND_HOSTS[case]
    assert by_x(*([chain] if chain else []), proto=proto, host=host)[1:] == (scheme, authority)


ELEMENTS = {
    "tokens": ("for=192.0.2.7;proto=https;host=shop.example", Told("192.0.2.7", "https", "shop.example")),
    "quoted": (
        'For="[2001:db8::7]:99"; Host="shop.example:8443" ;PROTO=HTTPS',
        Told("2001:db8::7", "https", "shop.example:8443"),
    ),
    "escaped": (r'for="192.0.2\.7"', Told("192.0.2.7")),
    "what the outermost trusted proxy said": (
        "for=192.0.2.7;proto=https;host=shop, for=10.0.0.2;proto=http;host=in",
        Told("192.0.2.7", "https", "shop"),
    ),
    "a forger's element": (
        "for=10.9.9.9;proto=https;host=evil, for=192.0.2.7;proto=http;host=shop",
        Told("192.0.2.7", "http", "shop"),
    ),
    "no for": ("proto=https;by=10.0.0.1", Told(None, "https")),
    "extensions": ("secret=abc;for=192.0.2.7", Told("192.0.2.7")),
    "hidden": ("for=_x;proto=https", Told(None, "https")),
}  # fmt: skip


@pytest.mark.parametrize("case", ELEMENTS)
def test_forwarded(case: str) -> None:
    field, expected = ELEMENTS[case]
    assert by_forwarded(field) == expected


MALFORMED = [
    'for="',
    'for=", for=192.0.2.7',
    "for",
    "for=",
    "=192.0.2.7",
    "for=192.0.2.7;for=192.0.2.8",
    "for=192.0.2.7 proto=https",
    "for=192.0.2.7,",
    "for=192.0.2.7;;proto=https",
    ",for=192.0.2.7",
    "for=2001:db8::7",
    'for="192.0.2.7"x',
    "",
    " ",
    "for=192.0.2.7;ext=" + "a" * 5000,
]


@pytest.mark.parametrize("field", MALFORMED)
def test_a_malformed_field_hides_the_client_and_is_not_guessed_at(field: str) -> None:
    assert by_forwarded(field) == Told(None)
    assert by_forwarded("for=203.0.113.9", field) == Told(None)
    assert by_forwarded(field, "for=192.0.2.7;proto=https") == Told("192.0.2.7", "https")
    assert by_forwarded(field, "for=10.0.0.2") == Told(None)


def test_a_long_chain_costs_no_more_than_a_bounded_one() -> None:
    chain = ", ".join(["192.0.2.7", *["10.0.0.2"] * 10_000])
    assert by_x(chain).client == "10.0.0.2"
    assert by_x(", ".join(["192.0.2.7", *["10.0.0.2"] * (MAX_HOPS - 1)])).client == "192.0.2.7"
    assert by_forwarded(*["for=10.0.0.2"] * 10_000).client == "10.0.0.2"


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=40), max_size=4))
@example([""])
def test_whatever_a_client_sends_the_proxy_that_we_trust_has_the_last_word(forged: list[str]) -> None:
    """Our peer appends the client's address, to the last field or as one of its own, and nothing before it counts."""
    appended = [*forged[:-1], f"{forged[-1]}, 192.0.2.7"] if forged else ["192.0.2.7"]
    assert by_x(*appended).client == "192.0.2.7"
    assert by_x(*forged, "192.0.2.7").client == "192.0.2.7"
    assert by_forwarded(*forged, "for=192.0.2.7;proto=http") == Told("192.0.2.7", "http")


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=4))
def test_arbitrary_headers(values: list[str]) -> None:
    for name, believed in (("x-forwarded-for", X), ("x-forwarded-host", X), ("forwarded", FORWARDED)):
        result = told(tuple((name, value) for value in values), believed, PEER, trusts)
        assert result.scheme in (None, "http", "https")
        assert result.client is None or ipaddress.ip_address(result.client)
