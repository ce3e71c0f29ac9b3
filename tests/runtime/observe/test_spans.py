"""What is told of requests and calls: their ids, no secrets, and nothing where nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import UpstreamError
from pyworkerd.observe import spans
from pyworkerd.observe.access import AccessEntry
from pyworkerd.observe.scope import begin
from pyworkerd.observe.spans import Outside, Span, code_of, say, say_request, tell, wanted
from pyworkerd.observe.trace import RANDOM, SAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = (("traceparent", f"00-{TRACE}-{PARENT}-00"),)


@pytest.fixture
def heard() -> Iterator[list[Span]]:
    """Everything that is told; every trace is wanted."""
    told: list[Span] = []
    tell(told.append, lambda trace_id, parent: True)
    yield told
    tell(None)


def entry(method: str = "GET", status: int = 200, error: str = "") -> AccessEntry:
    return AccessEntry(
        12.5, "r", TRACE, "192.0.2.1", method, "h:1", "/p", "HTTP/1.1", status, error, 3, 4, 1.0, "shop", True
    )


def test_nothing_is_told_where_nobody_listens_or_the_trace_is_not_sampled() -> None:
    scope, _ = begin()
    assert scope.flags == RANDOM
    assert not wanted(scope)
    say(scope, "x", "internal", 1, {})
    heard: list[Span] = []
    tell(heard.append, lambda trace_id, parent: False)
    try:
        unsampled, _ = begin((("traceparent", f"00-{TRACE}-{PARENT}-03"),))
        assert unsampled.flags == RANDOM
        assert not wanted(unsampled)
        say(unsampled, "x", "internal", 1, {})
    finally:
        tell(None)
    assert heard == []
    assert spans.told.decide is None


def test_a_span_has_the_ids_of_its_scope_and_what_is_inside_has_its_own(heard: list[Span]) -> None:
    scope, _ = begin(HEADERS)
    call, _ = scope.call()
    say(scope, "request", "server", 1, {})
    say(call, "call", "internal", 1, {"a": 1}, "broke")
    say(call, "inside", "client", 1, {}, inside=True)
    first, second, third = heard
    assert (first.trace_id, first.span_id, first.parent_id) == (TRACE, scope.request_id, PARENT)
    assert (second.span_id, second.parent_id, second.error) == (call.span_id, scope.span_id, "broke")
    assert third.parent_id == call.span_id
    assert third.span_id not in (scope.span_id, call.span_id)
    assert {span.flags & SAMPLED for span in heard} == {SAMPLED}
    assert begin()[0].parent_id == ""


@pytest.mark.parametrize(
    ("method", "status", "error", "name", "failed"),
    [("GET", 200, "", "GET", ""), ("BREW", 404, "", "_OTHER", ""), ("POST", 500, "", "POST", "500"),
     ("GET", 503, "overloaded", "GET", "overloaded"), ("GET", 0, "cancelled", "GET", "cancelled")],
)  # fmt: skip
def test_a_request_is_told_as_the_access_log_has_it(
    method: str, status: int, error: str, name: str, failed: str, heard: list[Span]
) -> None:
    say_request(begin()[0], entry(method, status, error))
    (span,) = heard
    assert (span.name, span.kind, span.error, span.began_ns) == (name, "server", failed, 12_500_000_000)
    assert span.attributes.get("http.response.status_code") == (status or None)
    assert span.attributes["url.path"] == "/p"


def test_what_leaves_is_told_without_query_and_credentials(heard: list[Span]) -> None:
    scope = begin()[0].call(caller="shop")[0]
    with Outside(scope, "PURGE", "http://user:password@h:8/a?token=secret#x") as leaving:
        leaving.status = 404
    with pytest.raises(UpstreamError), Outside(scope, "GET", "http://h/"):
        raise UpstreamError("gone")
    missing, broken = heard
    assert (missing.name, missing.kind, missing.error) == ("_OTHER", "client", "404")
    assert (missing.attributes["server.address"], missing.attributes["url.path"]) == ("h:8", "/a")
    assert missing.attributes["pyworkerd.worker"] == "shop"
    assert broken.error == UpstreamError.code
    assert "secret" not in repr(heard)
    assert "password" not in repr(heard)


def test_errors_have_a_code() -> None:
    assert code_of(UpstreamError("x")) == UpstreamError.code
    assert code_of(ValueError("x")) == "ValueError"
