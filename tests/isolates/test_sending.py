"""What guests of both languages make of bodies that stream beside a value: sent, received, handed on, and let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import (
    Broken,
    Data,
    Done,
    Drop,
    HandedOn,
    Log,
    Result,
    Return,
    Stop,
    StreamRef,
)

from tests.isolates.python.test_stubs import Guest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

IN_PYTHON = """
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def make(self, kind):
        async def source(chunk=b"piece"):
            try:
                while kind != "fails":
                    yield chunk
                raise TypeError("as it was told")
            finally:
                print("closed")

        async def endless():
            return Response(source()).body

        self.many = lambda count, *others: [*(Response(source()).body for _ in range(count)), *others]
        return {
            "stream": lambda: Response(source()).body,
            "fails": lambda: [Response(source(), 201)],
            "words": lambda: Response(iter([5])).body,
            "many": lambda: self.many(251),
            "refused": lambda: self.many(1, object()),
            "twice": lambda: (lambda same: [same, same])(Response(source()).body),
        }[kind]()

    async def give_back(self, value):
        return value

    async def size(self, value):
        return len(await value.read())

    async def ask(self, value):
        return await self.env.OTHER.ask()

    async def ignore(self, value):
        pass
"""
IN_JAVASCRIPT = """
import { WorkerEntrypoint } from "cloudflare:workers";

const source = (kind) => new ReadableStream({
  pull(controller) {
    if (kind === "fails") throw new TypeError("as it was told");
    controller.enqueue(new TextEncoder().encode("piece"));
  },
  cancel() { console.log("closed"); },
}, { highWaterMark: 0 });
const MADE = {
  stream: source,
  fails: () => [new Response(source("fails"), { status: 201 })],
  words: () => ReadableStream.from([5]),
  many: () => Array.from({ length: 251 }, source),
  refused: () => [source(), new WeakMap()],
  twice: () => (same => [same, same])(source()),
};
export default class extends WorkerEntrypoint {
  make(kind) { return MADE[kind](kind); }
  give_back(value) { return value; }
  async size(value) { return (await new Response(value).bytes()).length; }
  async ask(value) { return this.env.OTHER.ask(); }
  ignore() {}
}
"""
SOURCES = {"JavaScript": {"worker.js": IN_JAVASCRIPT}, "Python": {"worker.py": IN_PYTHON}}


@pytest.fixture(scope="module", params=SOURCES)
def image(sandbox: Sandbox, request: pytest.FixtureRequest) -> Any:
    return sandbox.image(SOURCES[request.param])


@pytest.fixture
def guest(start: Callable[..., Driver], image: Any) -> Guest:
    guest = Guest(start(image).isolate)
    guest.bindings = [("OTHER", "fetcher", 1)]
    return guest


class Tagged:
    """Stands for what a guest's SDK has a tag for."""

    def __init__(self, tag: str, payload: object) -> None:
        self.tag, self.payload = tag, payload


def stream(body: object) -> Tagged:
    return Tagged("ReadableStream", [body])


def place(number: object) -> Tagged:
    return Tagged("body", number)


def written(*values: object) -> bytes:
    return wire.dump_value(
        [list(values), {}], lambda found: (found.tag, found.payload) if isinstance(found, Tagged) else None
    )


def of(effects: list[Any], kind: type) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def is_last(returned: Any, more: list[Any]) -> bool:
    """Whether nothing is left of the first invocation: by the same effect, or the last one."""
    return isinstance(returned, Result) or more[-1] == Done(1)


def test_a_stream_goes_beside_its_value_and_keeps_the_invocation(guest: Guest) -> None:
    effects = guest.step(("rpc", 1, None, {}, "make", wire.dump_value([["stream"], {}])))
    assert effects[0] == Return(1, effects[0].value)
    assert effects[0].value.stubs == (StreamRef(1, None),)
    assert [each.data[:5] for each in of(effects, Data)[:1]] == [b"piece"]
    effects = guest.step(("stop", 1))
    assert ([log.message for log in of(effects, Log)], of(effects, Done)) == (["closed"], [Done(1)])


@pytest.mark.parametrize("kind", ["fails", "words"])
def test_what_cannot_be_completed_is_told_so(guest: Guest, kind: str) -> None:
    effects = guest.step(("rpc", 1, None, {}, "make", wire.dump_value([[kind], {}])))
    effects += guest.step(("focus", [1]))
    assert of(effects, Broken) == [Broken(1, "the worker failed while it wrote this body")]
    assert of(effects, Done) == [Done(1)]


@pytest.mark.parametrize("kind", ["many", "refused", "twice"])
def test_what_is_not_sent_is_let_go_of(guest: Guest, kind: str) -> None:
    effects = guest.step(("rpc", 1, None, {}, "make", wire.dump_value([[kind], {}])))
    effects += guest.step(("focus", [1]))
    assert (of(effects, Return), of(effects, Data)) == ([], [])
    assert of(effects, Done) == [Done(1)]


def test_a_stream_arrives_and_is_read(guest: Guest) -> None:
    pulled = guest.step(("rpc", 1, None, {}, "size", written(stream(place(0))), [StreamRef(2, None)]))
    assert [type(each).__name__ for each in pulled] == ["Pull"]
    returned, *more = guest.step(("data", 2, b"12345", False), ("data", 2, b"", True))
    assert (wire.load_value(returned.value), is_last(returned, more)) == (5, True)


def test_one_that_nobody_has_read_is_handed_on(guest: Guest) -> None:
    returned, *more = guest.step(
        ("rpc", 1, None, {}, "give_back", written(stream(place(0))), [StreamRef(2, None)])
    )
    assert (returned.value.stubs, is_last(returned, more)) == ((HandedOn(2),), True)


@pytest.mark.parametrize(
    "values",
    [
        (stream(place(0)), stream(place(0))),
        (place(1),),
        (place("length"),),
        (place(-1),),
        (place(7),),
        (stream("text"),),
        (stream(None),),
        (stream(5),),
    ],
)
def test_forged_places_are_refused_and_nothing_is_kept(guest: Guest, values: tuple[object, ...]) -> None:
    effects = guest.step(("rpc", 1, None, {}, "ignore", written(*values), [StreamRef(2, None), 3]))
    failed = [effect for effect in effects if hasattr(effect, "reason")]
    assert [each.reason for each in failed] == ["exception"]
    assert (of(effects, Stop), of(effects, Drop)) == ([Stop(2)], [Drop(3)])


def test_what_nobody_takes_is_stopped(guest: Guest) -> None:
    effects = guest.step(("rpc", 1, None, {}, "ignore", written(1), [StreamRef(2, None)]))
    assert Stop(2) in effects
    effects = guest.step(("rpc", 2, None, {}, "ignore", written(stream(place(0))), [StreamRef(4, None)]))
    assert Stop(4) in effects
    guest.step(("rpc", 3, None, {}, "ask", written(1)))
    guest.step(("cancel", 3))
    assert Stop(6) in guest.step(("resolve_value", 1, wire.dump_value(None), [StreamRef(6, None)]))
