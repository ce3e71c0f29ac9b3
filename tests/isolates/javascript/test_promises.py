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
const turning = (promise, turns) => Object.defineProperty(promise, "constructor", {
  get() { if (turns-- > 0) return Promise; throw new RangeError("turned"); },
});
class Turning extends Promise {}
export default class extends WorkerEntrypoint {
  turned(turns) { return turning(new Promise((done) => queueMicrotask(() => done("there"))), turns); }
  derived(turns) {
    const promise = new Turning((done) => queueMicrotask(() => done("there")));
    turning(Turning.prototype, turns);
    return promise;
  }
  names() { return Object.keys(cases); }
  answered(name) { return cases[name](); }
  async awaited(name) { await null; const value = await cases[name](); return value; }
}
"""


@pytest.fixture(scope="module")
def driver(sandbox: Sandbox) -> Any:
    with sandbox.start({"w.js": SOURCE}) as started:
        yield started


@pytest.mark.parametrize("method", ["turned", "derived"])
@pytest.mark.parametrize("turns", range(4))
def test_a_constructor_that_throws_when_it_is_looked_at_again(
    sandbox: Sandbox, method: str, turns: int
) -> None:
    """The engine ends whoever awaits such a promise, past its `catch`: the invocation went on for its wall time."""
    with sandbox.start({"w.js": SOURCE}) as driver:
        run = driver.call(method, turns)
    assert run.done
    assert run.failure.message == "turned" if run.failure is not None else run.value == "there"


def test_answers_that_are_promises(driver: Driver) -> None:
    for name in driver.call("names").value:
        seen = [driver.call(method, name) for method in ("answered", "awaited")]
        told = [run.value if run.failure is None else run.failure.message for run in seen]
        assert told[0] == told[1], name
        assert all(run.done for run in seen), name
