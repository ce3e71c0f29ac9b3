"""Sessions, asked for as the dashboard's page does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pyworkerd.admin.api import Api
from pyworkerd.admin.auth import COOKIE, CSRF, Gate
from pyworkerd.admin.session import ROUTES
from pyworkerd.admin.tokens import Token, digest_of
from pyworkerd.messages import Body, Request, Response

from tests.runtime.admin.test_routes import Fixed

GATE = Gate(lambda: (Token("anna", digest_of("good")),), wanted=True)


def ask(
    method: str, body: Any = None, *headers: tuple[str, str], client: str | None = "192.0.2.1"
) -> Response:
    request = Request(
        method,
        "http://127.0.0.1/api/v1/session",
        (("content-type", "application/json"), *headers),
        Body(b"" if body is None else json.dumps(body).encode()),
    )
    return asyncio.run(Api(Fixed(1), GATE, ROUTES).answer(request, client))


def said(answer: Response) -> Any:
    assert answer.body.data is not None
    return json.loads(answer.body.data)


def test_a_page_logs_in_asks_and_logs_out() -> None:
    begun = ask("POST", {"token": "good"})
    assert begun.status == 200
    pair = (begun.header("set-cookie") or "").partition(";")[0]
    assert pair.startswith(f"{COOKIE}=")
    assert pair.partition("=")[2] not in str(said(begun))
    second = CSRF, said(begun)["csrf"]
    about = said(ask("GET", None, ("cookie", pair), second))
    assert about == said(begun)
    assert about["name"] == "anna"
    without = ask("GET", None, ("cookie", pair))
    assert (without.status, second[1] in str(said(without))) == (401, False)
    assert ask("DELETE", None, ("cookie", pair)).status == 401
    ended = ask("DELETE", None, ("cookie", pair), second)
    assert (ended.status, "Max-Age=0" in (ended.header("set-cookie") or "")) == (204, True)
    assert ask("GET", None, ("cookie", pair), second).status == 401


def test_a_wrong_token_begins_none() -> None:
    for body, status in (
        ({"token": "bad"}, 401),
        ({}, 400),
        ({"token": 1}, 400),
        ({"token": "x" * 600}, 400),
    ):
        answer = ask("POST", body)
        assert (answer.status, answer.header("set-cookie")) == (status, None)


def test_a_unix_socket_has_no_use_for_one() -> None:
    assert said(ask("GET", client=None)) == {"name": "unix", "csrf": None, "until": None}
    assert ask("POST", {"token": "good"}, client=None).status == 400
