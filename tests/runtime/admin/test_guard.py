"""Who is answered on the admin address."""

from __future__ import annotations

import pytest
from pyworkerd.admin.guard import refusal
from pyworkerd.messages import Request

HOSTS = ("Pyworkerd.internal",)


def status(authority: str, *headers: tuple[str, str], local: bool = False) -> int | None:
    answer = refusal(Request("GET", f"http://{authority}/live", headers), HOSTS, local=local)
    return answer and answer.status


@pytest.mark.parametrize(
    "authority",
    [
        "127.0.0.1:9090",
        "10.1.2.3",
        "[::1]:9090",
        "localhost",
        "LOCALHOST:9090",
        "pyworkerd.internal",
        "PYWORKERD.internal:1",
    ],
)
def test_addresses_and_names_of_its_own(authority: str) -> None:
    assert status(authority) is None


@pytest.mark.parametrize(
    "authority",
    [
        "evil.example",
        "evil.example:9090",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "internal",
        "",
        "[::1",
        "a@b",
    ],
)
def test_other_names_may_have_been_made_to_point_here(authority: str) -> None:
    assert status(authority) == 421
    assert status(authority, local=True) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((("sec-fetch-site", "none"),), None),
        ((("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:9090")), None),
        ((("sec-fetch-site", "cross-site"),), 403),
        ((("sec-fetch-site", "same-site"),), 403),
        ((("origin", "http://evil.example"),), 403),
        ((("origin", "null"),), 403),
        ((("origin", "http://127.0.0.1:8080"),), 403),
    ],
)
@pytest.mark.parametrize("local", [False, True])
def test_requests_of_web_pages(
    headers: tuple[tuple[str, str], ...], expected: int | None, local: bool
) -> None:
    assert status("127.0.0.1:9090", *headers, local=local) == expected
