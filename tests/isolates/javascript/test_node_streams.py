"""`node:stream`: what happens, in which order, is what happens in Node.js; and what it does not hold in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

SCENARIOS = json.loads(
    Path(__file__).with_name("data").joinpath("node/streams.json").read_text(encoding="utf-8")
)
IMPORTS = """
import stream from "node:stream"; import util from "node:util"; import events from "node:events";
import pipes from "node:stream/promises"; import consumers from "node:stream/consumers";
import crypto from "node:crypto";
const { Readable, Writable, Duplex, Transform, PassThrough, pipeline, finished } = stream;
"""
RUNNING = """
const EVENTS = ["data", "end", "finish", "close", "error", "drain", "pause", "resume"];
function shown(value) {
  if (value instanceof Error) return `${value.name} ${value.code ?? ""} ${value.message}`.split("\\n")[0];
  if (Buffer.isBuffer(value)) return `<${value}>`;
  return typeof value === "string" ? value : util.inspect(value);
}
const known = {
  EVENTS, crypto, stream, util, events, pipes, consumers, Readable, Writable, Duplex, Transform, PassThrough, pipeline,
  finished,
};
const Scenario = Object.getPrototypeOf(async () => {}).constructor;
async function run(body) {
  const lines = [];
  const log = (...values) => lines.push(values.map(shown).join(" "));
  try {
    await new Scenario("log", ...Object.keys(known), body)(log, ...Object.values(known));
  } catch (error) { log("thrown", error); }
  await new Promise((resolve) => setTimeout(resolve, 60));
  return lines;
}
export default {
  async fetch(request) { return Response.json(await Promise.all((await request.json()).map(run))); },
};
"""


def test_the_same_happens_as_in_node(start: Callable[..., Driver]) -> None:
    bodies = json.dumps([body for _, body, _ in SCENARIOS]).encode()
    found = start({"w.js": IMPORTS + RUNNING}).fetch(method="POST", body=bodies).json
    wrong = [
        (name, wanted, got) for (name, _, wanted), got in zip(SCENARIOS, found, strict=True) if wanted != got
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("stream.promises === pipes && util.promisify(pipeline) === pipes.pipeline", True),
        ("[stream.getDefaultHighWaterMark(false), stream.getDefaultHighWaterMark(true)]", [65536, 16]),
        ("(await import('node:stream/web')).ReadableStream === ReadableStream", True),
        ("await consumers.text(Readable.fromWeb(request.body))", "sent"),
        ("await new Response(Readable.toWeb(Readable.from(['a', 'b'], { objectMode: false }))).text()", "ab"),
        ("await Readable.from(request.body).map((chunk) => chunk.length).toArray()", [4]),
    ],
)
def test_what_only_workers_have(start: Callable[..., Driver], expression: str, expected: object) -> None:
    source = (
        f"{IMPORTS} export default {{ async fetch(request) {{ return Response.json([{expression}]); }} }};"
    )
    assert start({"w.js": source}).fetch(method="POST", body=b"sent").json == [expected]


def test_what_nobody_takes_is_not_asked_for(start: Callable[..., Driver]) -> None:
    source = (
        IMPORTS
        + """
    export default { async fetch() {
      let asked = 0;
      const endless = new Readable({ read() { asked += 1; this.push(Buffer.alloc(1024)); } });
      const slow = new Writable({ write(chunk, encoding, callback) {} });
      endless.pipe(new PassThrough()).pipe(slow);
      const other = new Readable({ read() { asked += 1; this.push(Buffer.alloc(1024)); } });
      await Readable.toWeb(other).getReader().read();
      await new Promise((resolve) => setTimeout(resolve, 5));
      return Response.json(asked < 4 * 64 + 2 * 64 + 20);
    } };
    """
    )
    assert start({"w.js": source}).fetch().json is True
