"""Guests that forge stubs, keep them for ever, flood others with them, or reach for more than they were lent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import Limits
from pyworkerd.errors import PyworkerdError
from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Binding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd.loaded import LoadedWorker

IN_PYTHON = {
    "guest.py": """
import asyncio

from _pyworkerd import calls, lending, outbox
from _pyworkerd.invocation import current
from workers import DurableObject, RpcStub, RpcTarget, WorkerEntrypoint

KEPT = []


def effect(*parts, blobs=()):
    outbox.blobs.extend(blobs)
    outbox.effects.append(list(parts))


def value(text):
    header = text.encode()
    return len(header).to_bytes(4, "little") + header


async def outcome(call):
    try:
        return await call
    except Exception as error:
        return [getattr(error, "code", type(error).__name__), str(error)]


class Mixin:
    def mixed(self):
        return "mixed"


class Target(RpcTarget, Mixin):
    shared = "shared"

    class Inner(RpcTarget):
        pass

    def __init__(self):
        self.own = lambda: "own"
        self.secret = "secret"
        self._hidden = "hidden"

    def method(self):
        return "method"

    def _private(self):
        return "private"

    def then(self, *_):
        return "then"

    def dup(self):
        return "dup"

    @property
    def prop(self):
        return "prop"

    @property
    def _prop(self):
        return "private"


class Default(WorkerEntrypoint):
    async def run(self, code):
        space = dict(globals(), self=self, S=getattr(self.env, "S", None), env=self.env)
        exec("async def main():\\n" + "".join(f"    {line}\\n" for line in code.split("\\n")), space)
        return await space["main"]()

    async def target(self):
        return Target()

    async def function(self):
        return len

    async def wait(self):
        await asyncio.sleep(3600)

    async def echo(self, value):
        return value

    async def keep(self, stub):
        KEPT.append(stub.dup())

    async def call_kept(self):
        return await outcome(KEPT[-1]())


class Room(DurableObject):
    async def target(self):
        return Target()

    async def closed(self, callback):
        async def work():
            await callback()

        await self.ctx.blockConcurrencyWhile(work)
        return "open"
