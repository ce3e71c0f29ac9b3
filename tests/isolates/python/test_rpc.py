"""What goes over RPC: plain values, the SDK's types, and the SDK's refusals."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from guest_workers.blob import Blob, File
from guest_workers.form_data import FormData
from guest_workers.headers import Headers
from guest_workers.request import Request
from guest_workers.response import Response
from guest_workers.rpc import JsDict, message, python_from_rpc, python_to_rpc
from pyworkerd_isolates.wire import WireError, dump_value


def sent(value: Any) -> Any:
    return python_from_rpc(python_to_rpc(value))


@pytest.mark.parametrize(
    "value",
    [
        "test",
        [1, 2, 3],
        {"key": 42},
        42,
        1.2345,
        False,
        True,
        None,
        {1, 2},
        b"binary",
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
)
def test_plain_values(value: object) -> None:
    assert sent(value) == value
    assert sent({"a": [value]}) == {"a": [value]}


def test_a_naive_datetime_can_be_compared_with_another() -> None:
    now = datetime(2026, 11, 23, 12)  # noqa: DTZ001 (what the SDK's programs send)
    assert (sent(now) - now).total_seconds() == 0


def test_dictionaries_have_attributes() -> None:
    got = sent({"a": {"b": 1, "items": 2}, 3: 4})
    assert type(got) is type(got.a) is JsDict
    assert got.a.b == 1
    assert callable(got.a.items)
    assert got[3] == 4
    got.a.new = 5
    assert got["a"]["new"] == 5
    del got.a.new
    for use in (lambda: got.none, lambda: delattr(got, "none")):
        with pytest.raises(AttributeError, match="none"):
            use()
    assert sent(got) == got


def test_exceptions() -> None:
    assert isinstance(sent(ValueError("x")), ValueError)
    assert str(sent([KeyError("message")])[0]) == "'message'"


@pytest.mark.parametrize(
    "value",
    [(1, 2), bytearray(b"x"), object(), range(3), 1j, print, re.compile("a")],
)
def test_refusals_use_the_sdks_words(value: object) -> None:
    for wrapped in (value, [value], {"test": value}):
        with pytest.raises(TypeError) as caught:
            python_to_rpc(wrapped)
        assert str(caught.value) == f"{type(value)} cannot be sent over RPC."


def test_a_forgotten_await_is_named() -> None:
    coroutine = Blob("x").text()
    with pytest.raises(TypeError, match=r"Awaitable <class 'coroutine'> cannot be sent over RPC\."):
        python_to_rpc({"a": coroutine})
    coroutine.close()


def test_types_of_the_sdk() -> None:
    async def main() -> None:
        headers, blob, file, form = sent(
            [
                Headers([("A", "1"), ("Set-Cookie", "b"), ("Set-Cookie", "c")]),
                Blob("x", "t/x"),
                File("y", "n", "t/y", last_modified=5),
                FormData([("a", "1"), ("a", File("z", "f", last_modified=1))]),
            ]
        )
        assert headers.items() == [("a", "1"), ("set-cookie", "b"), ("set-cookie", "c")]
        assert (type(blob), await blob.text(), blob.content_type) == (Blob, "x", "t/x")
        assert (type(file), file.name, file.content_type, file.last_modified) == (File, "n", "t/y", 5)
        assert form.get_all("a")[0] == "1"
        assert (form.get_all("a")[1].name, await form.get_all("a")[1].text()) == ("f", "z")

    asyncio.run(main())


def test_requests_and_responses() -> None:
    async def main() -> None:
        request = Request(
            "https://test.com", method="POST", body=b"in", headers={"a": "b"}, redirect="manual", cf={"x": 1}
        )
        got = sent(request)
        assert (got.method, got.url, got.headers["a"]) == ("POST", "https://test.com/", "b")
        assert (await got.text(), got.redirect, got.cf.x, request.body_used) == ("in", "manual", 1, True)
        assert sent(Request._of("GET", "http://a/", [("x", "y")])).headers.items() == [("x", "y")]
        response = sent(
            Response._of(404, [("set-cookie", "a"), ("set-cookie", "b")], b"out", "http://a/", "No", True)
        )
        assert (response.status, response.status_text, response.url, response.redirected) == (
            404,
            "No",
            "http://a/",
            True,
        )
        assert response.headers.get_all("set-cookie") == ["a", "b"]
        assert await response.text() == "out"
        assert sent(Response(None, 204)).status == 204

    asyncio.run(main())


def test_a_streaming_body_needs_a_channel() -> None:
    with pytest.raises(TypeError, match="body that streams can only be sent in a call"):
        python_to_rpc(Response(iter(["a"])))


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], {}, [[1], {"a": b"x"}], {1}, Headers({"a": "b"}), Blob("x")]
)
def test_what_has_nothing_to_read_is_the_same_message(value: object) -> None:
    assert message(value) == python_to_rpc(value)


def test_a_hook_comes_first_and_may_pass() -> None:
    def write(value: object) -> tuple[str, object] | None:
        if callable(value):
            return "stub", 7
        return ("stream", 8) if isinstance(value, Response) else None

    def read(tag: str, value: object) -> object:
        return (tag, value)

    data = python_to_rpc([print, Response("x"), Headers({"a": "b"})], write)
    stub, stream, headers = python_from_rpc(data, read)
    assert (stub, stream) == (("stub", 7), ("stream", 8))
    assert headers["a"] == "b"
    with pytest.raises(WireError):
        python_from_rpc(data)


@pytest.mark.parametrize(
    ("tag", "payload"),
    [
        ("Headers", [["a"]]),
        ("Headers", 5),
        ("Headers", [["a", "b\r\nc"]]),
        ("Blob", [{}, "x"]),
        ("Blob", []),
        ("File", [b"", 5, "", 0]),
        ("File", [b"", "a", "", "x"]),
        ("FormData", [["a", None]]),
        ("FormData", "ab"),
        ("Request", ["GET", "nowhere", [], None, {}]),
        ("Request", ["GET", "http://a/", [], b"x", {}]),
        ("Request", ["GET", "http://a/", [], None, {1: 2}]),
        ("Request", ["GET", "http://a/", [], None, {"headers": {"a": "\n"}}]),
        ("Response", [99, [], None, "", "", False]),
        ("Response", ["200", [], None, "", "", False]),
        ("Response", [200, [], {}, "", "", False]),
        ("Unheard", 1),
    ],
)
def test_hostile_payloads_are_wire_errors(tag: str, payload: object) -> None:
    with pytest.raises(WireError):
        python_from_rpc(dump_value(object(), lambda value: (tag, payload)))
