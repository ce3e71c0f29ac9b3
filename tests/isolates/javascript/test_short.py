"""What the engine writes itself is what the guest would have written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Done, Log, Result, Return

from tests.isolates.python.test_stubs import Guest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

SOURCE = """
import { WorkerEntrypoint } from "cloudflare:workers";
const VALUES = [
  undefined, null, true, false,
  0, -0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53 - 1, 1 - 2 ** 53, 3 / 1.5, 0.1, -1e-7, 5e-324, 1.5e300,
  2 ** 53, NaN, -Infinity, 1e21, 10n,
  "", "text", 'a "quoted" text', "\\\\", "\\n\\t\\0\\x1f\\x7f", "\\xe9\\u20ac\\ud83d\\ude00", "\\ud800 alone", "$",
  "x".repeat(4096), "x".repeat(4097), "\\u20ac".repeat(4096), "a" + "b".repeat(300) + '"'.repeat(3),
];
export default class extends WorkerEntrypoint {
  count() { return VALUES.length; }
  one(place) { return VALUES[place]; }
  listed(place) { return [VALUES[place]]; }
  logs() { console.log("before"); queueMicrotask(() => console.log("after")); return 1; }
  waits() { this.ctx.waitUntil(Promise.resolve()); return 1; }
  goes() { this.ctx.waitUntil(new Promise(() => {})); return 1; }
  async awaits() { await null; return 1; }
  async nothing() {}
  async readies() { queueMicrotask(() => console.log("before")); return 1; }
}
"""


@pytest.fixture(scope="module")
def driver(sandbox: Sandbox) -> Any:
    with sandbox.start({"w.js": SOURCE}) as started:
        yield started


def test_values(driver: Driver) -> None:
    for place in range(driver.call("count").value):
        one, listed = (driver.call(method, place) for method in ("one", "listed"))
        values = [one.value, listed.value[0]]
        assert repr(values[0]) == repr(values[1]), place
        assert one.returned is not None
        if b"\\" not in one.returned:  # what has to be escaped may be so in more than one way
            assert one.returned[8:-1] == listed.returned[9:-2]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("count", [Result]),
        ("awaits", [Result]),
        ("nothing", [Result]),
        ("readies", [Log, Result]),
        ("logs", [Log, Return, Log, Done]),
        ("waits", [Result]),
        ("goes", [Return]),
    ],
)
@pytest.mark.parametrize("props", [{}, {"a": 1}])
def test_a_result_is_what_is_returned_last(
    start: Callable[..., Driver], method: str, props: object, expected: list[type]
) -> None:
    guest = Guest(start({"w.js": SOURCE}).isolate)
    effects = guest.step(("rpc", 1, None, props, method, wire.dump_value([[], {}])))
    assert [type(effect) for effect in effects] == expected


@pytest.mark.parametrize("number", [1, 2**28, 2**31, 2**40, 2**50])
def test_invocations_have_numbers_of_any_size(start: Callable[..., Driver], number: int) -> None:
    guest = Guest(start({"w.js": SOURCE}).isolate)
    effects = guest.step(("rpc", number, None, {}, "goes", wire.dump_value([[], {}])))
    effects += guest.step(("rpc", number + 1, None, {}, "count", wire.dump_value([[], {}])))
    assert [effect.invocation for effect in effects] == [number, number + 1]