"""
}
IN_JAVASCRIPT = {
    "guest.js": """
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Base extends RpcTarget {
  mixed() { return "mixed"; }
}
class Target extends Base {
  own = () => "own";
  secret = "secret";
  static stat() { return "static"; }
  constructor() {
    super();
    this.method2 = () => "own";
    Object.defineProperty(this, "getter", { get: () => "own" });
  }
  method() { return "method"; }
  _private() { return "private"; }
  then(resolve) { resolve("then"); }
  dup() { return "dup"; }
  get prop() { return "prop"; }
  set written(value) { this.value = value; }
}
export default class extends WorkerEntrypoint {
  target() { return { target: new Target() }; }
  function() { return Object.assign(() => "function", { extra: () => "extra" }); }
  async pollutes() {
    Object.prototype.polluted = () => "polluted";
    Function.prototype.polluted = () => "polluted";
  }
}
"""
}


def run(main: Callable[[Runtime], Awaitable[None]]) -> None:
    async def begin() -> None:
        async with Runtime() as runtime:
            await main(runtime)

    asyncio.run(begin())


async def code_of(work: Awaitable[Any]) -> str:
    try:
        await work
    except PyworkerdError as error:
        return error.code
    return "answered"


FORGED = {
    "a stub that it does not hold": "effect('call', 9, current().number, [7, False], '', 0, blobs=[b'x'])",
    "a property of one": "effect('call', 9, current().number, [7, True], 'x', 0, blobs=[b'x'])",
    "a stub that it does not hold, handed on": "effect('return', current().number, [0, [[False, 7]]], blobs=[b'x'])",
    "to let go of what it does not hold": "effect('drop', 7)",
    "to let go twice": (
        "thing = await S.target()\nfor _ in range(2):\n    effect('drop', thing._ref.number)"
    ),
    "one number for two loans": "effect('return', current().number, [0, [[True, 7], [True, 7]]], blobs=[b'x'])",
    "a request through a stub": (
        "thing = await S.target()\n"
        "effect('fetch', 9, current().number, [thing._ref.number, False], 'GET', 'http://a/', [], None, 'follow')"
    ),
    "an object behind a stub": (
        "thing = await S.target()\n"
        "effect('call', 9, current().number, [thing._ref.number, '0' * 64], '', 0, blobs=[b'x'])"
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_what_was_never_given_ends_the_isolate_that_asks_for_it(case: str, sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON)
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        assert await code_of(guest.call("run", FORGED[case])) == "bad_effect"
        assert await guest.call("run", "return await (await S.target()).method()") == "method"
        await lender.service.quiet()
        assert not any(live.stubs._lent for live in lender.service._members.values())

    run(main)


def test_a_number_means_nothing_in_another_isolate(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON)
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        thief = await runtime.load(IN_PYTHON, bindings={"S": lender})
        held = asyncio.create_task(
            guest.call(
                "run",
                "t = await S.target()\nKEPT.append(t)\nawait asyncio.sleep(0.2)\nreturn await t.method()",
            )
        )
        while not any(live.stubs._held for live in guest.service._members.values()):
            await asyncio.sleep(0)
        (live,) = guest.service._members.values()
        (number,) = live.stubs._held
        stolen = f"return await calls.call([{number}, False], 'method', value('[[],[[],{{}}]]'))"
        assert await code_of(thief.call("run", stolen)) == "bad_effect"
        assert await held == "method"

    run(main)


NAMES = {
    "method": True, "mixed": True,
    **dict.fromkeys(
        (
            "_private", "__init__", "__class__", "__dict__", "__reduce__", "then", "dup", "dispose", "own", "secret",
            "_hidden", "shared", "Inner", "prop", "mro", "nothing", "",
        ),
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("reads", [False, True])
def test_only_what_the_class_of_a_target_defines_is_there_in_python(reads: bool, sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON)
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        ask = f"calls.call([t._ref.number, {reads}], name, value('[[],[[],{{}}]]'))"
        code = f"t = await S.target()\nreturn [type(await outcome({ask})) is not list for name in {list(NAMES)!r}]"
        found = dict(zip(NAMES, await guest.call("run", code), strict=True))
        assert found == ({**NAMES, "prop": True} if reads else NAMES)
        function = await guest.call(
            "run",
            "f = await S.function()\nreturn [await outcome(getattr(f, n)()) for n in ('x', 'bit_length')]",
        )
        assert [code for code, _ in function] == ["no_method"] * 2

    run(main)


TRICKS = {
    "method": True, "mixed": True,
    **dict.fromkeys(
        (
            "_private", "constructor", "__proto__", "prototype", "then", "dup", "own", "secret", "method2", "getter",
            "stat", "toString", "valueOf", "hasOwnProperty", "__defineGetter__", "isPrototypeOf", "prop", "written",
            "polluted", "call", "apply", "bind", "nothing", "",
        ),
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("reads", [False, True])
def test_only_what_the_class_of_a_target_defines_is_there_in_javascript(reads: bool, sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_JAVASCRIPT)
        await lender.call("pollutes")
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        ask = f"calls.call([t._ref.number, {reads}], name, value('[[],[[],{{}}]]'))"
        names = list(TRICKS)
        code = (
            f"t = (await S.target())['target']\n"
            f"return [type(await outcome({ask})) is not list for name in {names!r}]"
        )
        found = dict(zip(TRICKS, await guest.call("run", code), strict=True))
        assert found == ({**TRICKS, "prop": True} if reads else TRICKS)
        code = (
            "f = await S.function()\n"
            "return [await f(), *[(await outcome(getattr(f, n)()))[0] for n in ('extra', 'call', 'apply', 'polluted')]]"
        )
        assert await guest.call("run", code) == ["function", *["no_method"] * 4]

    run(main)


WRITTEN = [
    '{"$":["stub",0]}',
    '{"$":["stub",-1]}',
    '{"$":["stub","x"]}',
    '{"$":["stub",1.5]}',
    '{"$":["stub",[]]}',
]


@pytest.mark.parametrize(
    ("stubs", "text"), [*((0, text) for text in WRITTEN), *((1, text) for text in WRITTEN[1:])]
)
@pytest.mark.parametrize("reader", [IN_PYTHON, IN_JAVASCRIPT], ids=["Python", "JavaScript"])
def test_a_value_that_names_stubs_that_are_not_there(
    reader: dict[str, str], stubs: int, text: str, sandbox: object
) -> None:
    async def main(runtime: Runtime) -> None:
        receiver = await runtime.load(reader)
        guest = await runtime.load(IN_PYTHON, bindings={"S": receiver})
        code = (
            f"sent = value('[[],[[{text}],{{}}]]')\n"
            f"message = lending.Sendable(sent, [len]) if {stubs} else sent\n"
            "return await outcome(calls.call(S._index, 'target', message))"
        )
        kind, message = await guest.call("run", code)
        assert kind in ("TypeError", "error", "worker_exception")
        assert "receive" in message
        assert await guest.call("run", "return type(await S.target()).__name__") in ("RpcStub", "JsDict")
        await asyncio.gather(receiver.service.quiet(), guest.service.quiet())
        held = [live.stubs for worker in (receiver, guest) for live in worker.service._members.values()]
        assert [(each._lent, each._held) for each in held] == [({}, {})] * 2

    run(main)


async def left(*workers: LoadedWorker) -> int:
    await asyncio.gather(*(worker.service.quiet() for worker in workers))
    lives = [live for worker in workers for live in worker.service._members.values()]
    return sum(len(live.stubs._lent) + len(live.stubs._held) for live in lives)


def test_a_flood_of_stubs_is_the_guests_own_affair(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON, limits=Limits(queue_ms=50))
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        neighbour = await runtime.load(IN_PYTHON, bindings={"S": lender})
        code = (
            "found = []\n"
            "for _ in range(4):\n"
            "    found += await asyncio.gather(*(outcome(S.target()) for _ in range(150)))\n"
            "return [type(each) is list for each in found].count(False)"
        )
        assert 0 < await guest.call("run", code) <= 250
        assert await neighbour.call("run", "return await (await S.target()).method()") == "method"
        assert await left(lender, guest, neighbour) == 0

    run(main)


def test_a_flood_of_callbacks(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON)
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        code = (
            "forged = value('[[],[[],{}]]')\n"
            "async def many(first):\n"
            "    number, future = calls._begin()\n"
            "    loans = [[True, each] for each in range(first, first + 250)]\n"
            "    effect('call', number, current().number, S._index, 'wait', [outbox.blob(forged), loans])\n"
            "    return await outcome(calls._finish(number, future))\n"
            "many = [asyncio.ensure_future(many(250 * turn)) for turn in range(TURNS)]\n"
            "while sum(each.done() for each in many) < TURNS - 1:\n    await asyncio.sleep(0.001)\n"
            "return [each.result()[0] if each.done() else 'waits' for each in many]"
        )
        assert await guest.call("run", code.replace("TURNS", "5")) == ["waits", *["exceeded_stubs"] * 4]
        # To tell it so often what it does not lend would be work for everybody.
        assert await code_of(guest.call("run", code.replace("TURNS", "6"))) == "bad_effect"
        assert await left(lender, guest) == 0


def test_a_flood_of_what_would_be_lent_for_nobody(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON)
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender}, limits=Limits(cpu_ms=2000))
        code = (
            "forged = value('[[],[[],{}]]')\n"
            "for call in range(CALLS):\n"
            "    loans = [[True, 100 * call + each] for each in range(25)]\n"
            "    effect('call', 10000 + call, current().number + 9, S._index, 'wait', [outbox.blob(forged), loans])\n"
            "await asyncio.sleep(0.001)\n"
            "return 'alive'"
        )
        assert await guest.call("run", code.replace("CALLS", "40")) == "alive"
        assert await code_of(guest.call("run", code.replace("CALLS", "41"))) == "bad_effect"
        assert await left(lender, guest) == 0

    run(main)


def test_what_two_workers_lend_each_other_is_not_for_ever(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_PYTHON)
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        await guest.call("run", "await S.keep(lambda: 1)\nKEPT.append(await S.target())")
        assert await left(lender, guest) == 0
        kept = await lender.call("call_kept")
        assert kept == ["RuntimeError", "RPC stub used after the request that it came with has ended."]

        # Two invocations that hold what the other lends, and do nothing more: the wall time of either ends both.
        cycle = (
            "class Holder(RpcTarget):\n    def hold(self, stub):\n        self.kept = stub.dup()\n"
            "    def give(self):\n        return self\n"
            "mine = Holder()\ntheirs = await S.run('''\n"
            "class Other(RpcTarget):\n    def hold(self, stub):\n        self.kept = stub.dup()\nreturn Other()''')\n"
            "await theirs.hold(mine)\nmine.kept = theirs.dup()\nreturn 'answered'"
        )
        assert await guest.call("run", cycle) == "answered"
        assert await left(lender, guest) == 0

    run(main)


def test_a_stub_that_comes_as_its_request_ends(sandbox: object) -> None:
    """Whoever lets go of what a worker lends, and answers its call with a stub in the same breath."""

    async def main(runtime: Runtime) -> None:
        source = """
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  lend(stub) {
    stub.answers().catch(() => {});
    return () => 1;
  }
  async wait(stub) { return await stub(); }
}
"""
        lender = await runtime.load({"worker.js": source}, limits=Limits(isolates=1))
        guest = await runtime.load(IN_PYTHON, bindings={"S": lender})
        code = (
            "asked, letting_go, waited = asyncio.Event(), asyncio.Event(), asyncio.Event()\n"
            "class Asked(RpcTarget):\n"
            "    async def answers(self):\n"
            "        asked.set()\n        await letting_go.wait()\n        lent.dispose()\n        return Target()\n"
            "async def waits():\n    await waited.wait()\n    return 'still there'\n"
            "other = asyncio.ensure_future(outcome(S.wait(waits)))\n"
            "lent = await S.lend(Asked())\n"
            "await asked.wait()\nletting_go.set()\nawait asyncio.sleep(0.05)\nwaited.set()\n"
            "return await other"
        )
        assert await guest.call("run", code) == "still there"
        assert await left(lender, guest) == 0

    run(main)


def test_calls_of_what_an_object_lends_wait_while_its_gate_is_closed(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        room = {"ROOM": Binding("ROOM", "durable_object", "Room")}
        guest = await runtime.load(IN_PYTHON, bindings=room)
        code = (
            "room = env.ROOM.get_by_name('a')\ntarget = await room.target()\norder = []\n"
            "closed = asyncio.Event()\n"
            "async def callback():\n"
            "    closed.set()\n    await asyncio.sleep(0.05)\n    order.append('opens')\n"
            "closing = asyncio.ensure_future(room.closed(callback))\n"
            "await closed.wait()\norder.append(await target.method())\nreturn [order, await closing]"
        )
        assert await guest.call("run", code) == [["opens", "method"], "open"]

    run(main)


def test_a_target_with_a_method_then_is_no_promise(sandbox: object) -> None:
    async def main(runtime: Runtime) -> None:
        lender = await runtime.load(IN_JAVASCRIPT)
        source = """
export default {
  async fetch(request, env) {
    const { target } = await env.S.target();
    return new Response(await (await target).method());
  },
};
"""
        guest = await runtime.load({"worker.js": source}, bindings={"S": lender})
        assert await (await guest.fetch("/")).text() == "method"

    run(main)
