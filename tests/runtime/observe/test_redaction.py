"""What a tail worker sees of a request at first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.redaction import REDACTED, is_secret, joined, redact_headers, redact_url

HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cookie", True), ("set-cookie", True), ("authorization", True), ("x-api-key", True), ("x-jwt", True),
        ("client-secret", True), ("x-token-id", True), ("accept", False), ("host", False), ("user-agent", False),
    ],
)  # fmt: skip
def test_headers_that_may_hold_a_credential(name: str, expected: bool) -> None:
    assert is_secret(name) is expected


def test_headers_of_one_name_are_one_and_are_left_out_together() -> None:
    headers = joined((("Accept", "a"), ("accept", "b"), ("Cookie", "c"), ("cookie", "d")))
    assert headers == {"accept": "a, b", "cookie": "c, d"}
    assert redact_headers(headers) == {"accept": "a, b", "cookie": REDACTED}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://x/shop?page=2", "http://x/shop?page=2"),
        (f"http://x/orders/{HEX}?a=1", "http://x/orders/REDACTED?a=1"),
        (f"http://x/?id={HEX}", "http://x/?id=REDACTED"),
        (f"http://x/{HEX[:31]}", f"http://x/{HEX[:31]}"),
        ("http://x/01234567-89ab-cdef-0123-456789abcdef", "http://x/REDACTED"),
        ("http://x/ABcd12ABcd12ABcd12ABc", "http://x/REDACTED"),
        ("http://x/ABcd12ABcd12ABcd12AB", "http://x/ABcd12ABcd12ABcd12AB"),
        ("http://x/a-long-name-of-a-page-and-its-title", "http://x/a-long-name-of-a-page-and-its-title"),
    ],
)
def test_what_looks_like_an_id(url: str, expected: str) -> None:
    assert redact_url(url) == expected


@given(st.text(max_size=80))
def test_nothing_is_left_out_twice(url: str) -> None:
    assert redact_url(redact_url(url)) == redact_url(url)
