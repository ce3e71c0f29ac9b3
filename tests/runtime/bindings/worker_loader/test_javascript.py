"""Workers of one language that load workers of the same and of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_config import Binding

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

LOADER = Binding("LOADER", "worker_loader", {})
LOADED = """
import { WorkerEntrypoint } from "cloudflare:workers";
import hello from "./words.js";
import text from "./a/b.txt";
let count = 0;
export default class extends WorkerEntrypoint {
  async fetch(request) {
    const mine = request.headers.get("x-pyworkerd-loaded");
    return new Response(`${request.method} ${request.url} ${mine} ${await request.text()}`, { status: 201 });
  }
  greet(name) { count += 1; console.log("greets", name); return `${hello}, ${name} ${text} ${count}`; }
  envOf() { return [Object.keys(this.env).sort(), this.env.A, this.env.B]; }
  ask(name) { return this.env.TOOLS.tool(name); }
  async outside() { return (await fetch("http://example.com/")).text(); }
}
export class Named extends WorkerEntrypoint {
  props() { return this.ctx.props; }
}
"""
TOOLS = """
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint { tool(name) { return `tool ${name}`; } }
"""
PARENT = """
import { WorkerEntrypoint } from "cloudflare:workers";
import JAVASCRIPT from "./loaded.txt";

const TYPESCRIPT = "export default { fetch(request: Request): Response { return new Response('typed'); } };";
const PYTHON = `
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def greet(self, name, more=None):
        return f"python greets {name} {more}"
`;

const code = (more = {}) => ({
  compatibilityDate: "2026-11-01",
  mainModule: "worker.js",
  modules: { "worker.js": JAVASCRIPT, "words.js": { js: "export default 'hello';" }, "a/b.txt": { text: "text" } },
  env: { A: { x: [1, null] }, B: new Uint8Array([1, 2]) },
  ...more,
});
let described = 0;

export default class extends WorkerEntrypoint {
  stub(more) {
    return this.env.LOADER.get("js", async () => { described += 1; return code(more); });
  }

  async greet(times) {
    const worker = this.stub().getEntrypoint();
    return [await Promise.all(Array.from({ length: times }, () => worker.greet("you"))), described];
  }

  async fetches() {
    const worker = this.stub().getEntrypoint();
    const answer = await worker.fetch("http://x/y", { method: "POST", body: "hi" });
    const streamed = new Response("streamed").body;
    const other = await worker.fetch(new Request("http://x/z", { method: "PUT", body: streamed }));
    return [answer.status, await answer.text(), await other.text()];
  }

  async env_() {
    return this.env.LOADER.load(code()).getEntrypoint().envOf();
  }

  async given() {
    const env = { TOOLS: this.env.TOOLS };
    return this.env.LOADER.load(code({ env })).getEntrypoint().ask("hammer");
  }

  async named() {
    return this.stub().getEntrypoint("Named", { props: { of: "\\u2603" } }).props();
  }

  async languages() {
    const typed = this.env.LOADER.load({ mainModule: "a.ts", modules: { "a.ts": TYPESCRIPT } });
    const python = this.env.LOADER.load({ mainModule: "a.py", modules: { "a.py": PYTHON } });
    const answer = await typed.getEntrypoint().fetch("http://x/");
    return [await answer.text(), await python.getEntrypoint().greet("you", 1)];
  }

  async outside() {
    return this.stub().getEntrypoint().outside();
  }

  async load(source, main = "a.js") {
    await this.env.LOADER.load({ mainModule: main, modules: { [main]: source } }).getEntrypoint().anything();
  }

  async describe(described) {
    await this.env.LOADER.load(described).getEntrypoint().anything();
  }

  async gives(name) {
    await this.env.LOADER.load(code({ env: { X: this.env[name] } })).getEntrypoint().envOf();
  }

