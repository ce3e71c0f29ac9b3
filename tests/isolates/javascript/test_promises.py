"""An answer that is a promise, or looks like one, is what `await` would make of it, also where nothing waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Driver, Sandbox

SOURCE = """
import { WorkerEntrypoint } from "cloudflare:workers";
class Other extends Promise {
  then(done, failed) { return super.then((value) => done(`other ${value}`), failed); }
}
const then = (text) => ({ then(done) { done(text); } });
const cases = {
  value: async () => 1,
  nothing: async () => {},
  none: async () => null,
  list: async () => [1, "2"],
  error: async () => { throw new RangeError("no"); },
  refused: () => Promise.reject(new RangeError("no")),
  resolved: () => Promise.resolve("there"),
  later: () => new Promise((done) => queueMicrotask(() => done("later"))),
  ready: async () => { queueMicrotask(() => {}); return "ready"; },
  thenable: () => then("then"),
  callable: () => Object.assign(() => {}, then("called")),
  throwing: () => ({ then() { throw new RangeError("no"); } }),
  other: () => Other.resolve("one"),
  patched: () => Object.assign(Promise.resolve("itself"), then("patched")),
  renamed: () => Object.assign(Promise.resolve("itself"), { constructor: Other }, then("renamed")),
  imitated: () => ({ constructor: Promise, ...then("imitated") }),
  inherited: async () => {
    Object.prototype.then = (done) => { delete Object.prototype.then; done("inherited"); };
    return {};
  },
};
export default class extends WorkerEntrypoint {
  names() { return Object.keys(cases); }
  answered(name) { return cases[name](); }
  async awaited(name) { await null; const value = await cases[name](); return value; }
}
"""


@pytest.fixture(scope="module")
def driver(sandbox: Sandbox) -> Any:
    with sandbox.start({"w.js": SOURCE}) as started:
        yield started


def test_answers_that_are_promises(driver: Driver) -> None:
    for name in driver.call("names").value:
        seen = [driver.call(method, name) for method in ("answered", "awaited")]
        told = [run.value if run.failure is None else run.failure.message for run in seen]
        assert told[0] == told[1], name
        assert all(run.done for run in seen), name
