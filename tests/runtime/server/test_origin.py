"""Who sent a request: nothing that a client writes counts, and what trusted proxies write does."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd.errors import Misdirected
from pyworkerd.http import RequestHead
from pyworkerd.server.client_certificate import ClientCertificate
from pyworkerd.server.info import ConnectionInfo
from pyworkerd.server.origin import ABOUT_CLIENT, NOBODY, Origin, Trust

CLIENT = ConnectionInfo("192.0.2.7", 5000, "198.51.100.1:80", peer="192.0.2.7")
PROXY = ConnectionInfo("10.0.0.1", 5000, "198.51.100.1:80", peer="10.0.0.1")
UNIX = ConnectionInfo(None, None, "unix")
INNER = Trust.of(["10.0.0.0/8", "2001:db8::/32"])
FORGED = {
    "cf-connecting-ip": "127.0.0.1",
    "cf-ipcountry": "DE",
    "cf-cert-verified": "true",
    "cf-cert-subject-dn": "CN=admin",
    "cf-client-cert-der-base64": "AAAA",
    "cf_connecting_ip": "127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "x_real-ip": "127.0.0.1",
    "x-forwarded-for": "127.0.0.1",
    "x_forwarded_for": "127.0.0.1",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "admin.example",
    "x-forwarded-user": "admin",
    "forwarded": "for=127.0.0.1;proto=https;host=admin.example",
    "true-client-ip": "127.0.0.1",
    "client-cert": ":AAAA:",
    "client-cert-chain": ":AAAA:",
}
TRACED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"
OWN = (("host", "shop.example"), ("cookie", "a"), ("x-requested-with", "b"), ("te-st", "c"), ("cfg", "d"))


def head(target: str = "/a?b", **headers: str) -> RequestHead:
    pairs = OWN + tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return RequestHead("GET", target, pairs, "1.1", "shop.example", True, False, 0, False, False)


def with_pairs(pairs: tuple[tuple[str, str], ...]) -> RequestHead:
    return head()._replace(headers=OWN + pairs)


@pytest.mark.parametrize(
    ("info", "trust"), [(CLIENT, NOBODY), (CLIENT, INNER), (PROXY, NOBODY), (UNIX, INNER)]
)
def test_what_a_client_writes_about_itself_is_removed(info: ConnectionInfo, trust: Trust) -> None:
    url, headers, seen, _ = Origin(info, trust).read(with_pairs(tuple(FORGED.items())))
    own = () if info.client is None else (("cf-connecting-ip", info.client), ("x-real-ip", info.client))
    assert headers == OWN + own
    assert url == "http://shop.example/a?b"
    assert seen == info


NAMES = st.sampled_from(sorted(FORGED)) | st.text(string.ascii_lowercase + "-_", min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, st.text(max_size=10)), max_size=6))
@example([("cf-", ""), ("x-forwarded-", ""), ("forwarded-by", "")])
def test_whatever_the_names(pairs: list[tuple[str, str]]) -> None:
    headers = Origin(CLIENT, INNER).read(with_pairs(tuple(pairs)))[1]
    told = [pair for pair in headers if ABOUT_CLIENT.fullmatch(pair[0])]
    assert told == [("cf-connecting-ip", "192.0.2.7"), ("x-real-ip", "192.0.2.7")]
    kept = [pair for pair in pairs if not ABOUT_CLIENT.fullmatch(pair[0])]
    assert headers == (*OWN, *kept, *told)


def test_a_trusted_proxy_names_the_client_and_the_scheme() -> None:
    request = head(x_forwarded_for="127.0.0.1, 192.0.2.7, 10.0.0.2", x_forwarded_proto="https")
    url, headers, seen, _ = Origin(PROXY, INNER).read(request)
    assert url == "https://shop.example/a?b"
    assert dict(headers)["cf-connecting-ip"] == dict(headers)["x-real-ip"] == "192.0.2.7"
    assert dict(headers)["x-forwarded-for"] == "127.0.0.1, 192.0.2.7, 10.0.0.2"
    assert seen == replace(PROXY, client="192.0.2.7", client_port=None, scheme="https")


def test_what_a_trusted_proxy_is_not_believed_is_removed_too() -> None:
    """Most proxies hand on unknown headers as the client wrote them."""
    headers = Origin(PROXY, INNER).read(with_pairs(tuple(FORGED.items())))[1]
    assert headers == (
        *OWN,
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("cf-connecting-ip", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
    )


def test_the_host_only_where_it_is_believed() -> None:
    request = head(x_forwarded_host="www.example:8443", x_forwarded_for="192.0.2.7")
    assert Origin(PROXY, INNER).read(request)[0] == "http://shop.example/a?b"
    trust = Trust.of(["10.0.0.0/8"], ["x-forwarded-host"])
    url, headers, seen, _ = Origin(PROXY, trust).read(request)
    assert url == "http://www.example:8443/a?b"
    assert headers[0] == ("host", "www.example:8443")
    assert [name for name, _ in headers].count("host") == 1
    assert seen == PROXY
    absolute = head("http://inner/x?y", x_forwarded_host="www.example")
    assert Origin(PROXY, trust).read(absolute)[0] == "http://www.example/x?y"


def test_the_standard_header() -> None:
    trust = Trust.of(["10.0.0.0/8"], ["forwarded"])
    request = head(forwarded='for="[2001:db9::7]:1";proto=https;host=www.example', x_forwarded_for="6.6.6.6")
    url, headers, seen, _ = Origin(PROXY, trust).read(request)
    assert url == "https://www.example/a?b"
    assert (seen.client, seen.peer) == ("2001:db9::7", "10.0.0.1")
    assert "x-forwarded-for" not in dict(headers)


@pytest.mark.parametrize("chain", ["unknown", "_hidden", "nonsense"])
def test_a_client_that_is_not_named_has_no_address(chain: str) -> None:
    _, headers, seen, _ = Origin(PROXY, INNER).read(head(x_forwarded_for=chain))
    assert seen.client is None
    assert not {"cf-connecting-ip", "x-real-ip"} & set(dict(headers))


def test_a_trusted_peer_that_says_nothing_is_the_client() -> None:
    assert Origin(PROXY, INNER).read(head()) == (
        "http://shop.example/a?b",
        (*OWN, ("cf-connecting-ip", "10.0.0.1"), ("x-real-ip", "10.0.0.1")),
        PROXY,
        None,
    )


def test_peers_on_unix_sockets() -> None:
    request = head(x_forwarded_for="192.0.2.7")
    assert Origin(UNIX, Trust.of(["unix"])).read(request)[2].client == "192.0.2.7"
    assert Origin(UNIX, Trust.of(["0.0.0.0/0"])).read(request)[2].client is None


def test_other_headers_can_be_believed_by_name() -> None:
    trust = Trust.of(["10.0.0.0/8"], ["x-forwarded-for", "cf-ipcountry", "cf-cert-subject-dn"])
    request = with_pairs(tuple(FORGED.items()))
    headers = dict(Origin(PROXY, trust).read(request)[1])
    assert (headers["cf-ipcountry"], headers["cf-cert-subject-dn"]) == ("DE", "CN=admin")
    assert "cf-cert-verified" not in headers


def test_what_this_server_knows_itself_nobody_else_can_say() -> None:
    certificate = ClientCertificate("CN=a", (("cf-cert-subject-dn", "CN=a"),))
    info = replace(PROXY, certificate=certificate)
    trust = Trust.of(["10.0.0.0/8"], ["cf-cert-subject-dn"])
    for origin in (Origin(info, trust), Origin(info, NOBODY)):
        headers = origin.read(with_pairs(tuple(FORGED.items())))[1]
        assert [value for name, value in headers if name == "cf-cert-subject-dn"] == ["CN=a"]


SECURE = replace(CLIENT, scheme="https")


def test_the_scheme_is_the_connections() -> None:
    assert Origin(SECURE, NOBODY).read(head("HTTPS://shop.example"))[0] == "https://shop.example/"
    assert Origin(SECURE, NOBODY).read(head("*"))[0] == "https://shop.example/"
    assert Origin(SECURE, NOBODY).read(head("/http://a/"))[0] == "https://shop.example/http://a/"


@pytest.mark.parametrize(
    ("info", "target"),
    [(CLIENT, "https://shop.example/"), (UNIX, "Https://a"), (SECURE, "http://shop.example/")],
)
def test_a_target_of_another_scheme_is_for_another_server(info: ConnectionInfo, target: str) -> None:
    with pytest.raises(Misdirected):
        Origin(info, NOBODY).read(head(target))


def test_a_trusted_gateway_may_name_what_its_client_spoke() -> None:
    assert Origin(PROXY, INNER).read(head("https://shop.example/"))[0] == "http://shop.example/"
    told = head("http://shop.example/", x_forwarded_proto="https")
    assert Origin(PROXY, INNER).read(told)[0] == "https://shop.example/"
    assert Origin(SECURE, Trust.of(["192.0.2.7"])).read(head("http://a/"))[0] == "https://shop.example/"


@pytest.mark.parametrize("entry", ["", "unix ", "10.0.0.1/8", "all", "10.0.0.0/33"])
def test_what_is_no_peer(entry: str) -> None:
    with pytest.raises(ValueError):
        Trust.of([entry])


def test_covering() -> None:
    assert [INNER.covers(a) for a in ("10.9.9.9", "11.0.0.1", "2001:db8::1", "::1", None)] == [
        True,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("trust", [NOBODY, INNER])
def test_what_a_connection_asked_before_changes_nothing(trust: Trust) -> None:
    plain, traced = head(x_forwarded_for="192.0.2.7"), head(traceparent=TRACED, x_forwarded_host="a")
    other, foreign = plain._replace(target="/other"), plain._replace(target="https://shop.example/")
    origin = Origin(PROXY, trust)
    for each in (plain, plain, other, traced, traced, foreign, plain, other, other):
        try:
            alone = Origin(PROXY, trust).read(each)
        except Misdirected:
            with pytest.raises(Misdirected):
                origin.read(each)
            continue
        assert origin.read(each) == alone
        assert (alone.trace is not None) is (each is traced)
        assert "traceparent" not in dict(alone.headers)