  async caught(method, ...positional) {
    try {
      return await this[method](...positional);
    } catch (error) {
      return [error.name, error.message, error.code ?? null];
    }
  }
}
"""


async def parent(runtime: Runtime) -> LoadedWorker:
    tools = await runtime.load({"tools.js": TOOLS})
    bindings = {"LOADER": LOADER, "TOOLS": tools, "KV": Binding("KV", "kv", "kv")}
    return await runtime.load({"parent.js": PARENT, "loaded.txt": LOADED}, bindings=bindings)


def test_a_javascript_worker_loads_others(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        greetings, described = await worker.call("greet", 3)
        assert (sorted(greetings), described) == ([f"hello, you text {n}" for n in (1, 2, 3)], 1)
        assert (await worker.call("greet", 1))[1] == 1
        assert "greets you" in [entry.message for entry in worker.logs]
        assert await worker.call("fetches") == [
            201,
            "POST http://x/y null hi",
            "PUT http://x/z null streamed",
        ]
        assert await worker.call("env_") == [["A", "B"], {"x": [1, None]}, b"\1\2"]
        assert await worker.call("given") == "tool hammer"
        assert await worker.call("named") == {"of": "\u2603"}
        assert await worker.call("languages") == ["typed", "python greets you 1"]
        assert "no outbound network" in (await worker.call("caught", "outside"))[1]

    with_runtime(main)


def test_what_cannot_be_loaded_says_so(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        name, message, code = await worker.call("caught", "load", "\nthrow new Error('mine')")
        assert (name, message, code) == ("Error", "a.js:2: Error: mine", "load_failed")
        name, message, code = await worker.call("caught", "load", "let x: = 1", "a.ts")
        assert (code, message.startswith("a.ts:1: SyntaxError")) == ("load_failed", True)
        name, message, code = await worker.call("caught", "load", "export default {}", "a.txt.rb")
        assert (name, "neither JavaScript nor Python" in message) == ("TypeError", True)
        name, message, code = await worker.call("caught", "gives", "KV")
        assert (name, "only a worker's own service stubs" in message) == ("TypeError", True)

    with_runtime(main)


@pytest.mark.parametrize(
    ("described", "word"),
    [
        ("text", "described by an object"),
        ({}, "mainModule and modules"),
        ({"mainModule": "a.js", "modules": {"a.js": {"wasm": b""}}}, "js, cjs, py, text, data, json"),
        ({"mainModule": "a.js", "modules": {"a.js": {"data": "text"}}}, "must be bytes"),
        ({"mainModule": "a.js", "modules": {"a.js": {"text": b"bytes"}}}, "must be a string"),
        ({"mainModule": "a.js", "modules": {"../a.js": "", "a.js": ""}}, "plain relative path"),
        ({"mainModule": "a.js", "modules": {"a.js": ""}, "tails": []}, "no 'tails'"),
        ({"mainModule": "a.js", "modules": {"a.js": ""}, "limits": {"cpuMs": 0}}, "positive integer"),
        ({"mainModule": "a.js", "modules": {"a.js": ""}, "globalOutbound": "x"}, "service stubs"),
    ],
)
def test_descriptions_that_mean_nothing(with_runtime: Callable[..., None], described: Any, word: str) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await parent(runtime)
        name, message, _ = await worker.call("caught", "describe", described)
        assert (name, word in message) == ("TypeError", True), message

    with_runtime(main)


def test_a_python_worker_loads_javascript(with_runtime: Callable[..., None]) -> None:
    source = """
from workers import WorkerEntrypoint

SOURCE = '''
import { WorkerEntrypoint } from "cloudflare:workers";
import words from "./words.json";
export default class extends WorkerEntrypoint { greet(name) { return `${words.hello}, ${name}`; } }
'''

class Default(WorkerEntrypoint):
    async def greet(self, name):
        modules = {"a.mjs": SOURCE, "words.json": {"json": {"hello": "hi"}}}
        worker = self.env.LOADER.load({"main_module": "a.mjs", "modules": modules})
        return await worker.get_entrypoint().greet(name)
"""

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": source}, bindings={"LOADER": LOADER})
        assert await worker.call("greet", "you") == "hi, you"

    with_runtime(main)
