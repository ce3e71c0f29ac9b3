"""Calls and JSON that go too deep are errors of JavaScript: the isolate, and whoever else is in it, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.javascript.depth import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

WORKER = """
import { WorkerEntrypoint } from "cloudflare:workers";
let served = 0;

async function tried() { BODY }

export default class extends WorkerEntrypoint {
  async fetch() {
    served += 1;
    let told;
    try { told = String(await tried()); } catch (error) { told = `${error instanceof RangeError} ${error.message}`; }
    return new Response(`${served} ${told}`);
  }
  echo(value) { return value; }
}
"""
TOO_DEEP = "true JSON that is more than 5000 levels deep cannot be parsed"
RAISED = "true Maximum call stack size exceeded"
OBJECT = """
import { DurableObject } from "cloudflare:workers";
export class Room extends DurableObject {}
"""
RECURSIONS = {
    "function": "const down = () => down() + 1; return down();",
    "arguments": "const down = (...all) => down(...all, 1); return down();",
    "method": "const o = { down() { return this.down(); } }; return o.down();",
    "getter": "const o = { get down() { return this.down; } }; return o.down;",
    "constructor": "class Down { constructor() { new Down(); } } return new Down();",
    "derived": "class A {} class B extends A { constructor() { super(); new B(); } } return new B();",
    "generator": "function* down() { yield* down(); } return [...down()];",
    "async": "async function down() { await down(); } return await down();",
    "async generator": "async function* down() { yield* down(); } for await (const x of down()) return x;",
    "proxy": "const p = new Proxy({}, { get: (_, key, self) => self[key] }); return p.down;",
    "text": "const o = { toString() { return `${o}`; } }; return `${o}`;",
    "sort": "const down = () => [2, 1].sort(down); return down();",
    "replace": "const down = () => 'a'.replace(/a/, down); return down();",
    "apply": "const down = () => Reflect.apply(down, null, []); return down();",
    "bound": "const down = () => down.bind(null)(); return down();",
    "toJSON": "const o = { toJSON() { return JSON.stringify(o); } }; return JSON.stringify(o);",
    "reviver": "const down = () => JSON.parse('1', down); return down();",
    "eval": "globalThis.down = () => (0, eval)('down()'); return down();",
    "stack": """const down = () => down();
        Error.prepareStackTrace = () => { try { down(); } catch { return "deep"; } }; return down();""",
    "arrays": "return String(JSON.parse('['.repeat(4990) + ']'.repeat(4990)));",
    "arrays in arrays": "let all = []; for (let i = 0; i < 1e5; i++) all = [all]; return `${all}`;",
    "caught": "const down = () => { try { return down(); } catch (error) { throw error; } }; return down();",
}


def worker(body: str, more: str = "") -> dict[str, str]:
    return {"w.js": more + WORKER.replace("BODY", body)}


@pytest.mark.parametrize(
    ("kind", "more"), [*((kind, "") for kind in RECURSIONS), ("function", OBJECT), ("sort", OBJECT)]
)
def test_recursion_throws_and_the_isolate_lives(start: Callable[..., Driver], kind: str, more: str) -> None:
    driver = start(worker(RECURSIONS[kind], more))
    assert [driver.fetch().text for _ in range(2)] == [f"1 {RAISED}", f"2 {RAISED}"]


@pytest.mark.parametrize("levels", [1, DEEPEST - 20])
def test_what_is_less_deep_returns(start: Callable[..., Driver], levels: int) -> None:
    body = f"const down = (n) => (n === 0 ? 0 : 1 + down(n - 1)); return down({levels - 1}) + 1;"
    assert start(worker(body)).fetch().text == f"1 {levels}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("'['.repeat(1e6)", TOO_DEEP),
        ("""'{"a":'.repeat(6000)""", TOO_DEEP),
        ("""'[{"a":'.repeat(2501) + "1" + "}]".repeat(2501)""", TOO_DEEP),
        ("'['.repeat(5000) + ']'.repeat(5000)", "1"),
        ("`[${'[],'.repeat(9000)}1]`", "9001"),
        ("""JSON.stringify(['["'.repeat(9000)])""", "1"),
        (r"""JSON.stringify(['\\\\"[\\\\'.repeat(9000), [[]]])""", "2"),
        ("'[1, 2]'", "2"),
        ("{ toString: () => '[1, 2, 3]' }", "3"),
    ],
)  # fmt: skip
def test_json(start: Callable[..., Driver], text: str, told: str) -> None:
    assert start(worker(f"return JSON.parse({text}).length;")).fetch().text == f"1 {told}"


def test_json_parse_looks_and_behaves_as_before(start: Callable[..., Driver]) -> None:
    body = """
    const { value: _, ...flags } = Object.getOwnPropertyDescriptor(JSON, "parse");
    const refused = [];
    for (const text of [Symbol(), "{", undefined]) {
      try { JSON.parse(text); } catch (error) { refused.push(error.name); }
    }
    return JSON.stringify([
      JSON.parse.name, JSON.parse.length, flags, "prototype" in JSON.parse, refused,
      JSON.parse('{"a": 1}', (key, value) => (key === "a" ? value + 1 : value)), JSON.parse("[1]", "no function"),
    ]);"""
    assert start(worker(body)).fetch().text == (
        '1 ["parse",2,{"writable":true,"enumerable":false,"configurable":true},false,'
        '["TypeError","SyntaxError","SyntaxError"],{"a":2},[1]]'
    )


def test_a_value_that_another_worker_made_too_deep(
    start: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = start(worker("return 0;"))
    header = b"[[]," + b"[" * 30_000 + b"]" * 30_000 + b"]"
    forged = len(header).to_bytes(4, "little") + header
    with monkeypatch.context() as patch:
        patch.setattr(wire, "dump_value", lambda _: forged)
        run = driver.call("echo")
    assert run.failure is not None
    assert "levels deep" in run.failure.message
    assert driver.call("echo", 1).value == 1


def test_parsing_of_code_may_still_end_the_isolate(start: Callable[..., Driver]) -> None:
    driver = start(worker("return Function(`return ${'('.repeat(1e5)}`)();"))
    with pytest.raises(Trap):
        driver.fetch()
