"""What a guest makes of functions and objects that cross: loans, and stubs of those that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Call, Drop, Events, Held, Reference, Result, Return, Shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.isolate import Isolate
    from pyworkerd_isolates.testing import Driver, Sandbox

SOURCE = """
import functools
import warnings

from workers import RpcPromise, RpcStub, RpcTarget, WorkerEntrypoint


class Target(RpcTarget):
    def _disposed(self):
        print("disposed")


class Default(WorkerEntrypoint):
    async def lend(self):
        target = Target()
        return [len, target, {"a": functools.partial(print, 1)}, target, self.lend]

    async def forward(self, stub):
        return [stub, await stub.name, await stub(1, b=2)]

    async def use(self, stub, unused=None):
        with stub.dup() as other:
            text = [repr(stub), bool(stub), repr(other)]
        try:
            other.dup()
        except RuntimeError as error:
            text.append(str(error)[:42])
        return [*text, repr(other)]

    async def coroutine(self):
        call = RpcPromise(self.use(RpcStub(len)))
        try:
            call._private
        except AttributeError as error:
            return [str(error), await call]
"""


@pytest.fixture(scope="module")
def image(sandbox: Sandbox) -> Any:
    return sandbox.image(SOURCE)


class Guest:
    """An isolate, one step after the other."""

    def __init__(self, isolate: Isolate) -> None:
        self.isolate = isolate
        self.first = True
        self.bindings: list[Any] = []

    def step(self, *script: tuple[Any, ...]) -> list[Any]:
        events = Events()
        if self.first:
            events.init(self.bindings, {})
        self.first = False
        for name, *arguments in script:
            getattr(events, name)(*arguments)
        return list(self.isolate.step(events, 5000).effects)


@pytest.fixture
def guest(start: Callable[..., Driver], image: Any) -> Guest:
    return Guest(start(image).isolate)


def arguments(*positional: object, **named: object) -> bytes:
    return wire.dump_value(
        [list(positional), named], lambda value: ("stub", value.real) if value is ONE else None
    )


class _One:
    real = 0


ONE = _One()
ASKED = arguments(ONE)


def test_what_is_lent_has_a_number_and_keeps_the_invocation(guest: Guest) -> None:
    (returned,) = guest.step(("rpc", 1, None, {}, "lend", wire.dump_value([[], {}])))
    assert isinstance(returned, Return)
    assert type(returned.value) is Shared
    assert returned.value.stubs == tuple(Reference(True, number) for number in range(1, 6))
    text = wire.load_value(returned.value, lambda tag, place: (tag, place))
    assert text == [("stub", 0), ("stub", 1), {"a": ("stub", 2)}, ("stub", 3), ("stub", 4)]
    assert [
        type(effect).__name__ for effect in guest.step(("released", 2), ("released", 1), ("released", 3))
    ] == []
    last = guest.step(("released", 4), ("released", 5))
    assert [type(effect).__name__ for effect in last] == ["Log", "Done"]
    assert last[0].message == "disposed"


def test_a_loan_is_called(guest: Guest) -> None:
    guest.step(("rpc", 1, None, {}, "lend", wire.dump_value([[], {}])))
    (result,) = guest.step(("invoke", 2, 1, False, "", wire.dump_value([["four"], {}])))
    assert result == Result(2, wire.dump_value(4))
    (failed, _) = guest.step(("invoke", 3, 99, False, "", wire.dump_value([[], {}])))
    assert (failed.invocation, failed.reason) == (3, "broken_stub")
    (failed, _) = guest.step(("invoke", 4, 1, True, "real", wire.dump_value([[], {}])))
    assert (failed.reason, "does not implement the property 'real'" in failed.message) == ("no_method", True)


def test_a_stub_among_arguments_is_asked_handed_on_and_let_go(guest: Guest) -> None:
    (asked,) = guest.step(("rpc", 1, None, {}, "forward", ASKED, [7]))
    assert asked == Call(1, 1, Held(7, True), "name", wire.dump_value([[], {}]))
    (asked,) = guest.step(("resolve_value", 1, wire.dump_value("seven")))
    assert asked == Call(2, 1, Held(7, False), "", wire.dump_value([[1], {"b": 2}]))
    returned, dropped, done = guest.step(("resolve_value", 2, wire.dump_value(None)))
    assert (returned.value.stubs, dropped, done.invocation) == ((Reference(False, 7),), Drop(7), 1)


def test_a_stub_counts_who_stands_for_it(guest: Guest) -> None:
    returned, dropped, _ = guest.step(("rpc", 1, None, {}, "use", ASKED, [7]))
    stub = "<RpcStub 7>"
    disposed = "RPC stub used after being disposed. One am"
    assert wire.load_value(returned.value) == [stub, True, stub, disposed, "<RpcStub, disposed of>"]
    assert dropped == Drop(7)


def test_stubs_that_a_value_does_not_name_are_let_go(guest: Guest) -> None:
    effects = guest.step(("rpc", 1, None, {}, "use", ASKED, [7, 8]))
    assert {effect.stub for effect in effects if isinstance(effect, Drop)} == {7, 8}


def test_where_there_is_no_room_the_call_fails(guest: Guest) -> None:
    failed, _ = guest.step(("rpc", 1, None, {}, "use", ASKED, None))
    assert (failed.type_name, "names more stubs" in failed.message) == ("TypeError", True)


def test_an_answer_that_nobody_waits_for_is_let_go(guest: Guest) -> None:
    guest.step(("rpc", 1, None, {}, "forward", ASKED, [7]))
    guest.step(("cancel", 1))
    effects = guest.step(("resolve_value", 1, wire.dump_value(ONE, lambda _: ("stub", 0)), [9]))
    assert Drop(9) in effects


def test_stubs_and_promises_as_objects(guest: Guest) -> None:
    returned, _ = guest.step(("rpc", 2, None, {}, "coroutine", wire.dump_value([[], {}])))
    assert wire.load_value(returned.value)[0] == "_private"
