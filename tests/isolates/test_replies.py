"""Responses that leave nothing behind are one effect in both languages, and a step of nothing else is a short frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import short, wire
from pyworkerd_isolates.protocol import Done, Replied, Respond, Result

from tests.isolates.python.test_stubs import Guest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

SOURCES = {
    "javascript": """
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  fetch(request) {
    const what = new URL(request.url).pathname.slice(1);
    if (what === "later") this.ctx.waitUntil(new Promise(() => {}));
    if (what === "made") return new Response("made", { status: 404, headers: { a: "b" } });
    return new Response(what === "long" ? "\\u20ac".repeat(20000) : decodeURIComponent(what));
  }
  count() { return 7; }
}
""",
    "python": """
import asyncio
from urllib.parse import unquote
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        what = request.url.rsplit("/", 1)[1]
        if what == "later":
            self.ctx.wait_until(asyncio.sleep(1000))
        if what == "made":
            return Response("made", status=404, headers={"a": "b"})
        return Response("\\u20ac" * 20000 if what == "long" else unquote(what))

    async def count(self):
        return 7
""",
}
FILES = {"javascript": "w.js", "python": "w.py"}
TEXT = (("content-type", "text/plain;charset=UTF-8"),)


@pytest.fixture(params=sorted(SOURCES))
def guest(request: pytest.FixtureRequest, start: Callable[..., Driver]) -> Guest:
    made = Guest(start({FILES[request.param]: SOURCES[request.param]}).isolate)
    made.step(fetch(1, "first"))
    return made


def fetch(number: int, what: str) -> tuple[Any, ...]:
    return ("fetch", number, None, {}, "GET", f"http://w/{what}", (), None)


def call(number: int) -> tuple[Any, ...]:
    return ("rpc", number, None, {}, "count", wire.dump_value([[], {}]))


@pytest.mark.parametrize("number", [9, 2**31, 2**32 - 1, 2**40])
def test_texts_alone_are_a_short_frame(guest: Guest, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    before = short.replied

    def replied(frame: bytes, at: int) -> tuple[int, bytes, bytes, int]:
        read.append(at)
        return before(frame, at)

    monkeypatch.setattr(short, "replied", replied)
    said = ["", "x", "%E2%82%AC", "long", "x" * 5000]
    effects = guest.step(*(fetch(number - at, what) for at, what in enumerate(said)))
    assert {type(effect) for effect in effects} == {Replied}
    bodies = [b"", b"x", "€".encode(), "€".encode() * 20000, b"x" * 5000]
    assert effects == [(number - at, 200, TEXT, body) for at, body in enumerate(bodies)]
    assert len(read) == (0 if number > 2**32 else len(said))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([fetch(2, "later")], [Respond]),
        ([fetch(2, "x"), fetch(3, "later"), fetch(4, "y")], [Replied, Respond, Replied]),
        ([fetch(2, "made")], [Respond, Done]),
        ([fetch(2, "x"), fetch(3, "made")], [Replied, Respond, Done]),
        ([fetch(2, "x"), call(3)], [Replied, Result]),
        ([call(3), fetch(2, "x")], [Result, Replied]),
    ],
)
def test_beside_others_they_are_as_all_effects(
    guest: Guest, events: list[tuple[Any, ...]], expected: list[type]
) -> None:
    effects = guest.step(*events)
    assert [type(effect) for effect in effects] == expected
    told = {effect.invocation: effect for effect in effects if isinstance(effect, Replied)}
    for number, effect in told.items():
        said = next(event[5] for event in events if event[1] == number).rsplit("/", 1)[1]
        assert effect == (number, 200, TEXT, said.encode())
