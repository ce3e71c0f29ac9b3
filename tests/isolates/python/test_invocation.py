"""Invocations: what belongs to them ends with them, what they promised goes on, and none takes from another."""

from __future__ import annotations

import pytest
from pyworkerd_isolates.testing import LATER, Reply

WORKER = """
import asyncio
from workers import Response, WorkerEntrypoint, wait_until, waitUntil, env

LOG = []

async def work(name, seconds=1):
    try:
        await asyncio.sleep(seconds)
        LOG.append(name)
    except asyncio.CancelledError:
        LOG.append(f"{name} cancelled")
        raise

async def failing():
    await asyncio.sleep(1)
    raise ValueError("in the background")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = request.url.rsplit("/", 1)[1]
        if name == "props":
            return Response.json(self.ctx.props)
        await getattr(self, f"on_{name}")(self.ctx)
        return Response("answered")

    async def on_promised(self, ctx): ctx.wait_until(work("promised"))
    async def on_camel(self, ctx): ctx.waitUntil(work("camel"))
    async def on_module(self, ctx): wait_until(work("module"))
    async def on_module_camel(self, ctx): waitUntil(work("module camel"))
    async def on_task(self, ctx): ctx.wait_until(asyncio.create_task(work("task")))
    async def on_nested(self, ctx):
        async def outer():
            await asyncio.sleep(1)
            ctx.wait_until(work("nested"))
        ctx.wait_until(outer())
    async def on_failing(self, ctx): ctx.wait_until(failing())
    async def on_forgotten(self, ctx):
        asyncio.create_task(work("forgotten", 100))
        await asyncio.sleep(0)
    async def on_waits(self, ctx):
        ctx.wait_until(work("promised", 1))
        await work("handler", 1000)
    async def on_asks(self, ctx):
        try:
            await self.env.CALL()
        except asyncio.CancelledError as error:
            LOG.append(str(error))
            await asyncio.sleep(1)
            LOG.append("wound up")
            raise
    async def on_stubborn(self, ctx):
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                LOG.append("stubborn")
                return
    async def on_bad(self, ctx): ctx.wait_until(7)
    async def on_passes(self, ctx): ctx.passThroughOnException(); ctx.pass_through_on_exception()
    async def on_zombie(self, ctx):
        async def zombie():
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    LOG.append("will not die")
        asyncio.create_task(zombie())
        await asyncio.sleep(0)

    async def log(self):
        from _pyworkerd import invocation
        return [LOG, len(invocation.running)]

"""
URL = "http://test.invalid/"


@pytest.fixture
def driver(start):
    return start(WORKER, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)


def log(driver):
    entries, running = driver.call("log").value
    assert running == 1
    return entries


@pytest.mark.parametrize("name", ["promised", "camel", "module", "module_camel", "task", "nested"])
def test_promised_work_is_done_after_the_answer(driver, name):
    run = driver.begin(URL + name)
    driver.step()
    assert run.status == 200
    assert not run.done
    driver.settle()
    assert run.done
    assert log(driver) == [name.replace("_", " ")]


def test_promised_work_that_fails_is_logged(driver):
    run = driver.fetch(URL + "failing")
    assert run.text == "answered"
    assert run.done
    assert any("ValueError: in the background" in entry.message for entry in run.logs)


def test_work_that_was_not_promised_ends_with_the_invocation(driver):
    run = driver.fetch(URL + "forgotten")
    assert run.done
    assert log(driver) == ["forgotten cancelled"]


def test_a_caller_that_goes_away_cancels_the_handler_but_not_what_was_promised(driver):
    run = driver.begin(URL + "waits")
    driver.step()
    driver.cancel(run)
    assert run.done
    assert run.failure.type_name == "CancelledError"
    assert log(driver) == ["handler cancelled", "promised"]


def test_a_cancelled_handler_may_wind_up_and_its_calls_are_abandoned(driver):
    run = driver.begin(URL + "asks")
    driver.settle()
    assert len(driver.calls) == 1
    driver.cancel(run)
    assert driver.abandoned == [1]
    assert run.done
    assert log(driver) == ["the caller of this invocation has gone", "wound up"]


def test_a_handler_may_answer_although_its_caller_has_gone(driver):
    run = driver.begin(URL + "stubborn")
    driver.step()
    driver.cancel(run)
    assert run.done
    assert log(driver) == ["stubborn"]


@pytest.mark.parametrize("promises", [False, True])
def test_a_stream_that_was_sent_keeps_an_invocation_only_for_what_it_promised(start, promises):
    driver = start(
        """
import asyncio
from workers import WorkerEntrypoint, WritableStream

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        sending = asyncio.ensure_future(self.env.X.writes(WritableStream(print, None, print)))
        if request.url.endswith("True"):
            self.ctx.wait_until(sending)
        await asyncio.Event().wait()
""",
        bindings=[("X", "fetcher", 1)],
        answer=lambda call: LATER,
    )
    run = driver.begin(f"http://x/{promises}")
    driver.settle()
    driver.cancel(run)
    assert run.done is not promises
    if promises:
        driver.resolve(1, None)
        driver.settle()
    assert run.done
    assert [entry.message for entry in run.logs] == ["whoever was to write to this stream has gone"]


def test_cancelling_what_is_over_or_never_was_does_nothing(driver):
    run = driver.fetch(URL + "passes")
    driver.cancel(run)
    driver.events.cancel(999)
    driver.settle()
    assert run.text == "answered"


def test_wait_until_takes_only_what_can_be_awaited(driver):
    assert driver.fetch(URL + "bad").failure.type_name == "TypeError"


def test_a_task_that_will_not_die_does_not_keep_its_invocation(driver):
    run = driver.fetch(URL + "zombie")
    assert run.done
    assert not driver.can_go_on()
    assert "will not die" in log(driver)


def test_props_come_with_the_invocation(driver):
    assert driver.fetch(URL + "props", props={"role": "admin"}).json == {"role": "admin"}


FETCHES = """
from _pyworkerd.invocation import LOOK_AFTER, current
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kept, first = [], await fetch("http://other/open")
        for _ in range(4 * LOOK_AFTER):
            await (await fetch("http://other/")).text()
            kept.append(len(current().bodies))
        return Response.json([max(kept), LOOK_AFTER])
"""


def test_bodies_that_are_over_are_forgotten_and_others_are_not(start):
    driver = start(FETCHES, answer=lambda _: Reply(200, (), iter([b"a", b"b"])))
    run = driver.fetch()
    most, look_after = run.json
    assert most <= look_after
    assert run.done
    assert not driver.can_go_on()  # the one that was not read was stopped at the end
