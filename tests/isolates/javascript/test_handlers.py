"""Invocations of JavaScript workers: what belongs to them ends with them, what they promised goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Call, Fetch, StreamRef
from pyworkerd_isolates.testing import LATER, Reply, RunFailed, arguments_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Run

WORKER = """
import { WorkerEntrypoint, waitUntil, env as imported } from "cloudflare:workers";

const log = [];
const sleep = (ms, value) => new Promise((resolve) => setTimeout(() => resolve(value), ms));
const noted = async (name, ms) => { await sleep(ms); log.push(name); };

export default class extends WorkerEntrypoint {
  async fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    return (await this[`on_${name}`](request)) ?? new Response("answered");
  }
  async on_promised() { this.ctx.waitUntil(noted("promised", 1000)); }
  async on_module() { waitUntil(noted("module", 1000)); }
  async on_failing() { this.ctx.waitUntil(sleep(1).then(() => { throw new RangeError("in the background"); })); }
  async on_forgotten() { noted("forgotten", 100000); }
  async on_waits() { this.ctx.waitUntil(noted("promised", 1000)); await sleep(1e6); log.push("never"); }
  async on_props() { return Response.json(this.ctx.props); }
  async on_same() { return Response.json([this.env === imported, this.env.NAME]); }
  async on_asks() { return new Response(await this.env.CALL("a", { b: [1] })); }
  async on_unheard() { this.env.CALL("nobody waits"); }
  async on_all() { return Response.json(await Promise.all([1, 2, 3].map((n) => this.env.CALL(n)))); }
  async on_order() {
    const seen = [];
    await Promise.all([30, 10, 20].map((ms) => sleep(ms, ms).then((value) => seen.push(value))));
    return Response.json(seen);
  }
  async on_catches() {
    try { await this.env.CALL(); } catch (error) {
      return Response.json([error instanceof TypeError, error.name, error.message, error.code ?? null]);
    }
  }
  async on_many() {
    const calls = [];
    for (let i = 0; i < 1001; i++) calls.push(this.env.CALL(i));
    return Response.json((await Promise.allSettled(calls)).filter((each) => each.status === "rejected")
      .map((each) => [each.reason.message, each.reason.code]));
  }
  async on_loop() { for (;;) await null; }
  async on_ticks() { for (;;) await sleep(0); }
  add(a, b) { return a + b; }
  async options(a, more) { return [a, more]; }
  _private() {}
  get getter() { return 1; }
  async log() { return log; }
}
export class Other extends WorkerEntrypoint { fetch() { return new Response("other"); } ping() { return "pong"; } }
export const plain = { fetch(request, env, ctx) { return new Response(`plain ${env.NAME} ${typeof ctx.waitUntil}`); } };
export const none = {};
export const functions = {
  told(argument, env, ctx) { return [argument, env.NAME, typeof ctx.waitUntil, this === functions]; },
  short: (argument) => argument + 1,
  many(a, b, env, ctx) {},
  scheduled() {},
  _private() {},
  value: 1,
};
"""


@pytest.fixture
def driver(start: Callable[..., Driver]) -> Driver:
    bindings = (("CALL", "callable", 5), ("NAME", "value", wire.dump_value("bound")))
    return start({"w.js": WORKER}, bindings=bindings, answer=lambda _: LATER)


def log_of(driver: Driver) -> list[str]:
    found: list[str] = driver.call("log").value
    return found


@pytest.mark.parametrize("name", ["promised", "module"])
def test_what_was_promised_goes_on_after_the_answer(driver: Driver, name: str) -> None:
    run = driver.begin(f"http://x/{name}")
    driver.step()
    assert (run.text, run.done) == ("answered", False)
    driver.settle()
    assert run.done
    assert log_of(driver) == [name]


def test_what_fails_in_the_background_is_logged(driver: Driver) -> None:
    run = driver.fetch("http://x/failing")
    assert (run.text, run.done) == ("answered", True)
    assert [(each.level, each.source) for each in run.logs] == [("error", "workers")]
    assert "RangeError: in the background" in run.logs[0].message
    assert "pyworkerd:" not in run.logs[0].message


@pytest.mark.parametrize("kind", ["async ", ""])
def test_what_is_thrown_may_throw_when_it_is_looked_at(start: Callable[..., Driver], kind: str) -> None:
    thrown = "new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } })"
    run = start({"w.js": f"export default {{ {kind}fetch() {{ throw {thrown}; }} }};"}).fetch()
    assert run.failure is not None
    assert (run.failure.message, run.done) == ("an error that cannot be shown", True)


def test_what_was_not_promised_ends_with_the_answer(driver: Driver) -> None:
    assert driver.fetch("http://x/forgotten").done
    assert driver.wake is None
    driver.isolate.ahead_ns += 200_000_000_000
    assert log_of(driver) == []


def test_a_caller_that_has_gone(driver: Driver) -> None:
    run = driver.begin("http://x/waits")
    driver.step()
    driver.cancel(run)
    driver.settle()
    assert run.done
    assert run.failure is not None
    assert run.failure.type_name == "AbortError"
    assert log_of(driver) == ["promised"]


def test_calls_that_nobody_waits_for_are_abandoned_with_their_invocation(driver: Driver) -> None:
    run = driver.fetch("http://x/unheard")
    assert run.done
    assert driver.abandoned == [1]
    driver.events.resolve_value(1, wire.dump_value("too late"))
    driver.settle()
    assert driver.fetch("http://x/promised").done


def test_a_call_and_its_answer(driver: Driver) -> None:
    run = driver.begin("http://x/asks")
    driver.step()
    call = driver.calls[1]
    assert isinstance(call, Call)
    assert (call.capability, call.method, arguments_of(call)) == (5, "call", (["a", {"b": [1]}], {}))
    driver.resolve(1, "the answer")
    driver.settle()
    assert (run.text, run.done) == ("the answer", True)


def test_a_hundred_invocations_wait_at_once(driver: Driver) -> None:
    runs = [driver.begin("http://x/asks") for _ in range(100)]
    driver.step()
    assert len(driver.calls) == 100
    for number in sorted(driver.calls, reverse=True):
        driver.resolve(number, str(number))
    driver.settle()
    assert [run.text for run in runs] == [str(number) for number in range(1, 101)]


def test_answers_belong_to_who_asked(driver: Driver) -> None:
    first, second = driver.begin("http://x/all"), driver.begin("http://x/all")
    driver.step()
    owners = [call.invocation for call in driver.calls.values()]
    assert owners == [first.number] * 3 + [second.number] * 3
    for number in (5, 1, 6, 2, 4, 3):
        driver.resolve(number, number)
        driver.step()
    assert (first.json, second.json) == ([1, 2, 3], [4, 5, 6])


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (TypeError("no"), [True, "TypeError", "no", None]),
        (PermissionError("not you"), [False, "Error", "PermissionError: not you", "error"]),
    ],
)
def test_a_call_that_fails(driver: Driver, error: Exception, seen: list[Any]) -> None:
    run = driver.begin("http://x/catches")
    driver.step()
    driver.resolve(1, error)
    driver.settle()
    assert run.json == seen


def test_an_answer_that_cannot_be_read(driver: Driver) -> None:
    run = driver.begin("http://x/catches")
    driver.step()
    driver.events.resolve_value(1, b"\x01\0\0\0{")
    driver.settle()
    assert run.json[3] == "bad_effect"


def test_more_calls_at_once_than_may_be(driver: Driver) -> None:
    run = driver.begin("http://x/many")
    driver.step()
    assert len(driver.calls) == 1000
    for number in list(driver.calls):
        driver.resolve(number, 0)
    driver.settle()
    assert run.json == [["more than 1000 calls wait at once", "too_many_calls"]]


def test_timers_fire_in_their_order(driver: Driver) -> None:
    assert driver.fetch("http://x/order").json == [10, 20, 30]


def test_timers_of_no_delay_let_the_host_look(driver: Driver) -> None:
    run = driver.begin("http://x/ticks")
    for _ in range(20):
        driver.step()
        assert driver.wake is not None
    assert not run.done
    driver.cancel(run)
    assert run.done
    assert driver.wake is None


def test_a_step_is_for_those_that_it_names(driver: Driver) -> None:
    first, second = driver.begin("http://x/order"), driver.begin("http://x/order")
    driver.step()
    driver.isolate.ahead_ns += 1_000_000_000
    driver.events.focus([second.number])
    driver.step()
    assert (first.done, second.done) == (False, True)
    driver.settle()
    assert first.done


def test_entrypoints(driver: Driver) -> None:
    assert driver.fetch(entrypoint="Other").text == "other"
    assert driver.fetch(entrypoint="plain").text == "plain bound function"
    assert driver.call("ping", entrypoint="Other").value == "pong"
    for entrypoint, reason in (("Absent", "no_entrypoint"), ("none", "no_entrypoint")):
        failure = driver.fetch(entrypoint=entrypoint).failure
        assert failure is not None
        assert failure.reason == reason


def test_props_and_env(driver: Driver) -> None:
    assert driver.fetch("http://x/props", props={"tenant": "a"}).json == {"tenant": "a"}
    assert driver.fetch("http://x/same").json == [True, "bound"]


def test_methods(driver: Driver) -> None:
    assert driver.call("add", 1, 2).value == 3
    assert driver.call("options", 1, b=2).value == [1, {"b": 2}]


def test_functions_of_an_exported_object_are_methods_of_one_argument(driver: Driver) -> None:
    told = driver.call("told", {"a": 1}, entrypoint="functions").value
    assert told == [{"a": 1}, "bound", "function", True]
    assert driver.call("short", 1, entrypoint="functions").value == 2
    for method, arguments in (("told", ()), ("told", (1, 2)), ("many", (1,))):
        failure = driver.call(method, *arguments, entrypoint="functions").failure
        assert failure is not None
        assert "is called with one argument, and gets (argument, env, ctx)" in failure.message


@pytest.mark.parametrize("name", ["scheduled", "_private", "value", "toString", "absent", "__proto__"])
def test_nothing_else_of_an_exported_object_is_a_method(driver: Driver, name: str) -> None:
    failure = driver.call(name, 1, entrypoint="functions").failure
    assert failure is not None
    assert failure.reason == "no_method"


@pytest.mark.parametrize(
    "name",
    ["fetch", "_private", "getter", "toString", "constructor", "hasOwnProperty", "__defineGetter__", "ctx", "env",
     "absent", "valueOf", "__proto__", "on"],
)  # fmt: skip
def test_what_is_no_method(driver: Driver, name: str) -> None:
    failure = driver.call(name).failure
    assert failure is not None
    assert failure.reason == "no_method"


def test_logs_are_the_invocations_own(start: Callable[..., Driver]) -> None:
    body = "console.log('a', {b: [1]}); console.error('c'); console.warn('d'); return new Response('')"
    driver = start({"w.js": f"console.log('top'); export default {{ async fetch() {{ {body} }} }};"})
    run = driver.fetch()
    assert [(each.level, each.source, each.message) for each in run.logs] == [
        ("info", "console", "a { b: [ 1 ] }"),
        ("error", "console", "c"),
        ("warning", "console", "d"),
    ]
    assert driver.isolate.image.logs == (("info", "console", "top"),)


def test_an_error_of_many_causes_is_logged_as_far_as_there_is_stack(start: Callable[..., Driver]) -> None:
    causes = (
        "for (let i = 0; i < 3000; i++) e = Object.assign(new Error(`${i}`, { cause: e }), { stack: '' });"
    )
    body = f"let e; {causes} console.log(e); return new Response('');"
    run = start({"w.js": f"export default {{ async fetch() {{ {body} }} }};"}).fetch()
    assert [log.message.count("[cause]: [Error]") for log in run.logs] == [1]


def test_logs_have_a_limit(start: Callable[..., Driver]) -> None:
    body = "for (let i = 0; i < 100000; i++) console.log('x'.repeat(100)); return new Response('')"
    driver = start({"w.js": f"export default {{ async fetch() {{ {body} }} }};"}, meta={"log_bytes": 10_000})
    run = driver.fetch()
    assert run.text == ""
    assert 9_000 < sum(len(each.message) + 64 for each in run.logs) < 11_000


BODIES = """
export default {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case "/echo": return new Response(request.body);
      case "/whole": return new Response(await request.text());
      case "/count": {
        let size = 0;
        for await (const chunk of request.body) size += chunk.length;
        return Response.json(size);
      }
      case "/upper": return new Response(request.body.pipeThrough(new TransformStream({
        transform(chunk, controller) { controller.enqueue(chunk.map((byte) => byte - 32)); },
      })));
      case "/made": {
        let left = 40;
        return new Response(new ReadableStream({
          pull(controller) {
            if (left-- > 0) controller.enqueue(new Uint8Array(50_000).fill(120)); else controller.close();
          },
          cancel(reason) { console.log(`cancelled ${reason}`); },
        }));
      }
      case "/large": return new Response("y".repeat(1_000_000));
      case "/text": return new Response(new ReadableStream({ start(c) { c.enqueue("text"); c.close(); } }));
      case "/breaks": return new Response(new ReadableStream({
        start(c) { c.enqueue(new Uint8Array(3)); }, pull() { throw new RangeError("source"); } }));
      case "/ignores": return new Response("ignored");
      case "/sends": {
        const answer = await fetch("http://other.test/up", { method: "PUT", body: request.body, headers: { a: "b" } });
        return new Response(answer.body, { status: answer.status, headers: answer.headers });
      }
    }
  },
};
"""


@pytest.fixture
def bodies(start: Callable[..., Driver]) -> Driver:
    return start({"w.js": BODIES}, answer=lambda _: LATER)


def chunks(count: int, size: int = 70_000) -> list[bytes]:
    return [b"abcdefg" * (size // 7)] * count


@pytest.mark.parametrize("path", ["echo", "whole"])
def test_bodies_come_and_go(bodies: Driver, path: str) -> None:
    sent = chunks(20)
    run = bodies.fetch(f"http://x/{path}", method="POST", body=iter(sent))
    assert (bytes(run.checked().body), run.complete, run.done) == (b"".join(sent), True, True)
    assert bytes(bodies.fetch(f"http://x/{path}", method="POST", body=b"short").body) == b"short"


def test_bodies_are_read_piece_by_piece(bodies: Driver) -> None:
    assert bodies.fetch("http://x/count", method="POST", body=iter(chunks(50))).json == 50 * 70_000
    run = bodies.fetch("http://x/upper", method="POST", body=iter([b"ab", b"cd"]))
    assert (bytes(run.body), run.complete) == (b"ABCD", True)


@pytest.mark.parametrize(("path", "content"), [("made", b"x" * 2_000_000), ("large", b"y" * 1_000_000)])
def test_bodies_that_a_worker_makes(bodies: Driver, path: str, content: bytes) -> None:
    run = bodies.fetch(f"http://x/{path}")
    assert (bytes(run.body), run.complete, run.done) == (content, True, True)


def test_a_reader_that_does_not_read_holds_the_source_up(bodies: Driver) -> None:
    bodies.autopull = False
    run = bodies.fetch("http://x/made")
    assert len(run.body) == 262_144
    assert not run.done
    (stream,) = bodies.streams
    bodies.stop(stream)
    bodies.settle()
    assert run.done
    assert [each.message for each in run.logs] == ["cancelled TypeError: the reader of this body has gone"]


@pytest.mark.parametrize(("path", "message"), [("text", "Uint8Array"), ("breaks", "RangeError: source")])
def test_bodies_that_break(bodies: Driver, path: str, message: str) -> None:
    run = bodies.fetch(f"http://x/{path}")
    assert run.broken is not None
    assert run.done
    assert message in run.logs[0].message


def test_what_is_left_of_a_body_nobody_will_read(bodies: Driver) -> None:
    run = bodies.fetch("http://x/ignores", method="POST", body=iter(chunks(20)))
    assert (run.text, run.done) == ("ignored", True)
    assert not bodies.can_go_on()


def test_fetch_sends_and_hands_on(bodies: Driver) -> None:
    run = bodies.begin("http://x/sends", method="POST", body=iter(chunks(10)))
    bodies.settle()
    request = bodies.calls[1]
    assert isinstance(request, Fetch)
    assert (request.method, request.url, request.redirect) == ("PUT", "http://other.test/up", "follow")
    assert ("a", "b") in request.headers
    assert bytes(bodies.uploads[1].body) == b"".join(chunks(10))
    bodies.resolve(1, Reply(201, (("x-from", "other"),), iter([b"part", b"s"])))
    bodies.settle()
    assert (run.status, bytes(run.body), run.complete, run.done) == (201, b"parts", True, True)
    assert ("x-from", "other") in run.headers


KEPT = """
let kept, kind;
export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname.slice(1);
    if (path !== "read") {
      kept = await fetch("http://down.test/");
      kind = path;
      await env.CALL();
      return new Response("kept");
    }
    if (kind === "stream") return Response.json(await kept.body.getReader().read());
    const text = await kept.text();
    await env.CALL(); // in the name of whoever reads
    return new Response(text);
  },
};
"""


@pytest.mark.parametrize("kind", ["text", "stream"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_body_that_is_kept_past_its_invocation_throws(
    start: Callable[..., Driver], kind: str, *, waits: bool
) -> None:
    driver, first = keep(start, kind)
    if not waits:
        go_on(driver, first)
    run = driver.fetch("http://x/read")
    if waits:
        assert not run.done
        go_on(driver, first)
    assert run.failure is not None
    assert (run.failure.type_name, run.done) == ("TypeError", True)
    assert "a request that is over" in run.failure.message


def test_who_reads_anothers_body_goes_on_as_itself(start: Callable[..., Driver]) -> None:
    driver, first = keep(start, "text")
    run = driver.fetch("http://x/read")
    driver.events.data(9, b"all", end=True)
    driver.settle()
    go_on(driver, first)
    (number,) = driver.calls
    assert driver.calls[number].invocation == run.number
    driver.resolve(number, None)
    driver.settle()
    assert (run.text, run.done) == ("all", True)


def keep(start: Callable[..., Driver], kind: str) -> tuple[Driver, Run]:
    """A request that waits, and whose body, of which nothing has come, others can read."""
    driver = start({"w.js": KEPT}, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    run = driver.fetch(f"http://x/{kind}")
    driver.calls.pop(1)
    driver.events.resolve_response(1, 200, (), StreamRef(9, None), "")
    driver.settle()
    return driver, run


def go_on(driver: Driver, run: Run) -> None:
    driver.resolve(2, None)
    driver.settle()
    assert (run.text, run.done) == ("kept", True)


def test_scheduled_and_queue(start: Callable[..., Driver]) -> None:
    source = """
    export default {
      async scheduled(controller, env, ctx) {
        if (controller.cron === "bad") throw new Error("no");
        if (controller.cron === "once") controller.noRetry();
        console.log(controller.cron, controller.scheduledTime);
      },
      async queue(batch) {
        for (const message of batch.messages) {
          if (message.body.ok) message.ack(); else message.retry({ delaySeconds: 7 });
          console.log(batch.queue, message.id.length, message.attempts, message.timestamp.toISOString());
        }
        if (batch.messages[0].body.fail) throw new Error("batch");
      },
      test(controller, env, ctx) { ctx.waitUntil(Promise.resolve(Object.keys(controller))); },
    };"""
    driver = start({"w.js": source})

    def handle(handler: str, event: object) -> Any:
        run = driver._new_run()
        driver.events.handle(run.number, None, None, handler, wire.dump_value(event))
        driver.settle()
        return run

    run = handle("scheduled", {"cron": "* * * * *", "scheduled_time": 5})
    assert (run.value, run.logs[0].message) == ({"no_retry": False}, "* * * * * 5")
    assert handle("scheduled", {"cron": "once", "scheduled_time": 5}).value == {"no_retry": True}
    assert handle("scheduled", {"cron": "bad", "scheduled_time": 5}).failure.message == "no"
    messages = [
        [3, 0, 1, None, wire.dump_value({"ok": True})],
        [4, 1000, 2, None, wire.dump_value({"ok": False})],
    ]
    run = handle("queue", {"queue": "q", "messages": messages})
    assert run.value == {"failed": False, "all": None, "acks": [3], "retries": [[4, 7]]}
    assert run.logs[1].message == "q 32 2 1970-01-01T00:00:01.000Z"
    failing = [[5, 0, 1, None, wire.dump_value({"ok": True, "fail": True})]]
    run = handle("queue", {"queue": "q", "messages": failing})
    assert run.value == {"failed": True, "all": None, "acks": [5], "retries": []}
    assert handle("alarm", {}).failure is not None
    assert handle("test", None).value is None


AFTERWARDS = """
const later = async () => { for (let i = 0; i < 100; i++) await null; };
const kinds = {
  fetch: () => fetch("http://other.test/"),
  timer: () => setTimeout(() => console.log("it fired"), 5),
  interval: () => setInterval(() => console.log("it fired"), 0),
  call: (request, env) => env.CALL(1),
  body: (request) => request.text(),
  socket: () => new WebSocket("ws://other.test/"),
};
export default {
  async fetch(request, env) {
    const make = kinds[new URL(request.url).pathname.slice(1)];
    (async () => { await later(); await make(request, env); })().catch((error) => console.log(error.message));
    return new Response("answered");
  },
};
"""
KINDS = ["fetch", "timer", "interval", "call", "socket", "body"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_on_after_the_end_can_begin_nothing(start: Callable[..., Driver], kind: str) -> None:
    driver = start({"w.js": AFTERWARDS}, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    run = driver.begin(f"http://x/{kind}", method="POST", body=iter([b"x" * 100]))
    output = driver.step()
    assert (bytes(run.body), run.done, output.wake) == (b"answered", True, None)
    assert (driver.calls, driver.can_go_on()) == ({}, False)
    if kind != "body":
        assert ["is over" in entry.message for entry in run.logs] == [True]


@pytest.mark.parametrize("kind", KINDS)
def test_what_promises_begin_before_the_end_ends_with_it(start: Callable[..., Driver], kind: str) -> None:
    """Where the answer is no promise: all that is ready runs first, as part of the request."""
    source = AFTERWARDS.replace("async fetch(request", "fetch(request")
    driver = start({"w.js": source}, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    run = driver.begin(f"http://x/{kind}", method="POST", body=iter([b"x" * 100]))
    output = driver.step()
    assert (bytes(run.body), run.done, output.wake) == (b"answered", True, None)
    assert (driver.calls, driver.can_go_on()) == ({}, False)
    assert run.logs == []


TEXTS = """
const kept = new Response("kept");
const cases = {
  plain: () => new Response("text"),
  async plainAsync() { return new Response("text"); },
  halves: () => new Response("a\\ud800b"),
  long: () => new Response("x".repeat(70000)),
  kept: () => kept,
  told: () => {
    const made = new Response("text");
    const said = [made.status, made.ok, made.type, made.url, made.bodyUsed, [...made.headers]];
    made.headers.set("x-said", JSON.stringify(said));
    return made;
  },
  async read() { const made = new Response("text"); await made.text(); return made; },
  async cloned() { const made = new Response("text"); return new Response(await made.clone().text() + made.bodyUsed); },
  async later() { const made = new Response("text"); soon(() => made.headers.set("x-said", "1")); return made; },
  sooner() { const made = new Response("text"); soon(() => made.headers.set("x-said", "1")); return made; },
  then() { const made = new Response("no"); made.then = (done) => done(new Response("then")); return made; },
  asked: (request) => new Response(JSON.stringify([request.method, request.url, request.headers.get("x-a"),
    request.redirect, request.bodyUsed, request.body, new Request(request).headers.get("x-a"), request.clone().url])),
};
const soon = (callback) => Promise.resolve().then(callback);
export default { fetch: (request) => cases[new URL(request.url).pathname.slice(1)](request) };
"""
PLAIN = '[["content-type","text/plain;charset=UTF-8"]]'


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("plain", "text", None),
        ("plainAsync", "text", None),
        ("halves", "a\ufffdb", None),
        ("long", "x" * 70000, None),
        ("told", "text", f'[200,true,"default","",false,{PLAIN}]'),
        ("cloned", "textfalse", None),
        ("later", "text", "1"),
        ("sooner", "text", None),
        ("then", "then", None),
        ("asked", '["GET","http://x/asked","b","manual",false,null,"b","http://x/asked"]', None),
    ],
)
def test_a_response_of_a_text(start: Callable[..., Driver], path: str, body: str, said: str | None) -> None:
    run = start({"w.js": TEXTS}).fetch(f"http://x/{path}", headers=(("x-a", "b"),))
    assert (run.text, dict(run.headers).get("x-said")) == (body, said)
    assert ("content-type", "text/plain;charset=UTF-8") in run.headers


def test_a_response_of_a_text_is_used_once(start: Callable[..., Driver]) -> None:
    driver = start({"w.js": TEXTS})
    with pytest.raises(RunFailed, match="Body has already been used"):
        _ = driver.fetch("http://x/read").text
    assert driver.fetch("http://x/kept").text == "kept"
    with pytest.raises(RunFailed, match="Body has already been used"):
        _ = driver.fetch("http://x/kept").text
