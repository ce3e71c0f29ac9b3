"""The service-worker syntax: listeners in place of exports, bindings as globals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import TopLevelRaised

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Run

    Start = Callable[..., Driver]

QUEUE = {"queue": "jobs", "messages": [[1, 0, 1, "json", wire.dump_value({"a": 1})]]}
TICK = {"cron": "* * * * *", "scheduled_time": 5000}


def handle(driver: Driver, handler: str, event: Any) -> Run:
    """Run a handler that no client waits for."""
    run = driver._new_run()
    driver.events.handle(run.number, None, None, handler, wire.dump_value(event))
    driver.settle()
    return run


def script(listener: str, kind: str = "fetch") -> dict[str, str]:
    """A program with one listener, whose `event` is an event."""
    return {"w.js": f'addEventListener("{kind}", (event) => {{ {listener} }});'}


def test_a_listener_answers(start: Start) -> None:
    source = """
addEventListener("fetch", (event) => event.respondWith(handle(event)));

async function handle(event) {
  const { method, url } = event.request;
  return new Response(`${event.type} ${event instanceof FetchEvent} ${method} ${url} ${GREETING}`);
}
"""
    driver = start({"w.js": source}, bindings=[("GREETING", "value", wire.dump_value("hello"))])
    run = driver.fetch("http://shop.test/a", method="PUT")
    assert run.text == "fetch true PUT http://shop.test/a hello"


def test_the_first_listener_that_answers_is_the_last_that_hears(start: Start) -> None:
    source = """
const heard = [];
addEventListener("fetch", () => { heard.push("one"); });
addEventListener("fetch", { handleEvent(event) { heard.push("two"); event.respondWith(Response.json(heard)); } });
addEventListener("fetch", () => { heard.push("three"); });
const gone = () => { heard.push("gone"); };
addEventListener("fetch", gone);
removeEventListener("fetch", gone);
"""
    assert start({"w.js": source}).fetch().json == ["one", "two"]


@pytest.mark.parametrize(
    ("listener", "message"),
    [
        ("", 'no listener of "fetch" called event.respondWith()'),
        ("throw new Error('mine')", "mine"),
        ("event.respondWith(Promise.reject(new Error('later')))", "later"),
        (
            "event.respondWith(7)",
            "fetch() has to return a Response, not number: write `return new Response(...)`",
        ),
    ],
)
def test_what_fails_is_the_handlers_failure(start: Start, listener: str, message: str) -> None:
    run = start(script(listener)).fetch()
    assert run.failure is not None
    assert (run.failure.message.startswith(message), run.done) == (True, True)


def test_an_answer_is_given_once_and_at_once(start: Start) -> None:
    driver = start(
        script("""
event.respondWith(new Response("first"));
try { event.respondWith(new Response("second")); } catch (error) { console.log(error.message); }
event.waitUntil((async () => {
  await null;
  try { event.respondWith(new Response("third")); } catch (error) { console.log(error.name, error.message); }
})());
""")
    )
    run = driver.fetch()
    assert run.text == "first"
    assert [entry.message for entry in run.logs] == [
        "FetchEvent.respondWith() has already been called; it can only be called once.",
        (
            "InvalidStateError Too late to call FetchEvent.respondWith(). "
            "It must be called synchronously in the event handler."
        ),
    ]


def test_an_async_listener_that_fails_is_told(start: Start) -> None:
    source = {
        "w.js": """addEventListener("fetch", async (event) => {
  event.respondWith(new Response("x"));
  event.passThroughOnException();
  throw new Error("after");
});"""
    }
    run = start(source).fetch()
    assert run.text == "x"
    assert "after" in run.logs[0].message


def test_promised_work_goes_on_after_the_answer(start: Start) -> None:
    listener = """
event.respondWith(new Response("x"));
event.waitUntil(new Promise((resolve) => setTimeout(resolve, 1000)).then(() => console.log("later")));
"""
    run = start(script(listener)).fetch()
    assert (run.text, [entry.message for entry in run.logs], run.done) == ("x", ["later"], True)


def test_scheduled_events(start: Start) -> None:
    driver = start(
        script(
            """
console.log(event.cron, event.scheduledTime, event instanceof ScheduledEvent);
event.noRetry();
event.waitUntil(new Promise((resolve) => setTimeout(resolve, 1000)).then(() => console.log("done")));
""",
            "scheduled",
        )
    )
    run = handle(driver, "scheduled", TICK)
    assert run.value == {"no_retry": True}
    assert [entry.message for entry in run.logs] == ["* * * * * 5000 true", "done"]


def test_a_scheduled_event_fails_with_what_it_waits_for(start: Start) -> None:
    driver = start(script("event.waitUntil(Promise.reject(new Error('no')));", "scheduled"))
    run = handle(driver, "scheduled", TICK)
    assert run.failure is not None
    assert run.failure.message == "no"


def test_queue_events(start: Start) -> None:
    listener = "console.log(event.queue, event.messages[0].body.a); event.waitUntil(null); event.ackAll();"
    run = handle(start(script(listener, "queue")), "queue", QUEUE)
    assert (run.value["all"], run.value["failed"]) == ("ack", False)
    assert run.logs[0].message == "jobs 1"


def test_what_is_exported_counts_and_listeners_beside_it_do_not(start: Start) -> None:
    source = """
addEventListener("fetch", (event) => event.respondWith(new Response("listener")));
export default { fetch: () => new Response(typeof globalThis["GREET" + "ING"]) };
"""
    driver = start({"w.js": source}, bindings=[("GREETING", "value", wire.dump_value("hello"))])
    assert driver.fetch().text == "undefined"


@pytest.mark.parametrize("kind", ["unhandledrejection", "message"])
def test_listeners_of_something_else_are_no_handlers(start: Start, kind: str) -> None:
    with pytest.raises(TopLevelRaised, match="exports no handler"):
        start(script("", kind))


def test_events_are_made_by_the_runtime_alone(start: Start) -> None:
    listener = """
const said = [];
for (const Kind of [FetchEvent, ExtendableEvent, ScheduledEvent, QueueEvent]) {
  try { new Kind("fetch"); } catch (error) { said.push(error.message); }
}
dispatchEvent(new Event("other"));
event.respondWith(Response.json(said));
"""
    assert start(script(listener)).fetch().json == ["Illegal constructor"] * 4


def test_listeners_serve_beside_entrypoints_of_other_names(start: Start) -> None:
    source = """
import { WorkerEntrypoint } from "cloudflare:workers";
addEventListener("fetch", (event) => event.respondWith(new Response("listener")));
export class Admin extends WorkerEntrypoint { fetch() { return new Response("admin"); } }
"""
    driver = start({"w.js": source})
    assert (driver.fetch().text, driver.fetch(entrypoint="Admin").text) == ("listener", "admin")
