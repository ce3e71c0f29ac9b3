"""Responses: made by a program, made by the runtime, sent on."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from guest_workers.blob import Blob
from guest_workers.body import BodyStream
from guest_workers.form_data import FormData
from guest_workers.headers import Headers
from guest_workers.response import NULL_BODY, REDIRECTS, FetchResponse, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEXT = [("content-type", "text/plain;charset=UTF-8")]


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        return await main()

    return asyncio.run(inside())


class Socket:
    """An end of a WebSocket, as far as a response looks at it."""

    def _leave(self) -> None:
        """Go away with the response."""


class TestMaking:
    def test_text(self) -> None:
        response = Response("hé")
        assert isinstance(response, FetchResponse)
        assert (response.status, response.ok, response.status_text, response.url) == (200, True, "", "")
        assert (response.redirected, response.type, response.web_socket) == (False, "default", None)
        assert repr(response) == "Response(status=200, content_type='text/plain;charset=UTF-8')"
        assert response.js_object is response
        assert response._parts() == (200, TEXT, "hé".encode())

    @pytest.mark.parametrize(
        ("body", "data", "kind"),
        [
            (None, None, None),
            (b"a", b"a", None),
            (bytearray(b"a"), b"a", None),
            (memoryview(b"a"), b"a", None),
            ("", b"", "text/plain;charset=UTF-8"),
            (Blob("a", "t/x"), b"a", "t/x"),
            (Blob("a"), b"a", None),
        ],
    )
    def test_every_kind_in_hand(self, body: object, data: bytes | None, kind: str | None) -> None:
        response = Response(body)
        assert response.headers["content-type"] == kind
        assert response._take() == data
        given = Response(body, headers={"Content-Type": "mine/own"})
        assert given.headers.items() == [("content-type", "mine/own")]
        other = Response(body, headers=[("X", "y")])
        assert other.headers["content-type"] == kind
        assert other.headers["x"] == "y"

    def test_forms_and_iterators(self) -> None:
        async def main() -> None:
            response = Response(FormData({"field": "value"}))
            assert response.headers["content-type"].startswith("multipart/form-data; boundary=")
            assert (await response.formData())["field"] == "value"

            async def chunks() -> Any:
                yield "a"
                yield b"b"

            for body in (chunks(), iter(["a", b"b"]), (c for c in "ab")):
                response = Response(body)
                assert response.headers.items() == []
                assert isinstance(response.body, BodyStream)
                assert await response.text() == "ab"

        run(main)

    def test_another_response_gives_its_body(self) -> None:
        async def main() -> None:
            first = Response("x", headers={"content-type": "text/html"})
            second = Response(first, status=201)
            assert (second.status, second.headers.get("content-type")) == (201, "text/html")
            assert await second.text() == "x"
            assert first.body_used

        run(main)

    @pytest.mark.parametrize("body", [{"a": 1}, [1], 5, True, object(), Headers()])
    def test_other_bodies_are_refused(self, body: object) -> None:
        with pytest.raises(TypeError) as caught:
            Response(body)
        remedy = "; write `Response.json(...)`" if isinstance(body, dict | list) else ""
        assert str(caught.value) == f"Unsupported type in Response: {type(body).__name__}{remedy}"

    @pytest.mark.parametrize("status", [200, 299, 300, 404, 599, HTTPStatus.NOT_FOUND])
    def test_statuses(self, status: int) -> None:
        response = Response("x", status)
        assert response.status == status
        assert type(response.status) is int
        assert response.ok is (200 <= status < 300)

    @pytest.mark.parametrize("status", [0, -1, 99, 100, 101, 199, 600, 1000])
    def test_statuses_out_of_range_are_refused(self, status: int) -> None:
        with pytest.raises(ValueError, match="in the range 200 to 599, inclusive"):
            Response(None, status)

    @pytest.mark.parametrize("status", ["200", 200.0, True])
    def test_statuses_are_integers(self, status: object) -> None:
        with pytest.raises(TypeError, match="status has to be int"):
            Response(None, status)

    @pytest.mark.parametrize("status", sorted(NULL_BODY))
    def test_null_body_statuses_have_none(self, status: int) -> None:
        socket = Socket() if status == 101 else None
        for body in ("x", b"x", Blob("x"), iter(["x"])):
            with pytest.raises(TypeError, match="null body status"):
                Response(body, status, web_socket=socket)
        for body in (None, "", b""):
            assert Response(body, status, web_socket=socket)._parts() == (status, [], None)

    def test_a_web_socket_switches_protocols(self) -> None:
        socket = Socket()
        response = Response(None, web_socket=socket)
        assert (response.status, response.web_socket) == (101, socket)
        assert Response(None, 101, web_socket=socket).status == 101

    @pytest.mark.parametrize("text", ["a\r\nb: c", "a\nb", "\0", "€"])
    def test_bad_status_texts_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="Invalid statusText"):
            Response("x", status_text=text)
        with pytest.raises(TypeError):
            Response("x", status_text=5)

    def test_bad_headers_are_refused_where_they_are_given(self) -> None:
        with pytest.raises(ValueError, match="Invalid header value"):
            Response("x", headers={"a": "b\r\nc: d"})

    def test_headers_may_be_changed_later(self) -> None:
        response = Response("x")
        response.headers["a"] = "b"
        response.headers.append("Set-Cookie", "c")
        response.headers.append("Set-Cookie", "d")
        assert response._parts()[1] == [*TEXT, ("a", "b"), ("set-cookie", "c"), ("set-cookie", "d")]
        assert Response("x")._parts()[1] == TEXT


class TestStatic:
    def test_json_makes_of_the_class_and_reads_of_a_response(self) -> None:
        response = Response.json({"obj": {"field": 123}}, status=HTTPStatus.NOT_FOUND)
        assert (response.status, response.headers["content-type"]) == (404, "application/json")
        assert run(response.clone().text) == '{"obj": {"field": 123}}'
        assert run(response.json) == {"obj": {"field": 123}}
        assert run(Response.from_json([1]).json) == [1]
        assert run(Response.json(data=None).json) is None
        mine = Response.json("x", 201, "Made", {"Content-Type": "a/b", "c": "d"})
        assert mine._parts() == (201, [("content-type", "a/b"), ("c", "d")], b'"x"')
        assert mine.status_text == "Made"
        with pytest.raises(TypeError):
            Response.json(object())

    @pytest.mark.parametrize("status", sorted(REDIRECTS))
    def test_redirects(self, status: int) -> None:
        response = Response.redirect("https://Example.com", status)
        assert response._parts() == (status, [("location", "https://example.com/")], None)
        assert Response.redirect("https://a/").status == 302
        assert Response.redirect("https://a/", HTTPStatus.SEE_OTHER).status == 303

    @pytest.mark.parametrize(
        ("url", "status"),
        [("", 502), ("https://a/", 200), ("https://a/", HTTPStatus.NOT_MODIFIED), ("", 302), ("/rel", 302)],
    )
    def test_bad_redirects_are_value_errors(self, url: str, status: int) -> None:
        with pytest.raises(ValueError):
            Response.redirect(url, status)


class TestPassingOn:
    def test_from_the_runtime_it_goes_on_unchanged(self) -> None:
        pairs = (("a", "1"), ("a", "2"), ("set-cookie", "x"))
        response = Response._of(203, pairs, b"body", "http://a/", "Text", True)
        assert (response.url, response.status_text, response.redirected) == ("http://a/", "Text", True)
        assert repr(response) == "Response(status=203, status_text='Text', url='http://a/')"
        assert response._parts() == (203, list(pairs), b"body")

    def test_its_stream_can_be_the_body_of_another(self) -> None:
        async def main() -> None:
            first = Response._of(200, (), b"Hi there!")
            second = Response(first.body, status=201, headers={"a": "b"})
            assert await second.text() == "Hi there!"
            assert first.body_used
            with pytest.raises(TypeError, match="already been read"):
                Response(first.body)

        run(main)

    def test_a_body_is_replaced(self) -> None:
        response = Response("test", status=201, status_text="Created", headers={"a": "b"})
        other = response.replace_body("other")
        assert (other.status, other.status_text, other.headers["a"]) == (201, "Created", "b")
        assert run(other.text) == "other"
        assert run(response.text) == "test"

    def test_a_clone_is_read_apart(self) -> None:
        async def main() -> None:
            for body in ("ab", iter(["a", "b"])):
                response = Response(body, 201, "Made", {"x": "y"})
                clone = response.clone()
                clone.headers["x"] = "z"
                assert await asyncio.gather(response.text(), clone.text()) == ["ab", "ab"]
                assert (clone.status, clone.status_text, response.headers["x"]) == (201, "Made", "y")
                with pytest.raises(OSError, match="Body already used"):
                    response.clone()

        run(main)

    def test_it_is_sent_once(self) -> None:
        response = Response("x")
        response._parts()
        with pytest.raises(OSError, match="Body already used"):
            response._parts()
        with pytest.raises(OSError, match="Body already used"):
            run(response.text)

    def test_failures_can_be_raised(self) -> None:
        Response("x", 399).raise_for_status()
        with pytest.raises(OSError, match="404 Not Found"):
            Response("x", 404, "Not Found").raise_for_status()
