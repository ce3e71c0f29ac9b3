"""How invocations end, for whoever follows the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.dispatch.invocation import CallWork, FetchWork, HandlerWork
from pyworkerd.dispatch.outcomes import began_by
from pyworkerd.errors import PyworkerdError
from pyworkerd.messages import Request
from pyworkerd.observe.feed import Feed, Question
from pyworkerd.observe.selection import Outcome
from pyworkerd.runtime import RuntimeOptions
from pyworkerd.services.base import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

WATCHED = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/fail"):
            raise ValueError("no tea")
        if "/spin" in request.url:
            while True:
                pass
        print("served")
        return Response("tea", status=201)

    async def stock(self, article):
        return 5
"""
LISTENER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def tail(self, events, env, ctx):
        for event in events:
            print(event.outcome, len(event.logs), len(event.exceptions))
"""


def ended(feed: Feed) -> list[Outcome]:
    return [each for _, each in feed.answer(Question()).entries if isinstance(each, Outcome)]


def test_of_every_kind_and_only_while_it_is_wanted(with_runtime: Callable[..., None]) -> None:
    feed = Feed()

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": WATCHED}, name="shop")
        await worker.fetch(Request("GET", "http://w/before"))
        await runtime.quiet()
        assert ended(feed) == []
        feed.answer(Question(follow=True))
        await worker.fetch(Request("GET", "http://w/tea?token=secret"))
        with pytest.raises(PyworkerdError):
            await worker.fetch(Request("POST", "http://w/fail"))
        with pytest.raises(PyworkerdError):
            await worker.fetch(Request("GET", "http://w/spin"))
        assert await worker.call("stock", "tea") == 5
        await runtime.quiet()
        first, failed, spun, called = ended(feed)
        assert (first.worker, first.event, first.outcome, first.status) == ("shop", "GET /tea", "ok", 201)
        assert first.wall_ms > 0
        assert first.cpu_ms > 0
        assert len(first.request_id) == 16
        assert (failed.event, failed.outcome, failed.status) == ("POST /fail", "exception", 0)
        assert (spun.event, spun.outcome) == ("GET /spin", "exceededCpu")
        assert (called.event, called.outcome, called.status) == ("rpc stock", "ok", 0)

    with_runtime(main, None, RuntimeOptions(sinks=(feed,), feed=feed))


def test_tail_workers_hear_the_same_as_without(with_runtime: Callable[..., None]) -> None:
    feed = Feed()

    async def main(runtime: Runtime) -> None:
        await runtime.load({"t.py": LISTENER}, name="watch")
        worker = await runtime.load({"w.py": WATCHED}, name="shop", tails=["watch"])
        feed.answer(Question(follow=True))
        await worker.fetch(Request("GET", "http://w/tea"))
        with pytest.raises(PyworkerdError):
            await worker.fetch(Request("GET", "http://w/fail"))
        await runtime.quiet()
        watch = runtime.worker("watch")
        assert [entry.message.strip() for entry in watch.logs] == ["ok 1 0", "exception 0 1"]
        assert [(each.worker, each.outcome) for each in ended(feed) if each.event != "tail"] == [
            ("shop", "ok"),
            ("shop", "exception"),
        ]

    with_runtime(main, None, RuntimeOptions(sinks=(feed,), feed=feed))


def test_a_worker_is_named_as_in_the_metrics(with_runtime: Callable[..., None]) -> None:
    feed = Feed()

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": WATCHED}, name="a\nb\u202e" + "w" * 1000)
        feed.answer(Question(follow=True))
        await worker.fetch(Request("GET", "http://w/tea"))
        await runtime.quiet()
        names = {each.worker for _, each in feed.answer(Question()).entries}
        assert names == {("a\\nb\\u202e" + "w" * 1000)[:200]}

    with_runtime(main, None, RuntimeOptions(sinks=(feed,), feed=feed))


def test_what_began_it_is_bounded() -> None:
    request = Request("M" * 999, f"http://anna:secret@host/{'p' * 9999}?q")
    assert began_by(FetchWork(request, DEFAULT)) == f"{'M' * 32} /{'p' * 2047}"
    assert began_by(CallWork("m" * 9999, b"", DEFAULT)) == f"rpc {'m' * 2048}"
    assert began_by(HandlerWork("scheduled", b"", DEFAULT)) == "scheduled"
