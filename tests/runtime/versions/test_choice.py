"""Which of two versions answers a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.versions.choice import (
    COOKIE,
    HEADER,
    cookie_of,
    is_second,
    key_of,
    may_have_cookie,
    wants_cookie,
)

KEYS = [str(number) for number in range(2000)]


@given(st.text(), st.floats(0, 100), st.floats(0, 100))
def test_who_has_the_new_version_keeps_it_when_its_part_grows(key: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert not is_second(key, "b", low) or is_second(key, "b", high)
    assert is_second(key, "b", 100)
    assert not is_second(key, "b", 0)


@pytest.mark.parametrize("percent", [1, 10, 50, 90])
def test_as_many_as_it_should_be(percent: float) -> None:
    found = sum(is_second(key, "b", percent) for key in KEYS) / len(KEYS) * 100
    assert abs(found - percent) < 4  # the same keys each time


def test_not_always_the_same_visitors() -> None:
    assert {k for k in KEYS if is_second(k, "b", 10)} != {k for k in KEYS if is_second(k, "c", 10)}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        (((HEADER, "bob"),), "bob"),
        (((HEADER, ""), ("cookie", f"{COOKIE}=abc")), "abc"),
        ((("cookie", f"a=1; {COOKIE}=abc; b=2"),), "abc"),
        ((("cookie", f"{COOKIE}=abc"), (HEADER, "bob")), "bob"),
        ((("cookie", f"{COOKIE}="),), None),
        ((("cookie", "a; ;=;"),), None),
    ],
)
def test_the_key_of_a_request(headers: tuple[tuple[str, str], ...], expected: str | None) -> None:
    assert key_of(headers) == expected


def test_pages_get_a_cookie_and_nothing_else_does() -> None:
    assert wants_cookie((("accept", "text/html,application/xhtml+xml"),))
    assert not wants_cookie((("accept", "*/*"),))
    assert not wants_cookie(())
    assert key_of((("cookie", cookie_of("abc", secure=True).partition(";")[0]),)) == "abc"
    assert cookie_of("abc", secure=True).endswith("; Secure")
    assert "Secure" not in cookie_of("abc", secure=False)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, True),
        ("private, max-age=60", True),
        ("no-store", True),
        ("public", False),
        ("s-maxage=9", False),
    ],
)
def test_what_caches_share_has_no_cookie(control: str | None, expected: bool) -> None:
    headers = () if control is None else (("cache-control", control),)
    assert may_have_cookie(headers) is expected
