"""What may be kept, for how long, and for whom: RFC 9111, section by section."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.caches import rules
from pyworkerd.caches.rules import check_put, check_url, directives, initial_age, keep, lifetime
from pyworkerd.errors import WorkerException
from pyworkerd.http.dates import format_date

NOW = 1_800_000_000.0
Pairs = tuple[tuple[str, str], ...]


def h(*pairs: str, **named: str) -> Pairs:
    """`cache-control` as texts, other fields by name."""
    fields = [(name.replace("_", "-"), value) for name, value in named.items()]
    return (*(("cache-control", pair) for pair in pairs), *fields)


def at(seconds: float) -> str:
    return format_date(NOW + seconds)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (200, h("max-age=60"), 60),
        (500, h("max-age=60"), 60),
        (200, h("max-age=60, s-maxage=10"), 10),
        (200, h("s-maxage=10", "max-age=60"), 10),
        (200, h("max-age=60", expires=at(5)), 60),  # 5.3: max-age goes before Expires
        (200, h("MAX-AGE = 60"), 0),  # no spaces around "=": nothing that can be read
        (200, h('max-age="60"'), 60),
        (200, h("max-age=60, max-age=10"), 60),  # 4.2.1: the first
        (200, h("max-age=1.5"), 0),
        (200, h("max-age=-1"), 0),
        (200, h("max-age"), 0),
        (200, h("max-age=99999999999999999999999"), 1 << 31),
        (200, h(date=at(-100), expires=at(50)), 150),
        (200, h(expires=at(50)), 50),
        (200, h(expires=at(-50)), 0),
        (200, h(expires="0"), 0),  # 5.3: what is no date has passed
        (200, h(expires="-1"), 0),
        (200, h(), 7200),
        (404, h(), 180),
        (302, h(), None),
        (500, h(), None),
        (200, h("public"), 7200),
        (200, h(last_modified=at(-1000)), 100),
        (200, h(last_modified=at(-1000), date=at(-500)), 50),
        (200, h(last_modified=at(-100_000_000)), 86_400),
        (200, h(last_modified=at(1000)), 0),
        (200, h(last_modified="yesterday"), 7200),
    ],
)
def test_how_long_it_is_fresh(status: int, headers: Pairs, seconds: float | None) -> None:
    assert lifetime(status, headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (h(), 0),
        (h(age="30"), 30),
        (h(age=" 30 "), 30),
        (h(age="x"), 0),
        (h(age="-3"), 0),
        (h(date=at(-20)), 20),
        (h(date=at(20)), 0),
        (h(date=at(-20), age="30"), 30),
        (h(date=at(-40), age="30"), 40),
        (h(age="9" * 30), 0),
    ],
)
def test_how_old_it_is_when_it_comes(headers: Pairs, seconds: float) -> None:
    assert initial_age(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("asked", "status", "headers", "kept"),
    [
        ((), 200, h(), True),
        ((), 200, h("max-age=1"), True),
        ((), 200, h("max-age=0"), False),
        ((), 200, h("no-store, max-age=60"), False),
        ((), 200, h("max-age=60", "NO-STORE"), False),
        ((), 200, h("private, max-age=60"), False),
        ((), 200, h("no-cache"), False),
        ((), 200, h('private="x-secret", max-age=60'), True),
        ((), 200, h("max-age=60", age="60"), False),
        ((), 200, h("max-age=60", age="59"), True),
        ((), 206, h("max-age=60"), False),
        ((), 304, h("max-age=60"), False),
        ((), 100, h("max-age=60"), False),
        ((), 302, h(), False),
        ((), 302, h("max-age=60"), True),
        ((), 200, h("max-age=60", vary="accept, *"), False),
        ((), 200, h("max-age=60", set_cookie="a=b"), False),
        ((), 200, h("private=Set-Cookie, max-age=60", set_cookie="a=b"), True),
        ((), 200, h('private="set-cookie, x", max-age=60', set_cookie="a=b"), True),
        (h(authorization="x"), 200, h("max-age=60"), False),
        (h(authorization="x"), 200, h("max-age=60, public"), True),
        (h(authorization="x"), 200, h("max-age=60, must-revalidate"), True),
        (h(authorization="x"), 200, h("s-maxage=60"), True),
        (h("no-store"), 200, h("max-age=60"), True),  # whoever puts has decided
    ],
)
def test_what_is_kept(asked: Pairs, status: int, headers: Pairs, kept: bool) -> None:
    assert (keep(asked, status, headers, NOW) is not None) is kept


def test_what_of_it_is_kept() -> None:
    headers = h(
        'max-age=60, private="x-secret"',
        connection="x-hop, close",
        x_hop="1",
        x_secret="2",
        x_kept="3",
        te="trailers",
        age="10",
        content_length="5",
        transfer_encoding="chunked",
        cf_cache_status="MISS",
    )
    kept = keep(h(accept="a"), 200, headers, NOW)
    assert kept is not None
    assert [name for name, _ in kept.headers] == ["cache-control", "x-kept"]
    assert (kept.kept_at, kept.age, kept.expires) == (NOW, 10, NOW + 50)


def test_whom_it_is_for() -> None:
    asked = (*h(accept="text/html,  text/plain", accept_language="de"), ("accept", "image/png"))
    kept = keep(asked, 200, h("max-age=60", vary="Accept,  accept-encoding"), NOW)
    assert kept is not None
    assert kept.vary == (("accept", "text/html, text/plain, image/png"), ("accept-encoding", None))
    assert kept.is_for(asked)
    assert kept.is_for(h(accept="text/html, text/plain, image/png"))
    assert not kept.is_for(h(accept="text/html"))
    assert not kept.is_for((*asked, ("accept-encoding", "")))


@pytest.mark.parametrize(
    ("method", "status", "headers", "words"),
    [
        ("POST", 200, (), "non-GET request"),
        ("HEAD", 200, (), "non-GET request"),
        ("GET", 206, (), "206 Partial Content"),
        ("GET", 200, h(vary="a, *"), "Vary"),
        ("GET", 101, (), "WebSocket"),
    ],
)
def test_what_cannot_be_put(method: str, status: int, headers: Pairs, words: str) -> None:
    with pytest.raises(WorkerException, match=f"Cannot cache.*{words}") as caught:
        check_put(method, status, headers)
    assert caught.value.type_name == "TypeError"


def test_keys() -> None:
    assert check_url("http://a/b?c#d") == "http://a/b?c"
    for url in ("", "a", "http://", "ftp://a/", "data:x"):
        with pytest.raises(WorkerException, match="Invalid URL"):
            check_url(url)


@given(st.text(alphabet='abc=,;"\\ \t-0123456789', max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    found: dict[str, Any] = directives((("cache-control", text), ("cache-control", "max-age=1")))
    assert all(name == name.lower() and name for name in found)
    assert keep((), 200, h(text), NOW) is None or rules.lifetime(200, h(text), NOW)
