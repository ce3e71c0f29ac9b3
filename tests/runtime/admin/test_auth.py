"""Who may use the API."""

from __future__ import annotations

import pytest
from pyworkerd.admin.auth import (
    COOKIE,
    CSRF,
    FAILURES,
    MAX_ADDRESSES,
    MAX_SESSIONS,
    PERIOD_S,
    SESSION_S,
    Caller,
    Denied,
    Gate,
    cookie_of,
)
from pyworkerd.admin.tokens import Token, digest_of
from pyworkerd.messages import Request

GOOD, ENDED = "good-token", "ended-token"
CLIENT = "192.0.2.1"


class Fixture:
    def __init__(self, *, wanted: bool = True) -> None:
        self.tokens = [Token("ci", digest_of(GOOD)), Token("old", digest_of(ENDED), until=10.0)]
        self.gate = Gate(lambda: self.tokens, wanted=wanted)

    def ask(
        self, *headers: tuple[str, str], method: str = "GET", client: str | None = CLIENT, now: float = 100.0
    ) -> Caller:
        return self.gate.caller(Request(method, "http://127.0.0.1/api/v1/x", headers), client, now)

    def status(
        self, *headers: tuple[str, str], client: str = CLIENT, now: float = 100.0, method: str = "GET"
    ) -> int:
        with pytest.raises(Denied) as raised:
            self.ask(*headers, client=client, now=now, method=method)
        return raised.value.status


def bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


def cookie(value: str) -> tuple[str, str]:
    return "cookie", f"theme=dark; {COOKIE}={value}"


def test_a_unix_socket_needs_no_token() -> None:
    assert Fixture(wanted=False).ask(client=None) == Caller("unix")


def test_over_tcp_it_is_off_unless_there_are_tokens() -> None:
    fixture = Fixture(wanted=False)
    assert fixture.status(bearer(GOOD)) == 403
    with pytest.raises(Denied, match=r"configure admin\.tokens"):
        fixture.gate.log_in(GOOD, CLIENT, 100.0)


def test_a_token() -> None:
    fixture = Fixture()
    assert fixture.ask(bearer(GOOD)).name == "ci"
    assert fixture.ask(("authorization", f"bearer   {GOOD} ")).name == "ci"
    for wrong in (
        bearer("no"),
        bearer(""),
        bearer(ENDED),
        ("authorization", f"Basic {GOOD}"),
        ("authorization", GOOD),
    ):
        assert fixture.status(wrong) == 401
    assert fixture.status() == 401


def test_who_gives_wrong_tokens_is_not_listened_to_for_a_while() -> None:
    fixture = Fixture()
    for _ in range(FAILURES):
        assert fixture.status(bearer("no")) == 401
    assert fixture.status(bearer(GOOD)) == 429  # or else one could go on guessing
    with pytest.raises(Denied) as raised:
        fixture.gate.log_in(GOOD, CLIENT, 100.0 + PERIOD_S - 1.5)
    assert raised.value.retry_s == 2
    assert fixture.ask(bearer(GOOD), client="192.0.2.2").name == "ci"
    assert fixture.ask(bearer(GOOD), now=100.0 + PERIOD_S).name == "ci"
    assert fixture.status(bearer("no"), now=100.0 + PERIOD_S) == 401


def test_a_household_of_ipv6_is_one_address() -> None:
    fixture = Fixture()
    for number in range(FAILURES):
        fixture.status(bearer("no"), client=f"2001:db8::{number:x}")
    assert fixture.status(bearer(GOOD), client="2001:db8::ffff") == 429
    assert fixture.ask(bearer(GOOD), client="2001:db8:0:1::1").name == "ci"


def test_an_ipv4_address_is_one_of_its_own_however_it_is_written() -> None:
    fixture = Fixture()
    for _ in range(FAILURES):
        fixture.status(bearer("no"), client="::ffff:192.0.2.1")
    assert fixture.status(bearer(GOOD), client="192.0.2.1") == 429
    assert fixture.ask(bearer(GOOD), client="::ffff:192.0.2.2").name == "ci"


def test_no_more_addresses_are_remembered_than_there_is_room_for() -> None:
    fixture = Fixture()
    for number in range(MAX_ADDRESSES + 10):
        fixture.status(bearer("no"), client=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(fixture.gate._failures) == MAX_ADDRESSES


def test_a_session_stands_for_its_token() -> None:
    fixture = Fixture()
    value, session = fixture.gate.log_in(GOOD, CLIENT, 100.0)
    both = cookie(value), (CSRF, session.csrf)
    assert fixture.ask(*both) == Caller("ci", session)
    assert fixture.status(cookie("no"), both[1]) == 401
    assert fixture.status(*both, now=100.0 + SESSION_S) == 401
    fixture.gate.log_out(Request("DELETE", "http://127.0.0.1/", (cookie(value),)))
    assert fixture.status(*both) == 401


def test_the_cookie_alone_opens_nothing() -> None:
    """A browser sends it to every port of the host, so a worker there may have it."""
    fixture = Fixture()
    value, session = fixture.gate.log_in(GOOD, CLIENT, 100.0)
    _, other = fixture.gate.log_in(GOOD, CLIENT, 100.0)
    for method in ("GET", "HEAD", "POST", "DELETE"):
        assert fixture.status(cookie(value), method=method) == 401
        for wrong in ("no", "\xff", value, other.csrf):
            assert fixture.status(cookie(value), (CSRF, wrong), method=method) == 401
        assert fixture.status((CSRF, session.csrf), method=method) == 401
        assert fixture.ask(cookie(value), (CSRF, session.csrf), method=method).name == "ci"


def test_a_session_ends_with_its_token() -> None:
    fixture = Fixture()
    fixture.tokens.append(Token("brief", digest_of("brief"), until=200.0))
    value, session = fixture.gate.log_in("brief", CLIENT, 100.0)
    assert session.until == 200.0
    both = cookie(value), (CSRF, session.csrf)
    assert fixture.ask(*both, now=199.0).name == "brief"
    assert fixture.status(*both, now=200.0) == 401
    fixture.tokens.pop()
    assert fixture.status(*both) == 401


def test_the_oldest_session_makes_room() -> None:
    fixture = Fixture()
    first, of_first = fixture.gate.log_in(GOOD, CLIENT, 100.0)
    second, of_second = fixture.gate.log_in(GOOD, CLIENT, 100.0)
    for _ in range(MAX_SESSIONS - 1):
        fixture.gate.log_in(GOOD, CLIENT, 100.0)
    assert fixture.status(cookie(first), (CSRF, of_first.csrf)) == 401
    assert fixture.ask(cookie(second), (CSRF, of_second.csrf)).name == "ci"


def test_logging_in_is_counted_as_well() -> None:
    fixture = Fixture()
    for _ in range(FAILURES):
        with pytest.raises(Denied):
            fixture.gate.log_in("no", CLIENT, 100.0)
    assert fixture.status(bearer(GOOD)) == 429


def test_no_script_and_no_other_site_has_the_cookie() -> None:
    assert (
        cookie_of("v", 60.5, secure=True)
        == f"{COOKIE}=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
    )
    assert cookie_of("", 0, secure=False) == f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
