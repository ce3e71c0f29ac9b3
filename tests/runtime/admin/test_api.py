"""From a request to a row of the API's table."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from pyworkerd.admin.api import MAX_BODY, Api, ApiError, Fault, Route
from pyworkerd.admin.auth import Gate
from pyworkerd.admin.tokens import Token, digest_of
from pyworkerd.messages import Body, Request, text_response

from tests.runtime.admin.test_routes import Fixed

if TYPE_CHECKING:
    from pyworkerd.admin.api import Call
    from pyworkerd.messages import Response


class Query(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=9)] = 5


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    size: int


async def echo(call: Call) -> dict[str, Any]:
    return {
        "path": call.path,
        "query": call.query,
        "body": call.body,
        "name": call.caller and call.caller.name,
    }


async def fail(_: Call) -> None:
    raise ApiError(409, "not now", [Fault("because", line=3)])


async def nothing(_: Call) -> None:
    return None


async def page(_: Call) -> Response:
    return text_response(200, "text")


ROUTES = (
    Route("GET", "/things/{thing}", echo, "Look", dict[str, Any], query=Query),
    Route("PUT", "/things/{thing}", echo, "Make", dict[str, Any], body=Thing),
    Route("DELETE", "/things/{thing}", nothing, "Take away"),
    Route("POST", "/fail", fail, "Fail", errors=(409,)),
    Route("GET", "/open", page, "Open", "text/plain", open=True),
    Route("POST", "/raw", echo, "Upload", dict[str, Any], body="application/zip"),
)


def ask(
    method: str,
    path: str,
    body: bytes = b"",
    kind: str | None = "application/json",
    token: str | None = "good",
) -> Response:
    gate = Gate(lambda: (Token("ci", digest_of("good")),), wanted=True)
    headers = () if token is None else (("authorization", f"Bearer {token}"),)
    if kind is not None:
        headers = (*headers, ("content-type", kind))
    request = Request(method, f"http://127.0.0.1/api/v1{path}", headers, Body(body))
    return asyncio.run(Api(Fixed(1), gate, ROUTES).answer(request, "192.0.2.1"))


def said(answer: Response) -> Any:
    assert answer.body.data is not None
    return json.loads(answer.body.data)


def test_what_a_handler_is_given() -> None:
    answer = ask("GET", "/things/a%2Fb%20c?limit=7")
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert said(answer) == {"path": {"thing": "a/b c"}, "query": {"limit": 7}, "body": None, "name": "ci"}
    assert said(ask("GET", "/things/x"))["query"] == {"limit": 5}
    assert said(ask("PUT", "/things/x", b'{"size": 3}'))["body"] == {"size": 3}
    assert said(ask("PUT", "/things/x", b'{"size": 3}', "Application/JSON; charset=utf-8"))["body"] == {
        "size": 3
    }
    assert ask("HEAD", "/things/x").status == 200
    gone = ask("DELETE", "/things/x")
    assert (gone.status, gone.body.data) == (204, b"")
    assert said(ask("POST", "/raw", b"PK", "application/zip"))["body"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "detail"),
    [
        ("GET", "/nothing", b"", None, 404, "there is nothing at /api/v1/nothing: see /api/v1/openapi.json"),
        ("GET", "/things/", b"", None, 404, "there is nothing"),
        ("GET", "/things/x/y", b"", None, 404, "there is nothing"),
        ("POST", "/things/x", b"", None, 405, "this takes DELETE, GET, HEAD, PUT"),
        ("GET", "/things/x?limit=0", b"", None, 400, "Expected `int` >= 1"),
        ("GET", "/things/x?limit=many", b"", None, 400, "Expected `int`"),
        ("GET", "/things/x?other=1", b"", None, 400, "unknown field `other`"),
        ("GET", "/things/x?limit=1&limit=2", b"", None, 400, "says something twice"),
        ("GET", "/things/x?limit=%FF", b"", None, 400, "cannot be read"),
        ("GET", "/things/x?" + "&".join(f"a{n}=1" for n in range(40)), b"", None, 400, "cannot be read"),
        ("DELETE", "/things/x?limit=1", b"", None, 400, "this takes no query"),
        ("PUT", "/things/x", b'{"size": "3"}', "application/json", 400, "Expected `int`, got `str`"),
        ("PUT", "/things/x", b'{"size": 3, "more": 1}', "application/json", 400, "unknown field"),
        ("PUT", "/things/x", b"{", "application/json", 400, "the body"),
        ("PUT", "/things/x", b"\xff", "application/json", 400, "the body"),
        ("PUT", "/things/x", b"[" * 100_000, "application/json", 400, "the body"),
        ("PUT", "/things/x", b'{"size": 3}', "text/plain", 415, "the body has to be application/json"),
        ("PUT", "/things/x", b'{"size": 3}', None, 415, "the body has to be application/json"),
        ("PUT", "/things/x", b" " * (MAX_BODY + 1), "application/json", 413, f"longer than {MAX_BODY} bytes"),
        ("POST", "/raw", b"", "application/json", 415, "the body has to be application/zip"),
        ("POST", "/fail", b"", None, 409, "not now"),
    ],
)
def test_what_is_wrong(
    method: str, path: str, body: bytes, kind: str | None, status: int, detail: str
) -> None:
    answer = ask(method, path, body, kind)
    assert (answer.status, answer.header("content-type")) == (status, "application/problem+json")
    problem = said(answer)
    assert problem["status"] == status
    assert detail in problem["detail"]


def test_what_is_wrong_in_parts() -> None:
    assert said(ask("POST", "/fail"))["problems"] == [{"text": "because", "line": 3}]
    assert ask("POST", "/things/x").header("allow") == "DELETE, GET, HEAD, PUT"


@pytest.mark.parametrize("path", ["/things/x", "/nothing", "/fail"])
def test_without_a_token_nothing_is_told(path: str) -> None:
    for token in (None, "bad"):
        answer = ask("GET", path, token=token)
        assert (answer.status, answer.header("www-authenticate")) == (401, 'Bearer realm="pyworkerd"')
    assert ask("GET", "/open", token=None).status == 200
