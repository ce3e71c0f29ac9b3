"""Modules of Node.js: what they answer, how programs get at them, and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import TopLevelRaised
from pyworkerd_isolates.javascript.build import GUEST

from .node_answers import differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

IMPORTS = """
import path from "node:path"; import * as buffer from "node:buffer"; import util from "node:util";
import events from "node:events"; import assert from "node:assert"; import qs from "node:querystring";
import sd from "node:string_decoder"; import url from "node:url"; import timers from "node:timers/promises";
"""


def test_they_answer_as_in_node(start: Callable[..., Driver]) -> None:
    assert differences(start, "answers", IMPORTS) == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("await events.once(later((e) => e.emit('x', 1, 2)), 'x')", [1, 2]),
        ("await events.once(later((e) => e.emit('error', new Error('no'))), 'x').catch((e) => e.message)", "no"),
        ("await events.once(new EventTarget(), 'x', { signal: AbortSignal.abort() }).catch((e) => e.code)",
         "ABORT_ERR"),
        ("await taken(events.on(later((e) => { e.emit('x', 1); e.emit('x', 2); }), 'x'), 2)", [[1], [2]]),
        ("await util.promisify((a, b, done) => done(null, a + b))(1, 2)", 3),
        ("await util.promisify((done) => done(new Error('bad')))().catch((e) => e.message)", "bad"),
        ("await new Promise((r) => util.callbackify(async (a) => a + 1)(1, (e, v) => r([e, v])))", [None, 2]),
        ("await new Promise((r) => util.callbackify(() => Promise.reject(null))((e) => r(e.code)))",
         "ERR_FALSY_VALUE_REJECTION"),
        ("await util.promisify(nodeTimers.setTimeout)(1, 'v')", "v"),
        ("await timers.setTimeout(1, 'v')", "v"),
        ("await timers.setTimeout(1e6, 'v', { signal: AbortSignal.timeout(1) }).catch((e) => e.name)",
         "AbortError"),
        ("await taken(timers.setInterval(1, 'tick'), 2)", ["tick", "tick"]),
        ("await new Promise((r) => setImmediate(r, 'now'))", "now"),
        ("await assert.rejects(async () => { throw new TypeError('x'); }, TypeError)", None),
        ("await assert.rejects(async () => 1).catch((e) => e.message)", "Missing expected rejection."),
        ("await assert.doesNotReject(Promise.resolve())", None),
        ("await ordered()", ["sync", "tick", "then"]),
        ("Buffer === buffer.Buffer && process.nextTick === proc.nextTick && global === globalThis", True),
        ("process.env.NAME + process.env.OTHER", "textundefined"),
        ("typeof process.exit", "function"),
    ],
)  # fmt: skip
def test_what_takes_time(start: Callable[..., Driver], expression: str, expected: object) -> None:
    before = """
    import nodeTimers from "timers"; import proc from "process";
    function later(act) { const e = new events(); setTimeout(act, 1, e); return e; }
    async function taken(source, count) {
      const found = [];
      for await (const each of source) if (found.push(each) === count) break;
      return found;
    }
    async function ordered() {
      const order = [];
      process.nextTick((word) => order.push(word), "tick");
      const last = Promise.resolve().then(() => order.push("then"));
      order.push("sync");
      await last;
      return order;
    }
    """
    source = (
        f"{IMPORTS}{before} export default {{ async fetch() {{ return Response.json([{expression}]); }} }};"
    )
    bindings = [("NAME", "value", wire.encode("text")), ("OTHER", "value", wire.encode([1]))]
    assert start({"w.js": source}, bindings=bindings).fetch().json == [expected]


NAMES = sorted(
    path.relative_to(GUEST / "node").with_suffix("").as_posix() for path in (GUEST / "node").rglob("*.js")
)


def test_with_and_without_prefix_and_by_require(start: Callable[..., Driver]) -> None:
    imports = "".join(
        f"import a{i} from '{name}'; import b{i} from 'node:{name}'; import * as c{i} from '{name}';"
        for i, name in enumerate(NAMES)
    )
    pairs = ", ".join(f"[a{i}, b{i}, c{i}.default, required('{name}')]" for i, name in enumerate(NAMES))
    files = {
        "w.js": f"{imports} import required from './r.cjs'; const all = [{pairs}];"
        "export default { fetch: () => Response.json(all.map((each) => new Set(each).size)) };",
        "r.cjs": "module.exports = (name) => require(`node:${name}`) === require(name) && require(name);",
        "node_modules/events/index.js": "export default 'the package';",
    }
    assert start(files).fetch().json == [1] * len(NAMES)


def test_require_makes_nothing_anew(start: Callable[..., Driver]) -> None:
    files = {
        "w.js": "import again from './r.cjs'; export default { fetch() { again(); return new Response('x'); } };",
        "r.cjs": "module.exports = () => { for (let i = 0; i < 20_000; i++) require('util'); };",
    }
    assert start(files, memory_mb=8).fetch().text == "x"


@pytest.mark.parametrize("name", ["node:repl", "node:events/x", "node:", "node:../system/host"])
def test_what_is_missing_is_named(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(TopLevelRaised, match=rf'No such module "{name}". Of Node.js, workers have assert'):
        sandbox.image({"w.js": f"import '{name}'; export default {{ fetch() {{}} }};"})


def test_a_missing_function_is_named_where_it_is_used(start: Callable[..., Driver]) -> None:
    source = """
    import util from "util";
    export default { fetch() { try { util.parseArgs(); } catch (e) { return new Response(e.message); } } };
    """
    assert start({"w.js": source}).fetch().text == "util.parseArgs() is not there for workers"


def test_call_sites_can_be_asked_what_those_of_v8_can(start: Callable[..., Driver]) -> None:
    files = {
        "w.js": "import found from './r.cjs'; export default { fetch: () => Response.json(found) };",
        "r.cjs": """
        const before = Error.prepareStackTrace;
        Error.prepareStackTrace = (_, sites) => sites;
        function named() { const about = {}; Error.captureStackTrace(about); return about.stack[0]; }
        const site = named();
        Error.prepareStackTrace = before;
        module.exports = [site.isEval(), site.isConstructor(), site.getThis() === undefined, `${site}`];
        """,
    }
    *answers, text = start(files).fetch().json
    assert answers == [False, False, True]
    assert text.startswith("named (")


def test_workers_that_ask_for_none_of_it_have_none_of_it(start: Callable[..., Driver]) -> None:
    names = ["Buffer", "process", "setImmediate", "clearImmediate"]
    source = f"""
    const lazy = (name) => "get" in Object.getOwnPropertyDescriptor(globalThis, name);
    export default {{ fetch() {{
      const before = {names}.map(lazy);
      globalThis.setImmediate = 1;
      void Buffer;
      return Response.json([...before, ...{names}.map(lazy), setImmediate]);
    }} }};
    """
    assert start({"w.js": source}).fetch().json == [*[True] * 4, False, True, False, True, 1]
