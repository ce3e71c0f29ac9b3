"""What a JavaScript worker gives out is cut into steps, or refused where that cannot be: no isolate ends of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

WORKER = """
import { WorkerEntrypoint } from "cloudflare:workers";

const all = (make, count) => Promise.allSettled(Array.from({ length: count }, (_, n) => make(n)));
const told = (settled) => Response.json(settled.map(({ value, reason }) => value?.status ?? reason?.name ?? value));
const send = (body) => fetch("http://other.test/", { method: "POST", body });
const streamed = (bytes) => new ReadableStream({ start(it) { it.enqueue(bytes); it.close(); } });
const tiny = () => new ReadableStream({
  start(it) { for (let i = 0; i < 30000; i++) it.enqueue(new Uint8Array([i % 251])); it.close(); },
});

const kinds = {
  async text() { return told(await all((n) => send(String.fromCharCode(65 + n).repeat(250000)), 50)); },
  async stream() { return told(await all((n) => send(streamed(new Uint8Array(250000).fill(65 + n))), 50)); },
  async large() { return told(await all((n) => send(new Uint8Array(400000).fill(65 + n)), 50)); },
  async calls(env) { return told(await all((n) => env.CALL(new Uint8Array(1e6)), 20)); },
  tiny() { return new Response(tiny()); },
  ready() { return new Response("ready"); },
};

export default class extends WorkerEntrypoint {
  fetch(request) { return kinds[new URL(request.url).pathname.slice(1)](this.env); }
  bytes(size) { return new Uint8Array(size); }
}
"""


@pytest.fixture
def driver(start: Callable[..., Driver]) -> Driver:
    bindings = [("CALL", "callable", 1)]
    return start({"w.js": WORKER}, answer=lambda call: Reply(200) if not hasattr(call, "arguments") else 1,
                 bindings=bindings)  # fmt: skip


@pytest.mark.parametrize(("kind", "size"), [("text", 250_000), ("stream", 250_000), ("large", 400_000)])
def test_many_bodies_at_once_wait_for_each_other(driver: Driver, kind: str, size: int) -> None:
    run = driver.fetch(f"http://x/{kind}")
    driver.settle()
    assert run.json == [200] * 50
    bodies = sorted(bytes(each.body) for each in driver.uploads.values())
    assert bodies == [bytes([65 + n]) * size for n in range(50)]
    assert driver.fetch("http://x/ready").text == "ready"


def test_a_body_of_many_small_pieces(driver: Driver) -> None:
    run, other = driver.begin("http://x/tiny"), driver.begin("http://x/ready")
    driver.step()
    assert (len(run.body) < 10_000, bytes(other.body)) == (True, b"ready")
    driver.settle()
    assert bytes(run.body) == bytes(i % 251 for i in range(30_000))
    assert run.done


def test_the_reader_of_a_body_that_waits_for_room_may_go(driver: Driver) -> None:
    run = driver.begin("http://x/tiny")
    driver.step()
    (stream,) = driver.streams
    driver.stop(stream)
    driver.settle()
    assert (run.done, len(run.body) < 10_000, driver.can_go_on()) == (True, True, False)


def test_calls_that_are_too_large_together(driver: Driver) -> None:
    assert driver.fetch("http://x/calls").json == [1] * 7 + ["RangeError"] * 13
    assert driver.fetch("http://x/calls").json == [1] * 7 + ["RangeError"] * 13


def test_a_result_that_is_too_large(driver: Driver) -> None:
    failure = driver.call("bytes", 8_000_000).failure
    assert failure is not None
    assert (failure.type_name, "at once" in failure.message) == ("RangeError", True)
    assert driver.call("bytes", 7_000_000).value == bytes(7_000_000)
