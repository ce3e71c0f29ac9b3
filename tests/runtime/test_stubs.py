"""Functions and objects that are lent: between languages in every pair, through third workers and objects."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pyworkerd
from pyworkerd_config import Binding, load

from tests.packaging.markdown import code_blocks, page
from tests.runtime.counter import COUNTER
from tests.runtime.test_javascript import get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

LENDERS = {
    "JavaScript": {
        "lender.js": """
import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Base extends RpcTarget {
  inherited() { return "inherited"; }
}
class Counter extends Base {
  #value = 0;
  add(by = 1) { return (this.#value += by); }
  get value() { return this.#value; }
  twin() { return this; }
  fails() { throw new TypeError("no"); }
  async with(callback) { return [this.#value, await callback(this.#value)]; }
  [Symbol.dispose]() { console.log(`disposed of ${this.#value}`); }
}
export default class extends WorkerEntrypoint {
  counter() { return new Counter(); }
  several() { return { a: new Counter(), b: [(x) => x + 1] }; }
  async each(items, callback) {
    const results = [];
    for (const item of items) results.push(await callback(item));
    return results;
  }
  later(callback) {
    const kept = callback.dup();
    this.ctx.waitUntil(scheduler.wait(1).then(() => kept(1)).then((x) => console.log(`later ${x}`)));
  }
  pass(stub) { return stub; }
  forward(name, stub) { return this.env[name].pass(stub); }
}
export class Room extends DurableObject {
  #members = 0;
  join() { this.#members += 1; return new Member(() => this.#members); }
  async each(items, callback) { return Promise.all(items.map((item) => callback(item))); }
}
class Member extends RpcTarget {
  #count;
  constructor(count) { super(); this.#count = count; }
  members() { return this.#count(); }
}
"""
    },
    "Python": {
        "lender.py": """
import asyncio

from workers import DurableObject, RpcTarget, WorkerEntrypoint


class Base(RpcTarget):
    def inherited(self):
        return "inherited"


"""
        + COUNTER.replace("(RpcTarget)", "(Base)")
        + """
    def fails(self):
        raise TypeError("no")

    async def with_(self, callback):
        return [self._value, await callback(self._value)]

    vars()["with"] = with_

    def _disposed(self):
        print(f"disposed of {self._value}")


class Default(WorkerEntrypoint):
    async def counter(self):
        return Counter()

    async def several(self):
        return {"a": Counter(), "b": [lambda x: x + 1]}

    async def each(self, items, callback):
        return [await callback(item) for item in items]

    async def later(self, callback):
        self.ctx.waitUntil(self.call(callback.dup()))

    async def call(self, callback):
        await asyncio.sleep(0.001)
        print(f"later {await callback(1)}")

    async def pass_(self, stub):
        return stub

    vars()["pass"] = pass_

    async def forward(self, name, stub):
        return await getattr(getattr(self.env, name), "pass")(stub)


class Member(RpcTarget):
    def __init__(self, count):
        self._count = count

    def members(self):
        return self._count()


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.joined = 0

    def join(self):
        self.joined += 1
        return Member(lambda: self.joined)

    async def each(self, items, callback):
        return await asyncio.gather(*(callback(item) for item in items))
"""
    },
}
BORROWERS = {
    "JavaScript": {
        "borrower.js": """
export default {
  async fetch(request, env) {
    const out = [];
    const S = env.S;
    const refused = async (call) => {
      try {
        return `not refused: ${await call()}`;
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    };
    const counter = await S.counter();
    out.push(await counter.add(), await counter.add(5), await counter.value, await counter.inherited());
    out.push(await S.counter().add(9), await S.counter().twin().add(3), await S.several().a.add(2));
    out.push(await (await S.several()).b[0](1));
    out.push(await counter.with((value) => value * 10));
    const calls = [];
    out.push(await S.each([1, 2], async (item) => { calls.push(item); return { item }; }), calls);
    out.push((await refused(() => counter.fails())).replace("Error: TypeError", "TypeError"));
    out.push(await S.pass(counter).add(4), await (await S.forward("THIRD", counter)).add(1));
    const other = counter.dup();
    counter[Symbol.dispose]();
    out.push((await refused(() => counter.add())).slice(0, 42), await other.add());
    other[Symbol.dispose]();
    let laterOne;
    const called = new Promise((resolve) => { laterOne = resolve; });
    await S.later((x) => { laterOne(x + 41); return x + 41; });
    out.push(await called);
    {
      using brief = await S.counter();
      using several = await S.several();
      out.push(await brief.add(7), await several.a.add(8));
    }
    const room = env.ROOM.getByName("a");
    const member = await room.join();
    out.push(await member.members(), await room.join().members(), await member.members());
    out.push(await room.each([3, 4], (item) => item * 2));
    return Response.json(out);
  },
};
"""
    },
    "Python": {
        "borrower.py": """
import asyncio

from workers import Response, WorkerEntrypoint


async def refused(call):
    try:
        return f"not refused: {await call()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        out, S, calls = [], self.env.S, []
        counter = await S.counter()
        out += [await counter.add(), await counter.add(5), await counter.value, await counter.inherited()]
        out += [await S.counter().add(9), await S.counter().twin().add(3), await S.several().a.add(2)]
        out.append(await (await S.several())["b"][0](1))
        out.append(await getattr(counter, "with")(lambda value: value * 10))

        async def note(item):
            calls.append(item)
            return {"item": item}

        out += [await S.each([1, 2], note), calls]
        out.append(await refused(lambda: counter.fails()))
        out += [await getattr(S, "pass")(counter).add(4), await (await S.forward("THIRD", counter)).add(1)]
        with counter:
            other = counter.dup()
        out += [(await refused(lambda: counter.add())).replace("RuntimeError", "Error")[:42], await other.add()]
        other.dispose()
        called = asyncio.Event()
        await S.later(lambda x: called.set() or x + 41)
        await called.wait()
        out.append(42)
        with await S.counter() as brief, (await S.several())["a"] as one:
            out += [await brief.add(7), await one.add(8)]
        room = self.env.ROOM.get_by_name("a")
        member = await room.join()
        out += [await member.members(), await room.join().members(), await member.members()]
        out.append(await room.each([3, 4], lambda item: item * 2))
        return Response.json(out)
"""
    },
}
EXPECTED = [
    *(1, 6, 6, "inherited", 9, 3, 2, 2, [6, 60], [{"item": 1}, {"item": 2}], [1, 2], "TypeError: no", 10, 11),
    *("Error: RPC stub used after being disposed.", 12, 42, 7, 8, 1, 2, 2, [6, 8]),
]


def held(worker: Any) -> int:
    """Loans and stubs of all its isolates."""
    lives = [*worker.service._members.values()]
    for resident in worker.service.objects._residents.values():
        lives += resident._members.values()
    return sum(len(live.stubs._lent) + len(live.stubs._held) for live in lives)


CONFIG = """
[[services]]
name = "third"
[services.worker]
main = "{third}"

[[services]]
name = "lends"
[services.worker]
main = "{lends}"
bindings = {{ THIRD = {{ service = "third" }} }}

[[services]]
name = "asks"
[services.worker]
main = "{asks}"
bindings = {{ S = {{ service = "lends" }}, ROOM = {{ durable_object = "Room", service_name = "lends" }} }}
"""


@pytest.mark.parametrize("borrower", BORROWERS)
@pytest.mark.parametrize("lender", LENDERS)
def test_every_pair_of_languages(
    lender: str, borrower: str, tmp_path: Path, with_runtime: Callable[..., None]
) -> None:
    third = "Python" if lender == "JavaScript" else "JavaScript"
    names = {}
    for name, source in (
        ("third", LENDERS[third]),
        ("lends", LENDERS[lender]),
        ("asks", BORROWERS[borrower]),
    ):
        ((file, text),) = source.items()
        names[name] = f"{name}/{file}"
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(**names))

    async def main(runtime: Runtime) -> None:
        answer = await runtime.worker("asks").fetch("/")
        assert json.loads(await answer.text()) == EXPECTED
        await runtime.quiet()
        workers = [runtime.worker(name) for name in names]
        assert list(map(held, workers)) == [0, 0, 0]
        told = sorted(entry.message for entry in runtime.worker("lends").logs if entry.source != "exception")
        assert told == [*(f"disposed of {value}" for value in (0, 12, 2, 3, 7, 8, 9)), "later 42"]

    with_runtime(main, load(config))


def test_the_page(tmp_path: Path) -> None:
    text = page("docs/stubs.md")
    (tmp_path / "config.toml").write_text(code_blocks(text, "toml")[0])
    (tmp_path / "baskets.js").write_text(code_blocks(text, "js")[0])
    (tmp_path / "till.py").write_text(code_blocks(text, "python")[0])
    ((status, body),) = get(tmp_path / "config.toml", "/")
    assert (status, json.loads(body)) == (200, {"items": 2, "total": 11.0})


LIBRARY = (
    """
from workers import RpcStub, RpcTarget, WorkerEntrypoint


"""
    + COUNTER
    + """

async def outcome(call):
    try:
        return await call
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Default(WorkerEntrypoint):
    async def counter(self):
        return Counter()

    async def run(self, code, given=None):
        space = dict(globals(), given=given, env=self.env)
        exec("async def main():\\n" + "".join(f"    {line}\\n" for line in code.split("\\n")), space)
        return await space["main"]()
"""
)


class Shelf(pyworkerd.RpcTarget):
    """What a program lends."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.own = lambda: "own"

    def put(self, item: str) -> int:
        self.items.append(item)
        return len(self.items)

    async def each(self, callback: pyworkerd.Stub) -> list[object]:
        return [await callback(item) for item in self.items]

    @property
    def size(self) -> int:
        return len(self.items)

    def _private(self) -> str:
        return "private"

    def fails(self) -> None:
        raise ValueError("no")

    def itself(self) -> Shelf:
        return self


def test_a_program_holds_what_a_worker_lends(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": LIBRARY})
        counter = await worker.call("counter")
        assert isinstance(counter, pyworkerd.Stub)
        assert (await counter.call("add"), await counter.call("add", by=4), await counter.get("value")) == (
            1,
            5,
            5,
        )
        twin = await counter.call("twin")
        counter.close()
        counter.close()
        with pytest.raises(RuntimeError, match="closed"):
            await counter.call("add")
        with twin.dup() as other, twin:
            assert await other.call("add") == 6
            with pytest.raises(pyworkerd.errors.NoSuchMethod):
                await other.call("nothing")
        function = await worker.call("run", "return [len, {'a': lambda x: x * 2}]")
        assert (await function[0]("four"), await function[1]["a"](4)) == (4, 8)
        assert held(worker) == 2
        for stub in (function[0], function[1]["a"]):
            stub.close()
        await worker.service.quiet()
        assert (held(worker), repr(twin)) == (0, "<Stub, closed>")
        late = await worker.call("counter")
        await worker.aclose()
        with pytest.raises(pyworkerd.errors.BrokenStub, match="gone"):
            await late.call("add")

    with_runtime(main)


def test_a_worker_calls_what_a_program_lends(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": LIBRARY})
        shelf = Shelf()
        code = (
            "found = [await given.put('a'), await given.put('b'), await given.size]\n"
            "found.append(await given.each(lambda item: item * 2))\n"
            "found.append(await given.itself().put('c'))\n"
            "names = ('_private', 'own', 'items', 'nothing', 'size', 'fails', 'then', '__init__')\n"
            "from _pyworkerd import calls\n"
            "import _wire\n"
            "ask = lambda name: calls.call([given._ref.number, False], name, _wire.dump_value([[], {}]))\n"
            "return [*found, *[await outcome(ask(name)) for name in names]]"
        )
        found = await worker.call("run", code, shelf)
        assert found[:5] == [1, 2, 2, ["aa", "bb"], 3]
        assert found[10] == "ValueError: no"
        assert all("does not implement" in each for each in (*found[5:10], *found[11:]))
        await worker.service.quiet()  # a step's effects are performed in turns, and the answer comes first
        assert held(worker) == 0
        calls: list[int] = []
        assert await worker.call(
            "run", "return [await given[0](3), await given[1]('x')]", [calls.append, len]
        ) == [None, 1]
        assert calls == [3]
        with pytest.raises(TypeError, match="cannot be sent"):
            await worker.call("run", "", object())

    with_runtime(main)


def test_a_function_on_env_takes_and_gives_stubs(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        kept: list[pyworkerd.Stub] = []

        async def twice(callback: pyworkerd.Stub) -> object:
            kept.append(callback)
            first = await callback(1)
            return [first, await callback(2), lambda: "from the program", callback]

        worker = await runtime.load({"w.py": LIBRARY}, bindings={"TWICE": twice})
        code = (
            "found = await env.TWICE(lambda x: x + 1)\n"
            "return [found[0], found[1], await found[2](), await found[3](3), isinstance(found[3], RpcStub)]"
        )
        assert await worker.call("run", code) == [2, 3, "from the program", 4, True]
        with pytest.raises(RuntimeError, match="closed"):
            await kept[0](1)
        await worker.service.quiet()
        assert held(worker) == 0

    with_runtime(main)


def test_a_function_whose_own_work_was_cancelled_has_failed(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async def waits() -> None:
            work = asyncio.ensure_future(asyncio.sleep(3600))
            work.cancel()
            await work

        worker = await runtime.load({"w.py": LIBRARY}, bindings={"WAITS": waits})
        for call in ("env.WAITS()", "given()"):
            with pytest.raises(pyworkerd.errors.WorkerException, match="CancelledError"):
                await worker.call("run", f"await {call}", waits)

    with_runtime(main)


def test_a_call_of_a_program_ends_with_who_asked(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        ended = asyncio.Event()

        async def forever() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        worker = await runtime.load({"w.py": LIBRARY})
        asking = asyncio.create_task(worker.call("run", "await given()", forever))
        while not any(live.calls for live in worker.service._members.values()):
            await asyncio.sleep(0)
        asking.cancel()
        await ended.wait()
        with await worker.call("run", "import asyncio\nreturn lambda: asyncio.sleep(3600)") as slow:
            waiting = asyncio.create_task(slow())
            while len(next(iter(worker.service._members.values())).invocations) < 2:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await worker.service.quiet()

    with_runtime(main)


def test_without_await(sandbox: object) -> None:
    calls: list[int] = []
    with pyworkerd.sync.Runtime() as runtime:
        worker = runtime.load({"w.py": LIBRARY})
        with worker.call("counter") as counter:
            assert (counter.call("add", 2), counter.get("value")) == (2, 2)
            with counter.call("twin") as twin:
                assert twin.call("add") == 3
        assert worker.call("run", "return await given(5)", calls.append) is None
        function = worker.call("run", "return len")
        assert (calls, function("four")) == ([5], 4)
    function.close()


LOADING = {
    "JavaScript": {
        "w.js": """
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async run(files) {
    const [main] = Object.keys(files);
    const entrypoint = this.env.LOADER.load({ mainModule: main, modules: files }).getEntrypoint();
    const calls = [];
    const each = await entrypoint.each([1, 2], (item) => { calls.push(item); return item * 2; });
    return [each, calls, await entrypoint.counter().add(3)];
  }
}
"""
    },
    "Python": {
        "w.py": """
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def run(self, files):
        (main,) = files
        entrypoint = self.env.LOADER.load({"main_module": main, "modules": dict(files)}).get_entrypoint()
        calls = []
        each = await entrypoint.each([1, 2], lambda item: calls.append(item) or item * 2)
        return [each, calls, await entrypoint.counter().add(3)]
"""
    },
}


@pytest.mark.parametrize("borrower", LOADING)
@pytest.mark.parametrize("lender", LENDERS)
def test_workers_that_others_load(lender: str, borrower: str, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        bindings = {"LOADER": Binding("LOADER", "worker_loader", {})}
        worker = await runtime.load(LOADING[borrower], bindings=bindings)
        assert await worker.call("run", LENDERS[lender]) == [[2, 4], [1, 2], 3]
        await worker.service.quiet()
        assert held(worker) == 0

    with_runtime(main)
