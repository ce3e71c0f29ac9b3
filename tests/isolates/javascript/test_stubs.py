"""What a JavaScript guest makes of functions and objects that cross, and how stubs and promises of calls look to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Call, Drop, Held, Reference, Result, Shared

from tests.isolates.python.test_stubs import ASKED, Guest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

SOURCE = """
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Target extends RpcTarget {
  [Symbol.dispose]() { console.log("disposed"); }
}
export default class extends WorkerEntrypoint {
  lend() {
    const target = new Target();
    return [() => 1, target, { a: async () => 2 }, target];
  }
  async forward(stub) { return [stub, await stub.name, await stub(1)]; }
  use(stub) {
    const other = stub.dup();
    other[Symbol.dispose]();
    other[Symbol.dispose]();
    try {
      other.dup();
    } catch (error) {
      return error.message.slice(0, 42);
    }
  }
  look(stub) {
    const member = stub.name;
    return [
      typeof stub, stub instanceof RpcStub, stub instanceof RpcTarget, stub.constructor === RpcStub, `${stub}`,
      Object.keys(stub), "name" in stub, stub.then === undefined, JSON.stringify({ stub }),
      stub[Symbol.iterator] === undefined, Reflect.set(stub, "own", 1),
      typeof member, `${member}`, member.constructor === undefined, Reflect.setPrototypeOf(stub, null),
    ];
  }
  promise(stub) {
    const call = stub.a();
    call.catch(() => {});
    return [
      call instanceof Promise, call.constructor === Promise, Object.prototype.toString.call(call), JSON.stringify(call),
      typeof call.b, typeof call.b.c, call.then === Promise.prototype.then, Promise.resolve(call) === call,
    ];
  }
  async pipelined(stub) { return [await stub.a().b, await stub.a().c(1), await stub.a.b.c]; }
  async missing(stub) { return stub.a().nothing; }
  async resumes(stub) {
    let settle;
    const settled = new Promise((resolve) => { settle = resolve; });
    await stub((value) => { settle(value); });
    const value = await settled;
    return [value, await stub(2)];
  }
}
"""
NOTHING = wire.dump_value([[], {}])


@pytest.fixture(scope="module")
def image(sandbox: Sandbox) -> Any:
    return sandbox.image({"worker.js": SOURCE})


@pytest.fixture
def guest(start: Callable[..., Driver], image: Any) -> Guest:
    return Guest(start(image).isolate)


def names(effects: list[Any]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def test_what_is_lent_has_a_number_and_keeps_the_invocation(guest: Guest) -> None:
    (returned,) = guest.step(("rpc", 1, None, {}, "lend", NOTHING))
    assert type(returned.value) is Shared
    assert returned.value.stubs == tuple(Reference(True, number) for number in range(1, 5))
    (called,) = guest.step(("invoke", 2, 3, False, "", NOTHING))
    assert called == Result(2, wire.dump_value(2))
    assert guest.step(("released", 2), ("released", 1), ("released", 3)) == []
    assert names(guest.step(("released", 4))) == ["Log", "Done"]
    (failed, _) = guest.step(("invoke", 3, 1, False, "", NOTHING))
    assert failed.reason == "broken_stub"


def test_a_stub_among_arguments_is_asked_handed_on_and_let_go(guest: Guest) -> None:
    (asked,) = guest.step(("rpc", 1, None, {}, "forward", ASKED, [7]))
    assert asked == Call(1, 1, Held(7, True), "name", NOTHING)
    (asked,) = guest.step(("resolve_value", 1, wire.dump_value("seven")))
    assert asked == Call(2, 1, Held(7, False), "", wire.dump_value([[1], {}]))
    returned, dropped, done = guest.step(("resolve_value", 2, wire.dump_value(None)))
    assert (returned.value.stubs, dropped, done.invocation) == ((Reference(False, 7),), Drop(7), 1)


def test_a_stub_counts_who_stands_for_it(guest: Guest) -> None:
    returned, dropped, _ = guest.step(("rpc", 1, None, {}, "use", ASKED, [7]))
    assert wire.load_value(returned.value) == "RPC stub used after being disposed. One am"
    assert dropped == Drop(7)
    effects = guest.step(("rpc", 2, None, {}, "use", ASKED, [8, 9]))
    assert {effect.stub for effect in effects if isinstance(effect, Drop)} == {8, 9}


def test_where_there_is_no_room_the_call_fails(guest: Guest) -> None:
    failed, _ = guest.step(("rpc", 1, None, {}, "use", ASKED, None))
    assert (failed.type_name, "names more stubs" in failed.message) == ("RangeError", True)


def test_an_answer_that_nobody_waits_for_is_let_go(guest: Guest) -> None:
    guest.step(("rpc", 1, None, {}, "forward", ASKED, [7]))
    guest.step(("cancel", 1))
    assert Drop(9) in guest.step(("resolve_value", 1, wire.dump_value(None), [9]))


def test_a_stub_shows_nothing_and_takes_nothing(guest: Guest) -> None:
    returned, *_ = guest.step(("rpc", 1, None, {}, "look", ASKED, [7]))
    assert wire.load_value(returned.value) == [
        *("function", True, False, True, "[object RpcStub]", [], False, True, "{}", True, False),
        *("function", "[object RpcProperty]", True, False),
    ]


def test_the_promise_of_a_call_is_a_promise(guest: Guest) -> None:
    _, returned, *_ = guest.step(("rpc", 1, None, {}, "promise", ASKED, [7]))
    assert wire.load_value(returned.value) == [
        *(True, True, "[object Promise]", "{}", "function", "function", True, True)
    ]


def test_what_a_call_will_return_can_be_asked(guest: Guest) -> None:
    (asked,) = guest.step(("rpc", 1, None, {}, "pipelined", ASKED, [7]))
    assert (asked.capability, asked.method) == (Held(7, False), "a")
    (asked,) = guest.step(("resolve_value", 1, wire.dump_value({"b": "copied"})))
    stub = wire.dump_value(OBJECT, lambda value: ("stub", 0) if value is OBJECT else None)
    (through,) = guest.step(("resolve_value", asked.call, stub, [8]))
    assert (through.capability, through.method) == (Held(8, False), "c")
    (reads,) = guest.step(("resolve_value", through.call, wire.dump_value("called")))
    assert (reads.capability, reads.method) == (Held(7, True), "a")
    returned, *_ = guest.step(("resolve_value", reads.call, wire.dump_value({"b": {"c": "deep"}})))
    assert wire.load_value(returned.value) == ["copied", "called", "deep"]
    (asked,) = guest.step(("rpc", 2, None, {}, "missing", ASKED, [9]))
    failed, *_ = guest.step(("resolve_value", asked.call, wire.dump_value({"b": 1})))
    assert (failed.type_name, "has no 'nothing'" in failed.message) == ("TypeError", True)


OBJECT = object()


def test_code_goes_on_as_that_of_its_own_invocation(guest: Guest) -> None:
    """Also where a callback settled what it waited for, whose own invocation is over by then."""
    (asked,) = guest.step(("rpc", 1, None, {}, "resumes", ASKED, [7]))
    (reference,) = asked.arguments.stubs
    (called,) = guest.step(("invoke", 2, reference.number, False, "", wire.dump_value([[5], {}])))
    assert (type(called), called.invocation) == (Result, 2)
    (again,) = guest.step(("resolve_value", asked.call, wire.dump_value(None)))
    assert (again.invocation, again.capability) == (1, Held(7, False))
    returned, *_ = guest.step(("resolve_value", again.call, wire.dump_value("two")))
    assert wire.load_value(returned.value) == [5, "two"]
