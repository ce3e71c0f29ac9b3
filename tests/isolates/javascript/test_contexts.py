"""Asynchronous contexts: stores, and whose code runs, after whatever code waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.protocol import Call, Fetch
from pyworkerd_isolates.testing import LATER, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

BEFORE = """
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { once, EventEmitter } from "node:events";
const storage = new AsyncLocalStorage();
const store = () => storage.getStore();
const { promise: shared, resolve: settle } = Promise.withResolvers();
const seen = [];
class Sub extends Promise {}
async function* counting() { yield store(); await 0; yield store(); }
const thenable = { then(resolve) { seen.push(store()); setTimeout(resolve, 1, store()); } };
"""


def answer(call: Call | Fetch) -> object:
    return LATER if isinstance(call, Fetch) and call.url.endswith("/later") else Reply(200, (), b"answered")


@pytest.mark.parametrize(
    "wait",
    [
        "await 1",
        "await Promise.resolve()",
        "await Promise.reject(1).catch(() => seen.push(store()))",
        "await new Promise((resolve) => setTimeout(resolve, 1))",
        "await new Promise((resolve) => setTimeout(() => { seen.push(store()); resolve(); }, 1))",
        "await new Promise((resolve) => queueMicrotask(() => { seen.push(store()); resolve(); }))",
        "await new Promise((resolve) => process.nextTick(() => { seen.push(store()); resolve(); }))",
        "await scheduler.wait(1)",
        "seen.push(await thenable)",
        "await Sub.resolve(1).then(() => seen.push(store()))",
        "await new Sub((resolve) => setTimeout(resolve, 1))",
        "await Promise.all([1, Promise.resolve(), new Promise((resolve) => setTimeout(resolve, 1))])",
        "await Promise.race([new Promise(() => {}), scheduler.wait(1)])",
        "await Promise.any([Promise.reject(1), Promise.resolve()])",
        "await Promise.resolve().finally(() => seen.push(store()))",
        "await Promise.try(async () => { await 1; seen.push(store()); })",
        "for await (const each of counting()) seen.push(each, store())",
        "for await (const each of [1, Promise.resolve(2)]) seen.push(store())",
        "await fetch('http://a/').then((response) => response.text())",
        "await new Response('x').body.pipeThrough(new TransformStream({ flush: () => seen.push(store()) })).cancel()",
        "await once(later(), 'x')",
        "await storage.run('inner', async () => { await 1; }); seen.push(store())",
        "await Promise.all([other('a'), other('b')])",
        "storage.enterWith('in'); await 1; seen.push(store() === 'in' ? 'outer' : 'lost'); storage.enterWith('outer')",
        "seen.push(storage.exit(() => store() === undefined ? 'outer' : 'there')); await null",
        "await (async () => { try { await Promise.reject(1); } catch { seen.push(store()); } })()",
        "seen.push(await import('./other.js').then(() => store()))",
    ],
)
def test_a_store_outlives(start: Callable[..., Driver], wait: str) -> None:
    source = f"""{BEFORE}
    function later() {{ const e = new EventEmitter(); setTimeout(() => e.emit("x"), 1); return e; }}
    async function other(name) {{
      await storage.run(name, async () => {{
        await 1;
        if (store() !== name) seen.push("lost");
        await scheduler.wait(1);
        if (store() !== name) seen.push("lost");
      }});
      seen.push(store());
    }}
    export default {{ async fetch() {{
      const work = storage.run("outer", async () => {{ {wait}; seen.push(store()); }});
      const rest = storage.run("rest", async () => {{ for (let i = 0; i < 9; i++) await scheduler.wait(i % 2); }});
      await Promise.all([work, rest]);
      return Response.json([...new Set(seen), store() ?? null]);
    }} }};
    """
    files = {"w.js": source, "other.js": ""}
    assert start(files, answer=answer).fetch().json == ["outer", None]


def test_a_promise_that_somebody_else_settles(start: Callable[..., Driver]) -> None:
    source = f"""{BEFORE}
    export default {{ async fetch() {{
      const waiting = ["a", "b"].map((name) => storage.run(name, async () => {{
        await shared;
        seen.push(store());
        await 1;
        seen.push(store());
        shared.then(() => seen.push(store()));
      }}));
      storage.run("c", settle);
      await Promise.all(waiting);
      await scheduler.wait(1);
      return Response.json(seen.sort());
    }} }};
    """
    assert start({"w.js": source}).fetch().json == ["a", "a", "a", "b", "b", "b"]


def test_requests_at_once_see_their_own_stores_and_go_on_as_their_own(start: Callable[..., Driver]) -> None:
    source = f"""{BEFORE}
    export default {{ async fetch(request) {{
      const {{ pathname }} = new URL(request.url);
      if (store() !== undefined) return new Response("leaked");
      storage.enterWith(pathname);
      if (pathname === "/last") settle();
      await shared;
      seen.push(pathname, store());
      console.log(pathname);
      const text = await (await fetch("http://b/later")).text();
      return new Response(`${{text}} ${{store()}}`);
    }} }};
    """
    driver = start({"w.js": source}, answer=answer)
    paths = ("/a", "/b", "/last")
    runs = [driver.begin(f"http://a{path}") for path in paths]
    driver.settle()
    assert [[entry.message for entry in run.logs] for run in runs] == [["/a"], ["/b"], ["/last"]]
    path_of = {run.number: path for run, path in zip(runs, paths, strict=True)}
    for number, call in reversed([*driver.calls.items()]):
        driver.resolve(number, Reply(200, (), path_of.pop(call.invocation).encode()))
    driver.settle()
    assert [run.text for run in runs] == [f"{path} {path}" for path in paths]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("await order()", [1, 2, 3, 4, 5]),
        ("[Promise.name, Promise.length, typeof Promise.try]", ["Promise", 1, "function"]),
        ("(async () => {})().constructor === Promise && (async () => {})() instanceof Promise", True),
        ("((p) => Promise.resolve(p) === p)(Promise.reject(1).catch(() => {}) && Promise.resolve())", True),
        ("Sub.resolve(1).then(() => {}) instanceof Sub && Sub[Symbol.species] === Sub", True),
        ("threw(() => Promise(() => {}))", "TypeError"),
        ("threw(() => Promise.prototype.then.call({}))", "TypeError"),
        ("storage.run(1, AsyncLocalStorage.snapshot, 2)(() => store())", 1),
        ("storage.run(1, () => AsyncLocalStorage.bind(() => store()))()", 1),
        (
            "storage.run(1, () => new AsyncResource('X')).runInAsyncScope((x) => [x, store()], null, 2)",
            [2, 1],
        ),
        (
            "storage.run(1, () => AsyncResource.bind(function () { return [this.a, store()]; })).call({ a: 3 })",
            [3, 1],
        ),
        ("storage.run(1, () => { storage.disable(); return store() ?? null; })", None),
        ("new AsyncLocalStorage({ defaultValue: 7, name: 'n' }).getStore()", 7),
        ("threw(() => storage.run(1, () => { throw new RangeError(); })) + store()", "RangeErrorundefined"),
        ("threw(() => storage.run(1))", "TypeError"),
        ("await storage.run(1, (a, b) => [store(), a, b], 2, 3)", [1, 2, 3]),
    ],
)
def test_what_programs_see(start: Callable[..., Driver], expression: str, expected: object) -> None:
    source = f"""{BEFORE}
    function threw(run) {{ try {{ run(); }} catch (error) {{ return error.name; }} }}
    async function order() {{
      const found = [];
      const first = (async () => {{ await null; found.push(1); await null; found.push(4); }})();
      Promise.resolve().then(() => found.push(2)).then(() => found.push(5));
      queueMicrotask(() => found.push(3));
      await first;
      await null;
      return found;
    }}
    export default {{ async fetch() {{ return Response.json([{expression}]); }} }};
    """
    assert start({"w.js": source}).fetch().json == [expected]


def test_handlers_of_a_rewriter_have_the_stores_of_its_transform(start: Callable[..., Driver]) -> None:
    source = f"""{BEFORE}
    const text = (piece) => piece.replace(piece.lastInTextNode ? "" : `${{store()}}`);
    const rewriter = new HTMLRewriter().on("p", {{ text, async element(p) {{ await null; p.append(store()); }} }});
    export default {{ fetch: () => storage.run("in", () => rewriter.transform(new Response("<p>x</p>"))) }};
    """
    assert start({"w.js": source}).fetch().text == "<p>inin</p>"


def test_they_may_be_asked_for_in_a_request(start: Callable[..., Driver]) -> None:
    source = """
    export default { async fetch() {
      const before = (async () => { await new Promise((resolve) => setTimeout(resolve, 1)); return "before"; })();
      const { AsyncLocalStorage } = await import("node:async_hooks");
      const storage = new AsyncLocalStorage();
      const inner = await storage.run(1, async () => { await null; return [storage.getStore(), await before]; });
      return Response.json([...inner, storage.getStore() ?? null]);
    } };
    """
    driver = start({"w.js": source})
    assert [driver.fetch().json, driver.fetch().json] == [[1, "before", None]] * 2


@pytest.mark.parametrize("before", ["", 'import "node:async_hooks";'])
def test_a_promise_that_cannot_be_awaited_is_an_answer_that_fails(
    start: Callable[..., Driver], before: str
) -> None:
    source = f"""{before}
    const refused = Object.defineProperty(Promise.resolve(), "constructor", {{
      get() {{ throw new RangeError("not awaited"); }},
    }});
    export default {{ fetch: () => refused }};
    """
    run = start({"w.js": source}).fetch()
    assert run.failure is not None
    assert (run.failure.type_name, run.failure.message, run.done) == ("RangeError", "not awaited", True)


def test_other_workers_have_the_engines_own_promise(start: Callable[..., Driver]) -> None:
    source = """
    import "node:events";
    export default { fetch: () => new Response(Promise.prototype.then.toString()) };
    """
    assert "[native code]" in start({"w.js": source}).fetch().text
