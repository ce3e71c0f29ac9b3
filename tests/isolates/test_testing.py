"""The driver: a host that keeps the books strictly, so that tests built on it mean something."""

from __future__ import annotations

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import ClosedIsolate, ProtocolError
from pyworkerd_isolates.protocol import WINDOW, Events
from pyworkerd_isolates.testing import LATER, Feed, Reply, RunFailed, bundle_of

WORKER = """
from workers import Response, WorkerEntrypoint, fetch
from _pyworkerd import outbox

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        answer = await fetch("http://a.example/", method="POST", body=await request.text())
        return Response(await answer.text(), answer.status)

    async def ask(self, *arguments):
        return await self.env.CALL(*arguments)

    async def write(self, *effect):
        outbox.effects.append(list(effect))

    async def flood(self, size):
        outbox.effects += [["respond", 1, 200, [], ["s", 7, None]], ["data", 7, outbox.blob(bytes(size)), False]]
        await self.env.CALL()
"""


def test_it_serves_a_request_and_answers_its_calls(start):
    driver = start(WORKER, answer=lambda call: Reply(201, (), b"answer"))
    run = driver.fetch(method="POST", body=[b"que", b"stion"])
    assert (run.status, run.text) == (201, "answer")
    assert driver.uploads[1].body == b"question"


def test_without_an_answering_function_every_call_is_refused(start):
    driver = start(WORKER, bindings=[("CALL", "callable", 1)])
    with pytest.raises(RunFailed, match="no such capability"):
        driver.call("ask").checked()


def test_what_the_answering_function_raises_is_the_guests_to_handle(start):
    driver = start(WORKER, bindings=[("CALL", "callable", 1)], answer=lambda _: 1 / 0)
    assert driver.call("ask").failure.type_name == "ZeroDivisionError"


@pytest.mark.parametrize(
    "effect",
    [
        ("respond", 9, 200, [], None),
        ("done", 9),
        ("fail", 9, "exception", "", "", ""),
        ("call", 1, 9, 1, "x", 0),
        ("respond", 1, 200, [], ["p", 5]),
        ("crash", "x"),
    ],
)
def test_effects_that_nobody_asked_for_end_the_isolate(start, effect):
    driver = start(WORKER)
    with pytest.raises(ProtocolError):
        driver.call("write", *effect)
    with pytest.raises(ClosedIsolate):
        driver.fetch()


@pytest.mark.parametrize(("size", "fits"), [(WINDOW, True), (WINDOW + 1, False)])
def test_no_more_data_is_taken_than_there_is_credit_for(start, size, fits):
    driver = start(WORKER, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    if fits:
        driver.call("flood", size)
        assert driver.streams == (7,)
    else:
        with pytest.raises(ProtocolError, match="ahead of its credit"):
            driver.call("flood", size)


def test_a_feed_gives_no_more_than_there_is_credit_for():
    events, feed = Events(), Feed(1, iter([bytes(WINDOW), bytes(WINDOW)]))
    feed.fill(events)
    assert feed.sent == 0
    feed.pull(100)
    feed.fill(events)
    assert feed.sent == 100
    with pytest.raises(ProtocolError, match="acknowledged more"):
        feed.pull(WINDOW + 1)
    data, _ = wire.decode(events.frame())
    assert data == [["data", 1, 0, False]]


def test_bundles_from_whatever_describes_one():
    one = Bundle.of({"worker.py": ""})
    assert bundle_of("") == bundle_of(b"") == bundle_of({"worker.py": ""}) == bundle_of(one) == one
