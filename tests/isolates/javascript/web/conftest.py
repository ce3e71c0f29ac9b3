"""The web platform's modules in the engine itself, with a stand-in for the host's part of them."""

from __future__ import annotations

import asyncio
import base64
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.javascript.encodings import make_tables
from quickjs_rs import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WEB = files("pyworkerd_isolates") / "javascript/guest/web"
TABLES = make_tables()

# The clock stands still until nothing else is left to do, and then jumps to the next timer.
SYSTEM = """
export const timers = new Map();
let clock = 1_700_000_000_000;
let last = 0;
let noise = 0;
export const logged = [];
export const now = () => clock;
export const encode = (text) => Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(text))));
export const decode = (bytes) => decodeURIComponent(escape(atob(bytes.toBase64())));
export const log = (level, text) => { logged.push([level, text]); };
export const fill = (bytes) => { for (let i = 0; i < bytes.length; i += 1) bytes[i] = noise += 101; };
export const setTimer = (callback, ms) => { timers.set(last += 1, [clock + ms, callback]); return last; };
export const authored = (stack) => stack;
// The engine's own, and the host's: tests of digests and keys are in a sandbox.
export const hash = null;
export const chain = null;
const tables = Uint8Array.fromBase64("TABLES");
export const table = (from, size) => tables.slice(from, from + size);
export const compute = null;
export const inContext = (callback) => callback;
export const clearTimer = (id) => { timers.delete(id); };
export function advance() {
  const next = [...timers].sort(([a, [x]], [b, [y]]) => x - y || a - b)[0];
  if (next === undefined) throw new Error("nothing is left that could settle it");
  timers.delete(next[0]);
  clock = Math.max(clock, next[1][0]);
  next[1][1]();
}
"""

PREPARE = """
import { install } from "pyworkerd:web/globals";
import { advance, logged } from "pyworkerd:system";
install(globalThis);
globalThis.plain = (_, value) =>
  value === undefined ? "undefined"
  : typeof value === "number" && !Number.isFinite(value) ? String(value)
  : typeof value === "bigint" ? `${value}n`
  : value instanceof Uint8Array ? [...value]
  : value instanceof ArrayBuffer ? [...new Uint8Array(value)]
  : value instanceof Error ? `${value.name}: ${value.message}`
  : value;
globalThis.runTest = async (test) => {
  logged.length = 0;
  let settled = false;
  const outcome = (async () => test({ logged }))().finally(() => { settled = true; });
  outcome.catch(() => {});
  for (;;) {
    await idle();
    if (settled) break;
    advance();
  }
  globalThis.outcome = JSON.stringify([await outcome], plain);
};
"""


TESTING = """
export const tests = new Map();
export const test = (name, body) => { tests.set(name, body); };
export function equal(actual, expected) {
  const [given, wanted] = [actual, expected].map((value) => JSON.stringify(value, plain));
  if (given !== wanted) throw new Error(`${given} is not ${wanted}`);
}
export async function fails(action, ...wanted) {
  let outcome;
  try {
    outcome = await (typeof action === "function" ? action() : action);
  } catch (error) {
    for (const part of wanted) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      if (!text.includes(part)) throw new Error(`${text} is not ${part}`);
    }
    return;
  }
  throw new Error(`it gave ${JSON.stringify(outcome, plain)}`);
}
"""


def load(name: str) -> str | None:
    """The source of a module, by the name that it is imported by."""
    if name == "pyworkerd:system":
        return SYSTEM.replace("TABLES", base64.b64encode(TABLES.data).decode())
    if name == "pyworkerd:tables":
        return f"export default {json.dumps(TABLES.places)};"
    if name == "pyworkerd:test":
        return TESTING
    path = WEB / f"{name.removeprefix('pyworkerd:web/')}.js"
    return path.read_text(encoding="utf-8") if name.startswith("pyworkerd:web/") else None


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Any]]:
    """Runs the body of an asynchronous function, with imports before it, and gives what it returns, as JSON has it.

    Its attribute `memory()` gives the bytes in use after collecting garbage.
    """
    with asyncio.Runner() as runner, Runtime(memory_limit=128 << 20) as runtime:
        runtime.set_module_loader(load=load)
        with runtime.new_context(timeout=60) as context:

            @context.function
            async def idle() -> None:
                await asyncio.sleep(0)

            def evaluate(body: str, imports: str = "", **values: object) -> Any:
                given = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
                source = f"{imports}\nawait runTest(async ({{ logged }}) => {{ {given}\n{body}\n}});"
                runner.run(context.eval_async(source, module=True))
                return json.loads(context.eval("outcome"))[0]

            def memory() -> int:
                runtime.run_gc()
                return runtime.memory_usage()["memory_used_size"]

            evaluate.memory = memory  # type: ignore[attr-defined]
            runner.run(context.eval_async(PREPARE, module=True))
            yield evaluate
