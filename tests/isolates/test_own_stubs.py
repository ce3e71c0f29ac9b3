"""Stubs that a program makes of what is its own, in both languages: `new RpcStub(target)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Done, Log, Reference

from tests.isolates.python.test_stubs import Guest
from tests.isolates.test_sending import of
from tests.runtime.counter import COUNTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

IN_JAVASCRIPT = """
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Counter extends RpcTarget {
  #value = 0;
  add(by = 1) { return (this.#value += by); }
  get value() { return this.#value; }
  twin() { return this; }
  times(callback) { return callback(this.#value); }
  echo(value) { return value; }
  _hidden() { return "hidden"; }
  [Symbol.dispose]() { console.log("disposed"); }
}
const told = (call) => call.catch((error) => error.code);

export default class extends WorkerEntrypoint {
  async uses() {
    const stub = new RpcStub(new Counter());
    const twin = await stub.twin();
    const given = { deep: [1] };
    const echoed = await stub.echo(given);
    echoed.deep[0] = 2;
    const found = [
      stub instanceof RpcStub, await stub.add(2), await twin.add(), await stub.value, await stub.times((x) => x * 2),
      given.deep[0], await told(stub.nothing()), await told(stub._hidden()),
      await new Response(await stub.echo(new Blob(["hi"]).stream())).text(), await new RpcStub((x) => x + 1)(1),
      await stub.twin().add(),
    ];
    stub[Symbol.dispose]();
    found.push(await stub.add().catch((error) => error.message.slice(0, 8)));
    console.log("still there");
    twin[Symbol.dispose]();
    return found;
  }
  gives() { return new RpcStub(new Counter()); }
  refused() {
    return [1, {}, undefined].map((value) => {
      try {
        return new RpcStub(value);
      } catch (error) {
        return error.message;
      }
    });
  }
}
"""
IN_PYTHON = (
    """
from workers import Response, RpcStub, RpcTarget, WorkerEntrypoint


"""
    + COUNTER
    + """
    async def times(self, callback):
        return await callback(self._value)

    def echo(self, value):
        return value

    def _disposed(self):
        print("disposed")


async def told(call):
    try:
        return await call
    except Exception as error:
        return error.code


async def source():
    yield b"hi"


class Default(WorkerEntrypoint):
    async def uses(self):
        stub = RpcStub(Counter())
        twin = await stub.twin()
        given = {"deep": [1]}
        (await stub.echo(given)).deep[0] = 2
        found = [
            isinstance(stub, RpcStub), await stub.add(by=2), await twin.add(), await stub.value,
            await stub.times(lambda x: x * 2), given["deep"][0], await told(stub.nothing()),
            await told(stub._ask("_hidden", False, [], {})),
            (await (await stub.echo(Response(source()).body)).read()).decode(), await RpcStub(lambda x: x + 1)(1),
            await stub.twin().add(),
        ]
        stub.dispose()
        try:
            await stub.add()
        except RuntimeError as error:
            found.append(str(error)[:8])
        print("still there")
        twin.dispose()
        return found

    async def gives(self):
        return RpcStub(Counter())

    async def refused(self):
        found = []
        for value in (1, {}, None):
            try:
                RpcStub(value)
            except TypeError as error:
                found.append(str(error))
        return found
"""
)
SOURCES = {"JavaScript": {"worker.js": IN_JAVASCRIPT}, "Python": {"worker.py": IN_PYTHON}}
NOTHING = wire.dump_value([[], {}])


@pytest.fixture(scope="module", params=SOURCES)
def image(sandbox: Sandbox, request: pytest.FixtureRequest) -> Any:
    return sandbox.image(SOURCES[request.param])


@pytest.fixture
def guest(start: Callable[..., Driver], image: Any) -> Guest:
    return Guest(start(image).isolate)


def said(effects: list[Any]) -> list[str]:
    return [log.message for log in of(effects, Log)]


def test_calls_go_to_the_target_and_copy_what_crosses(guest: Guest) -> None:
    effects = guest.step(("rpc", 1, None, {}, "uses", NOTHING))
    (returned,) = [effect for effect in effects if hasattr(effect, "value")]
    assert wire.load_value(returned.value) == [
        True, 2, 3, 3, 6, 1, "no_method", "no_method", "hi", 2, 4, "RPC stub",
    ]  # fmt: skip
    assert said(effects) == ["still there", "disposed"]
    assert of(effects, Done) == [Done(1)]


def test_one_that_is_given_away_stands_beside_what_was_lent(guest: Guest) -> None:
    (returned,) = guest.step(("rpc", 1, None, {}, "gives", NOTHING))
    assert returned.value.stubs == (Reference(True, 1),)
    called = guest.step(("invoke", 2, 1, False, "add", NOTHING))
    assert wire.load_value(called[0].value) == 1
    effects = guest.step(("released", 1))
    assert (said(effects), of(effects, Done)) == (["disposed"], [Done(1)])


def test_what_cannot_be_called_has_no_stub(guest: Guest) -> None:
    returned, *_ = guest.step(("rpc", 1, None, {}, "refused", NOTHING))
    refused = wire.load_value(returned.value)
    assert (len(refused), all("takes a function, or an object" in each for each in refused)) == (3, True)
