"""Requests: made by a program, made by the runtime, read once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from http import HTTPMethod
from typing import TYPE_CHECKING, Any

import pytest
from guest_workers.blob import Blob
from guest_workers.body import BodyStream
from guest_workers.form_data import FormData
from guest_workers.headers import Headers
from guest_workers.request import Request, normal_method, normal_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        return await main()

    return asyncio.run(inside())


def stream(*chunks: bytes) -> BodyStream:
    class Source:
        def __init__(self) -> None:
            self.left = list(chunks)

        async def read(self) -> bytes:
            return self.left.pop(0) if self.left else b""

        def cancel(self) -> None:
            self.left.clear()

    return BodyStream(Source())


class TestByPrograms:
    def test_it_is_what_the_sdk_says(self) -> None:
        request = Request("https://test.com", method=HTTPMethod.POST)
        assert request.method is HTTPMethod.POST
        assert request.method == "POST"
        assert repr(request) == "Request(method='POST', url='https://test.com/')"
        assert Request("http://example.com").method == "GET"
        assert request.js_object is request
        assert request.cf is None

    def test_headers_are_taken_in_every_form(self) -> None:
        for headers in ({"aaaa": "test"}, [("aaaa", "test")], Headers({"AAAA": "test"})):
            assert Request("http://example.com", headers=headers).headers["Aaaa"] == "test"
        pairs = [("Set-Cookie", "s=a, b"), ("Set-Cookie", "t=x"), ("X", "v"), ("x", "w")]
        headers = Request("http://example.com", headers=pairs).headers
        assert headers.get_all("Set-Cookie") == ["s=a, b", "t=x"]
        assert headers.get_all("x") == ["v, w"]

    def test_options_have_the_standards_defaults(self) -> None:
        request = Request("http://a", redirect="manual", cf={"colo": "X"}, unheard_of=1, cache="no-store")
        assert (request.redirect, request.cf, request.cache) == ("manual", {"colo": "X"}, "no-store")
        plain = Request("http://a")
        assert (plain.redirect, plain.cache, plain.credentials) == ("follow", "default", "same-origin")
        assert (plain.mode, plain.keepalive, plain.integrity) == ("cors", False, "")
        assert (plain.referrer, plain.referrer_policy, plain.destination) == ("about:client", "", "")
        assert not hasattr(request, "unheard_of")

    @pytest.mark.parametrize("method", ["GET", "HEAD", "get", HTTPMethod.HEAD])
    def test_get_and_head_have_no_body(self, method: str) -> None:
        with pytest.raises(TypeError, match="Request with a GET or HEAD method cannot have a body"):
            Request("http://a", method=method, body="x")

    @pytest.mark.parametrize(
        ("body", "kind"),
        [("x", "text/plain;charset=UTF-8"), (Blob("x", "a/b"), "a/b"), (b"x", None), (iter("x"), None)],
    )
    def test_a_body_names_its_type_unless_the_headers_do(self, body: object, kind: str | None) -> None:
        request = Request("http://a", method="POST", body=body)
        assert request.headers["content-type"] == kind
        assert run(request.bytes) == b"x"
        request = Request("http://a", method="POST", body=b"x", headers={"Content-Type": "c/d"})
        assert request.headers["content-type"] == "c/d"

    def test_other_bodies_are_refused(self) -> None:
        with pytest.raises(TypeError, match="Unsupported type in Request: dict"):
            Request("http://a", method="POST", body={})

    def test_from_another_it_takes_over_what_it_is_not_given(self) -> None:
        first = Request("http://a/x", method="PUT", headers={"a": "1"}, body="text", redirect="error")
        second = Request(first)
        assert (second.method, second.url, second.redirect) == ("PUT", "http://a/x", "error")
        assert second.headers.items() == first.headers.items()
        second.headers["a"] = "2"
        assert first.headers["a"] == "1"
        assert first.body_used
        assert run(second.text) == "text"
        with pytest.raises(OSError, match="Body already used"):
            Request(first)
        third = Request(first, method="POST", headers={"b": "3"}, body="new")
        assert (third.method, third.headers["a"], third.headers["b"]) == ("POST", None, "3")
        assert run(third.text) == "new"

    @pytest.mark.parametrize(
        ("url", "normal"),
        [
            ("https://Test.COM", "https://test.com/"),
            ("HTTP://a?q", "http://a/?q"),
            ("http://a#f", "http://a/#f"),
            (" http://User:PW@A:80/B c\t", "http://User:PW@a:80/B%20c"),
            ("http://a/é?€=\ud800", "http://a/%C3%A9?%E2%82%AC=%3F"),
            ("http://a/%zz/../b", "http://a/%zz/../b"),
            ("http://[::1]:8/", "http://[::1]:8/"),
        ],
    )
    def test_urls_are_absolute(self, url: str, normal: str) -> None:
        assert Request(url).url == normal
        assert normal_url(normal) == normal

    @pytest.mark.parametrize(
        "url",
        ["", "/a", "a.b/c", "http://", "http:///a", "ftp://a/", "http://a\r\nb/", "http://a/\0", None, 5],
    )
    def test_other_urls_are_refused(self, url: object) -> None:
        with pytest.raises(TypeError, match="Invalid URL"):
            Request(url)

    def test_methods_are_tokens(self) -> None:
        assert normal_method("post") == "POST"
        assert normal_method("patch") == "patch"
        assert normal_method(HTTPMethod.PATCH) == "PATCH"
        assert Request("http://a", method="PROPFIND").method == "PROPFIND"
        for bad in ("A B", "A\r\n", "é", " GET"):
            with pytest.raises(TypeError, match="Invalid HTTP method"):
                Request("http://a", method=bad)


class TestByTheRuntime:
    def test_nothing_is_looked_at_until_it_is_asked_for(self) -> None:
        pairs = (("host", "a"), ("accept", "x"), ("accept", "y"))
        request = Request._of("GET", "http://a/ not looked at", pairs)
        assert request._parts() == ("GET", "http://a/ not looked at", list(pairs), None)
        assert request.headers["Accept"] == "x, y"
        assert request.redirect == "manual"
        assert request.body is None
        assert not request.body_used

    def test_changed_headers_are_sent(self) -> None:
        request = Request._of("GET", "http://a/", [("a", "1"), ("set-cookie", "b")])
        request.headers["a"] = "2"
        request.headers.append("set-cookie", "c")
        assert request._parts()[2] == [("a", "2"), ("set-cookie", "b"), ("set-cookie", "c")]

    def test_a_body_is_bytes_or_a_stream_or_its_source(self) -> None:
        assert run(Request._of("POST", "http://a/", (), b"x").text) == "x"
        assert run(Request._of("POST", "http://a/", (), stream(b"x", b"y")).text) == "xy"
        assert run(Request._of("POST", "http://a/", (), stream(b"x", b"y")._source).text) == "xy"


def bodies() -> list[Any]:
    return [b'{"a": 1.5}', stream(b'{"a"', b": 1.5}"), BodyStream.of(b'{"a": 1.5}')]


class TestReading:
    @pytest.mark.parametrize("which", range(3))
    def test_each_way_and_only_once(self, which: int) -> None:
        def request() -> Request:
            return Request._of("POST", "http://a/", [("content-type", "application/json")], bodies()[which])

        async def main() -> None:
            assert await request().text() == '{"a": 1.5}'
            assert await request().bytes() == await request().buffer() == b'{"a": 1.5}'
            assert await request().json() == {"a": 1.5}
            assert await request().json(parse_float=Decimal) == {"a": Decimal("1.5")}
            blob = await request().blob()
            assert (await blob.text(), blob.content_type) == ('{"a": 1.5}', "application/json")
            assert b"".join([chunk async for chunk in request().body]) == b'{"a": 1.5}'
            used = request()
            assert not used.body_used
            await used.text()
            assert used.body_used
            for method in (used.text, used.bytes, used.buffer, used.json, used.blob, used.form_data):
                with pytest.raises(OSError, match="Body already used"):
                    await method()
            for use in (used.clone, used._parts, used._take):
                with pytest.raises(OSError, match="Body already used"):
                    use()

        run(main)

    @pytest.mark.parametrize("which", range(3))
    def test_a_clone_is_read_apart(self, which: int) -> None:
        async def main() -> None:
            request = Request._of("POST", "http://a/", [("a", "b")], bodies()[which])
            clone = request.clone()
            clone.headers["a"] = "c"
            assert await request.json() == await clone.json() == {"a": 1.5}
            assert (request.headers["a"], clone.method, clone.url) == ("b", "POST", "http://a/")

        run(main)

    @pytest.mark.parametrize("which", range(3))
    def test_a_stream_that_was_begun_counts_as_used(self, which: int) -> None:
        async def main() -> None:
            request = Request._of("POST", "http://a/", (), bodies()[which])
            body = request.body
            assert request.body is body
            assert not request.body_used
            await body.read(1)
            assert request.body_used
            with pytest.raises(OSError, match="Body already used"):
                await request.text()

        run(main)

    def test_bytes_in_hand_stay_bytes_though_a_stream_was_asked_for(self) -> None:
        request = Request._of("POST", "http://a/", (), b"x")
        assert request.body is not None
        assert request._take() == b"x"
        assert request.body_used
        assert request.body.used

    def test_no_body_is_empty_and_never_used(self) -> None:
        async def main() -> None:
            request = Request("http://a")
            assert await request.text() == await request.text() == ""
            assert not request.body_used
            assert request.clone().body is None

        run(main)

    def test_text_is_lenient_utf8(self) -> None:
        assert run(Request._of("POST", "http://a/", (), b"\xef\xbb\xbfa\xff").text) == "a\ufffd"

    def test_forms(self) -> None:
        async def main() -> None:
            form = FormData({"a": "é"})
            form.append("f", Blob("x", "t/p"), filename="n")
            got = await Request("http://a", method="POST", body=form).form_data()
            assert got["a"] == "é"
            assert (got["f"].name, got["f"].content_type, await got["f"].bytes()) == ("n", "t/p", b"x")
            kind = {"content-type": "application/x-www-form-urlencoded"}
            got = await Request("http://a", method="POST", body="a=1&b=+2", headers=kind).formData()
            assert list(got.items()) == [("a", "1"), ("b", " 2")]
            with pytest.raises(TypeError, match="Unrecognized Content-Type"):
                await Request("http://a", method="POST", body=b"a=1").form_data()

        run(main)

    def test_deep_json_is_a_recursion_error_before_it_is_a_trap(self) -> None:
        deep = Request("http://a", method="POST", body=b'["]",' * 5000)
        with pytest.raises(RecursionError):
            run(deep.json)
        wide = Request("http://a", method="POST", body=b"[" + b"[]," * 5000 + b'"[[["]')
        assert len(run(wide.json)) == 5001

    def test_bad_json_is_a_value_error(self) -> None:
        with pytest.raises(ValueError):
            run(Request("http://a", method="POST", body="{").json)
