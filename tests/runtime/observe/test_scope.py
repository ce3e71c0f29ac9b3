"""Request ids and traces: where they begin, what they follow, and that no guest can take another one's."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import begin, scope
from pyworkerd.observe.trace import RANDOM, format_parent, parse_parent
from pyworkerd.services.base import DEFAULT, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Headers
    from pyworkerd.runtime import Runtime

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-03"


def test_a_request_without_a_trace_begins_one() -> None:
    headers = (("host", "a"), ("x-request-id", "mine"))
    made, left = begin(headers)
    assert left is headers
    parent = parse_parent(dict(made.headers)["traceparent"])
    assert parent == (made.trace_id, made.span_id, RANDOM)
    assert made.request_id == made.span_id
    assert made.root is made
    assert len({begin()[0].trace_id for _ in range(100)} | {begin()[0].request_id for _ in range(100)}) == 200


def test_a_trace_is_continued_with_a_span_of_its_own() -> None:
    made, left = begin((("traceparent", GIVEN), ("x", "y"), ("tracestate", "a=1"), ("tracestate", "b=2")))
    assert left == (("x", "y"),)
    assert (made.trace_id, made.flags, made.state) == (TRACE, 3, "a=1,b=2")
    assert made.span_id != SPAN
    assert made.headers == (
        ("traceparent", f"00-{TRACE}-{made.span_id}-03"),
        ("tracestate", "a=1,b=2"),
    )


@pytest.mark.parametrize(
    "headers",
    [
        (("traceparent", "\xff\x1b[2J"), ("tracestate", "a=1")),
        (("traceparent", GIVEN), ("traceparent", GIVEN), ("tracestate", "a=1")),
        (("tracestate", "a=1"),),
    ],
)
def test_what_is_malformed_begins_a_new_trace(headers: Headers) -> None:
    made, left = begin(headers)
    assert left == ()
    assert made.trace_id != TRACE
    assert made.headers == (("traceparent", format_parent(made.trace_id, made.span_id, RANDOM)),)


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "x"]), st.text() | st.just(GIVEN))))
def test_whatever_comes_in_what_goes_on_is_well_formed(headers: list[tuple[str, str]]) -> None:
    made, left = begin(tuple(headers))
    assert left == tuple(pair for pair in headers if pair[0] == "x")
    assert parse_parent(made.headers[0][1]) is not None
    assert re.fullmatch(r"[0-9a-f]{16}", made.request_id)


def test_a_call_is_a_child() -> None:
    made, _ = begin((("traceparent", GIVEN), ("tracestate", "a=1")))
    child, left = made.call((("tracestate", "forged=1"), ("x", "y")))
    assert left == (("x", "y"),)
    assert (child.trace_id, child.request_id, child.flags) == (TRACE, made.request_id, 3)
    assert child.span_id not in (made.span_id, SPAN)
    assert dict(child.headers)["tracestate"] == "a=1"
    grandchild, _ = child.call()
    assert grandchild.root is made
    assert grandchild.request_id == made.request_id


def test_a_sender_keeps_the_parent_that_it_wrote_but_not_the_one_that_it_was_given() -> None:
    made, _ = begin()
    own = (("traceparent", GIVEN), ("tracestate", "a=1"))
    child, left = made.call(own)
    assert (child.headers, left) == ((), own)
    assert child.trace_id == made.trace_id
    handed_on, left = made.call((*made.headers, ("x", "y")))
    assert left == (("x", "y"),)
    assert handed_on.headers[0][1] == format_parent(made.trace_id, handed_on.span_id, RANDOM)


# through real workers ------------------------------------------------------------------------------------------------

CALLER = """
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("caller")
        seen = [request.headers.get("traceparent"), request.headers.get("tracestate")]
        answer = await self.env.CALLEE.fetch("http://callee/")
        forged = await self.env.CALLEE.fetch("http://callee/", headers={"traceparent": "FORGED"})
        handed_on = await self.env.CALLEE.fetch(request)
        await self.env.CALLEE.note()
        outside = await fetch("http://outside/")
        return Response.json([seen, *[await each.json() for each in (answer, forged, handed_on, outside)]])
"""
CALLEE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("callee", request.headers.get("traceparent"))
        return Response.json(request.headers.get("traceparent"))

    async def note(self):
        print("note")
"""


class Outside:
    """A server outside, as far as a worker can tell."""

    name, external = "outside", True

    def __init__(self) -> None:
        self.headers: list[Headers] = []

    async def fetch(self, request: Request, target: Target = DEFAULT, *, redirect: str = "") -> Response:
        self.headers.append(request.headers)
        found = dict(request.headers)["traceparent"]
        return Response(body=Body(f'"{found}"'.encode()))

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def test_a_trace_follows_the_calls_that_workers_make(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        outside = Outside()
        callee = await runtime.load({"callee.py": CALLEE}, name="callee")
        caller = await runtime.load(
            {"caller.py": CALLER}, name="caller", bindings={"CALLEE": callee}, network=outside
        )
        headers = {"traceparent": GIVEN, "tracestate": "a=1"}
        (own, state), answer, forged, handed_on, away = await (
            await caller.fetch("/", headers=headers)
        ).json()
        parents = [parse_parent(value) for value in (own, answer, handed_on, away)]
        assert all(
            parent is not None and parent.trace_id == TRACE and parent.flags == 3 for parent in parents
        )
        spans = {parent.span_id for parent in parents if parent is not None}
        assert len(spans | {SPAN}) == 5
        assert (state, forged) == ("a=1", "FORGED")
        assert dict(outside.headers[0])["tracestate"] == "a=1"
        request_id = own.split("-")[2]
        entries = [*caller.logs, *callee.logs]
        assert [entry.message.split()[0] for entry in entries] == ["caller", *["callee"] * 3, "note"]
        assert {(entry.request_id, entry.trace_id) for entry in entries} == {(request_id, TRACE)}
        assert scope.get() is None

    with_runtime(main)


def test_requests_that_share_an_isolate_keep_apart(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"callee.py": CALLEE}, name="w")
        answers: list[Any] = await asyncio.gather(*(worker.fetch("/") for _ in range(20)))
        seen = [(await answer.json()).split("-") for answer in answers]
        assert len({parts[1] for parts in seen}) == len({parts[2] for parts in seen}) == 20
        logged = {(entry.trace_id, entry.request_id): entry.message.split("-")[1:3] for entry in worker.logs}
        assert all(message == list(ids) for ids, message in logged.items())
        assert len(logged) == 20

    with_runtime(main)


@pytest.mark.parametrize("reuse", ["isolate", "request"])
def test_the_note_of_a_cold_start_is_on_the_request_that_came_in(
    with_runtime: Callable[..., None], reuse: Any
) -> None:
    async def main(runtime: Runtime) -> None:
        callee = await runtime.load({"callee.py": CALLEE}, name="callee", reuse=reuse)
        caller = await runtime.load(
            {"caller.py": CALLER}, name="caller", bindings={"CALLEE": callee}, network=Outside()
        )

        async def cold() -> bool:
            made, _ = begin()
            scope.set(made)
            await (await caller.fetch("/")).read()
            return made.cold

        assert await asyncio.create_task(cold())
        assert await asyncio.create_task(cold()) is (reuse == "request")

    with_runtime(main)
